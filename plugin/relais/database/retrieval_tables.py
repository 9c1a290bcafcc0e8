"""What is fetched from the PACS that can be asked: imports and their proof, watches, prefetches.

No patient is here: studies and images are named by their UIDs.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from relais.database.columns import Id, Instant, metadata

# The fetching of studies from one source.
study_import = Table(
    "study_import",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", Text, nullable=False),  # the key of a source
    Column("cause", Text, nullable=False),  # domain.states.Cause
    Column("cause_id", Text),  # the watch's name, or the prefetch's id
    Column("state", Text, nullable=False),  # domain.states.ImportState
    Column("route", Boolean, nullable=False),  # whether what comes is delivered by the rules, or only kept
    Column("priority", Integer, nullable=False),  # domain.priority.Priority
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Index("ix_study_import_state", "state", "id"),
    Index("ix_study_import_source", "source", "id"),
    Index("ix_study_import_cause", "cause", "cause_id", "id"),
)

# One study that an import fetches, or one series of it.
retrieval = Table(
    "retrieval",
    metadata,
    Column("id", Id, primary_key=True),
    Column("import_id", Id, ForeignKey("study_import.id", ondelete="CASCADE"), nullable=False),
    Column("study_instance_uid", Text, nullable=False),
    Column("series_instance_uid", Text),  # without one, the whole study
    Column("state", Text, nullable=False),  # domain.states.RetrievalState
    Column("expected", Integer),  # instances that the source has; known once it was asked
    Column("received", Integer, nullable=False),  # of these, the ones that are here
    Column("attempts", Integer, nullable=False),  # since something last came of one
    Column("rounds", Integer, nullable=False),  # how often the source was told to send
    Column("listed_at", Instant),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("next_at", Instant),
    Column("error", JSON),  # {"Class", "Code", "Text"}
    Column("warnings", JSON, nullable=False),  # [{"Code", …}]
    Index("ix_retrieval_import", "import_id", "id"),
    Index("ix_retrieval_study", "study_instance_uid", "state"),
    Index("ix_retrieval_finished", "finished_at"),
)

# An instance that the source says it has, and when it was found to be here.
expected_instance = Table(
    "expected_instance",
    metadata,
    Column("retrieval_id", Id, ForeignKey("retrieval.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("sop_instance_uid", Text, primary_key=True),
    Column("series_instance_uid", Text, nullable=False),
    Column("received_at", Instant),
    Column("error", JSON),  # {"Class", "Code", "Text"}, of the last attempt that named it alone
    sqlite_with_rowid=False,
)

# How a watch stands. One that is not here was never polled.
watch = Table(
    "watch",
    metadata,
    Column("name", Text, primary_key=True),
    Column("polled_at", Instant, nullable=False),
    Column("succeeded_at", Instant),  # everything that the source had until then was seen
    Column("failures", Integer, nullable=False),  # in a row
    Column("error", JSON),  # {"Class", "Code", "Text"}
)

watch_poll = Table(
    "watch_poll",
    metadata,
    Column("id", Id, primary_key=True),
    Column("watch", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("answered", Integer, nullable=False),  # studies that the source named
    Column("fresh", Integer, nullable=False),  # of these, the ones that were never seen
    Column("changed", Integer, nullable=False),  # … and those that are otherwise than when they were seen
    Column("skipped", Integer, nullable=False),  # new or changed, but none that the watch looks for
    Column("unclear", Integer, nullable=False),  # … of which the source does not tell that
    Column("import_id", Id),
    Column("error", JSON),
    Index("ix_watch_poll_watch", "watch", "id"),
)

# A study that a watch has seen.
sighting = Table(
    "sighting",
    metadata,
    Column("watch", Text, primary_key=True),
    Column("study_instance_uid", Text, primary_key=True),
    Column("digest", Text, nullable=False),  # of what the source said of it
    Column("first_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Index("ix_sighting_last", "watch", "last_at"),
    sqlite_with_rowid=False,
)

# The search for an order's priors: one row an order.
prefetch = Table(
    "prefetch",
    metadata,
    Column("id", Id, primary_key=True),
    Column("order_id", Id, nullable=False, unique=True),  # a row of worklist_item
    Column("clinic", Text),
    Column("state", Text, nullable=False),  # domain.states.PrefetchState
    Column("appointment_at", Instant),
    Column("run_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("found", Integer, nullable=False),  # studies of the patient, in all sources
    Column("relevant", Integer, nullable=False),  # of these, the ones that are imported or here
    Column("notes", JSON, nullable=False),  # [{"Code", …}]: what was left out, and who did not answer
    Index("ix_prefetch_clinic", "clinic", "id"),
    Index("ix_prefetch_state", "state", "id"),
)
