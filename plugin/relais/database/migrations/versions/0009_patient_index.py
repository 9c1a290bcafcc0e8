"""Keys of patients that are made anew when another version of the program makes others."""

import sqlalchemy as sa
from alembic import op

from relais.database.columns import Id

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the tables; nobody knows which version made the keys of patients that are there."""
    op.create_table(
        "patient_next_key",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("patient_id", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key", "patient_id", name=op.f("pk_patient_next_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "patient_index",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("import_id", Id, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_patient_index")),
    )
    op.execute("INSERT INTO patient_index (name, version) SELECT 'keys', '' WHERE EXISTS (SELECT 1 FROM patient)")
