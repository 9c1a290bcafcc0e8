"""The page of the manual that keeps the figures, with what they were measured on."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench import lanes, querying, rivals, watching, worklist
from tests.bench.figures import Figure, table
from tests.bench.servers import QUIET_SECONDS, SMALL_CACHE

_PAGE = """\
# Benchmarks

Written by `make bench`, which takes {minutes:.0f} minutes. Every figure that compares is a ratio within one run:
ours and the peer's take turns, each on servers of its own, and the median of the pairs' ratios counts, because small
runs scatter by a third. *Spread* is the lowest and the highest sample. *CPU* is the processor time of the Orthanc
process. Rates, seconds and megabytes are this machine's; the ratios should be anybody's.

{table}

## How it was measured

- **Ingest**: dcmtk's `storescu` sends everything in one association, Nagle off at both ends, to a fresh server each
  time; the clock starts with the request for the association. The callback is timed by a script around the plugin.
- **Routing**: 20 studies of 50 images to one archive, which is a bare Orthanc. *Delivery* begins when a paused lane is
  resumed, and its peer is one `/modalities/…/store` job of the same instances on a bare Orthanc. *The whole way* is
  from the request for the association to the last image at the archive, less the quiet time of {quiet:g} s. Orthanc's
  Lua routing is one line, `SendToModality(instanceId, 'vna')` in `OnStoredInstance`. Sender and archive are the same,
  with Nagle off, for every peer; the slower peers get fewer images, as the names say.
- **Kinds**: studies of 20 images, and for `Dicom` also of 100, to one archive, an Orthanc, or to a local folder; each
  study is a job and an association of ours, where the peers know no studies. Ours begins when a paused lane,
  with its two places, is resumed; the peer is a bare Orthanc of which two jobs of the same kind are asked at once, each
  for half of the studies. On either side one small study goes the same way before the clock starts. Files are measured
  to the last delivery's end, against `cp --recursive` of the same files and `sha256sum` of the copies; `cp` leaves the
  writing to disk for later.
- **Lanes**: studies of two small images for one archive arrive at an even pace, {pace:g} a second; the latency is from
  when a delivery is owed to when it is done. *Alone*, the router has no other destination. Otherwise three more lanes
  are owed other studies, and are resumed when the first for the healthy one is sent: to an archive that accepts and
  never answers, one that refuses the connection, and one behind a line of 1 kB/s; they may stay silent for {silence} s.
  A breaker is open when the destination counts as down; an attempt that failed before counts, whatever its study.
  Memory is what the router's resident memory grows by from before they are resumed to {window} s later.
- **Receiving**: a destination with `Start: WhileReceiving`; from the moment at which `storescu` has the answer to its
  last image to the moment at which the archive keeps all.
- **Rivals**: the same images through Relais, through the forwarder of orthanc-tools beside a bare Orthanc (started as
  its README says, with two threads; it deletes what it has sent), and through Orthanc's Lua routing. The rate is from
  the request for the association to the last image at the archive, less the quiet time where there is one. For the
  kills every image is sent and acknowledged first; then, when at least a third is at the archive, the router's Orthanc
  gets SIGKILL, and the forwarder with it unless said otherwise, and what was killed is started again at once. *Missing*
  is what is not at the archive when nothing has moved there for {still} s, or {longer} s where a retry may come after
  {retry} s; the figure is the sum over the kills.
- **Latency**: from the sender's last acknowledgement to the last image at the archive, less the quiet time and less
  the time that a store job of the same study takes on a bare Orthanc.
- **Tasks**: tasks that only finish, over the lanes of two destinations, studies and a subscriber, through the worker
  as in production: a thread a task, every claim and every finish a durable transaction.
- **Pages**: through Orthanc's HTTP server, one request at a time, over a seeded database.
- **Ledger**: 100,000 studies, each owed or once owed to each of ten destinations; 50,000 deliveries are scheduled with
  their tasks, of all four priorities, a quarter of them due later, and all of one destination's. A claim is what a turn
  of the worker asks when every lane is busy and one task has ended: what is due, and the lease of the next. Pages and
  lists are asked through Orthanc's HTTP server, one request at a time, with the lanes paused.
- **Rules**: a study of two series, and rules of which most fail at their third question; the reasons are those that
  production stores. To read is to parse and compile a section's rules.
