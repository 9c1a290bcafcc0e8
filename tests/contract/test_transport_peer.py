"""What sending to another Orthanc promises: a real one, and one that answers as no Orthanc of today does."""

import json

import pytest

from relais.domain.retry import ErrorClass
from relais.orthanc import Orthanc
from relais.transports import Item, SendingError
from tests.contract.transport_suite import Servers, sending
from tests.contract.transport_web import OrthancPeer, WebSuite, orthanc_peer
from tests.servers.receiver import Answer, Receiver


class TestOrthancPeer(WebSuite):
    """Over a real Orthanc."""

    kind = OrthancPeer


def said(status: str) -> Answer:
    return Answer(status=200, body=json.dumps({"ID": "1", "Status": status}).encode())


class TestAnswers(Servers):
    """Over one that answers as it is told."""

    @pytest.fixture
    def url(self, receiver: Receiver) -> str:
        receiver.answer = said("Success")
        return receiver.url.removesuffix("/webhook")

    def test_what_is_there_already_is_a_success(
        self, orthanc: Orthanc, receiver: Receiver, url: str, items: list[Item]
    ) -> None:
        receiver.answer = said("AlreadyStored")
        assert sending(orthanc_peer(orthanc, url), items) == {}
        assert [each.headers["content-type"] for each in receiver.requests] == ["application/dicom"] * len(items)

    @pytest.mark.parametrize(
        ("answer", "error_class", "code"),
        [
            (said("FilteredOut"), ErrorClass.Permanent, "filtered-out"),
            (said("Failure"), ErrorClass.Transient, "not-stored"),
            (Answer(status=200, body=b"<html>"), ErrorClass.Transient, "not-stored"),
            (Answer(status=400), ErrorClass.Permanent, "400"),
            (Answer(status=500), ErrorClass.Transient, "500"),
            (Answer(hang_up=True), ErrorClass.Transient, "interrupted"),
        ],
    )
    def test_a_refused_instance_has_the_class_of_its_answer(
        self,
        orthanc: Orthanc,
        receiver: Receiver,
        url: str,
        items: list[Item],
        answer: Answer,
        error_class: ErrorClass,
        code: str,
    ) -> None:
        receiver.answer_next(said("Success"), answer)
        refused = sending(orthanc_peer(orthanc, url), items)
        assert [(each.error_class, each.code, each.unreachable) for each in refused.values()] == [
            (error_class, code, False)
        ]

    @pytest.mark.parametrize("status", [429, 503, 507])
    def test_a_peer_that_is_not_at_work_is_left_alone(
        self, orthanc: Orthanc, receiver: Receiver, url: str, items: list[Item], status: int
    ) -> None:
        way = orthanc_peer(orthanc, url)
        receiver.answer_next(said("Success"))
        receiver.answer = Answer(status=status, headers={"Retry-After": "3600"})
        refused = sending(way, items)
        assert len(refused) == len(items) - 1
        assert len(receiver.requests) <= 3  # two at once
        for ask in (lambda: sending(way, items), way.probe):
            with pytest.raises(SendingError) as raised:
                ask()
            assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Transient, True)

    def test_a_peer_that_fails_again_and_again_is_left_alone(
        self, orthanc: Orthanc, receiver: Receiver, url: str, items: list[Item]
    ) -> None:
        receiver.answer = Answer(status=500)
        with pytest.raises(SendingError) as raised:
            sending(orthanc_peer(orthanc, url), items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Transient, "500")
        assert len(receiver.requests) <= 4  # three in a row, and two at once

    @pytest.mark.parametrize("answer", [b"[1]", b"<html>", b'{"ID": 1}', b""])
    def test_what_is_no_orthanc_is_not_believed(
        self, orthanc: Orthanc, receiver: Receiver, url: str, items: list[Item], answer: bytes
    ) -> None:
        receiver.answer = Answer(status=200, body=answer)
        with pytest.raises(SendingError) as raised:
            orthanc_peer(orthanc, url).missing(items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "no-orthanc")

    def test_a_list_that_was_cut_is_asked_for_one_by_one(
        self, orthanc: Orthanc, receiver: Receiver, url: str, items: list[Item]
    ) -> None:
        def found(*uids: str) -> Answer:
            return Answer(
                status=200, body=json.dumps([{"MainDicomTags": {"SOPInstanceUID": uid}} for uid in uids]).encode()
            )

        series = sorted(items[:3], key=lambda item: item.orthanc_id)
        receiver.answer_next(found(series[0].sop_instance_uid), Answer(status=200, body=b'["1"]'), found())
        missing = orthanc_peer(orthanc, url).missing(series)
        assert list(missing) == [series[2].orthanc_id]

    def test_a_redirect_is_not_followed(
        self, orthanc: Orthanc, receiver: Receiver, url: str, items: list[Item]
    ) -> None:
        receiver.answer = Answer(status=307, headers={"Location": f"{url}/other"})
        with pytest.raises(SendingError) as raised:
            sending(orthanc_peer(orthanc, url), items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "307")
        assert {each.path for each in receiver.requests} == {"/instances"}
