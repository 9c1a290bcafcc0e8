"""Try it: what the active version and the draft make of one study, or of facts that somebody types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from flask import render_template, request
from pydantic import Field, StringConstraints

from relais.configuration import Configuration
from relais.domain.clinics import Resolution, resolve_clinic
from relais.domain.document import Document, DocumentError, Problem
from relais.domain.facts import Facts
from relais.domain.residency import Refusal, Restriction
from relais.judgement import JudgedDelivery, judged
from relais.residency import in_force
from relais.texts import _, explain, explain_clinic
from relais.texts_residency import say_purpose, say_refusal
from relais.web.api.studies import record_view, visible_study
from relais.web.composition import current_call
from relais.web.pages.rules_session import check, current
from relais.web.pages.shell import pages
from relais.web.pages.try_it_facts import facts_of, text_of
from relais.web.permissions import Permission, requires
from relais.web.requests import read_body

START = "Modality = PX\nClinic = "


class Trying(Document):
    """A study, or facts as a person types them."""

    study: Annotated[str, StringConstraints(pattern=r"^\s*[0-9.]{0,64}\s*$")] = Field(
        "", description="The UID of a study whose facts are taken."
    )
    facts: str = Field("", max_length=50_000, description="Facts, one a line.")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What became of one rule, and why."""

    rule: str
    verdict: str
    sentences: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Way:
    """One destination: permitted, or refused for these reasons."""

    destination: str
    pool: str | None
    priority: str
    purpose: str
    rules: Sequence[str]
    refused: bool
    reasons: Sequence[str]
    held_back: bool = False


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one version makes of it; `problems` counts what keeps a draft from being asked."""

    title: str
    number: int
    problems: int = 0
    clinic: str | None = None
    clinic_reason: str = ""
    hold: str | None = None
    otherwise: bool = False
    asked: Sequence[Asked] = ()
    ways: Sequence[Way] = ()


@pages.get("/network/try")
@requires(Permission.EvaluateRules)
def try_it() -> str:
    """The page."""
    clinics = list(current_call().relais.configuration.clinics)
    return render_template("tryit.html", start=START + clinics[0] if clinics else "Modality = PX", session=current())


@pages.post("/network/try")
@requires(Permission.EvaluateRules)
def try_now() -> str:
    """What both versions make of it; nothing is changed, and looking at a study's facts is audited."""
    asked = read_body(request, Trying)
    uid = asked.study.strip()
    try:
        facts = _of_study(uid) if uid else Facts.from_json(facts_of(asked.facts))
    except DocumentError as error:
        return _refused(error.problems)
    except ValueError:
        return _refused([Problem("", "document-unreadable")])
    sides = _sides(facts, resolve=bool(uid))
    taken = text_of(facts.to_json()) if uid else None
    return render_template("tryit-result.html", sides=sides, problems=(), facts=taken, same=_same(sides))


def _refused(problems: Sequence[Problem]) -> str:
    texts = current_call().texts
    told = [(each.path, texts.problem(each)) for each in problems]
    return render_template("tryit-result.html", sides=(), problems=told, facts=None, same=False)


def _of_study(uid: str) -> Facts:
    call = current_call()
    with call.relais.database.read() as connection:
        row = visible_study(connection, call, uid)
    record_view(call, "facts.viewed", row)
    facts: Facts = call.relais.studies.facts(uid)
    return facts


def _sides(facts: Facts, *, resolve: bool) -> list[Side]:
    call = current_call()
    with call.relais.database.read() as connection:
        restrictions = in_force(connection, call.relais.clock.now())
    active = call.relais.versions.active()
    sides = [_side(_("Active"), active.number, call.relais.configuration, facts, restrictions, resolve=resolve)]
    session = current()
    if session.draft:
        found = check(session.version.document, session.digest)
        if found.configuration is None:
            sides.append(Side(title=_("Draft"), number=session.version.number, problems=len(found.problems)))
        else:
            draft = _side(_("Draft"), session.version.number, found.configuration, facts, restrictions, resolve=resolve)
            sides.append(draft)
    return sides


def _side(
    title: str,
    number: int,
    configuration: Configuration,
    facts: Facts,
    restrictions: Sequence[Restriction],
    *,
    resolve: bool,
) -> Side:
    call = current_call()
    language = call.texts.language
    facts, resolution = _at_clinic(facts, configuration, resolve=resolve)
    patient = next(iter(facts.dicom("PatientID")), "")
    found = judged(facts, configuration, call.relais.clock.now(), patient=patient, restrictions=restrictions)
    return Side(
        title=title,
        number=number,
        clinic=facts.clinic,
        clinic_reason=explain_clinic(resolution, language) if resolution else "",
        hold=found.decision.hold,
        otherwise=found.decision.otherwise,
        asked=[
            Asked(rule=each.rule, verdict=each.verdict, sentences=explain(each, language))
            for each in found.decision.outcomes
        ],
        ways=[
            *(_way(each, language) for each in found.deliveries),
            *(replace(_way(each, language), held_back=True) for each in found.held_back),
        ],
    )


def _at_clinic(facts: Facts, configuration: Configuration, *, resolve: bool) -> tuple[Facts, Resolution | None]:
    """The facts with what this version knows of the clinic; a study's clinic is found anew, by its origin."""
    resolution = None
    name = facts.clinic
    if resolve or (name is None and (facts.origin.calling_aet or facts.origin.called_aet or facts.origin.remote_ip)):
        institutions = tuple(dict.fromkeys("\\".join(each["InstitutionName"]) for each in _with_institution(facts)))
        resolution = resolve_clinic(facts.origin, institutions, configuration.clinics)
        name = resolution.clinic
    clinic = configuration.clinics.get(name or "")
    known = {
        "clinic": name,
        "clinic_region": clinic.region if clinic else facts.clinic_region,
        "time_zone": clinic.time_zone if clinic else facts.time_zone,
    }
    return facts.model_copy(update=known), resolution


def _with_institution(facts: Facts) -> list[Any]:
    return [each for each in (facts.study, *facts.series) if "InstitutionName" in each]


def _way(each: JudgedDelivery, language: str) -> Way:
    reasons = each.verdict.reasons if isinstance(each.verdict, Refusal) else ()
    return Way(
        destination=each.planned.destination,
        pool=each.planned.pool,
        priority=each.planned.priority.name,
        purpose=say_purpose(str(each.planned.purpose), language),
        rules=each.planned.rules,
        refused=each.refused,
        reasons=[say_refusal(reason.to_json(), language) for reason in reasons],
    )


def _same(sides: Sequence[Side]) -> bool:
    """Whether the draft makes the same of it as the active version."""
    if len(sides) != 2 or sides[1].problems:  # noqa: PLR2004 - the active version and a draft
        return False
    before, after = sides
    return (before.clinic, before.hold, before.ways) == (after.clinic, after.hold, after.ways)
