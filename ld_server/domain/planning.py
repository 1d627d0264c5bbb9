"""
Where demand exceeds supply: exact step functions of both, in one pass over their changes (seed 5.5).

Windows are half-open. What is wanted at an instant is everything that begins at or before it and ends after it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import NamedTuple

from ld_server.domain.window import LATEST, Window


class Piece(NamedTuple):
    """So many units are wanted from `start` until `end` because of something with an identifier. `rank` 0 is the most urgent."""

    start: datetime
    end: datetime
    quantity: int
    cause: str
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """From this instant on there are so many more units, or fewer. `expected`: they have been asked for and are not there yet."""

    at: datetime
    change: int
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """
    A window in which there are fewer units than are wanted and to be kept spare, and how it is when it is worst: at `at`.

    `need` is how many units would have to be there besides those that exist, whatever has been asked for already.
    """

    start: datetime
    end: datetime
    at: datetime
    demand: int
    supply: int
    need: int

    @property
    def missing(self) -> int:
        """How many of the wanted units there are not; 0 where only the spare ones are touched."""
        return max(0, self.demand - self.supply)


@dataclass(frozen=True, slots=True)
class Course:
    """
    What becomes of an item type in a window: where it falls short, the most that is wanted, the least that is left of what exists and
    is expected (below 0 where it falls short), and `need`, as in Gap, at the worst instant of the whole window.
    """

    gaps: tuple[Gap, ...]
    peak: int
    least: int
    need: int


def course(window: Window, demand: Iterable[Piece], existing: int, deltas: Iterable[Delta], spare: int = 0) -> Course:
    """The course of an item type of which there are so many units in the beginning, with these changes of that."""
    gaps: list[Gap] = []
    peak, least, need = 0, existing, 0
    for start, end, wanted, there, expected in _steps(window, demand, existing, deltas):
        supply = there + expected
        peak, least, need = max(peak, wanted), min(least, supply - wanted), max(need, wanted + spare - there)
        if wanted + spare > supply:
            _extend(gaps, Gap(start, end, start, wanted, supply, wanted + spare - there))
    return Course(tuple(gaps), peak, least, need)


def _extend(gaps: list[Gap], step: Gap) -> None:
    """The step is a gap of its own, unless the last gap lasts until it begins."""
    if not gaps or gaps[-1].end != step.start:
        gaps.append(step)
        return
    last = gaps[-1]
    worse = step if step.demand - step.supply > last.demand - last.supply else last
    gaps[-1] = Gap(last.start, step.end, worse.at, worse.demand, worse.supply, max(last.need, step.need))


Step = tuple[datetime, datetime, int, int, int]
"""From when to when so many units are wanted, exist, and are expected besides."""


def _steps(window: Window, demand: Iterable[Piece], existing: int, deltas: Iterable[Delta]) -> Iterator[Step]:
    first, last = window.start, window.end
    more: dict[datetime, int] = defaultdict(int)
    for start, end, quantity, _, _ in demand:
        if start < last and end > first:
            more[start if start > first else first] += quantity
            more[end] -= quantity
    new: dict[datetime, int] = defaultdict(int, {first: existing})
    soon: dict[datetime, int] = defaultdict(int)
    for delta in deltas:
        (soon if delta.expected else new)[max(delta.at, first)] += delta.change
    wanted, there, expected = 0, 0, 0
    instants = sorted(at for at in {*more, *new, *soon} if at < last)
    for at, until in zip(instants, [*instants[1:], last], strict=True):
        wanted, there, expected = wanted + more.get(at, 0), there + new.get(at, 0), expected + soon.get(at, 0)
        yield at, until, wanted, there, expected


def recommended(gaps: Iterable[Gap], requested: int) -> list[int]:
    """For each gap how many units more should be built for it, where so many have been asked for and each is built once."""
    found, covered = [], requested
    for gap in gaps:
        found.append(max(0, gap.need - covered))
        covered += found[-1]
    return found


def causes(demand: Iterable[Piece], instants: Sequence[datetime]) -> dict[datetime, list[Piece]]:
    """Instant → what is wanted then, by cause, the most urgent first."""
    pieces = sorted(demand, key=attrgetter("start")) if instants else []
    found: dict[datetime, list[Piece]] = {}
    current: list[Piece] = []
    position = 0
    for at in sorted(set(instants)):
        while position < len(pieces) and pieces[position].start <= at:
            current.append(pieces[position])
            position += 1
        current = [one for one in current if one.end > at]
        found[at] = _by_cause(current)
    return found


def _by_cause(pieces: Iterable[Piece]) -> list[Piece]:
    """One piece for each cause, which may want units of several pools."""
    ordered = sorted(pieces, key=lambda one: (one.rank, one.cause))
    return [_together(list(several)) for _, several in groupby(ordered, key=lambda one: (one.rank, one.cause))]


def _together(pieces: Sequence[Piece]) -> Piece:
    first = pieces[0]
    ends = (min(one.start for one in pieces), max(one.end for one in pieces))
    return Piece(*ends, sum(one.quantity for one in pieces), first.cause, first.rank)


def absences(periods: Iterable[tuple[str, datetime, datetime | None]]) -> Iterator[Delta]:
    """What it means for the supply that each of these units cannot be had for a while; periods of one unit may overlap."""
    ordered = sorted(periods, key=itemgetter(0, 1))
    for _, several in groupby(ordered, key=itemgetter(0)):
        for start, end in _joined((begin, until or LATEST) for _, begin, until in several):
            yield Delta(start, -1)
            yield Delta(end, 1)


def _joined(periods: Iterable[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, datetime]]:
    """Periods, by their starts, without overlaps."""
    current: tuple[datetime, datetime] | None = None
    for start, end in periods:
        if current is not None and start <= current[1]:
            current = (current[0], max(current[1], end))
            continue
        if current is not None:
            yield current
        current = (start, end)
    if current is not None:
        yield current


@dataclass(frozen=True, slots=True)
class Surplus:
    """More units than are needed have been asked for by this request: so many, of all that it asks for."""

    request: str
    quantity: int
    of: int


def surpluses(requests: Sequence[tuple[str, int]], needed: int, requested: int) -> list[Surplus]:
    """Which of the requests that can still be called off ask for too much, the first one first, where `requested` are asked for in all."""
    found, excess = [], requested - max(0, needed)
    for request, quantity in requests:
        if excess > 0:
            found.append(Surplus(request, min(quantity, excess), quantity))
            excess -= quantity
    return found


def remaining(signals: Sequence[tuple[str, int]], reserved: int) -> Mapping[str, int]:
    """Signal → what is left of its quantity, where so much of the same demand has been reserved."""
    found = {}
    for signal, quantity in signals:
        found[signal] = max(0, quantity - reserved)
        reserved = max(0, reserved - quantity)
    return found
