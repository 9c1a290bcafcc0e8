"""Refusals, and the one shape in which every error is answered: {"Error", "Details": [{"Path", "Message"}]}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_pascal

from relais.domain.document import Problem
from relais.texts import _

KINDS = {
    "study": _("There is no study {name} that you may see"),
    "instance": _("The study has no such image"),
    "series": _("The study has no series {name}"),
    "delivery": _("There is no delivery {name} that you may see"),
    "destination": _("There is no destination {name}"),
    "source": _("There is no source {name} that you may ask"),
    "query": _("There is no question {name} of yours, or its answers were forgotten"),
    "notification": _("There is no notification {name} that you may see"),
    "subscriber": _("There is no subscriber {name}"),
    "task": _("There is no dead task {name}"),
    "restriction": _("There is no restriction {name}"),
    "replay": _("There is no replay {name}"),
    "version": _("There is no version {name} of the configuration"),
    "import": _("There is no import {name} that you may see"),
    "watch": _("There is no watch {name}"),
    "file": _("There is no file {name} in the folder of patients"),
    "patient source": _("There is no source of patients {name}"),
    "review": _("There is no review {name} that you may see"),
    "patient": _("There is no patient {name} that this clinic may see"),
    "model": _("There is no matching model {name}"),
    "order": _("There is no order {name} that you may see"),
}
"""What a caller is told about something that is not there."""

CONFLICTS = {
    "study-receiving": _("The study still arrives; it will be decided when it is complete"),
    "study-not-held": _("No person holds this study"),
    "delivery-held": _("The delivery is held; release it first"),
    "delivery-not-held": _("The delivery is not held, it is {state}"),
    "delivery-state": _("A delivery that is {state} cannot become {wanted}"),
    "refused-by-law": _("The study may not go to {destination}"),
    "restriction-lifted": _("The restriction was lifted before"),
    "same-destination": _("The delivery goes to this destination already"),
    "lane-paused": _("The destination is paused already"),
    "lane-open": _("The destination is neither paused nor waiting"),
    "subscriber-disabled": _("The subscriber is disabled; enable it first"),
    "subscriber-enabled": _("The subscriber is enabled already"),
    "replays-waiting": _("{limit} replays wait or run already; wait for one, or cancel it"),
    "replay-over": _("The replay is over already"),
    "version-state": _("Version {number} does not allow this: it is {state}"),
    "version-edited": _("Version {number} was edited in the database by hand; it is not used"),
    "version-outdated": _(
        "Version {number} was based on version {base}, and version {active} became active since; see what changed"
    ),
    "draft-changed": _("{editor} changed version {number} meanwhile; look at it again"),
    "approval-own": _("You wrote on version {number}; somebody else must approve it"),
    "approval-missing": _(
        "Version {number} bears on where images may go, or the policy asks for it: a second person "
        "must approve it first"
    ),
    "examples-fail": _("Examples of the rules of version {number} fail"),
    "patient-of-another-clinic": _("Another clinic has a patient of this CrmId"),
    "patient-merged": _("The record was merged into {name}"),
    "patient-not-active": _("The CRM does not call {name} active: no study can be linked to this patient"),
    "patient-itself": _("A record cannot be merged into itself"),
    "patient-not-merged": _("The record was not merged"),
    "import-over": _("The import is over"),
    "import-complete": _("Nothing of this import is missing"),
    "import-gap": _("Line {line} is awaited; send it first"),
    "no-patient-folder": _("The configuration names no folder of patients (PatientFolder)"),
    "review-claimed": _("{name} is looking at this review"),
    "review-over": _("The review does not wait any more"),
    "review-open": _("The review is not decided"),
    "review-changed": _("Something else is asked meanwhile; look at the review again"),
    "review-overtaken": _("What this review came to holds no longer"),
    "study-not-matched": _("Nobody said whose this study is"),
    "study-not-tied": _("Nobody said of which order this study is"),
    "crm-asked": _("The CRM was asked for this patient already"),
    "matching-runs": _("Studies are matched automatically already"),
    "model-active": _("This matching model decides already"),
    "model-known": _("This matching model is there already"),
    "order-of-another-clinic": _("Another clinic has an order of this accession number"),
    "order-not-of-its-clinic": _("The order is another clinic's than the study"),
    "order-state": _("The order does not allow this: it is {state}"),
    "order-uid-taken": _("Another order has this StudyInstanceUID"),
    "order-meanwhile": _("Somebody else changed this order at the same moment; send it again"),
    "no-source": _("There is no source that you may ask"),
    "queries-running": _("{limit} of your questions are still being asked; wait for one, or end it"),
    "file-is-the-source": _("Orthanc's configuration file is the source (ConfigurationSource); change it there"),
}
"""What a caller is told when the state of a thing does not allow what was asked, by the code of the StateError."""


class Detail(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)
    path: str
    message: str


class ErrorAnswer(BaseModel):
    """What went wrong, in the caller's language."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)
    error: str
    details: list[Detail]


class RefusedError(Exception):
    """The request is refused with `status`; `message` is an English msgid with {placeholders} for `values`."""

    def __init__(
        self,
        status: int,
        message: str,
        values: Mapping[str, object] | None = None,
        *,
        problems: Iterable[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.values = dict(values or {})
        self.problems = tuple(problems)
        self.headers = dict(headers or {})


def not_found(kind: str, name: object) -> RefusedError:
    """There is no such thing, or the caller may not know of it."""
    return RefusedError(404, KINDS[kind], {"name": str(name)})


def invalid(problems: Iterable[Problem]) -> RefusedError:
    """The request is well-formed and cannot be meant: every problem has its path."""
    return RefusedError(422, "The request is not valid", problems=problems)
