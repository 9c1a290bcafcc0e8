"""What must hold when a flow of studies has ended, whatever happened meanwhile."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.servers.orthanc import OrthancServer
from tests.servers.receiver import Receiver
from tests.servers.router import Router
from tests.servers.waiting import eventually

ONCE = ("study.received",)
EACH_COMPLETION = ("study.complete", "study.routed", "delivery.completed")
FINAL = ("Routed", "Held")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is wrong; each is empty, and `intact` true, when nothing is."""

    missing: list[str]
    """Acknowledged instances that an archive does not have."""
    unfinished: list[str]
    """Studies without a final state, deliveries that are not completed, notifications still to be sent."""
    doubled: list[str]
    """Logical events told under more webhook-ids than they happened, and webhook-ids with two contents."""
    unheard: list[str]
    """Events that the subscriber was never told of."""
    intact: bool
    """Whether the audit chain verifies."""


NOTHING_WRONG = Findings(missing=[], unfinished=[], doubled=[], unheard=[], intact=True)


def settle(router: Router, studies: Collection[str], deliveries: int, *, timeout: float = 90.0) -> None:
    """Return once each of these studies is known and nothing is under way any more."""

    def settled() -> bool:
        rows = router.studies()
        return (
            set(studies) <= set(rows)
            and all(rows[uid]["State"] in FINAL for uid in studies)
            and sum(each["State"] == "Completed" for each in router.deliveries()) >= deliveries
            and not router.everything("notifications", "&State=Scheduled")
            and not router.everything("tasks")
        )

    eventually(settled, timeout, "everything is routed, delivered and told", pause=0.1)


def examine(
    router: Router,
    archives: Mapping[str, OrthancServer],
    receiver: Receiver,
    acknowledged: Mapping[str, Collection[str]],
) -> Findings:
    """Compare archives, ledger, events and audit with what senders were told: StudyInstanceUID → SOPInstanceUIDs.

    `archives` are by destination; each study is owed to all of them.
    """
    return Findings(
        missing=_missing(archives, acknowledged),
        unfinished=_unfinished(router, archives, acknowledged),
        doubled=_doubled(router, receiver),
        unheard=_unheard(receiver, archives, acknowledged),
        intact=all(each["Intact"] for each in router.ask("audit/verify")["Items"]),
    )


def _missing(archives: Mapping[str, OrthancServer], acknowledged: Mapping[str, Collection[str]]) -> list[str]:
    return [
        f"{name}: {uid}"
        for name, archive in archives.items()
        for study, uids in acknowledged.items()
        for uid in sorted(set(uids) - set(archive.sop_instance_uids(study)))
    ]


def _unfinished(
    router: Router, archives: Mapping[str, OrthancServer], acknowledged: Mapping[str, Collection[str]]
) -> list[str]:
    rows = router.studies()
    found = [f"study {uid}" for uid in acknowledged if uid not in rows or rows[uid]["State"] not in FINAL]
    ended = {
        (each["StudyInstanceUID"], each["Destination"])
        for each in router.deliveries()
        if each["State"] == "Completed" and each["Delivered"] == each["Instances"]
    }
    found += [f"delivery {uid} to {name}" for uid in acknowledged for name in archives if (uid, name) not in ended]
    return found + [f"notification {each['Id']}" for each in router.everything("notifications", "&State=Scheduled")]


def _doubled(router: Router, receiver: Receiver) -> list[str]:
    """A study that was reopened by a later image completes once more: so often may these events be told anew."""
    reopened = Counter(each["StudyInstanceUID"] for each in router.everything("audit", "&Action=study.reopened"))
    ids: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    contents: dict[str, set[bytes]] = defaultdict(set)
    for request in receiver.requests:
        event, webhook_id = request.json, request.headers["webhook-id"]
        contents[webhook_id].add(request.body)
        about = (event["data"].get("StudyInstanceUID", ""), str(event["data"].get("Delivery", "")))
        ids[event["type"], *about].add(webhook_id)
    found = [f"{webhook_id} had {len(bodies)} contents" for webhook_id, bodies in contents.items() if len(bodies) > 1]
    for (kind, uid, delivery), told in ids.items():
        allowed = 1 + (reopened[uid] if kind in EACH_COMPLETION else 0)
        if kind in ONCE + EACH_COMPLETION and len(told) > allowed:
            found.append(f"{kind} of {uid} {delivery}: {len(told)} webhook-ids, it happened {allowed} times")
    return found


def _unheard(
    receiver: Receiver, archives: Mapping[str, OrthancServer], acknowledged: Mapping[str, Collection[str]]
) -> list[str]:
    heard = {
        (each["type"], each["data"].get("StudyInstanceUID"), each["data"].get("Destination"))
        for each in receiver.events()
    }
    steps = [("study.received", None), ("study.complete", None), ("study.routed", None)]
    expected = [*steps, *(("delivery.completed", name) for name in archives)]
    return [
        f"{kind} of {uid} {name or ''}"
        for uid in acknowledged
        for kind, name in expected
        if (kind, uid, name) not in heard
    ]
