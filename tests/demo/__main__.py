"""`make demo`: start the whole network, send sample studies through it, and keep it up to be looked at."""

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.demo.orders import order_of_tomorrow, orders_of_today
from tests.demo.people import PEOPLE, register
from tests.demo.samples import PRIORS, SAMPLES, SECRET, SECRET_VARIABLE, Sample, relais_section
from tests.servers.dicom import Study, send
from tests.servers.orthanc import OrthancServer, Rest
from tests.servers.ports import free_port
from tests.servers.receiver import Receiver

HTTP_PORT, DICOM_PORT = 8042, 4242
FINAL_STUDY = {"Routed", "Held"}


@dataclass(frozen=True)
class Network:
    """Everything that runs."""

    router: OrthancServer
    vnas: tuple[OrthancServer, ...]
    pacs: OrthancServer
    crm: Receiver

    @classmethod
    def start(cls, folder: Path, ending: ExitStack) -> "Network":
        """Start all of it, on the usual ports where they are free; `ending` stops it."""
        crm = ending.enter_context(Receiver())
        vna_qc, vna_on = (OrthancServer(folder / aet, aet=aet) for aet in ("VNA_QC", "VNA_ON"))
        dicom_port = _port(DICOM_PORT, "DICOM")
        pacs = OrthancServer(folder / "INTELEPACS", aet="INTELEPACS", modalities={"relais": ("RELAIS", dicom_port)})
        router = OrthancServer(
            folder / "RELAIS",
            aet="RELAIS",
            environment={SECRET_VARIABLE: SECRET},
            relais=relais_section(vna_qc.dicom_port, vna_on.dicom_port, pacs.dicom_port, crm.url),
            http_port=_port(HTTP_PORT, "HTTP"),
            dicom_port=dicom_port,
        )
        for server in (vna_qc, vna_on, pacs, router):
            ending.callback(server.kill)
            server.start()
        return cls(router, (vna_qc, vna_on), pacs, crm)

    def send(self, sample: Sample, study: Study) -> None:
        """Send one study as its machine would; the PACS is an Orthanc that keeps it and forwards."""
        calling_aet, called_aet = sample.way
        if calling_aet != self.pacs.aet:
            send(study, self.router.dicom_port, calling_aet=calling_aet, called_aet=called_aet)
            return
        send(study, self.pacs.dicom_port, called_aet=self.pacs.aet)
        query = {"Level": "Study", "Query": {"StudyInstanceUID": study.uid}}
        job = {"Resources": self.pacs.rest.post("/tools/find", query), "Synchronous": True}
        self.pacs.rest.post("/modalities/relais/store", job)

    def remember(self, study: Study) -> None:
        """Put a study of earlier years into the PACS, which tells nobody."""
        send(study, self.pacs.dicom_port, called_aet=self.pacs.aet)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the sample studies are, as the router's routes and the CRM tell."""

    wanted: int
    studies: tuple[Mapping[str, Any], ...]
    notices: int

    @classmethod
    def ask(cls, router: Rest, crm: Receiver, wanted: int) -> "Progress":
        """Ask the router for its studies, and count the notices that the CRM got and could verify."""
        found = router.get("/relais/v1/studies?Limit=100")["Items"]
        studies = tuple(router.get(f"/relais/v1/studies/{each['StudyInstanceUID']}") for each in found)
        signature = Webhook(SECRET)
        notices = 0
        for request in crm.requests:
            try:
                signature.verify(request.body, dict(request.headers))
            except WebhookVerificationError as error:
                sys.exit(f"the CRM refused a notice: {error}")
            notices += request.json["type"] in {"study.routed", "study.held", "delivery.completed"}
        return cls(wanted=wanted, studies=studies, notices=notices)

    @property
    def deliveries(self) -> list[Mapping[str, Any]]:
        """All deliveries that are owed."""
        return [delivery for study in self.studies for delivery in study["Deliveries"]]

    @property
    def decided(self) -> int:
        """The number of studies that are routed or held."""
        return sum(study["State"] in FINAL_STUDY for study in self.studies)

    @property
    def is_done(self) -> bool:
        """Whether every study is decided and delivered, and the CRM knows."""
        completed = sum(delivery["State"] == "Completed" for delivery in self.deliveries)
        everything = self.decided == self.wanted and completed == len(self.deliveries)
        return everything and self.notices >= self.wanted + completed

    def __str__(self) -> str:
        owed = sum(delivery["Instances"] for delivery in self.deliveries)
        delivered = sum(delivery["Delivered"] for delivery in self.deliveries)
        filled = 24 * delivered // owed if owed else 0
        return (
            f"studies {len(self.studies)}/{self.wanted} received, {self.decided} decided  "
            f"[{'#' * filled:-<24}] {delivered}/{owed} images delivered  {self.notices} notices to the CRM"
        )


