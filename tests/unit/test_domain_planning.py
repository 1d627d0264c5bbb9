"""Demand against supply, compared with counting every minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ld_server.domain.planning import Course, Delta, Gap, Piece, absences, causes, course, recommended, remaining, surpluses
from ld_server.domain.window import Turnaround, Window
from ld_server.rdf.naming import Naming
from ld_server.resources.kind import written
from ld_server.services.occasion import Occasion
from ld_server.services.planning import Judged, Recommended, shortfalls

NOON = datetime(2027, 3, 28, 0, 30, tzinfo=UTC)
LENGTH = 60


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


WINDOW = Window(at(0), at(LENGTH))
spans = st.tuples(st.integers(-20, LENGTH + 10), st.integers(1, 40)).map(lambda pair: (pair[0], pair[0] + pair[1]))
pieces = st.lists(st.tuples(spans, st.integers(1, 5), st.sampled_from("abc")), max_size=8)
arrivals = st.lists(st.tuples(st.integers(-5, LENGTH + 5), st.integers(1, 4)), max_size=3)
times_away = st.lists(st.tuples(st.sampled_from(["asset_1", "asset_2"]), spans, st.booleans()), max_size=4)


def counted(minute: int, wanted: list, away: list, built: list, existing: int) -> tuple[int, int, int]:
    """How many are wanted, exist, and are expected besides, in one minute."""
    demand = sum(quantity for (start, end), quantity, _ in wanted if start <= minute < end)
    missing = {unit for unit, (start, end), is_open in away if start <= minute and (is_open or minute < end)}
    return demand, existing - len(missing), sum(quantity for ready, quantity in built if ready <= minute)


@given(pieces, times_away, arrivals, st.integers(0, 8), st.integers(0, 3))
def test_every_minute_is_as_counted(wanted: list, away: list, built: list, existing: int, spare: int) -> None:
    demand = [Piece(at(start), at(end), quantity, cause) for (start, end), quantity, cause in wanted]
    periods = [(unit, at(start), None if is_open else at(end)) for unit, (start, end), is_open in away]
    deltas = [*absences(periods), *(Delta(at(ready), quantity, expected=True) for ready, quantity in built)]
    found = course(WINDOW, demand, existing, deltas, spare)

    minutes = [counted(minute, wanted, away, built, existing) for minute in range(LENGTH)]
    short = [want + spare > there + soon for want, there, soon in minutes]
    assert [any(gap.start <= at(minute) < gap.end for gap in found.gaps) for minute in range(LENGTH)] == short
    assert found.peak == max(want for want, _, _ in minutes)
    assert found.least == min(existing, *(there + soon - want for want, there, soon in minutes))
    assert found.need == max(0, *(want + spare - there for want, there, _ in minutes))
    for gap in found.gaps:
        _check_gap(gap, minutes, spare, demand)
    assert all(one.end < other.start for one, other in zip(found.gaps, found.gaps[1:], strict=False))


def _check_gap(gap: Gap, minutes: list, spare: int, demand: list[Piece]) -> None:
    inside = [one for minute, one in enumerate(minutes) if gap.start <= at(minute) < gap.end]
    assert gap.demand - gap.supply == max(want - there - soon for want, there, soon in inside)
    assert gap.missing == max(0, gap.demand - gap.supply)
    assert gap.need == max(want + spare - there for want, there, _ in inside)
    assert (gap.demand, gap.supply) == next((w, t + s) for minute, (w, t, s) in enumerate(minutes) if at(minute) == gap.at)
    assert sum(one.quantity for one in causes(demand, [gap.at])[gap.at]) == gap.demand


@given(pieces, arrivals, st.integers(0, 8), st.integers(0, 3))
def test_what_is_recommended_is_enough_and_not_one_too_many(wanted: list, built: list, existing: int, spare: int) -> None:
    demand = [Piece(at(start), at(end), quantity, cause) for (start, end), quantity, cause in wanted]
    deltas = [Delta(at(ready), quantity, expected=True) for ready, quantity in built if ready > 0]
    requested = sum(quantity for ready, quantity in built if ready > 0)
    found = course(WINDOW, demand, existing, deltas, spare)
    quantities = recommended(found.gaps, requested)
    assert requested + sum(quantities) == max(requested, max((gap.need for gap in found.gaps), default=0))
    ordered = [Delta(gap.start, quantity, expected=True) for gap, quantity in zip(found.gaps, quantities, strict=True)]
    again = course(WINDOW, demand, existing, [*deltas, *ordered], spare)
    assert sum(recommended(again.gaps, requested + sum(quantities))) == 0
    if not built:
        assert again.gaps == ()


def test_back_to_back_demand_does_not_add_up() -> None:
    demand = [Piece(at(0), at(10), 3, "a"), Piece(at(10), at(20), 3, "b")]
    assert course(WINDOW, demand, 3, []).gaps == ()
    gaps = course(WINDOW, demand, 2, []).gaps
    assert [(gap.start, gap.end, gap.missing) for gap in gaps] == [(at(0), at(20), 1)]


def test_causes_come_by_urgency_and_each_once() -> None:
    demand = [Piece(at(0), at(9), 1, "ra_1", 2), Piece(at(1), at(9), 2, "ra_1", 2), Piece(at(0), at(9), 1, "demand_1", 0)]
    assert [(one.cause, one.quantity) for one in causes(demand, [at(5)])[at(5)]] == [("demand_1", 1), ("ra_1", 3)]


def test_a_unit_that_is_away_twice_at_once_is_missing_once() -> None:
    away = [("asset_1", at(0), at(20)), ("asset_1", at(10), at(30)), ("asset_1", at(25), None)]
    found = course(WINDOW, [Piece(at(0), at(60), 1, "a")], 1, absences(away))
    assert [(gap.start, gap.end, gap.missing) for gap in found.gaps] == [(at(0), at(60), 1)]


def test_requests_for_too_much_are_proposed_to_be_called_off_the_last_ones_first() -> None:
    found = surpluses([("build_3", 4), ("build_1", 5)], needed=3, requested=9)
    assert [(one.request, one.quantity, one.of) for one in found] == [("build_3", 4, 4), ("build_1", 2, 5)]
    assert surpluses([("build_3", 4)], needed=4, requested=4) == []


def test_what_has_been_reserved_is_taken_off_what_was_expected_once() -> None:
    assert remaining([("demand_1", 4), ("demand_2", 5)], 6) == {"demand_1": 0, "demand_2": 3}


# --- everything together ----------------------------------------------------------------------------------------------

HOURS = 4 * 60
"""Minutes of the window in which everything comes together."""

spans_of_hours = st.tuples(st.integers(-90, HOURS + 30), st.integers(1, 150)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@dataclass(frozen=True)
class Wanted:
    """So many units from minute to minute, at a place or anywhere, with a time before and after in which they are blocked, too."""

    span: tuple[int, int]
    quantity: int
    rank: int
    place: str | None
    before: int
    after: int

    @property
    def blocked(self) -> tuple[int, int]:
        return self.span[0] - self.before, self.span[1] + self.after

    def piece(self, cause: str) -> Piece:
        around = Turnaround(timedelta(minutes=self.before), timedelta(minutes=self.after)).around(Window(*map(at, self.span)))
        return Piece(around.start, around.end, self.quantity, cause, self.rank)

    def counts(self, minute: int, place: str | None) -> bool:
        return self.blocked[0] <= minute < self.blocked[1] and place in (None, self.place)


places = st.sampled_from([None, "A", "B"])
wishes = st.builds(Wanted, spans_of_hours, st.integers(1, 5), st.integers(0, 3), places, st.integers(0, 20), st.integers(0, 20))
builds = st.tuples(st.integers(-10, HOURS + 10), st.integers(1, 4), places)
stocks = st.fixed_dictionaries({"A": st.integers(0, 6), "B": st.integers(0, 6)})
closed = st.lists(st.tuples(st.sampled_from([("asset_1", "A"), ("asset_2", "B")]), spans_of_hours), max_size=4)


def told_of(gap: Gap, causing: list[Piece], found: Course, place: str | None, lead: int, now: int) -> dict[str, Any]:
    """The shortfall as it is shown, of an item type with a lead time of so many minutes, at this minute."""
    item_type = {"@id": "/itemType_1", "@type": "Product", "identifier": "itemType_1", "name": "Timer", "leadTime": f"PT{lead}M"}
    judged = Judged(item_type, place, 0, 0, found, [Recommended(gap, 0, causing)], [])
    occasion = Occasion(at(now), "dana", "order-77", "default", Naming("http://localhost", {"demand": "/demand"}), "", lambda: "evt_1")
    (shown,) = shortfalls(judged, occasion)
    return shown


@given(
    st.lists(wishes, max_size=12), st.lists(builds, max_size=3), stocks, closed, st.integers(0, 3), places,
    st.integers(0, HOURS), st.integers(-60, 60),
)  # fmt: skip
@settings(max_examples=50, deadline=None, derandomize=True)
def test_shortfalls_are_those_of_every_minute(
    wanted: list[Wanted], built: list, stock: dict[str, int], away: list, buffer: int, place: str | None, lead: int, now: int
) -> None:
    """With priorities, places, turnarounds, absences, builds, spare units in all places together, and the time that building takes."""
    spare, existing = (buffer, sum(stock.values())) if place is None else (0, stock[place])
    demand = [one.piece(f"demand_{number}") for number, one in enumerate(wanted, start=1) if place in (None, one.place)]
    deltas = [Delta(at(ready), quantity, expected=True) for ready, quantity, where in built if place in (None, where)]
    deltas += absences((unit, *map(at, span)) for (unit, where), span in away if place in (None, where))
    found = course(Window(at(0), at(HOURS)), demand, existing, deltas, spare)

    def missing(minute: int) -> int:
        gone = {unit for (unit, where), (start, end) in away if place in (None, where) and start <= minute < end}
        soon = sum(quantity for ready, quantity, where in built if place in (None, where) and ready <= minute)
        return sum(one.quantity for one in wanted if one.counts(minute, place)) + spare - (existing - len(gone) + soon)

    short = [missing(minute) for minute in range(HOURS)]
    runs = [list(several) for is_short, several in groupby(range(HOURS), key=lambda minute: short[minute] > 0) if is_short]
    assert [(gap.start, gap.end) for gap in found.gaps] == [(at(run[0]), at(run[-1] + 1)) for run in runs]
    for gap, run in zip(found.gaps, runs, strict=True):
        worst = max(run, key=lambda minute: short[minute])
        assert (gap.at, gap.demand + spare - gap.supply) == (at(worst), short[worst])
        causing = causes(demand, [gap.at])[gap.at]
        ranked = [(one.rank, f"demand_{number}", one.quantity) for number, one in enumerate(wanted, start=1) if one.counts(worst, place)]
        assert [(one.rank, one.cause, one.quantity) for one in causing] == sorted(ranked)
        shown = told_of(gap, causing, found, place, lead, now)
        assert (shown["neededBy"], shown["orderBy"]) == (written(at(run[0])), written(at(run[0] - lead)))
        assert (shown["isLate"], shown["shortfallQuantity"]) == (run[0] - lead < now, max(0, short[worst] - spare))
