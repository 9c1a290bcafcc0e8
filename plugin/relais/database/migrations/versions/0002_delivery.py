"""Delivery, whole: gaps, tests of connections, failover, completion, bandwidth."""

import sqlalchemy as sa
from alembic import op

from relais.database.columns import Id, Instant

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the tables and columns."""
    op.create_table(
        "gap",
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("instance_id", Id, nullable=False),
        sa.Column("error", sa.JSON(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name=op.f("fk_gap_delivery_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name=op.f("fk_gap_instance_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("delivery_id", "instance_id", name=op.f("pk_gap")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "connectivity",
        sa.Column("id", Id, nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connectivity")),
    )
    op.create_index("ix_connectivity_destination", "connectivity", ["destination", "id"], unique=False)
    op.add_column("study", sa.Column("expected", sa.Integer(), nullable=True))
    op.add_column("study", sa.Column("receiving_since", Instant(), nullable=True))
    op.add_column("study", sa.Column("completed_by", sa.Text(), nullable=True))
    op.add_column("delivery", sa.Column("failover_of", sa.Text(), nullable=True))
    op.add_column("lane", sa.Column("bandwidth_free_at", Instant(), nullable=True))
    op.add_column("instance", sa.Column("sop_class_uid", sa.Text(), nullable=True))
    op.drop_index("ix_delivery_destination_finished", "delivery")
    op.create_index("ix_delivery_destination_finished", "delivery", ["destination", "state", "finished_at"])
    op.create_index("ix_delivery_destination_state_owed", "delivery", ["destination", "state", "owed_since"])
    op.create_index("ix_attempt_finished", "attempt", ["finished_at"])
