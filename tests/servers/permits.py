"""Permits for tests of transports, made as every permit is: by the kernel."""

from collections.abc import Sequence
from datetime import UTC, datetime

from relais.domain.labels import Jurisdiction, Purpose
from relais.domain.residency import Case, Permit, Recipient, judge
from relais.transports import Item

QUEBEC = Jurisdiction(storage="CA-QC", access=("CA-QC",))


def permit(items: Sequence[Item], destination: str = "vna", now: datetime | None = None) -> Permit:
    """A permit for the study of these items, given at `now`."""
    return permit_of(items[0].study_instance_uid, destination, now)


def permit_of(study_instance_uid: str, destination: str = "vna", now: datetime | None = None) -> Permit:
    """A permit for this study, given at `now`."""
    found = judge(
        Case(study_instance_uid=study_instance_uid),
        Recipient(destination=destination, configuration="a test's", jurisdiction=QUEBEC, purposes=(Purpose.Care,)),
        Purpose.Care,
        now or datetime.now(UTC),
    )
    assert isinstance(found, Permit)
    return found
