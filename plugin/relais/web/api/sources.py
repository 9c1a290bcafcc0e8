"""Sources: the PACS that can be asked, and tests of their connections."""

from __future__ import annotations

from relais.configuration.sources import DicomSource, Source, same_system
from relais.connectivity import TestRunningError, of_source
from relais.web.answers import Page
from relais.web.answers_destination import WindowAnswer
from relais.web.answers_source import LastTest, SourceAnswer
from relais.web.api.connectivity import RUNNING, STOPPING, ConnectivityTest, answer_of
from relais.web.composition import Call
from relais.web.errors import RefusedError, not_found
from relais.web.permissions import Permission
from relais.web.questions import Command, Paging
from relais.web.routes import Routes
from relais.worker import StoppingError

routes = Routes("/relais/v1/sources")

ONE = "/<name:Name>"


@routes.get("", Permission.ViewDestinations, Page[SourceAnswer])
def find(call: Call) -> Page[SourceAnswer]:
    """Every source, with its newest test."""
    sources = call.relais.configuration.sources
    return Page(items=[_answer(call, name, each) for name, each in sources.items()], next=None)


@routes.get(ONE, Permission.ViewDestinations, SourceAnswer)
def one(call: Call, Name: str) -> SourceAnswer:  # noqa: N803
    """One source, with its newest test."""
    return _answer(call, Name, _known(call, Name))


@routes.post(
    ONE + "/test",
    Permission.ChangeDestinations,
    ConnectivityTest,
    body=Command,
    statuses={409: "A test of it is under way."},
)
def test(call: Call, Name: str, body: Command) -> ConnectivityTest:  # noqa: N803
    """Test the connection now: name, network, TLS, association, C-ECHO, and a question as people ask it.

    The answer comes when the test is done: TimeoutSeconds of the source and ten seconds at most.
    """
    _known(call, Name)
    try:
        outcome = call.relais.connectivity.test_source(Name, actor=call.caller.name, reason=body.reason)
    except TestRunningError:
        raise RefusedError(409, RUNNING, {"name": Name}) from None
    except StoppingError:
        raise RefusedError(503, STOPPING) from None
    return answer_of(outcome, call.texts.language)


@routes.get(ONE + "/tests", Permission.ViewDestinations, Page[ConnectivityTest], query=Paging)
def tests(call: Call, Name: str, query: Paging) -> Page[ConnectivityTest]:  # noqa: N803
    """The tests of a source, the newest first; the newest 500 are kept."""
    _known(call, Name)
    found = call.relais.connectivity.history(of_source(Name), query.before, query.limit)
    following = str(found[-1].id) if len(found) == query.limit else None
    return Page(items=[answer_of(each, call.texts.language) for each in found], next=following)


def _known(call: Call, name: str) -> Source:
    found = call.relais.configuration.sources.get(name)
    if found is None:
        raise not_found("source", name)
    return found


def _answer(call: Call, name: str, source: Source) -> SourceAnswer:
    manners = source.manners
    dicom = source if isinstance(source, DicomSource) else None
    ours = (
        None
        if dicom is None
        else dicom.calling_aet or str(call.relais.surroundings.document.get("DicomAet", "ORTHANC"))
    )
    newest = call.relais.connectivity.history(of_source(name), limit=1)
    destinations = call.relais.configuration.destinations.items()
    return SourceAnswer(
        name=name,
        kind=source.kind,
        profile=source.profile.value,
        address=source.address,
        calling_aet=ours,
        retrieve="WADO-RS" if dicom is None else manners.retrieve.value,
        move_to=None if dicom is None else dicom.move_to or ours,
        levels=[each.value for each in manners.levels],
        limit=manners.limit,
        timeout_seconds=manners.timeout,
        clinics=list(source.clinics),
        clinic=source.clinic,
        concurrency=source.concurrency,
        windows=[WindowAnswer(days=list(each.days), from_=each.from_, to=each.to) for each in source.windows],
        studies_per_hour=source.studies_per_hour,
        same_as=[other for other, each in destinations if same_system(source, other, each)],
        may_ask=call.caller.may(Permission.AskSources)
        and name in call.relais.retrieval.queries.permitted(call.caller.clinics),
        last_test=LastTest.model_validate(newest[0]) if newest else None,
    )
