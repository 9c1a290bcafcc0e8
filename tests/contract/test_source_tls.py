"""A DICOM source over TLS that asks for our certificate: questions, images, and who is not trusted."""

import threading
from pathlib import Path
from ssl import SSLContext
from typing import Any

import pytest

from relais.configuration.sources import DicomSource
from relais.domain.document import parse
from relais.domain.querying import Answer, Level, SourceState
from relais.transports.probes import Ourselves
from relais.transports.sources.opening import open_source
from relais.transports.sources.port import AskingError, Source
from tests.servers.dicom import make_study
from tests.servers.intelepacs import IntelePacs
from tests.servers.router import source
from tests.servers.scp import StorageScp
from tests.servers.tls import Authority, serving

NOW = threading.Event()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("others"))


def opened(port: int, trusted: Path, shown: Path | None, **options: Any) -> Source:
    document: dict[str, Any] = {"DicomAet": "RELAIS", "DicomTlsTrustedCertificates": str(trusted)}
    if shown is not None:
        document |= {"DicomTlsCertificate": str(shown), "DicomTlsPrivateKey": str(shown)}
    section = parse(DicomSource, source("INTELEPACS", port, Tls=True, TimeoutSeconds=5, **options))
    orthanc: Any = None  # neither short lists nor C-MOVE need it
    return open_source(orthanc, "pacs", section, Ourselves.of(document))


def find(pacs: Source) -> list[Answer]:
    found: list[Answer] = []
    pacs.find(Level.Study, {"PatientID": "7"}, limit=10, seconds=10, stopping=NOW, take=found.append)
    return found


def secured(ours: Authority) -> SSLContext:
    return serving(ours.issue("pacs"), asks=ours)


def test_it_is_asked_and_sends_over_tls(ours: Authority) -> None:
    study = make_study(instances=3, tags={"PatientID": "7"})
    with StorageScp("RELAIS") as here, IntelePacs(tls=secured(ours)) as pacs:
        pacs.destinations["RELAIS"] = here.port
        pacs.hold(study.instances)
        way = opened(pacs.port, ours.certificate, ours.issue("relais"))
        assert [each["StudyInstanceUID"] for each in find(way)] == [study.uid]
        assert sorted(way.instances(study.uid, stopping=NOW).uids) == sorted(study.sop_instance_uids)
        assert way.retrieve(study.uid, progress=lambda _done, _total: None, stopping=NOW).completed == 3
        assert set(here.sop_instance_uids()) == set(study.sop_instance_uids)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [("their-authority", "tls"), ("plain", "tls"), ("no-certificate", "aborted"), ("our-authority", "aborted")],
)
def test_without_trust_nothing_is_asked(ours: Authority, others: Authority, wrong: str, code: str) -> None:
    trusted = others if wrong == "their-authority" else ours
    shown = {"no-certificate": None, "our-authority": others.issue("stranger")}.get(wrong, ours.issue("relais"))
    with IntelePacs(tls=None if wrong == "plain" else secured(ours)) as pacs:
        pacs.hold(make_study(tags={"PatientID": "7"}).instances)
        with pytest.raises(AskingError) as raised:
            find(opened(pacs.port, trusted.certificate, shown))
        assert (raised.value.state, raised.value.code) == (SourceState.Unreachable, code)
        assert pacs.finds == []
