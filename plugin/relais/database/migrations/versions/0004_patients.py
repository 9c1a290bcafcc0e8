"""The right patient: the CRM's patients, matches, reviews.

Each group of tables has a function of its own, called from `upgrade`.
"""

import sqlalchemy as sa
from alembic import op

from relais.database.columns import Id, Instant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables and columns."""
    op.add_column("study", sa.Column("match_id", Id, nullable=True))
    op.add_column("study", sa.Column("crm_id", sa.Text(), nullable=True))
    op.create_index("ix_study_crm", "study", ["crm_id", "id"])
    _patients()
    _matches()
    _reviews()
    _models()


def _patients() -> None:
    """The CRM's patients, what they are found by, and how they come in bulk."""
    op.create_table(
        "patient",
        sa.Column("id", Id, nullable=False),
        sa.Column("crm_id", sa.Text(), nullable=False),
        sa.Column("clinic", sa.Text(), nullable=True),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint("crm_id", name=op.f("uq_patient_crm_id")),
    )
    op.create_index("ix_patient_clinic", "patient", ["clinic", "id"])
    op.create_index("ix_patient_merged", "patient", ["merged_into"])
    op.create_table(
        "patient_key",
        sa.Column("key", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("patient_id", Id, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("key", "patient_id", name=op.f("pk_patient_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "patient_name",
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("patients", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("side", "part", name=op.f("pk_patient_name")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stop_value",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("system", "value", name=op.f("pk_stop_value")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "patient_import",
        sa.Column("id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("position", sa.JSON(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_import")),
    )
    op.create_index("ix_patient_import_state", "patient_import", ["state", "id"])


def _matches() -> None:
    """Every answer to "whose study is this", and what the studies that wait are found by."""
    op.create_table(
        "match",
        sa.Column("id", Id, nullable=False),
        sa.Column("study_id", Id, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("crm_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("posterior", sa.Float(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("question", sa.JSON(), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("issuer_of_patient_id", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("cause_id", Id, nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_match_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match")),
    )
    op.create_index("ix_match_study", "match", ["study_id", "id"])
    op.create_index("ix_match_crm", "match", ["crm_id", "study_id"])
    op.create_index("ix_match_patient", "match", ["patient_id", "issuer_of_patient_id", "id"])
    op.create_index("ix_match_at", "match", ["at", "reason"])
    op.create_table(
        "waiting_key",
        sa.Column("key", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("study_id", Id, nullable=False, autoincrement=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_waiting_key_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", "study_id", name=op.f("pk_waiting_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_waiting_key_study", "waiting_key", ["study_id"])


def _reviews() -> None:
    """What a person must decide, and the breaker that leaves everything to persons."""
    op.create_table(
        "review",
        sa.Column("id", Id, nullable=False),
        sa.Column("study_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("clinic", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("match_id", Id, nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_until", Instant(), nullable=True),
        sa.Column("first", sa.JSON(), nullable=True),
        sa.Column("asked_crm", sa.Boolean(), nullable=False),
        sa.Column("resolved_at", Instant(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("crm_id", sa.Text(), nullable=True),
        sa.Column("resolution_id", Id, nullable=True),
        sa.Column("agreed", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_review_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index("ix_review_study", "review", ["study_id", "state"])
    waiting = sa.text("state = 'Open'")
    op.create_index(
        "uq_review_open", "review", ["study_id", "kind"], unique=True, sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_index("ix_review_state", "review", ["state", "kind", "urgency", "opened_at"])
    op.create_index("ix_review_clinic", "review", ["state", "clinic", "urgency", "opened_at"])
    op.create_index("ix_review_resolved", "review", ["state", "resolved_at"])
    op.create_table(
        "matching_breaker",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("tripped_at", Instant(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_matching_breaker")),
    )


def _models() -> None:
    """The sets of weights."""
    op.create_table(
        "matching_model",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("evaluation", sa.JSON(), nullable=True),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("activated_at", Instant(), nullable=True),
        sa.Column("activated_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_matching_model")),
    )
