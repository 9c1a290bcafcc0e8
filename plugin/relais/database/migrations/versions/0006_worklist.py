"""The worklist: orders, and the studies that are without one."""

import sqlalchemy as sa
from alembic import op

from relais.database.columns import Id, Instant

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table and columns."""
    op.create_table(
        "worklist_item",
        sa.Column("id", Id, nullable=False),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("clinic", sa.Text(), nullable=True),
        sa.Column("crm_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("scheduled_at", Instant(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("time", sa.Text(), nullable=False),
        sa.Column("station_aet", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("patient_name", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("study_id", Id, nullable=True),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("completed_at", Instant(), nullable=True),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("appointment_key", sa.Text(), nullable=True),
        sa.Column("mpps_uid", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_worklist_item_study_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worklist_item")),
        sa.UniqueConstraint("accession_number", name=op.f("uq_worklist_item_accession_number")),
        sa.UniqueConstraint("mpps_uid", name=op.f("uq_worklist_item_mpps_uid")),
    )
    op.create_index("ix_worklist_item_day", "worklist_item", ["state", "day", "time", "id"])
    op.create_index("ix_worklist_item_patient", "worklist_item", ["state", "patient_id"])
    op.create_index("ix_worklist_item_expires", "worklist_item", ["state", "expires_at"])
    op.create_index("ix_worklist_item_uid", "worklist_item", ["study_instance_uid"])
    op.create_index("ix_worklist_item_clinic", "worklist_item", ["clinic", "day", "id"])
    op.create_index("ix_worklist_item_study", "worklist_item", ["study_id"])
    op.create_index("ix_worklist_item_request", "worklist_item", ["request_key"])
    op.create_index("ix_worklist_item_appointment", "worklist_item", ["appointment_key"])
    op.add_column("study", sa.Column("order_id", Id, nullable=True))
    op.add_column("study", sa.Column("stray", sa.Text(), nullable=True))
    op.create_index("ix_study_stray", "study", ["stray", "id"])
    op.create_index("ix_study_accession", "study", ["accession_number"])
