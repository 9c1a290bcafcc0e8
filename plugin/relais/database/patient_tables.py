"""The CRM's patients, how they are found, whose studies are whose, and what a person must decide of it."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text, text

from relais.database.columns import Id, Instant, metadata

# A patient as the CRM gave it. One that was merged stays, so that it can be unmerged, but is not found any more.
patient = Table(
    "patient",
    metadata,
    Column("id", Id, primary_key=True),
    Column("crm_id", Text, nullable=False, unique=True),
    Column("clinic", Text),  # the key of a clinic; without one, every clinic may see the patient
    Column("document", JSON, nullable=False),  # domain.patients.Patient, as it was given
    Column("merged_into", Text),  # the crm_id of the patient that this one turned out to be
    Column("changed_at", Instant, nullable=False),
    Column("compact", Text),  # the document as matching compares it: domain.matching.compact
    Column("compact_version", Integer),  # of how it was read; none where others were merged into it
    Index("ix_patient_clinic", "clinic", "id"),
    Index("ix_patient_merged", "merged_into"),
)

# What a patient is found by: domain.matching.keys, as a number of 64 bits. Rows of one key are neighbours.
patient_key = Table(
    "patient_key",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("patient_id", Id, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# The keys that another version of the program makes anew: they take the place of `patient_key` once all are there.
patient_next_key = Table(
    "patient_next_key",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("patient_id", Id, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# Which version made the keys, and the import that makes them anew. One row at most; without one, this version did.
patient_index = Table(
    "patient_index",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),  # patient_index.WRITTEN of the program that made them; "" unknown
    Column("import_id", Id),  # of the patient_import that fills patient_next_key
)

# How many patients have a part of a name, by side ("F" family, "G" given); side "N" part "" counts the patients.
patient_name = Table(
    "patient_name",
    metadata,
    Column("side", Text, primary_key=True),
    Column("part", Text, primary_key=True),
    Column("patients", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# An identifier that several people were seen with: it says nothing any more.
stop_value = Table(
    "stop_value",
    metadata,
    Column("system", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    sqlite_with_rowid=False,
)

# Patients that come in bulk: from a request, from a file, from a FHIR server.
patient_import = Table(
    "patient_import",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),  # domain.states.ImportKind
    Column("source", Text, nullable=False),  # a file's name, the name of a FHIR server, or ""
    Column("state", Text, nullable=False),  # domain.states.ImportState
    Column("actor", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("position", JSON, nullable=False),  # where to go on after a restart
    Column("total", BigInteger),  # bytes or patients, where it is known
    Column("done", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("unchanged", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("problems", JSON, nullable=False),  # the first: [{"Line", "Path", "Message"}], without anybody's data
    Column("error", JSON),
    Index("ix_patient_import_state", "state", "id"),
)

# Every answer to "whose study is this", by Relais or by a person, never changed: study.match_id has the one that holds.
match = Table(
    "match",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),  # a user's name, or "relais"
    Column("kind", Text, nullable=False),  # domain.states.MatchKind
    Column("state", Text, nullable=False),  # domain.matching.decision.State
    Column("crm_id", Text),
    Column("reason", Text),  # domain.matching.decision.Reason; why Relais said so
    Column("posterior", Float),
    Column("model", Text, nullable=False),  # the digest of the matching_model
    Column("question", JSON),  # domain.matching.decision.Question; gone where a patient in it was forgotten
    Column("answer", JSON),  # domain.matching.decision.Match
    Column("comment", Text),
    Column("patient_id", Text, nullable=False),  # what the study's (0010,0020) was, read as an identifier
    Column("issuer_of_patient_id", Text, nullable=False),  # or `@` and the study's clinic, where nobody says
    Column("tags", JSON, nullable=False),  # what the images say of the patient, as the sender wrote it
    Column("cause_id", Id),  # the answer that this one takes back, or belongs to
    Index("ix_match_study", "study_id", "id"),
    Index("ix_match_crm", "crm_id", "study_id"),
    Index("ix_match_patient", "patient_id", "issuer_of_patient_id", "id"),
    Index("ix_match_at", "at", "reason"),
)

# What the studies that wait for a match are found by when a patient is added or corrected: as in patient_key.
waiting_key = Table(
    "waiting_key",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Index("ix_waiting_key_study", "study_id"),
    sqlite_with_rowid=False,
)

# A match that a person must decide, or look at once more.
review = Table(
    "review",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),  # domain.states.ReviewKind: Match, or SecondLook
    Column("state", Text, nullable=False),  # domain.states.ReviewState
    Column("clinic", Text),
    Column("reason", Text, nullable=False),  # domain.matching.decision.Reason, or domain.states.ReviewReason
    Column("urgency", Integer, nullable=False),  # domain.priority.Priority
    Column("opened_at", Instant, nullable=False),
    Column("match_id", Id, nullable=False),  # the answer that is asked about
    Column("claimed_by", Text),
    Column("claimed_until", Instant),
    Column("first", JSON),  # what the first of four eyes said: {"By", "At", "Decision", "CrmId", "Comment"}
    Column("asked_crm", Boolean, nullable=False),  # whether the CRM was asked to create the patient
    Column("resolved_at", Instant),
    Column("resolved_by", Text),
    Column("decision", Text),  # domain.states.ReviewDecision
    Column("crm_id", Text),  # who it is, where the decision is Link
    Column("resolution_id", Id),  # the answer of `match` that the decision made
    Column("agreed", Boolean),  # of a second look: whether it came to the same
    Index("ix_review_study", "study_id", "state"),
    Index(
        "uq_review_open",
        "study_id",
        "kind",
        unique=True,
        sqlite_where=text("state = 'Open'"),
        postgresql_where=text("state = 'Open'"),
    ),
    Index("ix_review_state", "state", "kind", "urgency", "opened_at"),
    Index("ix_review_clinic", "state", "clinic", "urgency", "opened_at"),
    Index("ix_review_resolved", "state", "resolved_at"),
)

# A set of weights, by its digest; at most one is active. Without one, domain.matching.model.FIRST is.
matching_model = Table(
    "matching_model",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("document", JSON, nullable=False),
    Column("evaluation", JSON),
    Column("added_at", Instant, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("activated_at", Instant),
    Column("activated_by", Text),
)

# While it is tripped, nothing is matched automatically. One row at most; without one, it never was.
matching_breaker = Table(
    "matching_breaker",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since", Instant, nullable=False),  # what was before counts no longer
    Column("tripped_at", Instant),
    Column("reason", Text),  # domain.states.BreakerReason
    Column("counts", JSON),  # what tripped it: {"Decisions", "Vetoes", "Looks", "Errors"}
)
