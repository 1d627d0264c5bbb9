"""
When there is room: how many units are in use while time goes by, and the first start from which a window of some length fits.

Starts rise. What is in use from `a` to `b` meets a window [start, start + length) when start lies between `a - length` and `b`, both
excluded. So room appears where something ends, and nowhere else: those are the only starts worth trying besides the earliest one.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import Protocol, TypeVar

from ld_server.domain.capacity import Rule
from ld_server.domain.window import Window, earlier, later


class Change(Protocol):
    """How many units begin to be in use at an instant, and how many cease."""

    @property
    def at(self) -> datetime: ...
    @property
    def started(self) -> int: ...
    @property
    def ended(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which one unit is not to be had; without an end it lasts."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Promise:
    """So many units that are in use from `start` to `end`."""

    start: datetime
    end: datetime
    quantity: int


@dataclass(frozen=True, slots=True)
class Step:
    """How many units begin to be in use at an instant, and how many cease."""

    at: datetime
    started: int
    ended: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A pool over a time: what it has, how much is in use as the time begins, and what changes later in it, in order."""

    total: int
    level: int
    changes: Sequence[Change]

    def left(self, starts: Sequence[datetime], length: timedelta, rule: Rule) -> list[int]:
        """For each start what the window from there leaves."""
        used = highest(self, starts, length) if rule == Rule.PEAK else overlapping(self, starts, length)
        return [max(0, self.total - each) for each in used]

    @property
    def ends(self) -> Iterator[datetime]:
        return (change.at for change in self.changes if change.ended)

    def without(self, promises: Sequence[Promise], window: Window) -> "Stretch":
        """The same pool over the same time, which is the window, without these promises, which are among what is in use."""
        level = self.level - sum(one.quantity for one in promises if one.start <= window.start < one.end)
        started, ended = Counter[datetime](), Counter[datetime]()
        for one in promises:
            started[one.start] += one.quantity
            ended[one.end] += one.quantity
        changes = [Step(one.at, one.started - started[one.at], one.ended - ended[one.at]) for one in self.changes]
        return Stretch(self.total, level, changes)


@dataclass(frozen=True, slots=True)
class Calendars:
    """Units that are told apart over a time: how many there are, and when those that are not always free are not."""

    total: int
    busy: Sequence[Sequence[Span]]

    def left(self, starts: Sequence[datetime], length: timedelta, _rule: Rule) -> list[int]:
        """For each start how many units nothing meets in the window from there."""
        steps = [0] * (len(starts) + 1)
        for spans in self.busy:
            for first, last in _met(spans, starts, length):
                steps[first] += 1
                steps[last] -= 1
        return [self.total - busy for busy in accumulate(steps[:-1])]

    @property
    def ends(self) -> Iterator[datetime]:
        return (span.end for spans in self.busy for span in spans if span.end is not None)


Source = Stretch | Calendars
"""Where units come from."""


@dataclass(frozen=True, slots=True)
class Need:
    """How many units of an item type are needed for how long, where they come from, and how long before the start they are needed."""

    quantity: int
    lead: timedelta
    length: timedelta
    rule: Rule
    sources: Sequence[Source]

    def starts(self, candidates: Iterable[datetime]) -> list[datetime]:
        return [earlier(one, self.lead) for one in candidates]

    def fits(self, candidates: Sequence[datetime]) -> list[bool]:
        """For each candidate whether the units are there."""
        starts = self.starts(candidates)
        left = [source.left(starts, self.length, self.rule) for source in self.sources]
        return [sum(column) >= self.quantity for column in zip(*left, strict=True)] if left else [self.quantity <= 0] * len(starts)


def first_opening(needs: Sequence[Need], since: datetime, until: datetime) -> datetime | None:
    """The first instant from `since` on, and before `until`, at which every need is met. The sources must tell of all that time."""
    ends = {later(end, need.lead) for need in needs for source in need.sources for end in source.ends}
    candidates = [since, *sorted(end for end in ends if since < end < until)]
    fits = [need.fits(candidates) for need in needs]
    return next((candidate for candidate, *each in zip(candidates, *fits, strict=True) if all(each)), None)


# --- what is in use ---------------------------------------------------------------------------------------------------


def overlapping(pool: Stretch, starts: Sequence[datetime], length: timedelta) -> list[int]:
    """For each start what is in use anywhere in the window from there, whether at once or not (seed 4.2.2)."""
    steps = [0] * (len(starts) + 1)
    for change in pool.changes:
        steps[bisect_right(starts, earlier(change.at, length))] += change.started
        steps[bisect_left(starts, change.at)] -= change.ended
    return [pool.level + used for used in accumulate(steps[:-1])]


def highest(pool: Stretch, starts: Sequence[datetime], length: timedelta) -> list[int]:
    """For each start the most that is in use at one instant of the window from there. Each level is looked at once."""
    instants = [change.at for change in pool.changes]
    levels = list(accumulate((change.started - change.ended for change in pool.changes), initial=pool.level))
    falling: deque[int] = deque()
    seen, found = 0, []
    for start in starts:
        first, last = bisect_right(instants, start), bisect_left(instants, later(start, length))
        for position in range(seen, last + 1):
            while falling and levels[falling[-1]] <= levels[position]:
                falling.pop()
            falling.append(position)
        seen = max(seen, last + 1)
        while falling[0] < first:
            falling.popleft()
        found.append(levels[falling[0]])
    return found


