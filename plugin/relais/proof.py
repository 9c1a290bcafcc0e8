"""The proof that completes a delivery: what the destination is asked, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from relais.batches import Batch
from relais.configuration import Proof
from relais.domain.retry import ErrorClass
from relais.transports import Commits, SendingError, Transport

REPORT_WITHIN = timedelta(minutes=10)
"""How long a report of storage commitment is awaited before it is asked for again."""
LOOK_AGAIN = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Proven, where nothing is `missing` and nothing `awaited`.

    `missing` are instances that the destination has not, or refuses to keep, by Orthanc id; `awaited` is what the next
    look needs of this one, and `document` what is stored of a proof.
    """

    missing: Mapping[str, SendingError] = field(default_factory=dict)
    awaited: dict[str, Any] | None = None
    document: dict[str, Any] = field(default_factory=dict)


def ask(proof: Proof, transport: Transport, batch: Batch, awaited: dict[str, Any] | None, now: datetime) -> Answer:
    """Ask the destination whether it has everything of `batch`; raises SendingError where it cannot be asked."""
    document = document_of(proof, len(batch.items), now)
    if proof is Proof.Queried:
        absent = transport.missing(batch.items)
        missing = {
            each: SendingError(ErrorClass.Transient, "missing", "the destination, asked for it, has it not")
            for each in absent
        }
        return Answer(missing=missing, document=document)
    if proof is Proof.Committed:
        if not isinstance(transport, Commits):
            raise SendingError(ErrorClass.Configuration, "no-commitment", "this kind knows no storage commitment")
        return _ask_commitment(transport, batch, awaited, now)
    return Answer(document=document)


def document_of(proof: Proof, instances: int, now: datetime) -> dict[str, Any]:
    """The proof as it is stored and shown."""
    return {"Kind": proof.value, "Instances": instances, "At": now.isoformat()}


def _ask_commitment(transport: Commits, batch: Batch, awaited: dict[str, Any] | None, now: datetime) -> Answer:
    if _still_valid(awaited, batch, now):
        transaction: str = awaited["Transaction"] if awaited else ""
        try:
            refused = transport.committed(transaction, batch.items)
        except LookupError:  # Orthanc was restarted, and forgot it
            pass
        else:
            if refused is None:
                return Answer(awaited=awaited)
            document = document_of(Proof.Committed, len(batch.items), now)
            return Answer(missing=refused, document={**document, "Transaction": transaction})
    transaction = transport.commit(batch.items)
    asked = {
        "Kind": Proof.Committed.value,
        "Transaction": transaction,
        "Mark": batch.mark,
        "AskedAt": now.isoformat(),
    }
    return Answer(awaited=asked)


def _still_valid(awaited: dict[str, Any] | None, batch: Batch, now: datetime) -> bool:
    """Whether the report that is awaited would speak of all that is there now."""
    return (
        awaited is not None
        and "Transaction" in awaited
        and "AskedAt" in awaited
        and awaited["Mark"] == batch.mark
        and now - datetime.fromisoformat(awaited["AskedAt"]) < REPORT_WITHIN
    )
