"""Windows are half-open, and a turnaround never runs off the calendar."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ld_server.domain.errors import InvalidParameter
from ld_server.domain.window import EARLIEST, LATEST, Turnaround, Window

MONDAY = datetime(2027, 3, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)

instants = st.datetimes(timezones=st.just(UTC))
windows = st.lists(instants, min_size=2, max_size=2, unique=True).map(lambda pair: Window(*sorted(pair)))
lengths = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=5_000_000))


def hours(start: int, end: int) -> Window:
    return Window(MONDAY + start * HOUR, MONDAY + end * HOUR)


OVERLAPS = {
    "the same window": (hours(0, 2), hours(0, 2), True),
    "one inside the other": (hours(0, 9), hours(3, 4), True),
    "a shared hour": (hours(0, 2), hours(1, 3), True),
    "back to back": (hours(0, 2), hours(2, 4), False),
    "far apart": (hours(0, 1), hours(7, 8), False),
}


@pytest.mark.parametrize(("one", "other", "expected"), OVERLAPS.values(), ids=OVERLAPS)
def test_windows_overlap_when_they_share_an_instant(one: Window, other: Window, expected: bool) -> None:
    assert one.overlaps(other) is expected
    assert other.overlaps(one) is expected


REFUSED = {
    "no zone at the start": (MONDAY.replace(tzinfo=None), MONDAY, "startTime"),
    "no zone at the end": (MONDAY, MONDAY.replace(tzinfo=None), "endTime"),
    "empty": (MONDAY, MONDAY, "endTime"),
    "backwards": (MONDAY, MONDAY - HOUR, "endTime"),
    "backwards only when zones are seen": (MONDAY, MONDAY.replace(tzinfo=timezone(HOUR)), "endTime"),
}


@pytest.mark.parametrize(("start", "end", "field"), REFUSED.values(), ids=REFUSED)
def test_a_window_refuses_to_exist_wrongly(start: datetime, end: datetime, field: str) -> None:
    with pytest.raises(InvalidParameter, match=field) as refused:
        Window(start, end)
    assert refused.value.members == {"parameter": field}


def test_a_turnaround_widens_the_window_on_both_sides() -> None:
    assert Turnaround(before=HOUR, after=2 * HOUR).around(hours(0, 1)) == hours(-1, 3)


def test_a_turnaround_of_nothing_changes_nothing() -> None:
    assert Turnaround().around(hours(0, 1)) == hours(0, 1)


@given(windows, lengths, lengths)
def test_a_turnaround_stops_at_the_ends_of_the_calendar(window: Window, before: timedelta, after: timedelta) -> None:
    blocked = Turnaround(before, after).around(window)
    assert EARLIEST <= blocked.start <= window.start
    assert window.end <= blocked.end <= LATEST


@pytest.mark.parametrize("lengths", [(-HOUR, HOUR), (HOUR, -HOUR)])
def test_a_negative_turnaround_is_refused(lengths: tuple[timedelta, timedelta]) -> None:
    with pytest.raises(InvalidParameter, match="must not be negative"):
        Turnaround(*lengths)
