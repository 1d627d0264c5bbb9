"""When there is room: what the sweeps find is what looking at every instant finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ld_server.domain import openings
from ld_server.domain.capacity import Rule
from ld_server.domain.openings import Calendars, Need, Outlook, Source, Span, Stretch
from ld_server.domain.window import LATEST, Window

MONDAY = datetime(2027, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LAST = 40
"""Hours from MONDAY: nothing ends later, unless it lasts."""


def at(hour: float) -> datetime:
    return MONDAY + hour * HOUR


@dataclass(frozen=True)
class Change:
    at: datetime
    started: int
    ended: int


@dataclass(frozen=True)
class Promise:
    start: int
    end: int
    quantity: int = 1

    def meets(self, start: float, end: float) -> bool:
        return self.start < end and start < self.end


def stretch(total: int, promises: Sequence[Promise], since: int = 0) -> Stretch:
    """A pool with these promises, told from `since` on."""
    level = sum(one.quantity for one in promises if one.start <= since < one.end)
    instants = sorted({instant for one in promises for instant in (one.start, one.end) if instant > since})
    changes = [
        Change(
            at(instant),
            sum(one.quantity for one in promises if one.start == instant),
            sum(one.quantity for one in promises if one.end == instant),
        )
        for instant in instants
    ]
    return Stretch(total, level, changes)


def reserved(promises: Sequence[Promise], start: float, end: float) -> int:
    return sum(one.quantity for one in promises if one.meets(start, end))


def peak(promises: Sequence[Promise], start: float, end: float) -> int:
    instants = [start, *(one.start for one in promises if start < one.start < end)]
    return max(sum(one.quantity for one in promises if one.start <= instant < one.end) for instant in instants)


def calendars(units: Sequence[Sequence[Promise]]) -> Calendars:
    busy = [[Span(at(one.start), at(one.end)) for one in sorted(unit, key=lambda one: one.start)] for unit in units]
    return Calendars(len(units), [spans for spans in busy if spans])


hours = st.integers(0, LAST)
promise = st.builds(lambda start, length, quantity: Promise(start, start + length, quantity), hours, st.integers(1, 15), st.integers(1, 4))
promises = st.lists(promise, max_size=12)
lengths = st.integers(1, 12)
half_hours = st.lists(st.integers(0, 2 * LAST).map(lambda half: half / 2), min_size=1, max_size=30, unique=True).map(sorted)


@given(promises, half_hours, lengths)
def test_what_overlaps_a_sliding_window(made: list[Promise], starts: list[float], length: int) -> None:
    found = openings.overlapping(stretch(0, made), [at(start) for start in starts], length * HOUR)
    assert found == [reserved(made, start, start + length) for start in starts]


@given(promises, half_hours, lengths)
def test_the_most_that_is_out_at_once_in_a_sliding_window(made: list[Promise], starts: list[float], length: int) -> None:
    found = openings.highest(stretch(0, made), [at(start) for start in starts], length * HOUR)
    assert found == [peak(made, start, start + length) for start in starts]


@given(st.lists(promises, max_size=4), half_hours, lengths)
def test_units_that_nothing_meets_in_a_sliding_window(units: list[list[Promise]], starts: list[float], length: int) -> None:
    found = calendars(units).left([at(start) for start in starts], length * HOUR, Rule.OVERLAP)
    assert found == [sum(not reserved(unit, start, start + length) for unit in units) for start in starts]


# --- the first opening ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """An item type: pools with what they have and promise, units with what they are promised for, its rule and turnarounds."""

    pools: tuple[tuple[int, list[Promise]], ...]
    units: tuple[list[Promise], ...]
    rule: Rule
    before: int
    after: int
    quantity: int

    def need(self, duration: int) -> Need:
        sources: list[Source] = [stretch(total, made, -self.before) for total, made in self.pools]
        length = (self.before + duration + self.after) * HOUR
        return Need(self.quantity, self.before * HOUR, length, self.rule, [*sources, calendars(self.units)])

    def fits(self, start: float, duration: int) -> bool:
        first, last = start - self.before, start + duration + self.after
        used = reserved if self.rule == Rule.OVERLAP else peak
        stock = sum(max(0, total - used(made, first, last)) for total, made in self.pools)
        return stock + sum(not reserved(unit, first, last) for unit in self.units) >= self.quantity


items = st.builds(
    Item,
    st.lists(st.tuples(st.integers(1, 8), promises), max_size=2).map(tuple),
    st.lists(promises, max_size=3).map(tuple),
    st.sampled_from(Rule),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(1, 9),
)


@given(st.lists(items, min_size=1, max_size=3), lengths)
def test_the_first_opening_is_the_first(wanted: list[Item], duration: int) -> None:
    found = openings.first_opening([one.need(duration) for one in wanted], at(0), at(80))
    possible = (half / 2 for half in range(160) if all(one.fits(half / 2, duration) for one in wanted))
    first = next(possible, None)
    assert found == (None if first is None else at(first))


def test_a_gap_that_fits_to_the_minute_is_found() -> None:
    made = [Promise(0, 4), Promise(6, 40)]
    need = Need(1, timedelta(), 2 * HOUR, Rule.OVERLAP, [calendars([made])])
    assert openings.first_opening([need], at(0), at(80)) == at(4)


def test_what_lasts_leaves_no_opening() -> None:
    need = Need(1, timedelta(), HOUR, Rule.OVERLAP, [Calendars(1, [[Span(at(3), None)]])])
    assert openings.first_opening([need], at(3), at(80)) is None
    assert openings.first_opening([need], at(0), at(80)) == at(0)


def test_nothing_is_enough_where_there_is_nothing() -> None:
    assert openings.first_opening([Need(1, timedelta(), HOUR, Rule.PEAK, [])], at(0), at(80)) is None


def test_the_end_of_the_calendar_is_no_obstacle() -> None:
    need = Need(1, timedelta(), timedelta(days=400), Rule.PEAK, [Stretch(1, 0, [])])
    assert openings.first_opening([need], LATEST - HOUR, LATEST) == LATEST - HOUR


@given(promises, promises, st.integers(0, 30))
def test_a_pool_without_some_promises_is_one_that_never_made_them(made: list[Promise], others: list[Promise], since: int) -> None:
    window = Window(at(since), at(50))
    apart = [openings.Promise(at(one.start), at(one.end), one.quantity) for one in others]
    found, wanted = stretch(99, [*made, *others], since).without(apart, window), stretch(99, made, since)
    starts = [at(since + hour) for hour in range(15)]
    for rule in Rule:
        assert found.left(starts, HOUR, rule) == wanted.left(starts, HOUR, rule)


# --- step functions ---------------------------------------------------------------------------------------------------


def value_at(steps: openings.Steps[int], instant: datetime) -> int:
    return [value for start, value in steps if start <= instant][-1]


STEPS: dict[str, Callable[[list[Promise]], openings.Steps[int]]] = {
    "pool": lambda made: openings.level_steps(Window(at(0), at(50)), stretch(0, made)),
    "units": lambda made: openings.busy_steps(Window(at(0), at(50)), calendars([made])),
}


@given(promises)
def test_the_steps_of_a_pool_are_its_levels(made: list[Promise]) -> None:
    steps = STEPS["pool"](made)
    assert [value_at(steps, at(half / 2)) for half in range(100)] == [reserved(made, half / 2, half / 2 + 0.1) for half in range(100)]


@given(promises)
def test_a_unit_is_busy_once_however_often_it_is_blocked(made: list[Promise]) -> None:
    steps = STEPS["units"](made)
    assert [value_at(steps, at(half / 2)) for half in range(100)] == [
        min(1, reserved(made, half / 2, half / 2 + 0.1)) for half in range(100)
    ]


def test_steps_are_cut_to_the_window() -> None:
    units = Calendars(3, [[Span(at(-5), at(2))], [Span(at(1), None)], [Span(at(20), at(30))]])
    assert openings.busy_steps(Window(at(0), at(10)), units) == [(at(0), 1), (at(1), 2), (at(2), 1)]


def test_several_functions_go_together() -> None:
    functions = {"a": [(at(0), 1), (at(3), 2)], "b": [(at(0), 5), (at(3), 6), (at(4), 7)]}
    assert list(openings.together(functions)) == [(at(0), {"a": 1, "b": 5}), (at(3), {"a": 2, "b": 6}), (at(4), {"a": 2, "b": 7})]


def test_steps_that_change_nothing_are_left_out() -> None:
    steps = list(openings.without_repeats([(at(0), 1), (at(1), 1), (at(2), 3), (at(3), 1)]))
    assert list(openings.steps_between(steps, at(9))) == [(at(0), at(2), 1), (at(2), at(3), 3), (at(3), at(9), 1)]


# --- at a distance ----------------------------------------------------------------------------------------------------


def outlook(made: Sequence[Promise], width: int, count: int) -> Outlook:
    buckets = [range(number * width, number * width + width) for number in range(count)]
    levels = [[reserved(made, hour, hour + 0.1) for hour in hours] for hours in buckets]
    started = (sum(one.quantity for one in made if one.start in hours) for hours in buckets)
    edges = ([of[0] for of in levels], [max(of) for of in levels], [min(of) for of in levels])
    return Outlook(at(0), width * HOUR, *edges, list(accumulate(started, initial=0)))


long_promise = st.builds(
    lambda start, length, quantity: Promise(start, start + length, quantity),
    st.one_of(st.integers(0, 120), st.sampled_from((24, 48, 72))),
    st.one_of(st.integers(1, 60), st.sampled_from((24, 48))),
    st.integers(1, 4),
)


@given(st.lists(long_promise, max_size=10), st.integers(0, 60), st.integers(1, 24), st.integers(1, 70), st.sampled_from((1, 6, 24)))
def test_no_start_uses_less_than_the_outlook_says(made: list[Promise], first: int, width: int, length: int, bucket: int) -> None:
    seen = outlook(made, bucket, 168 // bucket)
    for rule, used in ((Rule.OVERLAP, reserved), (Rule.PEAK, peak)):
        least = seen.least_used(at(first), at(first + width), length * HOUR, rule)
        assert least <= min(used(made, first + half / 2, first + half / 2 + length) for half in range(2 * width))


def test_the_outlook_says_as_much_as_it_can() -> None:
    """Starts on the first day, three days long: the two days between are in every such window, and the first day's low is not all."""
    made = [Promise(20, 30, 2), Promise(24, 72, 3), Promise(26, 27, 5)]
    least = {rule: outlook(made, 24, 5).least_used(at(0), at(24), 72 * HOUR, rule) for rule in Rule}
    assert least == {Rule.OVERLAP: 8, Rule.PEAK: 10}


def test_what_is_there_at_the_start_and_what_begins_later_add_up() -> None:
    made = [Promise(0, 100, 4), Promise(30, 31, 2), Promise(50, 51, 3)]
    assert outlook(made, 24, 5).least_used(at(0), at(24), 72 * HOUR, Rule.OVERLAP) == 9


@pytest.mark.parametrize("rule", Rule)
def test_a_pool_that_promised_more_than_it_has_leaves_nothing(rule: Rule) -> None:
    assert stretch(2, [Promise(0, 5, 7)]).left([at(0), at(5)], HOUR, rule) == [0, 2]
