"""`python -m tests.bench [NAME ...] [--quick]`: measure, print the table, and after a whole run write it down."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from tests.bench import (
    footprint,
    importing,
    ingest,
    kinds,
    lanes,
    latency,
    ledger,
    network,
    pages,
    patients,
    querying,
    receiving,
    replay,
    rivals,
    routing,
    rules,
    tasks,
    watching,
    worklist,
)
from tests.bench.figures import Figure, table
from tests.bench.report import report
from tests.bench.scale import FULL, QUICK, Scale

BENCHMARKS: Mapping[str, Callable[[Scale], list[Figure]]] = {
    "ingest": ingest.run,
    "routing": routing.run,
    "kinds": kinds.run,
    "lanes": lanes.run,
    "receiving": receiving.run,
    "rivals": rivals.run,
    "latency": latency.run,
    "rules": rules.run,
    "network": network.run,
    "tasks": tasks.run,
    "pages": pages.run,
    "patients": patients.run,
    "ledger": ledger.run,
    "replay": replay.run,
    "querying": querying.run,
    "importing": importing.run,
    "watching": watching.run,
    "worklist": worklist.run,
    "footprint": footprint.run,
}
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "benchmarks.md"


def main(arguments: list[str]) -> int:
    """Run the benchmarks asked for; answers 1 when a target is missed in a whole run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="tiny numbers, to see that the benchmarks work")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    scale = QUICK if options.quick else FULL
    began = monotonic()
    figures: list[Figure] = []
    for name in options.names or BENCHMARKS:
        print(f"{name} …", file=sys.stderr, flush=True)
        measured = BENCHMARKS[name](scale)
        print(table(measured), flush=True)
        figures += measured
    seconds = monotonic() - began
    print(f"{seconds:.0f} s")
    if options.quick or options.names:
        return 0
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(report(figures, seconds))
    print(f"written to {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")
    return 0 if all(figure.is_met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
