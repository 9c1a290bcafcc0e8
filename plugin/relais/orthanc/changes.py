"""Orthanc's change log, read in batches: four requests each, whatever the size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from relais.orthanc.client import Orthanc


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One instance as the feed reports it."""

    orthanc_id: str
    sop_instance_uid: str
    series_id: str
    file: str
    bytes: int
    metadata: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one batch of changes says, read from Orthanc before anything is written."""

    since: int
    last: int
    anchor: str  # the resource of the last change
    done: bool
    instances: Sequence[Stored] = ()
    series: dict[str, dict[str, Any]] = field(default_factory=dict)  # by Orthanc id
    studies: dict[str, dict[str, Any]] = field(default_factory=dict)  # by Orthanc id
    contents: dict[str, str] = field(default_factory=dict)  # MD5 by Orthanc id, of those stored again


def read_batch(orthanc: Orthanc, since: int, anchor: str, limit: int) -> Batch:
    """The instances that the next `limit` changes after `since` stored, with their series and studies.

    `anchor` is the resource of the change `since`, which is read once more. Where the log has another one there, its
    end was lost in a power cut, it was cleared, or the database is a new one, and numbers were given again: the batch
    is then empty and its `last` is 0, the log's start. What was deleted meanwhile is left out.
    """
    answer = orthanc.get(f"/changes?since={max(since - 1, 0)}&limit={limit + 1}")
    changes = answer["Changes"]
    if since > 0:
        if not changes or (changes[0]["Seq"], changes[0]["ID"]) != (since, anchor):
            return Batch(since=since, last=0, anchor="", done=False)
        changes = changes[1:]
    if not changes:
        return Batch(since=since, last=since, anchor=anchor, done=answer["Done"])
    end = {"last": changes[-1]["Seq"], "anchor": changes[-1]["ID"], "done": answer["Done"]}
    ids = list(dict.fromkeys(each["ID"] for each in changes if each["ChangeType"] == "NewInstance"))
    if not ids:
        return Batch(since=since, **end)
    by_id = {each["ID"]: _stored(each) for each in orthanc.bulk(ids)}
    instances = [by_id[each] for each in ids if each in by_id]
    return Batch(since=since, **end, instances=instances, **_parents(orthanc, instances))


def read_study(orthanc: Orthanc, orthanc_id: str) -> Batch:
    """Everything that one study has now, as a batch; raises OrthancError when it is gone."""
    ids = [each["ID"] for each in orthanc.get(f"/studies/{orthanc_id}/instances")]
    instances = [_stored(each) for each in orthanc.bulk(ids)]
    return Batch(since=0, last=0, anchor="", done=True, instances=instances, **_parents(orthanc, instances))


def _parents(orthanc: Orthanc, instances: Sequence[Stored]) -> dict[str, Any]:
    """The series and studies of these instances, by Orthanc id."""
    series = {each["ID"]: each for each in orthanc.bulk(sorted({each.series_id for each in instances}))}
    studies = {each["ID"]: each for each in orthanc.bulk(sorted({each["ParentStudy"] for each in series.values()}))}
    return {"series": series, "studies": studies}


def _stored(resource: dict[str, Any]) -> Stored:
    return Stored(
        orthanc_id=resource["ID"],
        sop_instance_uid=text_of(resource["MainDicomTags"].get("SOPInstanceUID")),
        series_id=resource["ParentSeries"],
        file=resource["FileUuid"],
        bytes=int(resource["FileSize"]),
        metadata=resource["Metadata"],
    )


def text_of(value: object) -> str:
    """A tag's text as databases take it: no NUL (PostgreSQL refuses it), no half surrogates, no padding."""
    if not isinstance(value, str):
        return ""
    return value.encode(errors="replace").decode().replace("\x00", "").strip()