def _met(spans: Sequence[Span], starts: Sequence[datetime], length: timedelta) -> Iterator[tuple[int, int]]:
    """From which start to which the window meets one of the spans of a unit; none of them twice. The spans come by their starts."""
    reached = 0
    for span in spans:
        first = max(reached, bisect_right(starts, earlier(span.start, length)))
        last = bisect_left(starts, span.end) if span.end is not None else len(starts)
        if last > first:
            yield first, last
            reached = last


# --- step functions ---------------------------------------------------------------------------------------------------

Key = TypeVar("Key")
Value = TypeVar("Value")

Steps = Sequence[tuple[datetime, Value]]
"""From which instant on which value; the first instant is the beginning of the time in question."""


def level_steps(window: Window, pool: Stretch) -> Steps[int]:
    """How much of a pool is in use."""
    found = [(window.start, pool.level)]
    for change in pool.changes:
        found.append((change.at, found[-1][1] + change.started - change.ended))
    return found


def busy_steps(window: Window, units: Calendars) -> Steps[int]:
    """How many units are not to be had."""
    changes: dict[datetime, int] = {window.start: 0}
    for start, end in (run for spans in units.busy for run in _runs(spans)):
        if (end is None or end > window.start) and start < window.end:
            at = max(start, window.start)
            changes[at] = changes.get(at, 0) + 1
            if end is not None and end < window.end:
                changes[end] = changes.get(end, 0) - 1
    instants = sorted(changes)
    return list(zip(instants, accumulate(changes[at] for at in instants), strict=True))


def _runs(spans: Sequence[Span]) -> Iterator[tuple[datetime, datetime | None]]:
    """Spans of one unit, by their starts, without those inside others, and joined where they touch."""
    start, end = None, None
    for span in spans:
        if start is None:
            start, end = span.start, span.end
        elif end is None or span.start <= end:
            end = None if end is None or span.end is None else max(end, span.end)
        else:
            yield start, end
            start, end = span.start, span.end
    if start is not None:
        yield start, end


def together(functions: Mapping[Key, Steps[Value]]) -> Iterator[tuple[datetime, dict[Key, Value]]]:
    """From which instant on which value of each function. They begin at the same instant."""
    changes = sorted(((at, key, value) for key, steps in functions.items() for at, value in steps), key=itemgetter(0))
    now: dict[Key, Value] = {}
    for at, several in groupby(changes, key=itemgetter(0)):
        now |= {key: value for _, key, value in several}
        yield at, dict(now)


def without_repeats(steps: Iterable[tuple[datetime, Value]]) -> Iterator[tuple[datetime, Value]]:
    """The same function without steps that change nothing."""
    for _, several in groupby(steps, key=itemgetter(1)):
        yield next(several)


def steps_between(steps: Steps[Value], end: datetime) -> Iterator[tuple[datetime, datetime, Value]]:
    """From when to when which value; the last holds until `end`."""
    following = [*(at for at, _ in steps[1:]), end]
    return ((at, until, value) for (at, value), until in zip(steps, following, strict=True))


def most_between(steps: Steps[int], cuts: Sequence[datetime]) -> Iterator[int]:
    """The largest value from each cut up to the next; the first cut is not before the first step."""
    instants, values = [at for at, _ in steps], [value for _, value in steps]
    for start, end in pairwise(cuts):
        yield max(values[bisect_right(instants, start) - 1 : bisect_left(instants, end)])


# --- at a distance ----------------------------------------------------------------------------------------------------

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """
    A pool over a time, in buckets of one `width` from `start` on. For each bucket: what is in use at its first instant (`levels`), at most
    (`peaks`) and at least (`lows`), and how many units had begun to be in use before it (`begun`, which goes one further), all counted
    from the first bucket on.
    """

    start: datetime
    width: timedelta
    levels: Sequence[int]
    peaks: Sequence[int]
    lows: Sequence[int]
    begun: Sequence[int]

    def least_used(self, first: datetime, last: datetime, length: timedelta, rule: Rule) -> int:
        """
        At least so many units are in use in a window of this length, wherever from `first` on and before `last` it starts.

        The outlook must reach from `first` to the end of every such window. What all of them have in common are the whole buckets from
        `last` to the first end; and each of them begins in one of the buckets of the starts.
        """
        at_first = min(self.lows[self._holding(first) : self._from(last)])
        low, high = self._from(last), self._holding(later(first, length))
        if low >= high:
            return at_first
        if rule == Rule.PEAK:
            return max(at_first, max(self.peaks[low:high]))
        begun, begun_with = self.begun[high] - self.begun[low], self.begun[low + 1] - self.begun[low]
        return begun + max(at_first, self.levels[low] - begun_with)

    def _holding(self, at: datetime) -> int:
        """The bucket that holds an instant."""
        return (at - self.start) // self.width

    def _from(self, at: datetime) -> int:
        """The first bucket that begins then or later."""
        return -((self.start - at) // self.width)
