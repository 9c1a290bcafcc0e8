"""`make docs`: write the generated parts of the manual anew, and check its links."""

import sys

from tests.docs.links import broken_links
from tests.docs.reference import PAGES, REFERENCE, renewed


def main() -> None:
    """Write each page of the reference that is stale; exits with 1 when a link leads nowhere."""
    for name in PAGES:
        page = REFERENCE / name
        text = page.read_text()
        fresh = renewed(name, text)
        if fresh != text:
            page.write_text(fresh)
            sys.stdout.write(f"{page.name}: written anew\n")
    broken = broken_links()
    if broken:
        sys.exit("\n".join(broken))


if __name__ == "__main__":
    main()
