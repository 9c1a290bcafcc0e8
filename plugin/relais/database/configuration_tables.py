"""The tables of versions of the configuration, and of replays of past studies under another one."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, Table, Text, text

from relais.database.columns import Handwritten, Id, Instant, metadata

# Each configuration that was ever proposed or active. A digest may have several versions.
version = Table(
    "version",
    metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("document", Handwritten, nullable=False),  # the section without Database and ConfigurationSource
    Column("digest", Text, nullable=False),
    Column("based_on", Id),  # the version that its author changed
    Column("state", Text, nullable=False),  # domain.states.VersionState
    Column("author", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("editors", JSON, nullable=False),  # everybody who wrote on it, its author first
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("approval_comment", Text),
    Column("activate_at", Instant),
    Column("activated_at", Instant),
    Column("activated_by", Text),
    Index("ix_version_digest", "digest"),
    Index(
        "uq_version_active",
        "state",
        unique=True,
        postgresql_where=text("state = 'Active'"),
        sqlite_where=text("state = 'Active'"),
    ),
)

# What past studies would have become under another configuration. Both documents go when it is over.
replay = Table(
    "replay",
    metadata,
    Column("id", Id, primary_key=True),
    Column("state", Text, nullable=False),  # domain.comparison.ReplayState
    Column("version", Id),  # the proposed version; none for a proposed document
    Column("before_digest", Text, nullable=False),
    Column("after_digest", Text, nullable=False),
    Column("before", JSON),  # without secrets
    Column("after", JSON),
    Column("studies", Integer),  # how many were asked for
    Column("days", Integer),  # or of how many days
    Column("ceiling", BigInteger, nullable=False),  # no newer decision counts, whatever happens meanwhile
    Column("floor", BigInteger),  # the oldest decision that counts
    Column("cursor", BigInteger),  # every decision from here on up is done
    Column("total", Integer),
    Column("done", Integer, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("seconds_left", Integer),
    Column("tally", JSON, nullable=False),  # domain.comparison.Tally
    Column("actor", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("error", Text),
    Index("ix_replay_version", "version", "id"),
)

# One change of one study, in the order in which the replay met them: the newest study first.
replay_change = Table(
    "replay_change",
    metadata,
    Column("replay_id", Id, ForeignKey("replay.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),  # domain.comparison.Kind
    Column("destination", Text),
    Column("before", JSON),
    Column("after", JSON),
    Index("ix_replay_change_kind", "replay_id", "kind", "number"),
    Index("ix_replay_change_destination", "replay_id", "destination", "number"),
    Index("ix_replay_change_study", "study_id"),
    sqlite_with_rowid=False,
)
