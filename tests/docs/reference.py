"""The reference's pages: prose by hand, and blocks between marks that are written from the code.

A block stands between `<!-- written by make docs: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable, Mapping

from tests.docs import events, metrics, options, permissions, routes, rules, states
from tests.docs.markdown import DOCS

REFERENCE = DOCS / "reference"

PAGES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "options.md": {"options": options.describe_options, "orthanc": options.describe_orthanc},
    "rules.md": {
        "operators": rules.describe_operators,
        "groups": rules.describe_groups,
        "features": rules.describe_features,
        "fields": rules.describe_fields,
        "kinds": rules.describe_kinds,
    },
    "routes.md": {"routes": routes.describe_routes, "models": routes.describe_models},
    "events.md": {"events": events.describe_events},
    "states.md": {
        "study": states.describe_study,
        "delivery": states.describe_delivery,
        "notification": states.describe_notification,
        "task": states.describe_task,
        "version": states.describe_version,
        "review": states.describe_review,
        "import": states.describe_import,
        "order": states.describe_order,
        "retrieval": states.describe_retrieval,
        "prefetch": states.describe_prefetch,
        "errors": states.describe_errors,
        "retry": states.describe_retry,
        "schedule": states.describe_schedule,
    },
    "metrics.md": {"metrics": metrics.describe_metrics},
    "permissions.md": {"roles": permissions.describe_roles, "permissions": permissions.describe_permissions},
}
"""The blocks of each page, by name."""

_BLOCK = re.compile(r"(<!-- written by make docs: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(name: str, text: str) -> str:
    """The page with every block written anew; raises KeyError for a block that nobody writes or that is missing."""
    writers = dict(PAGES[name])
    fresh = _BLOCK.sub(lambda found: f"{found[1]}\n{writers.pop(found[2])()}\n\n{found[3]}", text)
    if writers:
        raise KeyError(f"{name} has no place for {', '.join(writers)}")
    return fresh
