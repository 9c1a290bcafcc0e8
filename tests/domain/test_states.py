"""The tables of transitions: every pair is decided, and every state can be reached and left."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from relais.domain.states import (
    DELIVERY,
    IMPORT,
    NOTIFICATION,
    ORDER,
    OWED,
    PREFETCH,
    RETRIEVAL,
    REVIEW,
    STUDY,
    TASK,
    VERSION,
    DeliveryState,
    ImportState,
    NotificationState,
    OrderState,
    PrefetchState,
    RetrievalState,
    ReviewState,
    StudyState,
    TaskState,
    VersionState,
    sources_of,
)

TABLES: list[tuple[type[StrEnum], Mapping[Any, frozenset[Any]], StrEnum]] = [
    (StudyState, STUDY, StudyState.Receiving),
    (DeliveryState, DELIVERY, DeliveryState.Scheduled),
    (NotificationState, NOTIFICATION, NotificationState.Scheduled),
    (TaskState, TASK, TaskState.Waiting),
    (VersionState, VERSION, VersionState.Draft),
    (ReviewState, REVIEW, ReviewState.Open),
    (ImportState, IMPORT, ImportState.Running),
    (OrderState, ORDER, OrderState.Scheduled),
    (RetrievalState, RETRIEVAL, RetrievalState.Scheduled),
    (PrefetchState, PREFETCH, PrefetchState.Scheduled),
]


@pytest.mark.parametrize(("states", "table", "first"), TABLES)
def test_every_state_has_a_row_and_can_be_reached(
    states: type[StrEnum], table: Mapping[Any, frozenset[Any]], first: StrEnum
) -> None:
    assert set(table) == set(states)
    reached, frontier = {first}, [first]
    while frontier:
        for state in table[frontier.pop()] - reached:
            reached.add(state)
            frontier.append(state)
    assert reached == set(states)


@pytest.mark.parametrize(("states", "table", "first"), TABLES)
def test_sources_are_the_transitions_read_backwards(
    states: type[StrEnum], table: Mapping[Any, frozenset[Any]], first: StrEnum
) -> None:
    for start in states:
        for end in states:
            assert (start in sources_of(table, end)) == (end in table[start])


def test_what_a_person_ended_only_a_person_or_a_new_image_begins_again() -> None:
    for state in (DeliveryState.Held, DeliveryState.Failed, DeliveryState.Canceled, DeliveryState.Completed):
        assert DeliveryState.InProgress not in DELIVERY[state]


def test_only_what_arrived_or_was_given_up_is_not_owed() -> None:
    assert set(DeliveryState) - OWED == {DeliveryState.Completed, DeliveryState.Canceled}
