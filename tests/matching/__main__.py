"""`python -m tests.matching [PART ...] [--quick]`: measure matching, and write the manual's page after a whole run."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from tests.bench.figures import Figure, table
from tests.matching import parts
from tests.matching.page import page
from tests.matching.parts import FULL, QUICK, Part

PARTS: Mapping[str, Callable[[parts.Scale], Part]] = {
    "golden": parts.golden,
    "febrl": parts.febrl,
    "fictional": parts.fictional,
    "quebec": parts.quebec,
    "postgresql": parts.postgresql,
}
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "matching.md"


def main(arguments: list[str]) -> int:
    """Run the parts asked for; answers 1 when a target is missed in a whole run."""
    parser = argparse.ArgumentParser(prog="python -m tests.matching", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PART", help=f"one of: {', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="few people, to see that it works")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    began = monotonic()
    measured: dict[str, Part] = {}
    for name in options.names or PARTS:
        print(f"{name} …", file=sys.stderr, flush=True)
        measured[name] = PARTS[name](QUICK if options.quick else FULL)
        print(table(measured[name].figures), *measured[name].tables, sep="\n\n", flush=True)
    seconds = monotonic() - began
    print(f"{seconds:.0f} s")
    if options.quick or options.names:
        return 0
    PAGE.write_text(page(measured, seconds))
    print(f"written to {PAGE}")
    figures: list[Figure] = [figure for part in measured.values() for figure in part.figures]
    return 0 if all(figure.is_met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
