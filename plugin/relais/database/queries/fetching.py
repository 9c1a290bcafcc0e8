"""What imports fetch, as lists of studies show it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select

from relais.database.retrieval_tables import retrieval, study_import
from relais.domain.states import ImportState


def latest_of(connection: Connection, uids: Collection[str]) -> dict[str, RowMapping]:
    """The last retrieval of each of these studies that has one, by StudyInstanceUID."""
    last = (
        select(func.max(retrieval.c.id))
        .where(retrieval.c.study_instance_uid.in_(uids))
        .group_by(retrieval.c.study_instance_uid)
    )
    rows = connection.execute(select(retrieval).where(retrieval.c.id.in_(last))).mappings()
    return {row["study_instance_uid"]: row for row in rows}


def failed_since(connection: Connection, since: datetime, sources: Collection[str]) -> int:
    """How many imports from these sources failed since then."""
    failed = select(func.count()).where(
        study_import.c.state == ImportState.Failed,
        study_import.c.finished_at >= since,
        study_import.c.source.in_(sources),
    )
    return connection.execute(failed).scalar_one()
