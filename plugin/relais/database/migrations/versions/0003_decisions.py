"""Decisions that can be proved: versions of the configuration.

Each group of tables has a function of its own, called from `upgrade`.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from relais.database.columns import Id, Instant

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables and columns."""
    _versions()
    _replays()
    _restrictions()


def _versions() -> None:
    """Each configuration that was active becomes a version of the file; a digest may have several versions."""
    op.create_table(
        "version",
        sa.Column("number", Id, nullable=False, autoincrement=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("based_on", Id, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("editors", sa.JSON(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", Instant(), nullable=True),
        sa.Column("approval_comment", sa.Text(), nullable=True),
        sa.Column("activate_at", Instant(), nullable=True),
        sa.Column("activated_at", Instant(), nullable=True),
        sa.Column("activated_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_version")),
    )
    op.create_index("ix_version_digest", "version", ["digest"], unique=False)
    active = sa.text("state = 'Active'")
    op.create_index(
        "uq_version_active", "version", ["state"], unique=True, postgresql_where=active, sqlite_where=active
    )
    with op.batch_alter_table("decision") as decision:
        decision.drop_constraint("fk_decision_configuration", type_="foreignkey")
    _copy_configurations()
    op.drop_table("configuration")


def _copy_configurations() -> None:
    former = sa.table(
        "configuration",
        sa.column("digest", sa.Text()),
        sa.column("document", sa.JSON()),
        sa.column("activated_at", Instant()),
    )
    rows = op.get_bind().execute(sa.select(former).order_by(former.c.activated_at)).all()
    version = sa.table("version", *(sa.column(name, kind) for name, kind in _COPIED.items()))
    for number, row in enumerate(rows, start=1):
        document = {key: value for key, value in row.document.items() if key not in ("Database", "ConfigurationSource")}
        op.get_bind().execute(
            sa.insert(version).values(
                number=number,
                document=document,
                digest=row.digest,
                based_on=number - 1 or None,
                state="Active" if number == len(rows) else "Past",
                author="relais:file",
                comment="",
                created_at=row.activated_at,
                changed_at=row.activated_at,
                editors=["relais:file"],
                activated_at=row.activated_at,
                activated_by="relais:file",
            )
        )


def _replays() -> None:
    """What past studies would have become under another configuration."""
    op.create_table(
        "replay",
        sa.Column("id", Id, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", Id, nullable=True),
        sa.Column("before_digest", sa.Text(), nullable=False),
        sa.Column("after_digest", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("studies", sa.Integer(), nullable=True),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("ceiling", sa.BigInteger(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("seconds_left", sa.Integer(), nullable=True),
        sa.Column("tally", sa.JSON(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replay")),
    )
    op.create_index("ix_replay_version", "replay", ["version", "id"])
    op.create_table(
        "replay_change",
        sa.Column("replay_id", Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("study_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["replay_id"], ["replay.id"], name=op.f("fk_replay_change_replay_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_replay_change_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("replay_id", "number", name=op.f("pk_replay_change")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_replay_change_kind", "replay_change", ["replay_id", "kind", "number"])
    op.create_index("ix_replay_change_destination", "replay_change", ["replay_id", "destination", "number"])
    op.create_index("ix_replay_change_study", "replay_change", ["study_id"])


def _restrictions() -> None:
    """What may not be sent of a study or of a patient."""
    op.create_table(
        "restriction",
        sa.Column("id", Id, nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=True),
        sa.Column("patient_id", sa.Text(), nullable=True),
        sa.Column("issuer_of_patient_id", sa.Text(), nullable=True),
        sa.Column("destinations", sa.JSON(), nullable=False),
        sa.Column("regions", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("lifted_at", Instant(), nullable=True),
        sa.Column("lifted_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restriction")),
    )
    op.create_index("ix_restriction_study", "restriction", ["study_instance_uid"])
    op.create_index("ix_restriction_patient", "restriction", ["patient_id"])
    op.create_index("ix_restriction_lifted", "restriction", ["lifted_at", "id"])


_COPIED: dict[str, Any] = {
    "number": Id,
    "document": sa.JSON(),
    "digest": sa.Text(),
    "based_on": Id,
    "state": sa.Text(),
    "author": sa.Text(),
    "comment": sa.Text(),
    "created_at": Instant(),
    "changed_at": Instant(),
    "editors": sa.JSON(),
    "activated_at": Instant(),
    "activated_by": sa.Text(),
}
