"""What lists show of a study, and the words by which they find it."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert

from relais.database.tables import study_word
from relais.domain.words import words

SEARCHED = ("PatientName", "PatientID", "AccessionNumber", "StudyDescription", "StudyInstanceUID", "StudyID")


def shown(tags: dict[str, str]) -> dict[str, str]:
    """The columns of a study that lists show."""
    return {
        "patient_name": tags.get("PatientName", ""),
        "patient_id": tags.get("PatientID", ""),
        "patient_birth_date": tags.get("PatientBirthDate", ""),
        "accession_number": tags.get("AccessionNumber", ""),
        "study_date": tags.get("StudyDate", ""),
        "study_description": tags.get("StudyDescription", ""),
    }


def index(connection: Connection, study_id: int, tags: dict[str, str]) -> None:
    """Make the study be found by the words of these tags, and by no others."""
    connection.execute(delete(study_word).where(study_word.c.study_id == study_id))
    found = words(tags.get(keyword, "") for keyword in SEARCHED)
    if found:
        connection.execute(insert(study_word), [{"word": word, "study_id": study_id} for word in sorted(found)])
