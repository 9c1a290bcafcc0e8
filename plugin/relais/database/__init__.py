"""Where Relais remembers: SQLite or PostgreSQL through SQLAlchemy Core."""

from relais.database.database import Database, SchemaTooNewError, inserted_id, is_unavailable, upsert

__all__ = ["Database", "SchemaTooNewError", "inserted_id", "is_unavailable", "upsert"]
