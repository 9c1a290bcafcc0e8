"""What is scheduled: the orders that modalities get as their worklist."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Table, Text

from relais.database.columns import Id, Instant, metadata

# One scheduled procedure step of one requested procedure. Its accession number is nobody else's on this server.
worklist_item = Table(
    "worklist_item",
    metadata,
    Column("id", Id, primary_key=True),
    Column("accession_number", Text, nullable=False, unique=True),
    Column("clinic", Text),  # the key of a clinic; none where the configuration has no clinics
    Column("crm_id", Text),  # whose order it is, in the CRM's words
    Column("state", Text, nullable=False),  # domain.states.OrderState
    Column("scheduled_at", Instant, nullable=False),
    Column("day", Text, nullable=False),  # YYYYMMDD, as the clinic's calendar has it
    Column("time", Text, nullable=False),  # HHMMSS, as the clinic's clocks have it
    Column("station_aet", Text, nullable=False),  # "" is any machine of the clinic
    Column("modality", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("patient_name", Text, nullable=False),  # folded: neither case nor accents
    Column("study_instance_uid", Text, nullable=False),  # the one that modalities are told to use
    Column("study_id", Id, ForeignKey("study.id", ondelete="SET NULL")),  # the study that completed it
    Column("document", JSON, nullable=False),  # DICOM keyword → text, or the items of a sequence
    Column("expires_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("completed_at", Instant),
    Column("request_key", Text),  # the FHIR ServiceRequest that it came as
    Column("appointment_key", Text),  # the FHIR Appointment that says when it is
    Column("mpps_uid", Text, unique=True),  # SOP instance of the performed procedure step
    Index("ix_worklist_item_day", "state", "day", "time", "id"),
    Index("ix_worklist_item_patient", "state", "patient_id"),
    Index("ix_worklist_item_expires", "state", "expires_at"),
    Index("ix_worklist_item_uid", "study_instance_uid"),
    Index("ix_worklist_item_clinic", "clinic", "day", "id"),
    Index("ix_worklist_item_study", "study_id"),
    Index("ix_worklist_item_request", "request_key"),
    Index("ix_worklist_item_appointment", "appointment_key"),
)