- **Network**: a section of 50 clinics, 200 destinations and 500 rules of five conditions, checked as a whole; and the
  pages on which it is edited, asked of the web application one at a time.
- **Replay**: past studies of two series with forty attributes each; the active and the proposed section have a hundred
  rules of five conditions on either side, of which about one in ten holds. The clock runs from the question over REST
  to the last study, the start of the other process included. For the ratio the same router routes other studies, in
  turn with and without a replay that runs from before their first image to after their last.
- **Querying**: ten sources in one process, each with {found} studies of the patient, of which one takes {slow:g} s to
  its first answer; a tenth takes connections and never answers. The clock runs from the question over REST to the
  answer of REST that has the first studies, or the last of those from sources that answer; it is asked every {ask:g} s,
  and every {later:g} s once there are some.
- **Importing**: from an Orthanc with both servers known to it; ours begins with the order over REST, and ends when the
  import is complete, the proof of every image included. The peer is a bare Orthanc that is told to retrieve all
  studies of the same source at once, and moves them one by one, to the last image. The proof's share is the time in
  which nothing comes: before the first image, while the source is asked what it has, beyond what the peer takes to its
  first, and after the last, until each is accounted for; what is listed beside the moving of another study costs
  processor time and shows in the ratio. Beside it stands the same import once more, when everything is there: it lists
  and compares again, and fetches nothing.
- **Watching**: time is virtual. The source's day is ahead by {skew}, it cuts its answers at {rows} studies in silence,
  and is asked every {every}. That a study is never seen, or twice, ends the benchmark.
- **Worklist**: orders evenly over {days} days and {stations} machines; the times are those of dcmtk's own log, from the
  request of `findscu` to its last answer, without the start of its process and the association.
- **Patients**: a file of invented people, one JSON document a line, is imported by the task that does it in
  production; then some are changed one by one, and studies of people among them are looked up and decided, one at a
  time, on an index that is in memory. Bytes are those of the keys and of the counts of names.
- **Footprint**: start-up until HTTP and DICOM answer. Memory is resident memory over that of a bare Orthanc which took
  the same images; ours delivered them too. Orthanc keeps files that were written or read in a cache of 128 MB, which
  fills with images on either side and would hide the rest: both servers have one of {cache} MB.

## Where

| | |
|---|---|
{environment}

```console
$ make bench                                   # everything, and writes this page
$ .venv/bin/python -m tests.bench routing      # one part, printed only
$ .venv/bin/python -m tests.bench --quick      # tiny numbers, to see that it works
```
"""


def report(figures: Iterable[Figure], seconds: float) -> str:
    """The whole page."""
    machine = "\n".join(f"| {name} | {value} |" for name, value in environment())
    return _PAGE.format(
        table=table(figures),
        minutes=seconds / 60,
        quiet=QUIET_SECONDS,
        pace=lanes.GROUP / lanes.EVERY_SECONDS,
        silence=lanes.TIMEOUT_SECONDS,
        window=lanes.WINDOW_SECONDS,
        still=rivals.STILL_SECONDS,
        retry=rivals.RETRY_SECONDS,
        longer=rivals.STILL_SECONDS + rivals.RETRY_SECONDS,
        cache=SMALL_CACHE["MaximumStorageCacheSize"],
        found=querying.STUDIES,
        slow=querying.SLOW_SECONDS,
        ask=querying.LOOK,
        later=querying.LATER,
        skew=watching.SKEW,
        rows=watching.ROWS,
        every=watching.EVERY,
        days=worklist.DAYS,
        stations=worklist.STATIONS,
        environment=machine,
    )


def environment() -> list[tuple[str, str]]:
    """What the figures were measured on."""
    packages = ("orthanc", "orthanc-python", "dcmtk", "postgresql")
    return [
        ("Date", f"{datetime.now(UTC):%Y-%m-%d}"),
        ("Processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("Memory", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"),
        ("System", f"{_pretty_name()}, Linux {platform.release()}"),
        *((f"`{package}`", _debian_version(package)) for package in packages),
        ("Python", platform.python_version()),
        *((f"`{package}`", version(package)) for package in ("SQLAlchemy", "psycopg", "Flask")),
        ("Load before", f"{os.getloadavg()[2]:.1f} over 15 minutes"),
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _pretty_name() -> str:
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def _debian_version(package: str) -> str:
    query = ["dpkg-query", "--show", "--showformat=${Version}", package]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout or "not installed"
