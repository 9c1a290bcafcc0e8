"""Which earlier studies a source has of the very patient of an order, and which of them matter to it. Pure.

Never somebody else's: the PatientID must be one of the patient's own, the birth date must be known on both sides and
the same, issuers and names must not speak against it. What is left out is told with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from relais.domain.asked import Demographics, asked_of, named_apart
from relais.domain.matching.identity import Identity
from relais.domain.querying import Answer
from relais.domain.words import words

GROUPS: tuple[frozenset[str], ...] = (
    frozenset({"CR", "DX", "RG", "RF", "PX", "IO", "XA", "MG"}),
    frozenset({"CT", "PT", "NM"}),
    frozenset({"MR"}),
    frozenset({"US", "IVUS", "BDUS"}),
    frozenset({"XC", "ES", "OP", "DMS"}),
)
"""Modalities (PS3.3 section C.7.3.1.1.1) whose images are compared with each other."""
NOT_IMAGES = frozenset({"PR", "KO", "SR", "DOC", "SEG", "REG", "RTSTRUCT", "OT", "AU", "FID", "PLAN", "M3D"})
REGIONS: Mapping[str, frozenset[str]] = {
    "Head": frozenset(
        {
            *("head", "tete", "skull", "crane", "brain", "cerveau", "cerebral", "face", "facial", "jaw", "machoire"),
            *("mandible", "mandibule", "maxilla", "maxillaire", "tooth", "teeth", "dent", "dents", "dental"),
            *("dentaire", "panoramic", "panoramique", "pano", "ceph", "cephalo", "cephalometric", "cephalometrique"),
            *("bitewing", "interproximale", "periapical", "periapicale", "intraoral", "tmj", "atm", "sinus", "orbit"),
            *("orbite", "cbct"),
        }
    ),
    "Neck": frozenset(
        {
            *("neck", "cou", "cervical", "cervicale", "thyroid", "thyroide", "larynx", "carotid", "carotide"),
        }
    ),
    "Chest": frozenset(
        {
            *("chest", "thorax", "poumon", "poumons", "lung", "lungs", "rib", "ribs", "cotes", "heart", "coeur"),
            *("breast", "sein", "seins"),
        }
    ),
    "Abdomen": frozenset(
        {
            *("abdomen", "abdominal", "liver", "foie", "kidney", "rein", "reins", "renal", "pelvis", "bassin"),
            *("bladder", "vessie"),
        }
    ),
    "Spine": frozenset(
        {
            *("spine", "rachis", "colonne", "lumbar", "lombaire", "sacrum", "vertebra", "vertebre", "thoracic"),
            *("dorsal", "dorsale"),
        }
    ),
    "Arm": frozenset(
        {
            *("arm", "bras", "shoulder", "epaule", "elbow", "coude", "wrist", "poignet", "hand", "main", "finger"),
            *("doigt", "humerus"),
        }
    ),
    "Leg": frozenset(
        {
            *("leg", "jambe", "hip", "hanche", "knee", "genou", "ankle", "cheville", "foot", "pied", "femur"),
            *("tibia", "toe", "orteil"),
        }
    ),
}
_OF_HEAD = frozenset({"PX", "IO"})


@dataclass(frozen=True, kw_only=True)
class Found:
    """A study that a source answered."""

    source: str
    answer: Answer

    @property
    def uid(self) -> str:
        """Its StudyInstanceUID."""
        return self.answer["StudyInstanceUID"]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What to import, newest first, how many studies of the patient there are, and what was left out, by reason."""

    studies: tuple[Found, ...]
    of_patient: int
    left_out: Mapping[str, int]


def choose(
    found: Sequence[Found],
    *,
    person: Identity,
    ids: Iterable[str],
    issuer: str,
    modalities: Iterable[str],
    texts: Sequence[str],
    today: date,
    at_most: int,
) -> Chosen:
    """The priors that matter to an order for these modalities, described by these texts.

    `ids` are the patient's PatientIDs as they are written, `issuer` who gave them where that is known. A study that
    several sources have is taken from the first that has it, and not at all where one of them says another patient.
    """
    own = {each.strip() for each in ids}
    left_out: Counter[str] = Counter()
    by_uid: dict[str, list[Found]] = {}
    for each in found:
        by_uid.setdefault(each.uid, []).append(each)
    mine: list[Found] = []
    for several in by_uid.values():
        reasons = [why for each in several if (why := _stranger(each.answer, person, own, issuer, today))]
        if reasons:
            left_out["sources-differ" if len(reasons) < len(several) else reasons[0]] += 1
        else:
            mine.append(several[0])
    wanted = [each for each in mine if matters(modalities, texts, each.answer)]
    left_out["not-relevant"] += len(mine) - len(wanted)
    wanted.sort(key=lambda each: (each.answer.get("StudyDate", ""), each.answer.get("StudyTime", "")), reverse=True)
    left_out["too-many"] += len(wanted[at_most:])
    return Chosen(studies=tuple(wanted[:at_most]), of_patient=len(mine), left_out=+left_out)


def matters(modalities: Iterable[str], texts: Iterable[str], prior: Answer) -> bool:
    """Whether an earlier study is worth having beside the order's: its modality is of the same group, or its region.

    Where the source does not tell the modality, and no region speaks against it, it is.
    """
    ours = {each for each in modalities if each}
    theirs = {each.strip() for each in prior.get("ModalitiesInStudy", "").split("\\")} - NOT_IMAGES - {""}
    if not theirs and prior.get("ModalitiesInStudy", "").strip():
        return False
    if not ours or any(ours & group and theirs & group for group in GROUPS) or ours & theirs:
        return True
    here = regions(ours, texts)
    there = regions(theirs, [prior.get("StudyDescription", ""), prior.get("BodyPartExamined", "")])
    return bool(here & there) or not (theirs or there)


def regions(modalities: Iterable[str], texts: Iterable[str]) -> set[str]:
    """The parts of the body of which modalities and descriptions speak, in English and in French."""
    spoken = words(texts)
    found = {name for name, known in REGIONS.items() if known & spoken}
    return found | ({"Head"} if _OF_HEAD & set(modalities) else set())


def _stranger(answer: Answer, person: Identity, own: set[str], issuer: str, today: date) -> str | None:
    """Why the study is not taken for the patient's, or None."""
    if answer.get("PatientID", "").strip() not in own:
        return "another-id"
    theirs = answer.get("IssuerOfPatientID", "").strip()
    if issuer and theirs and issuer != theirs:
        return "another-issuer"
    said = asked_of(Demographics(tags={key: answer.get(key, "") for key in ("PatientName", "PatientBirthDate")}), today)
    if said.birth_date is None:
        return "no-birth-date"
    if said.birth_date != person.birth_date:
        return "born-apart"
    return "named-apart" if named_apart(person, said) else None
