"""Patients as matching compares them, ready beside the document."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; they are filled when the patients are read anew."""
    op.add_column("patient", sa.Column("compact", sa.Text(), nullable=True))
    op.add_column("patient", sa.Column("compact_version", sa.Integer(), nullable=True))
