"""What Prometheus reads at /relais/metrics. No label holds patient data: routes are templates, lanes are names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.database.queries import deliveries, lanes, matches, notifications, reviews, studies, tasks
from relais.domain.states import MatchState, ReviewKind
from relais.receive import Feed

_SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)


class Observed(Protocol):
    """The parts of the application of which the metrics tell."""

    # ruff: noqa: D102 - each property is named by its type
    @property
    def configuration(self) -> Configuration: ...
    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def feed(self) -> Feed: ...


class Metrics:
    """The counters that this process keeps, and the gauges that are read from the database when asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "relais_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._tasks = Histogram(
            "relais_task_duration_seconds", "How long tasks ran", ["kind"], buckets=_SECONDS, registry=self.registry
        )

    def observe_request(self, method: str, route: str, status: int) -> None:
        """Count an answered request."""
        self._requests.labels(method, route, str(status)).inc()

    def observe_task(self, kind: str, seconds: float) -> None:
        """Count a task that ran for so many seconds, whatever came of it."""
        self._tasks.labels(kind).observe(seconds)

    def exposition(self, relais: Observed) -> bytes:
        """The text that Prometheus scrapes."""
        registry = CollectorRegistry()
        registry.register(_State(relais))
        return generate_latest(self.registry) + generate_latest(registry)


class _State(Collector):
    """Gauges of the state in the database, read once a scrape."""

    def __init__(self, relais: Observed) -> None:
        self._relais = relais

    def collect(self) -> Iterator[Metric]:
        now = self._relais.clock.now()
        names = list(self._relais.configuration.destinations)
        with self._relais.database.read() as connection:
            found = lanes.of_destinations(connection, names, now - timedelta(hours=1))
            backlog = tasks.backlog(connection, now)
            by_state = deliveries.count_by_state(connection)
            notices = notifications.count_by_state(connection)
            study_states = studies.count_by_state(connection, None)
            dead = tasks.dead(connection)
            match_states = matches.count_by_state(connection, None)
            asked = reviews.waiting(connection, None)
            stopped = matches.is_stopped(connection)

        waiting = GaugeMetricFamily(
            "relais_lane_backlog", "Deliveries that wait or are under way", labels=["destination"]
        )
        oldest = GaugeMetricFamily(
            "relais_lane_oldest_age_seconds",
            "Age of the oldest delivery that waits or is under way",
            labels=["destination"],
        )
        closed = GaugeMetricFamily(
            "relais_lane_up", "1 while the destination answers and is not paused", labels=["destination"]
        )
        for lane in found:
            waiting.add_metric([lane.destination], lane.backlog)
            oldest.add_metric([lane.destination], (now - lane.oldest).total_seconds() if lane.oldest else 0)
            closed.add_metric([lane.destination], 0 if lane.paused_at or lane.down_since else 1)
        yield from (waiting, oldest, closed)

        due = GaugeMetricFamily("relais_tasks_due", "Tasks that are due or run", labels=["lane"])
        late = GaugeMetricFamily(
            "relais_tasks_oldest_age_seconds", "How long the oldest task has been due", labels=["lane"]
        )
        for lane_name, (count, since) in backlog.items():
            due.add_metric([lane_name], count)
            late.add_metric([lane_name], (now - since).total_seconds())
        yield from (due, late)

        yield GaugeMetricFamily("relais_tasks_dead", "Tasks that were given up and wait for a person", value=dead)
        outcomes = GaugeMetricFamily("relais_deliveries", "Deliveries by state", labels=["state"])
        for state, count in by_state.items():
            outcomes.add_metric([state], count)
        stands = GaugeMetricFamily("relais_studies", "Studies by state", labels=["state"])
        for state, count in study_states.items():
            stands.add_metric([state], count)
        told = GaugeMetricFamily("relais_notifications", "Notifications by state", labels=["subscriber", "state"])
        for (subscriber, state), count in notices.items():
            told.add_metric([subscriber, state], count)
        yield from (outcomes, stands, told)
        whose = GaugeMetricFamily("relais_studies_by_match", "Studies by state of the match", labels=["state"])
        for match_state in MatchState:
            whose.add_metric([match_state], match_states.get(match_state, 0))
        waits = GaugeMetricFamily("relais_reviews_waiting", "Reviews that wait for a person", labels=["kind"])
        longest = GaugeMetricFamily("relais_reviews_oldest_age_seconds", "Age of the oldest of them", labels=["kind"])
        for kind in ReviewKind:
            mine = [each for each in asked if each["kind"] == kind]
            waits.add_metric([kind], sum(each["amount"] for each in mine))
            first = min((each["oldest"] for each in mine), default=now)
            longest.add_metric([kind], (now - first).total_seconds())
        yield from (whose, waits, longest)
        yield GaugeMetricFamily(
            "relais_matching_stopped", "1 while the breaker stops automatic matching", value=int(stopped)
        )
        yield GaugeMetricFamily(
            "relais_feed_lag_changes", "Changes that Orthanc has and Relais has not read", value=self._relais.feed.lag
        )
