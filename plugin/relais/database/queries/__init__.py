"""The read side, for the API and the pages: every function takes a connection and answers rows, newest first.

`scope` is what the caller may see: the names of clinics, or None for everything, studies without a clinic included.
Lists are paged by key: pass the last row's id as `before` to go on, so that nothing is skipped or seen twice while rows
arrive.
"""

from relais.database.queries import (
    audit,
    deliveries,
    fetching,
    history,
    lanes,
    matches,
    notifications,
    patients,
    replays,
    retrievals,
    reviews,
    studies,
    tasks,
    timeline,
    worklist,
)
from relais.database.queries.paging import Rows, Scope

__all__ = [
    "Rows",
    "Scope",
    "audit",
    "deliveries",
    "fetching",
    "history",
    "lanes",
    "matches",
    "notifications",
    "patients",
    "replays",
    "retrievals",
    "reviews",
    "studies",
    "tasks",
    "timeline",
    "worklist",
]
