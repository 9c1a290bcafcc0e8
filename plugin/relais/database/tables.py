"""The tables, one place. Every state is a word of the glossary; every time is an aware UTC datetime."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from relais.database.columns import Id, Instant, metadata

# How far this Orthanc's /changes has been read. One row an Orthanc database.
feed = Table(
    "feed",
    metadata,
    Column("name", Text, primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("anchor", Text, nullable=False),  # the resource of the change at the cursor, to know the log again
    Column("seen_at", Instant, nullable=False),
)

study = Table(
    "study",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_instance_uid", Text, nullable=False, unique=True),
    Column("orthanc_id", Text, nullable=False),
    Column("orthanc_patient_id", Text, nullable=False),
    Column("state", Text, nullable=False),  # domain.study.StudyState
    Column("instances", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),  # the highest instance sequence number given out
    Column("received_at", Instant, nullable=False),  # first instance
    Column("changed_at", Instant, nullable=False),  # last instance
    Column("completed_at", Instant),
    Column("quiet_until", Instant),
    Column("receiving_since", Instant),  # the first instance of this spell
    Column("origin", JSON, nullable=False),  # {"CallingAet", "CalledAet", "RemoteIp", "Kind"}, of an import "Source" …
    Column("clinic", Text),
    Column("clinic_reason", JSON),
    Column("hold_reason", Text),
    Column("held_by", Text),  # the person whose hold outlives a new decision
    Column("match_state", Text, nullable=False),  # domain.matching.decision.State, or Pending
    Column("match_id", Id),  # the answer of `match` that holds
    Column("crm_id", Text),  # whose study it is, where that is known
    Column("decision_id", Id),
    Column("expected", Integer),  # how many instances the study is said to have
    Column("completed_by", Text),  # domain.completeness.Completion: why it counts as complete
    Column("order_id", Id),  # the worklist_item that it was made for
    Column("tied_order_id", Id),  # the one that a person says it was made for
    Column("stray", Text),  # domain.states.StrayReason: why it has no order, where there is a worklist
    # What lists show and search, read from the newest instance.
    Column("patient_name", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("patient_birth_date", Text, nullable=False),
    Column("accession_number", Text, nullable=False),
    Column("study_date", Text, nullable=False),
    Column("study_description", Text, nullable=False),
    Column("modalities", Text, nullable=False),  # sorted, joined by a backslash as DICOM does
    Index("ix_study_state", "state", "id"),
    Index("ix_study_clinic", "clinic", "id"),
    Index("ix_study_received", "received_at"),
    Index("ix_study_patient", "orthanc_patient_id"),
    Index("ix_study_crm", "crm_id", "id"),
    Index("ix_study_stray", "stray", "id"),
    Index("ix_study_accession", "accession_number"),
)

# One lower-case, unaccented word of a study's searchable tags; prefixes are found through the primary key.
study_word = Table(
    "study_word",
    metadata,
    Column("word", Text(collation="C").with_variant(Text(), "sqlite"), primary_key=True),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_study_word_study", "study_id"),
    sqlite_with_rowid=False,
)

study_modality = Table(
    "study_modality",
    metadata,
    Column("modality", Text, primary_key=True),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_study_modality_study", "study_id"),
    sqlite_with_rowid=False,
)

series = Table(
    "series",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("series_instance_uid", Text, nullable=False),
    Column("orthanc_id", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("instances", Integer, nullable=False),
    UniqueConstraint("study_id", "series_instance_uid"),
)

instance = Table(
    "instance",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("series_id", Id, ForeignKey("series.id", ondelete="CASCADE"), nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    Column("sop_class_uid", Text),
    Column("orthanc_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),  # rises in its study; other content, new number
    Column("file", Text, nullable=False),  # Orthanc's FileUuid: another one means it was stored again
    Column("content", Text),  # MD5 of the file, known once it was stored again
    Column("bytes", BigInteger, nullable=False),
    UniqueConstraint("study_id", "sop_instance_uid"),
    Index("ix_instance_study_sequence", "study_id", "sequence"),
    Index("ix_instance_series", "series_id"),
)

decision = Table(
    "decision",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("configuration", Text, nullable=False),  # the digest of the version that was active
    Column("decided_at", Instant, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("document", JSON, nullable=False),  # domain.routing.Decision.to_json()
    Index("ix_decision_study", "study_id"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("destination", Text, nullable=False),
    Column("state", Text, nullable=False),  # domain.delivery.DeliveryState
    Column("priority", Integer, nullable=False),  # domain.delivery.Priority
    Column("purpose", Text, nullable=False),
    Column("mark", BigInteger, nullable=False),  # the destination has every instance up to this sequence number
    Column("delivered", Integer, nullable=False),  # instances up to the mark
    Column("attempts", Integer, nullable=False),  # since the last success
    Column("created_at", Instant, nullable=False),
    Column("owed_since", Instant, nullable=False),  # the oldest instance not yet there
    Column("finished_at", Instant),
    Column("next_attempt", Instant),
    Column("last_error", JSON),  # {"Class", "Code", "Text"}
    Column("reasons", JSON, nullable=False),  # rules that asked for it, or why a person held or canceled it
    Column("proof", JSON),  # {"Kind", "Instances", "At"}, or what is awaited: {"Kind", "Transaction", "AskedAt"}
    Column("failover_of", Text),  # the destination that it stands in for
    UniqueConstraint("study_id", "destination"),
    Index("ix_delivery_destination_state", "destination", "state", "id"),
    Index("ix_delivery_destination", "destination", "id"),
    Index("ix_delivery_state", "state", "id"),
    Index("ix_delivery_destination_state_owed", "destination", "state", "owed_since"),
    Index("ix_delivery_destination_finished", "destination", "state", "finished_at"),
)

# What may not be sent of a study or of a patient: of exactly one of them.
restriction = Table(
    "restriction",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_instance_uid", Text),
    Column("patient_id", Text),
    Column("issuer_of_patient_id", Text),
    Column("destinations", JSON, nullable=False),  # names; without these and regions, everybody
    Column("regions", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("lifted_by", Text),
    Column("lifted_at", Instant),
    Column("lifted_reason", Text),
    Index("ix_restriction_study", "study_instance_uid"),
    Index("ix_restriction_patient", "patient_id"),
    Index("ix_restriction_lifted", "lifted_at", "id"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("delivery.id", ondelete="CASCADE"), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("error", JSON),
    Index("ix_attempt_delivery", "delivery_id"),
    Index("ix_attempt_finished", "finished_at"),
)

# An instance under a delivery's mark that the destination has not: refused, or missing when it was asked.
gap = Table(
    "gap",
    metadata,
    Column("delivery_id", Id, ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True),
    Column("instance_id", Id, ForeignKey("instance.id", ondelete="CASCADE"), primary_key=True),
    Column("error", JSON, nullable=False),  # {"Class", "Code", "Text"}
    Column("wanted", Boolean, nullable=False),  # whether it is sent again by itself
    sqlite_with_rowid=False,
)

# What a test of a destination's connection found.
connectivity = Table(
    "connectivity",
    metadata,
    Column("id", Id, primary_key=True),
    Column("destination", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("grade", Text, nullable=False),  # domain.connectivity.Grade
    Column("actor", Text, nullable=False),  # who asked for it, or "relais"
    Column("steps", JSON, nullable=False),  # [{"Name", "Grade", "Milliseconds", "Facts", "Advice"}]
    Index("ix_connectivity_destination", "destination", "id"),
)

# Orthanc patients that Relais protected from MaximumStorageSize because something of theirs is owed.
protection = Table(
    "protection",
    metadata,
    Column("orthanc_patient_id", Text, primary_key=True),
    Column("protected_at", Instant, nullable=False),
)

# A lane that is not here is open. `probe_at` keeps an unreachable lane quiet until one attempt may try it.
lane = Table(
    "lane",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused_at", Instant),
    Column("paused_reason", Text),
    Column("failures", Integer, nullable=False),
    Column("down_since", Instant),
    Column("probe_at", Instant),
    Column("last_error", JSON),
    Column("bandwidth_free_at", Instant),  # until when what was sent uses up the bandwidth
)

task = Table(
    "task",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("priority", Integer, nullable=False),
    Column("state", Text, nullable=False),  # domain.task.TaskState
    Column("run_at", Instant, nullable=False),
    Column("again_at", Instant),  # asked for once more while it ran
    Column("attempts", Integer, nullable=False),
    Column("claims", Integer, nullable=False),  # fences an owner that lost its lease
    Column("crashes", Integer, nullable=False),  # claims that ended without a word
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("payload", JSON, nullable=False),
    Column("error", Text),
    Index("ix_task_lane", "lane", "state", "priority", "run_at"),
    Index("ix_task_state", "state", "run_at"),
)

event = Table(
    "event",
    metadata,
    Column("id", Text, primary_key=True),  # the webhook-id
    Column("type", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("study_id", Id, ForeignKey("study.id", ondelete="SET NULL")),
    Column("data", JSON, nullable=False),
    Index("ix_event_study", "study_id"),
    Index("ix_event_at", "at"),
)

notification = Table(
    "notification",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", Text, ForeignKey("event.id", ondelete="CASCADE"), nullable=False),
    Column("subscriber", Text, nullable=False),
    Column("state", Text, nullable=False),  # domain.notification.NotificationState
    Column("attempts", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("next_attempt", Instant),
    Column("last_status", Integer),
    Column("last_error", Text),
    UniqueConstraint("event_id", "subscriber"),
    Index("ix_notification_subscriber_state", "subscriber", "state", "created_at"),
    Index("ix_notification_state", "state", "created_at"),
)

notification_attempt = Table(
    "notification_attempt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("notification_id", Id, ForeignKey("notification.id", ondelete="CASCADE"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("answer", Text),  # the first characters of what the subscriber said
    Index("ix_notification_attempt_notification", "notification_id"),
)

# A subscriber that is not here is enabled.
subscriber = Table(
    "subscriber",
    metadata,
    Column("name", Text, primary_key=True),
    Column("disabled_at", Instant),
    Column("reason", Text),
)

# The hash chain: one a node. `head` is locked while an event is appended.
audit_head = Table(
    "audit_head",
    metadata,
    Column("node", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("node", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),  # a user's name, or "relais"
    Column("action", Text, nullable=False),
    Column("study_instance_uid", Text),
    Column("detail", JSON, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("ix_audit_study", "study_instance_uid", "at"),
    Index("ix_audit_at", "at"),
    Index("ix_audit_actor", "actor", "at"),
)
