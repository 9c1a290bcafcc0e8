"""What most system tests start: the router, and archives that several tests share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.servers.orthanc import OrthancServer
from tests.servers.router import Router

Archives = tuple[OrthancServer, OrthancServer]
RouterFactory = Callable[..., Router]


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OrthancServer, OrthancServer]]:
    """Two running VNAs for each test process: tests look for their own studies there, and leave them up."""
    folder = tmp_path_factory.mktemp("archives")
    with OrthancServer(folder / "vna1", aet="VNA1") as one, OrthancServer(folder / "vna2", aet="VNA2") as two:
        yield one, two


@pytest.fixture
def router_factory(tmp_path: Path) -> Iterator[RouterFactory]:
    """Make routers from a `Relais` section, not yet started, that end with the test."""
    with ExitStack() as ending:

        def make(relais: dict[str, Any], name: str = "router", **options: Any) -> Router:
            router = Router(tmp_path / name, relais=relais, **options)
            ending.callback(router.kill)
            return router

        yield make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what campaigns recorded as `chaos`, one column each."""
    reports = [report for status in ("passed", "failed") for report in terminalreporter.getreports(status)]
    found = [value for report in reports for name, value in report.user_properties if name == "chaos"]
    for each in found:
        terminalreporter.write_sep("-", str(each["campaign"]))
        for name, value in each.items():
            terminalreporter.write_line(f"{name:>24}  {value}")
