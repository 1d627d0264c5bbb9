"""
Planning: where what is expected to be wanted exceeds what there will be, for every item type and place at once.

Wanted is what reservations hold, what approved ones still lack, what pending ones ask for (if they are to count), and what active demand
signals expect beyond the reservations that have come of them; each with the turnaround of the item type. There are the units in service,
without those that cannot be had for a while, and what has been asked to be built, from when it is needed; what is late is not counted on.

Where demand is bound to a place, that place is looked at on its own, besides all places together: there is enough for everybody
exactly when there is enough at each place and in all. Spare units (`bufferQuantity`) are kept in all.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from ld_server.domain import planning
from ld_server.domain.builds import OPEN, BuildStatus
from ld_server.domain.commands import Document
from ld_server.domain.duration import seconds
from ld_server.domain.planning import Course, Delta, Gap, Piece, Surplus
from ld_server.domain.status import ItemKind, Priority, Status
from ld_server.domain.window import Turnaround, Window, earlier, later
from ld_server.resources.demand_signal import DEMAND_SIGNAL
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import written
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import availability, references
from ld_server.services.occasion import Occasion
from relational.forecasts import Building, Promised, Signalled, Wished
from relational.unit_of_work import UnitOfWork

RANKS: Mapping[str, int] = {Priority.URGENT: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}
WORDS = {rank: str(priority) for priority, rank in RANKS.items()}

MOST_CAUSES = 100
"""Of one shortfall; the most urgent are told."""

Place = tuple[str, str | None]
"""An item type, and a location, or None for all locations together."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked at: a window, one item type or all, one location or all, and whether pending reservations count."""

    window: Window
    item_type: str | None = None
    location: str | None = None
    with_pending: bool = False


