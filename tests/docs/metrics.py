"""The metrics, read from an exposition over a database with one of everything."""

import tempfile
from datetime import timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.docs.markdown import code
from tests.servers.rows import START, add_delivery, add_notification, add_study
from tests.system.serving import compose_web

LABELS = {
    "destination": "a name from `Destinations`",
    "lane": "`studies`, `storage`, `digests`, `destination:<name>` or `subscriber:<name>`",
    "state": "see [states](states.md)",
    "subscriber": "a name from `Subscribers`",
    "method": "`GET`, `POST`",
    "route": "as in [routes](routes.md)",
    "status": "HTTP's",
    "kind": "`route`, `deliver`, `notify`, `unprotect` and the other kinds of task; of reviews `Match` or `SecondLook`",
}
_WITHOUT_MEANING = {"le", "quantile"}


def describe_metrics() -> str:
    """A heading for each metric, with its type, meaning and labels."""
    parts = []
    for family in text_string_to_metric_families(exposition()):
        if family.name.endswith("_created"):
            continue
        labels = sorted({name for sample in family.samples for name in sample.labels} - _WITHOUT_MEANING)
        lines = "\n".join(f"- {code(name)}: {LABELS[name]}" for name in labels)
        name = family.name + ("_total" if family.type == "counter" else "")
        words = f"{family.documentation}. Type: {family.type}."
        parts.append(f"### `{name}`\n\n{words}" + (f"\n\n{lines}" if lines else ""))
    return "\n\n".join(parts)


def exposition() -> str:
    """What Prometheus would scrape where one of everything is there."""
    with tempfile.TemporaryDirectory() as folder:
        relais = compose_web(Path(folder)).relais
        try:
            with relais.database.write() as connection:
                study = add_study(connection)
                add_delivery(connection, study)
                add_notification(connection, study)
                due = START - timedelta(days=1)
                relais.tasks.schedule(connection, kind="route", lane="studies", key="route:1", run_at=due, payload={})
            relais.metrics.observe_task("route", 0.1)
            relais.metrics.observe_request("GET", "/relais/v1/system", 200)
            return relais.metrics.exposition(relais).decode()
        finally:
            relais.database.close()