class Display:
    """One line that changes on a terminal; elsewhere, a line for each change."""

    def __init__(self) -> None:
        self._shown = ""
        self._terminal = sys.stdout.isatty()

    def show(self, line: str) -> None:
        """Show the line, if it says something new."""
        if line != self._shown:
            print(f"\r\x1b[K{line}" if self._terminal else line, end="" if self._terminal else "\n", flush=True)
            self._shown = line

    def end(self) -> None:
        """Go on below the line."""
        if self._terminal:
            print(flush=True)


def main() -> None:
    """Run the demo; exits with 1 if the studies are not through in time."""
    options = _options()
    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="relais-demo-")))
        print("Starting the router, two archives, a PACS and a CRM ...", flush=True)
        network = Network.start(folder, ending)
        print(f"Pages: {network.router.url}/relais/app/   Orthanc: {network.router.url}/app/explorer.html")
        register(network.router.rest)
        print(f"The CRM has told of its {len(PEOPLE)} patients.")
        for order in orders_of_today():
            network.router.rest.post("/relais/v1/worklist", order)
        done = _flow(network, options.timeout, ended)
        _tell_matches(network.router)
        done = _prepare_tomorrow(network, options.timeout) and done
        if options.once or ended.is_set():
            sys.exit(0 if done else 1)
        print("Everything keeps running. Ctrl-C ends all of it.", flush=True)
        ended.wait()


def _flow(network: Network, timeout: float, ended: threading.Event) -> bool:
    """Send all samples and show how they fare, until all is done, or time is up, or a person ends it."""
    sender = threading.Thread(target=_send_all, args=(network, ended), daemon=True)
    sender.start()
    display, deadline = Display(), time.monotonic() + timeout
    while True:
        progress = Progress.ask(network.router.rest, network.crm, len(SAMPLES))
        display.show(str(progress))
        if progress.is_done or time.monotonic() > deadline or ended.wait(0.3):
            break
    display.end()
    sender.join()
    for study in progress.studies:
        ways = ", ".join(f"{each['Destination']} {each['State']}" for each in study["Deliveries"])
        print(f"  {study['State']:9} {study['Clinic'] or '-':10} {study['Instances']:3} images  {ways or '-'}")
    print("All through." if progress.is_done else f"Not all through after {timeout:.0f} s.", flush=True)
    return progress.is_done


def _tell_matches(router: OrthancServer) -> None:
    """Say whose the studies are, and what waits for a person."""
    found = router.rest.get("/relais/v1/studies?Limit=100")["Items"]
    states = Counter(each["Match"]["State"] for each in found)
    print(
        f"{states['Matched']} studies matched to the CRM's patients, {states['Unmatched']} are nobody's, "
        f"{states['Review']} wait for a person: {router.url}/relais/app/reviews",
        flush=True,
    )


def _prepare_tomorrow(network: Network, timeout: float) -> bool:
    """Say what became of today's orders, then give tomorrow's, and see that its earlier studies come from the PACS."""
    router = network.router.rest
    orders = router.get("/relais/v1/worklist?Limit=100")["Items"]
    completed = sum(each["State"] == "Completed" for each in orders)
    print(f"{completed} of {len(orders)} orders of today are completed: {network.router.url}/relais/app/worklist")
    for number, prior in enumerate(PRIORS):
        network.remember(prior.study(seed=50 + number))
    router.post("/relais/v1/worklist", order_of_tomorrow())
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        imports = router.get("/relais/v1/imports?Cause=Prefetch&State=Completed")["Items"]
        if imports:
            images = sum(each["Received"] for each in imports)
            print(
                f"For tomorrow's appointment {images} images of earlier years came from the PACS, each accounted for: "
                f"{network.router.url}/relais/app/imports",
                flush=True,
            )
            return True
        time.sleep(0.3)
    print("Nothing was fetched for tomorrow's appointment.", flush=True)
    return False


def _send_all(network: Network, ended: threading.Event) -> None:
    for number, sample in enumerate(SAMPLES):
        if ended.is_set():
            return
        network.send(sample, sample.study(seed=number))


def _port(wished: int, what: str) -> int:
    port = free_port(near=wished)
    if port != wished:
        print(f"Port {wished} is taken: the router's {what} port is {port}.", flush=True)
    return port


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when all studies are through")
    parser.add_argument("--timeout", type=float, default=120, help="seconds until the studies must be through")
    return parser.parse_args()


if __name__ == "__main__":
    main()
