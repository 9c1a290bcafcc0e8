"""The order that a person says a study was made for."""

import sqlalchemy as sa
from alembic import op

from relais.database.columns import Id

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; nobody has said anything yet."""
    op.add_column("study", sa.Column("tied_order_id", Id, nullable=True))