@dataclass(frozen=True, slots=True)
class Recommended:
    """A gap, how many units should be built for it, and what wants units when it is worst."""

    gap: Gap
    quantity: int
    causes: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found for an item type at a place. `existing`: the units at the beginning; `requested`: units in open build requests."""

    item_type: Document
    location: str | None
    existing: int
    requested: int
    course: Course
    shortfalls: Sequence[Recommended]
    surpluses: Sequence[Surplus]

    @property
    def spare(self) -> int:
        return _spare(self.item_type) if self.location is None else 0


@dataclass
class _Sums:
    """What is collected while everything is read once."""

    demand: dict[Place, list[Piece]] = field(default_factory=lambda: defaultdict(list))
    existing: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    deltas: dict[Place, list[Delta]] = field(default_factory=lambda: defaultdict(list))
    building: dict[Place, list[Building]] = field(default_factory=lambda: defaultdict(list))
    bound: set[Place] = field(default_factory=set)


def judged(uow: UnitOfWork, question: Question, now: datetime) -> list[Judged]:
    """Every item type and place in question at which something is wanted, built or to be kept spare; by item type, all places first."""
    sums = _collected(uow, question, now)
    places = _places(uow, sums, question)
    item_types = availability.documents(uow, {item for item, _ in places})
    found: list[Judged] = []
    for item, group in _grouped(place for place in places if item_types[place[0]]["kind"] != ItemKind.KIT):
        found.extend(_judge(item_types[item], group, sums, question.window))
    return found


def _grouped(places: Iterable[Place]) -> Iterator[tuple[str, list[str | None]]]:
    groups: dict[str, list[str | None]] = defaultdict(list)
    for item, location in places:
        groups[item].append(location)
    for item in sorted(groups, key=lambda one: int(one.rpartition("_")[2])):
        yield item, sorted(groups[item], key=lambda one: (one is not None, one or ""))


def _places(uow: UnitOfWork, sums: _Sums, question: Question) -> set[Place]:
    """All item types together and each with the places to which demand is bound, or the place in question alone."""
    items = {item for item, _ in (*sums.demand, *sums.building)} | {*uow.forecasts.spared()}
    items = {item for item in items if question.item_type in (None, item)}
    if question.location is not None:
        return {(item, question.location) for item in items}
    return {(item, None) for item in items} | {place for place in sums.bound if place[0] in items}


def _judge(item_type: Document, locations: Sequence[str | None], sums: _Sums, window: Window) -> list[Judged]:
    """One item type. What is recommended for a place is built for all places, too, and is not recommended again there."""
    found: dict[str | None, Judged] = {}
    for location in sorted(locations, key=lambda one: one is None):
        for_places = sum(one.quantity for other in found.values() for one in other.shortfalls)
        found[location] = _judge_place(item_type, location, sums, window, for_places)
    return [found[location] for location in locations]


def _judge_place(item_type: Document, location: str | None, sums: _Sums, window: Window, for_places: int) -> Judged:
    place = (item_type["identifier"], location)
    demand, existing, building = sums.demand[place], sums.existing[place], sums.building[place]
    spare = _spare(item_type) if location is None else 0
    course = planning.course(window, demand, existing, sums.deltas[place], spare)
    requested = sum(one.quantity for one in building)
    why = planning.causes(demand, [gap.at for gap in course.gaps])
    quantities = planning.recommended(course.gaps, requested + for_places)
    shortfalls = [Recommended(gap, quantity, why[gap.at]) for gap, quantity in zip(course.gaps, quantities, strict=True)]
    withdrawable = [(one.identifier, one.quantity) for one in building if _is_withdrawable(one)]
    excess = planning.surpluses(withdrawable, course.need, requested) if location is None else []
    return Judged(item_type, location, existing, requested, course, shortfalls, excess)


def _is_withdrawable(one: Building) -> bool:
    """Nobody has been asked yet, and it is for planning to say whether it is needed."""
    return one.status == BuildStatus.REQUESTED and one.reason in ("shortfall", "buffer")


def _spare(item_type: Document) -> int:
    return int(item_type.get("bufferQuantity", 0))


# --- what is read -----------------------------------------------------------------------------------------------------

COUNTED = (Status.APPROVED, Status.FULFILLED)
"""The states of reservations that stand in the place of the demand signals that they have come of."""


def _collected(uow: UnitOfWork, question: Question, now: datetime) -> _Sums:
    sums, items = _Sums(), None if question.item_type is None else [question.item_type]
    forecasts, window = uow.forecasts, question.window
    wide = Window(earlier(window.start, MOST_AROUND), later(window.end, MOST_AROUND))
    for promise in forecasts.promised(window, now, items):
        _add(sums, promise.item_type, promise.location, _of_promise(promise))
    _add_wishes(uow, sums, question, wide, now)
    for stock in forecasts.stocked(items):
        for place in _both(stock.item_type, stock.location):
            sums.existing[place] += stock.quantity
    _add_absences(uow, sums, window, items)
    for build in forecasts.building(OPEN, items):
        _add_build(sums, build, now)
    return sums


MOST_AROUND = timedelta(days=366)
"""Turnarounds of reservations and signals outside a window reach into it; longer ones than a year are not looked for."""


def _both(item_type: str, location: str | None) -> Sequence[Place]:
    everywhere = (item_type, None)
    return (everywhere,) if location is None else (everywhere, (item_type, location))


def _add(sums: _Sums, item_type: str, location: str | None, piece: Piece) -> None:
    for place in _both(item_type, location):
        sums.demand[place].append(piece)


def _of_promise(one: Promised) -> Piece:
    return Piece(one.start, one.end, int(one.quantity), one.rent_action, RANKS[one.priority])


def _add_absences(uow: UnitOfWork, sums: _Sums, window: Window, items: Sequence[str] | None) -> None:
    periods: dict[Place, list[tuple[str, datetime, datetime | None]]] = defaultdict(list)
    for one in uow.forecasts.absent(window, items):
        for place in _both(one.item_type, one.location):
            periods[place].append((one.asset, one.start, one.end))
    for place, several in periods.items():
        sums.deltas[place].extend(planning.absences(several))


def _add_build(sums: _Sums, build: Building, now: datetime) -> None:
    for place in _both(build.item_type, build.location):
        sums.building[place].append(build)
        if build.needed_by is not None and build.needed_by > now:
            sums.deltas[place].append(Delta(build.needed_by, build.quantity, expected=True))


def _add_wishes(uow: UnitOfWork, sums: _Sums, question: Question, wide: Window, now: datetime) -> None:
    """What has no units yet: lines that lack some, and signals. Kits are taken apart; each item type adds its turnaround."""
    pending = [Status.PENDING] if question.with_pending else []
    wishes = uow.forecasts.wished(wide, [Status.APPROVED, *pending])
    signals = uow.forecasts.signalled(wide)
    parts = availability.expanded(uow, {one.item for one in wishes} | {one.item for one in signals})
    turnarounds = _turnarounds(uow, {item for several in parts.values() for item in several})
    left = _left(uow, signals, parts, wide, [*COUNTED, *pending])
    for wish in wishes:
        for item, each in parts[wish.item].items():
            _wish(sums, question, turnarounds[item], item, wish.location, _of_wish(wish, each, now))
    for signal in signals:
        for item in parts[signal.item]:
            rank = RANKS[signal.priority]
            piece = Piece(signal.start, signal.end, left[item, signal.identifier], signal.identifier, rank)
            _wish(sums, question, turnarounds[item], item, signal.location, piece)


def _of_wish(wish: Wished, each: int, now: datetime) -> Piece:
    start = wish.start or now
    end = wish.end or later(start, timedelta(seconds=wish.seconds or 0))
    return Piece(start, end, wish.quantity * each, wish.rent_action, RANKS[wish.priority])


def _turnarounds(uow: UnitOfWork, items: Iterable[str]) -> dict[str, Turnaround]:
    return {item: one.turnaround for item, one in availability.terms(uow, items).items()}


def _wish(sums: _Sums, question: Question, turnaround: Turnaround, item: str, location: str | None, piece: Piece) -> None:
    if question.item_type not in (None, item) or piece.quantity == 0 or piece.end <= piece.start:
        return
    around = turnaround.around(Window(piece.start, piece.end))
    if not around.overlaps(question.window):
        return
    if location is not None:
        sums.bound.add((item, location))
    _add(sums, item, location, Piece(around.start, around.end, piece.quantity, piece.cause, piece.rank))


Parts = Mapping[str, Mapping[str, int]]


def _left(
    uow: UnitOfWork, signals: Sequence[Signalled], parts: Parts, wide: Window, statuses: Sequence[Status]
) -> dict[tuple[str, str], int]:
    """Item type and signal → what it expects of it beyond the reservations that have come of the same demand."""
    reserved = _reserved(uow, wide, statuses)
    by_demand: dict[tuple[str, str, str], list[tuple[str, int]]] = defaultdict(list)
    for one in signals:
        for item, each in parts[one.item].items():
            key = (one.source, one.source_ref or one.identifier, item)
            by_demand[key].append((one.identifier, one.quantity * each))
    found = {}
    for key, several in by_demand.items():
        for signal, quantity in planning.remaining(several, reserved.get(key, 0)).items():
            found[key[2], signal] = quantity
    return found


def _reserved(uow: UnitOfWork, wide: Window, statuses: Sequence[Status]) -> dict[tuple[str, str, str], int]:
    lines = uow.forecasts.reserved(wide, statuses)
    parts = availability.expanded(uow, {one.item for one in lines})
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for one in lines:
        for item, each in parts[one.item].items():
            found[one.source, one.source_ref, item] += one.quantity * each
    return found


# --- what is told -----------------------------------------------------------------------------------------------------


def shortfalls(one: Judged, occasion: Occasion) -> Iterator[Document]:
    """The shortfalls of an item type at a place, as they are shown."""
    lead = timedelta(seconds=seconds(one.item_type.get("leadTime", "PT0S")))
    for each in one.shortfalls:
        gap = each.gap
        order_by = earlier(gap.start, lead)
        yield {
            "@id": _name(one, gap, occasion),
            "@type": "Shortfall",
            "itemType": references.echo(one.item_type, ITEM_TYPE),
            **({"location": one.location} if one.location is not None else {}),
            "startTime": written(gap.start),
            "endTime": written(gap.end),
            "demand": gap.demand,
            "supply": gap.supply,
            "bufferQuantity": one.spare,
            "shortfallQuantity": gap.missing,
            "openBuildQuantity": one.requested,
            "recommendedBuildQuantity": each.quantity,
            "neededBy": written(gap.start),
            "orderBy": written(order_by),
            "isLate": order_by < occasion.now,
            "causes": [_cause(piece, occasion) for piece in each.causes[:MOST_CAUSES]],
        }


def _name(one: Judged, gap: Gap, occasion: Occasion) -> str:
    """What the shortfall is called: the same as long as it begins at the same time."""
    place = "" if one.location is None else f"-{quote(one.location, safe='')}"
    return f"{occasion.naming.base_iri}{SHORTFALLS}#{one.item_type['identifier']}{place}-{written(gap.start)}"


SHORTFALLS = "/v1/planning/shortfalls"


def _cause(piece: Piece, occasion: Occasion) -> Document:
    kind = DEMAND_SIGNAL if piece.cause.startswith(f"{DEMAND_SIGNAL.prefix}_") else RENT_ACTION
    reference = {"@id": occasion.naming.iri(piece.cause), "@type": kind.subject_type, "identifier": piece.cause}
    return {"@type": "ShortfallCause", kind.name: reference, "quantity": piece.quantity, "priority": WORDS[piece.rank]}
