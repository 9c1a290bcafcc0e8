"""The PACS side: imports with their proof, watches, prefetches."""

import sqlalchemy as sa
from alembic import op

from relais.database.columns import Id, Instant

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables."""
    _imports()
    _watches()
    _prefetches()


def _imports() -> None:
    """Imports, what each fetches, and the instances that this must bring."""
    op.create_table(
        "study_import",
        sa.Column("id", Id, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("route", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_import")),
    )
    op.create_index("ix_study_import_state", "study_import", ["state", "id"])
    op.create_index("ix_study_import_source", "study_import", ["source", "id"])
    op.create_index("ix_study_import_cause", "study_import", ["cause", "cause_id", "id"])
    op.create_table(
        "retrieval",
        sa.Column("id", Id, nullable=False),
        sa.Column("import_id", Id, nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("listed_at", Instant(), nullable=True),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("next_at", Instant(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["study_import.id"], name=op.f("fk_retrieval_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrieval")),
    )
    op.create_index("ix_retrieval_import", "retrieval", ["import_id", "id"])
    op.create_index("ix_retrieval_study", "retrieval", ["study_instance_uid", "state"])
    op.create_index("ix_retrieval_finished", "retrieval", ["finished_at"])
    op.create_table(
        "expected_instance",
        sa.Column("retrieval_id", Id, nullable=False, autoincrement=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("received_at", Instant(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["retrieval_id"], ["retrieval.id"], name=op.f("fk_expected_instance_retrieval_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("retrieval_id", "sop_instance_uid", name=op.f("pk_expected_instance")),
        sqlite_with_rowid=False,
    )


def _watches() -> None:
    """How watches stand, what each poll found, and which studies were seen."""
    op.create_table(
        "watch",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("polled_at", Instant(), nullable=False),
        sa.Column("succeeded_at", Instant(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_watch")),
    )
    op.create_table(
        "watch_poll",
        sa.Column("id", Id, nullable=False),
        sa.Column("watch", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("fresh", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("unclear", sa.Integer(), nullable=False),
        sa.Column("import_id", Id, nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watch_poll")),
    )
    op.create_index("ix_watch_poll_watch", "watch_poll", ["watch", "id"])
    op.create_table(
        "sighting",
        sa.Column("watch", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("first_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("last_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("watch", "study_instance_uid", name=op.f("pk_sighting")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sighting_last", "sighting", ["watch", "last_at"])


def _prefetches() -> None:
    """The search for each order's priors."""
    op.create_table(
        "prefetch",
        sa.Column("id", Id, nullable=False),
        sa.Column("order_id", Id, nullable=False),
        sa.Column("clinic", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("appointment_at", Instant(), nullable=True),
        sa.Column("run_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("relevant", sa.Integer(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prefetch")),
        sa.UniqueConstraint("order_id", name=op.f("uq_prefetch_order_id")),
    )
    op.create_index("ix_prefetch_clinic", "prefetch", ["clinic", "id"])
    op.create_index("ix_prefetch_state", "prefetch", ["state", "id"])
