"""What changes for a study between two plans: its laws, its words, and that nothing is counted twice."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from relais.domain.comparison import (
    MOST_SOURCES,
    OTHERS,
    Change,
    Fate,
    Flow,
    Kind,
    Line,
    Plan,
    Tally,
    Way,
    compare,
    summary,
)
from relais.domain.priority import Priority
from relais.domain.residency import Reason

EXPIRED = Reason(code="assessment-expired", values={"reference": "EFVP-7", "day": "2026-01-01"}, articles=("P-39.1",))
names = st.sampled_from(["vna", "cloud", "pacs", "archive"])
ways = st.builds(
    Way,
    destination=names,
    priority=st.sampled_from(Priority),
    purpose=st.sampled_from(["Care", "Research"]),
    refused=st.sampled_from([(), (EXPIRED,), (Reason(code="no-jurisdiction"),)]),
)
plans = st.builds(
    Plan,
    clinic=st.sampled_from([None, "outremont", "laval"]),
    hold=st.sampled_from([None, None, "no rule matched", "second opinion"]),
    ways=st.lists(ways, max_size=4, unique_by=lambda way: way.destination).map(tuple),
)
pairs = st.lists(st.tuples(st.sampled_from([None, "CS8100", "ORTHO"]), plans, plans), max_size=12)

MIRRORS = {
    Kind.Added: Kind.Removed,
    Kind.Removed: Kind.Added,
    Kind.Held: Kind.Released,
    Kind.Released: Kind.Held,
    Kind.Permitted: Kind.Refused,
    Kind.Dropped: Kind.Refused,
}


def mirrored(change: Change) -> Change:
    """The same change as the way back sees it."""
    kind = MIRRORS.get(change.kind, change.kind)
    if change.kind is Kind.Refused:
        kind = Kind.Dropped if change.before is None else Kind.Permitted
    return Change(kind=kind, destination=change.destination, before=change.after, after=change.before)


def counted(studies: list[tuple[str | None, Plan, Plan]]) -> Tally:
    tally = Tally()
    for aet, before, after in studies:
        tally.add(aet, before, after, compare(before, after))
    return tally


def kinds(before: Plan, after: Plan) -> list[tuple[Kind, str | None]]:
    return [(change.kind, change.destination) for change in compare(before, after)]


@given(plans)
def test_nothing_changes_between_equals(plan: Plan) -> None:
    assert compare(plan, plan) == ()


@given(plans, plans)
def test_the_way_back_is_the_mirror(before: Plan, after: Plan) -> None:
    def key(change: Change) -> tuple[str, str]:
        return change.kind, change.destination or ""

    there = sorted(map(mirrored, compare(before, after)), key=key)
    assert there == sorted(compare(after, before), key=key)


@given(plans, plans)
def test_what_goes_elsewhere_is_told_and_nothing_else(before: Plan, after: Plan) -> None:
    """From what went where, the changes lead to what would go where."""

    def sent(plan: Plan) -> set[str]:
        return {name for name, way in plan.taken.items() if not way.refused}

    changes = compare(before, after)
    comes = {each.destination for each in changes if each.kind in (Kind.Added, Kind.Permitted)}
    goes = {
        each.destination
        for each in changes
        if each.kind is Kind.Removed or (each.kind is Kind.Refused and each.before is not None)
    }
    assert comes == sent(after) - sent(before)
    assert goes == sent(before) - sent(after)


def test_each_kind_of_change() -> None:
    vna, cloud = Way(destination="vna"), Way(destination="cloud")
    refused = Way(destination="cloud", refused=(EXPIRED,))
    one, both = Plan(ways=(vna,)), Plan(ways=(vna, cloud))
    assert kinds(one, both) == [(Kind.Added, "cloud")]
    assert kinds(both, one) == [(Kind.Removed, "cloud")]
    assert kinds(one, Plan(ways=(vna, refused))) == [(Kind.Refused, "cloud")]
    assert kinds(Plan(ways=(vna, refused)), one) == [(Kind.Dropped, "cloud")]
    assert kinds(both, Plan(ways=(vna, refused))) == [(Kind.Refused, "cloud")]
    assert kinds(Plan(ways=(vna, refused)), both) == [(Kind.Permitted, "cloud")]
    assert kinds(one, Plan(hold="why", ways=(vna,))) == [(Kind.Held, None), (Kind.Removed, "vna")]
    assert kinds(Plan(hold="why"), both) == [(Kind.Released, None), (Kind.Added, "vna"), (Kind.Added, "cloud")]
    assert kinds(one, Plan(clinic="laval", ways=(vna,))) == [(Kind.Clinic, None)]
    urgent = Way(destination="vna", priority=Priority.Stat, purpose="Research")
    assert kinds(one, Plan(ways=(urgent,))) == [(Kind.Priority, "vna"), (Kind.Purpose, "vna")]
    assert kinds(Plan(hold="one"), Plan(hold="two", ways=(vna,))) == []


def test_a_change_says_what_was_and_what_would_be() -> None:
    before = Plan(clinic="laval", ways=(Way(destination="cloud", priority=Priority.Urgent),))
    after = Plan(ways=(Way(destination="cloud", priority=Priority.Urgent, refused=(EXPIRED,)),))
    clinic, refused = compare(before, after)
    assert (clinic.before, clinic.after) == ({"Clinic": "laval"}, {"Clinic": None})
    assert refused.before == {"Priority": "Urgent", "Purpose": "Care"}
    assert refused.after == {"Priority": "Urgent", "Purpose": "Care", "Reasons": [EXPIRED.to_json()]}
    (held, *_) = compare(Plan(), Plan(hold="second opinion"))
    assert (held.before, held.after) == (None, {"Hold": "second opinion"})


@given(pairs, pairs)
def test_pages_count_as_the_whole_does(first: list[tuple[str | None, Plan, Plan]], second: list[tuple]) -> None:  # type: ignore[type-arg]
    merged = counted(first)
    merged.merge(counted(second))
    assert merged == counted(first + second)
    assert Tally.from_json(merged.to_json()) == merged


@given(pairs)
def test_counts_are_of_studies(studies: list[tuple[str | None, Plan, Plan]]) -> None:
    tally = counted(studies)
    assert tally.studies == len(studies)
    assert tally.changed == sum(before != after and bool(compare(before, after)) for _, before, after in studies)
    for (kind, _), count in tally.ways.items():
        assert count <= tally.kinds[kind] <= tally.changed
    for index, side in enumerate(([before for _, before, _ in studies], [after for _, _, after in studies])):
        sent = Counter(name for plan in side for name, way in plan.taken.items() if not way.refused)
        counts = {name: total[index][Fate.Sent] for name, total in tally.totals().items()}
        assert {name: count for name, count in counts.items() if count} == dict(sent)
        held = tally.totals().get(None, (Counter(), Counter()))[index][Fate.Held]
        assert held == sum(bool(plan.hold) for plan in side)


def test_sources_without_end_are_counted_together() -> None:
    plan = Plan(ways=(Way(destination="vna"),))
    tally = Tally()
    for number in range(MOST_SOURCES + 5):
        page = Tally()
        page.add(f"AET{number}", plan, plan, ())
        tally.merge(page)
    assert len({flow[:2] for flow in tally.before}) == MOST_SOURCES + 1
    assert tally.after[Flow(OTHERS, None, "vna", Fate.Sent)] == 5
    assert sum(tally.after.values()) == MOST_SOURCES + 5


def test_the_summary_begins_with_what_the_law_refuses() -> None:
    vna, cloud = Way(destination="vna"), Way(destination="cloud")
    refused = Way(destination="cloud", refused=(EXPIRED,))
    tally = counted(
        [
            *[("A", Plan(ways=(vna,)), Plan(ways=(vna, cloud)))] * 17,
            *[("A", Plan(ways=(vna,)), Plan(ways=(vna, refused)))] * 3,
            *[("A", Plan(ways=(vna,)), Plan(hold="why"))] * 2,
            *[("A", Plan(clinic="laval", ways=(vna,)), Plan(ways=(vna,)))] * 5,
        ]
    )
    assert summary(tally) == (
        Line(kind=Kind.Refused, destination="cloud", studies=3),
        Line(kind=Kind.Held, destination=None, studies=2),
        Line(kind=Kind.Added, destination="cloud", studies=17),
        Line(kind=Kind.Removed, destination="vna", studies=2),
        Line(kind=Kind.Clinic, destination=None, studies=5),
    )
    assert summary(Tally()) == ()
