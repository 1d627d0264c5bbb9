"""
What can be had, when: the one availability by which reads, approvals, kits, planning and the search for a free window go.

Units that are out of service are none: neither assets whose status is not `available` nor pools that are not active count at all, and
an asset that cannot be had in a part of a window does not count as free in it. Windows that are passed in are reservation windows
where that is said, else the wider ones in which units are blocked, turnaround included: see `blocked`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import groupby, pairwise
from operator import attrgetter

import orjson

from ld_server.domain import capacity, kits
from ld_server.domain.allocation import Supply
from ld_server.domain.capacity import Capacity, Rule, Stock
from ld_server.domain.commands import Document
from ld_server.domain.duration import seconds
from ld_server.domain.openings import (
    DAY,
    Calendars,
    Need,
    Outlook,
    Promise,
    Source,
    Span,
    Stretch,
    first_opening,
    highest,
    overlapping,
)
from ld_server.domain.places import Placed, gathered
from ld_server.domain.status import ItemKind
from ld_server.domain.window import Turnaround, Window, earlier, later
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.services.occasion import Occasion
from relational.allocations import AllocationRow, AssetUnit
from relational.capacity import AssetsState, Block, PoolState, Seen
from relational.unit_of_work import Ledger, Reading


@dataclass(frozen=True, slots=True)
class Circumstances:
    """
    What availability depends on besides what is asked for: the present, the place that units must be at (None: any), the rule for
    item types that have none of their own, and how far ahead is searched. `apart`: promises that do not count, which stand and are to be
    given back.
    """

    now: datetime
    location: str | None = None
    default_rule: Rule = Rule.OVERLAP
    horizon: timedelta = timedelta(days=366)
    apart: tuple[AllocationRow, ...] = ()


def circumstances(occasion: Occasion, location: str | None = None) -> Circumstances:
    """The circumstances of an occasion."""
    return Circumstances(occasion.now, location, Rule(occasion.capacity_rule), occasion.search_horizon)


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms an item type is lent: whether its units are told apart, what is kept free around a reservation, and its rule."""

    is_serialized: bool
    turnaround: Turnaround
    rule: Rule


def terms(uow: Reading, item_types: Iterable[str], default_rule: Rule = Rule.OVERLAP) -> dict[str, Terms]:
    """The terms of item types, all of which exist."""
    return {identifier: _terms(document, default_rule) for identifier, document in documents(uow, item_types).items()}


def documents(uow: Reading, identifiers: Iterable[str]) -> dict[str, Document]:
    """Those of these resources that exist."""
    return {identifier: orjson.loads(head.body) for identifier, head in uow.documents.heads(identifiers).items()}


def _terms(item_type: Document, default_rule: Rule) -> Terms:
    lengths = (timedelta(seconds=seconds(item_type.get(key, "PT0S"))) for key in ("turnaroundBefore", "turnaroundAfter"))
    rule = Rule(item_type.get("capacityRule", default_rule))
    return Terms(item_type["kind"] == ItemKind.SERIALIZED, Turnaround(*lengths), rule)


def blocked(uow: Reading, item_types: Iterable[str], window: Window) -> dict[str, Window]:
    """Item type → the window in which its units are blocked for a reservation of this window."""
    return around(terms(uow, item_types), window)


def around(known: Mapping[str, Terms], window: Window) -> dict[str, Window]:
    """The same, where the terms have been read already."""
    return {item_type: one.turnaround.around(window) for item_type, one in known.items()}


# --- kits -------------------------------------------------------------------------------------------------------------


def expanded(uow: Reading, items: Iterable[str]) -> dict[str, Mapping[str, int]]:
    """Item type or kit template → item type → how many of it belong to one, whatever kits are in the kit. All of them exist."""
    every = list(items)
    composition = _composition(_kit_templates(uow, every))
    return {item: kits.expanded(item, composition) for item in every}


def _kit_templates(uow: Reading, items: Iterable[str]) -> dict[str, Document]:
    """These kits and all kits inside them; one statement for each level of kits in kits."""
    found: dict[str, Document] = {}
    ahead = _kits(items)
    while ahead:
        level = documents(uow, ahead)
        found |= level
        ahead = _kits(part for parts in _composition(level).values() for part in parts) - found.keys()
    return found


def _composition(kit_templates: Mapping[str, Document]) -> kits.Composition:
    return {identifier: _parts(document) for identifier, document in kit_templates.items()}


def _kits(items: Iterable[str]) -> set[str]:
    return {item for item in items if item.startswith(f"{KIT_TEMPLATE.prefix}_")}


def _parts(kit: Document) -> dict[str, int]:
    return {one["itemType"]["identifier"]: one["quantityPerKit"] for one in kit["kitComponents"]}


@dataclass(frozen=True, slots=True)
class Composed:
    """A kit template with everything in it: all kit templates, itself the first, and the item types with how many belong to one kit."""

    kit_templates: Mapping[str, Document]
    parts: Mapping[str, int]


def composed(uow: Reading, kit: str) -> Composed | None:
    """What a kit is put together from, or None where there is no such kit."""
    found = _kit_templates(uow, [kit])
    return Composed(found, kits.expanded(kit, _composition(found))) if kit in found else None


# --- how many ---------------------------------------------------------------------------------------------------------


def capacities(uow: Reading, windows: Mapping[str, Window], given: Circumstances) -> dict[str, Capacity]:
    """Item type → its units, and what is left of them in its blocked window. One statement for each sort of units."""
    return _capacities(uow, windows, terms(uow, windows, given.default_rule), given)


def _capacities(uow: Reading, windows: Mapping[str, Window], known: Mapping[str, Terms], given: Circumstances) -> dict[str, Capacity]:
    if given.apart:
        return {item: _capacity_apart(uow, item, window, known[item], given) for item, window in windows.items()}
    told_apart, counted = _by_kind(windows, known)
    assets = uow.capacity.assets(told_apart, given.now, given.location) if told_apart else {}
    pools = uow.capacity.pools(counted, given.now, given.location) if counted else {}
    units = {item: capacity.of_units(state.total, state.busy, known[item].rule) for item, state in assets.items()}
    stock = {item: capacity.of_stocks(map(_stock, states), known[item].rule) for item, states in pools.items()}
    nothing = {item: capacity.of_stocks((), known[item].rule) for item in windows}
    return {**nothing, **units, **stock}


def _capacity_apart(uow: Reading, item: str, window: Window, known: Terms, given: Circumstances) -> Capacity:
    """The capacity of one item type, from everything that is in use in the window, without the promises that do not count."""
    if known.is_serialized:
        units = calendars(uow, item, window, given)
        return capacity.of_units(units.total, len(units.busy), known.rule)
    pools = uow.capacity.pools({item: window}, given.now, given.location)[item]
    return capacity.of_stocks((_stock_of(stretch(uow, pool.identifier, pool.total, window, given), window) for pool in pools), known.rule)


def _stock_of(pool: Stretch, window: Window) -> Stock:
    length = window.end - window.start
    return Stock(pool.total, *overlapping(pool, [window.start], length), *highest(pool, [window.start], length))


@dataclass(frozen=True, slots=True)
class Supplied:
    """An item type, and what a window leaves of it."""

    item_type: Document
    capacity: Capacity


def supplied(uow: Reading, item_types: Iterable[str], window: Window, given: Circumstances) -> dict[str, Supplied]:
    """Those of the item types that exist, each with what a reservation window leaves of it."""
    every = documents(uow, item_types)
    known = {item: _terms(document, given.default_rule) for item, document in every.items()}
    found = _capacities(uow, {item: one.turnaround.around(window) for item, one in known.items()}, known, given)
    return {item: Supplied(document, found[item]) for item, document in every.items()}


def supplied_at_once(ledger: Ledger, item_type: str, window: Window, given: Circumstances) -> Supplied | None:
    """
    One item type as `supplied` has it, without the price of a transaction; None where there is none.

    The terms are those that this process has seen last, and the one statement that is asked says which revision of the item type it sees.
    Where that is another one, or one statement cannot tell, everything is read in one snapshot.
    """
    head = ledger.recent_head(item_type)
    if head is None:
        return None
    document: Document = orjson.loads(head.body)
    known = _terms(document, given.default_rule)
    seen = ledger.at_once(lambda reading: _seen(reading, item_type, known.turnaround.around(window), known, given))
    if seen is not None and seen.revision == head.revision:
        return Supplied(document, _capacity(seen.states, known))
    ledger.forget(item_type)
    with ledger.glance() as reading:
        return supplied(reading, [item_type], window, given).get(item_type)


def _seen(
    reading: Reading, item_type: str, blocked_window: Window, known: Terms, given: Circumstances
) -> Seen[AssetsState] | Seen[PoolState] | None:
    ask = reading.capacity.assets_at_once if known.is_serialized else reading.capacity.pools_at_once
    return ask(item_type, blocked_window, given.now, given.location)


def _capacity(states: Sequence[AssetsState] | Sequence[PoolState], known: Terms) -> Capacity:
    units = [state for state in states if isinstance(state, AssetsState)]
    if units:
        return capacity.of_units(units[0].total, units[0].busy, known.rule)
    return capacity.of_stocks((_stock(state) for state in states if isinstance(state, PoolState)), known.rule)


def _by_kind(windows: Mapping[str, Window], known: Mapping[str, Terms]) -> tuple[dict[str, Window], dict[str, Window]]:
    """The windows of item types whose units are told apart, and of those that have pools."""
    told_apart = {item: window for item, window in windows.items() if known[item].is_serialized}
    return told_apart, {item: window for item, window in windows.items() if item not in told_apart}


def _stock(pool: PoolState) -> Stock:
    return Stock(pool.total, pool.reserved, pool.peak)


# --- which ------------------------------------------------------------------------------------------------------------

LOOKED_AT = 200
"""Free units that are looked at at least, where more than one is wanted and they had better be at one place."""


def free(uow: Reading, wanted: Mapping[str, int], windows: Mapping[str, Window], given: Circumstances) -> dict[str, list[Supply]]:
    """
    Item type → what can be had in its blocked window, in the order in which it should be used: at least as much as is wanted, if there
    is so much. Units are gathered at few places, and those come first that leave the smallest gaps in their calendars. Sure while the
    item types are held.
    """
    return dealt(uow, wanted, windows, terms(uow, wanted, given.default_rule), given)


def dealt(
    uow: Reading, wanted: Mapping[str, int], windows: Mapping[str, Window], known: Mapping[str, Terms], given: Circumstances
) -> dict[str, list[Supply]]:
    """What `free` gives, where the terms have been read already."""
    told_apart, counted = _by_kind({item: windows[item] for item in wanted}, known)
    pools = uow.capacity.pools(counted, given.now, given.location) if counted else {}
    limits = _limits(wanted, given)
    units = {item: _free_units(uow, item, window, limits[item], given) for item, window in told_apart.items()}
    stock = {item: list(_left(states, known[item].rule)) for item, states in pools.items()}
    found = {**{item: [] for item in wanted}, **units, **stock}
    return gathered(found, wanted)


def _limits(wanted: Mapping[str, int], given: Circumstances) -> dict[str, int]:
    """How many free units are looked at. There is nothing to choose between places where one is given, or a single unit is wanted."""
    is_simple = given.location is not None or sum(wanted.values()) == 1
    return {item: quantity if is_simple else max(LOOKED_AT, quantity) for item, quantity in wanted.items()}


def _free_units(uow: Reading, item_type: str, window: Window, limit: int, given: Circumstances) -> list[Placed]:
    units = uow.capacity.free_assets(item_type, window, given.now, limit, given.location)
    return [Placed(Supply(unit.identifier, unit.label, 1, unit.location), unit.location) for unit in units]


def _left(pools: Iterable[PoolState], rule: Rule) -> Iterator[Placed]:
    for pool in pools:
        left = _stock(pool).left(rule)
        if left:
            yield Placed(Supply(pool.identifier, pool.label, left, pool.location), pool.location)


def free_units(
    uow: Reading, item_type: Document, window: Window, given: Circumstances, offset: int, limit: int
) -> tuple[int, list[AssetUnit]]:
    """How many units of an item type are free in a reservation window, and some of them: the one that fits best is the first of all."""
    blocked_window = _terms(item_type, given.default_rule).turnaround.around(window)
    return uow.capacity.free_page(item_type["identifier"], blocked_window, given.now, offset, limit, given.location)


def blocks_of(uow: Reading, asset: Document, window: Window, given: Circumstances) -> list[Block]:
    """What keeps a unit from being had in a reservation window, in order; nothing is told of a unit that is out of service altogether."""
    item_type = asset["isVariantOf"]["identifier"]
    around = blocked(uow, [item_type], window)[item_type]
    return uow.capacity.blocks(item_type, around, given.now, asset=asset["identifier"])


# --- when -------------------------------------------------------------------------------------------------------------

LARGEST_CHUNK = 32
"""Days that are looked at exactly in one go at most; the first go looks at one, and each further one at twice as many as the one before."""
LARGEST_OUTLOOK = 128
"""The same for days that are looked at from a distance."""
FINER = (timedelta(hours=6), timedelta(hours=1))
"""The pieces into which a day is cut that may have a start, and these again."""


def first_window(uow: Reading, wanted: Mapping[str, int], duration: timedelta, after: datetime, given: Circumstances) -> Window | None:
    """
    The first window of this duration, from `after` on, in which so many of each item type or kit template can be had; None when none
    starts within the horizon.
    """
    needed = kits.summed(wanted, expanded(uow, wanted))
    search = _Search(uow, needed, duration, terms(uow, needed, given.default_rule), given)
    at_once = search.at(after)
    if any(at_once[item].total < quantity for item, quantity in needed.items()):
        return None
    if all(at_once[item].available >= quantity for item, quantity in needed.items()):
        return Window(after, later(after, duration))
    ahead = chunks(after, later(after, given.horizon), LARGEST_OUTLOOK)
    start = next((found for chunk in ahead if (found := search.within(chunk))), None)
    return None if start is None else Window(start, later(start, duration))


def chunks(since: datetime, until: datetime, largest: int = LARGEST_CHUNK) -> Iterator[Window]:
    """The time in growing pieces, cut at midnight."""
    days = 1
    while since < until:
        end = min(later(midnight(since), days * DAY), until)
        yield Window(since, end)
        since, days = end, min(2 * days, largest)


def midnight(moment: datetime) -> datetime:
    """The beginning of its day in UTC."""
    return datetime.combine(moment.date(), time(), moment.tzinfo)


@dataclass(frozen=True)
class _Search:
    """A search for the first start from which so much of each item type can be had for so long."""

    uow: Reading
    needed: Mapping[str, int]
    duration: timedelta
    known: Mapping[str, Terms]
    given: Circumstances

    def at(self, start: datetime) -> dict[str, Capacity]:
        """What the window from this start leaves."""
        window = Window(start, later(start, self.duration))
        return _capacities(self.uow, {item: self.known[item].turnaround.around(window) for item in self.needed}, self.known, self.given)

    def within(self, chunk: Window) -> datetime | None:
        """The first start in this time. Few numbers tell when there cannot be one; between that is looked exactly."""
        pools = self._pools(chunk)
        possible = [piece for day in days_of(chunk) for piece in self._possible(day, pools, FINER)]
        return next((found for starts in _joined(possible, self.duration) if (found := self._exactly(starts, pools))), None)

    def _exactly(self, starts: Window, pools: Mapping[str, Sequence["_Ahead"]]) -> datetime | None:
        needs = [self._need(item, starts, pools.get(item, ())) for item in self.needed]
        return first_opening(needs, starts.start, starts.end)

    def _pools(self, chunk: Window) -> dict[str, list["_Ahead"]]:
        """The pools of the item types that have some, with what lies ahead of them."""
        reach = {item: self._reach(item, chunk) for item in self.needed if not self.known[item].is_serialized}
        states = self.uow.capacity.pools(reach, self.given.now, self.given.location) if reach else {}
        return {item: [self._ahead(pool, reach[item]) for pool in pools] for item, pools in states.items()}

    def _ahead(self, pool: PoolState, reach: Window) -> "_Ahead":
        return _Ahead(pool.identifier, pool.total, self.uow.capacity.outlook(pool.identifier, reach.start, reach.end, self.given.now))

    def _possible(self, piece: Window, pools: Mapping[str, Sequence["_Ahead"]], finer: Sequence[timedelta]) -> Iterator[Window]:
        """Those pieces of this time, none longer than the finest, in which there could be a start as far as the pools are concerned."""
        if not all(self._left_at_most(item, piece, several) >= self.needed[item] for item, several in pools.items()):
            return
        if not (finer and pools):
            yield piece
            return
        for part in cut(piece, finer[0]):
            yield from self._possible(part, pools, finer[1:])

    def _left_at_most(self, item: str, piece: Window, pools: Sequence["_Ahead"]) -> int:
        lead, rule, length = self.known[item].turnaround.before, self.known[item].rule, self._length(item)
        first, last = earlier(piece.start, lead), earlier(piece.end, lead)
        used = (pool.outlook.least_used(first, last, length, rule) - _apart_in(pool.identifier, self.given) for pool in pools)
        return sum(max(0, pool.total - each) for pool, each in zip(pools, used, strict=True))

    def _need(self, item: str, starts: Window, pools: Sequence["_Ahead"]) -> Need:
        reach, known = self._reach(item, starts), self.known[item]
        sources: list[Source] = [stretch(self.uow, pool.identifier, pool.total, reach, self.given) for pool in pools]
        if known.is_serialized:
            sources = [calendars(self.uow, item, reach, self.given)]
        return Need(self.needed[item], known.turnaround.before, self._length(item), known.rule, sources)

    def _reach(self, item: str, starts: Window) -> Window:
        """Everything that blocked windows with these starts can meet."""
        turnaround = self.known[item].turnaround
        return turnaround.around(Window(starts.start, later(starts.end, self.duration)))

    def _length(self, item: str) -> timedelta:
        """Of the blocked windows."""
        turnaround = self.known[item].turnaround
        return self.duration + turnaround.before + turnaround.after


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A pool, and what lies ahead of it."""

    identifier: str
    total: int
    outlook: Outlook


def days_of(chunk: Window) -> list[Window]:
    """The days of this time, the first and the last perhaps not whole."""
    return cut(chunk, DAY)


def cut(span: Window, width: timedelta) -> list[Window]:
    """The time in pieces of this width, a part of a day, counted from midnight; the first and the last perhaps not whole."""
    cuts = [span.start]
    while cuts[-1] < span.end:
        whole = (cuts[-1] - midnight(cuts[-1])) // width + 1
        cuts.append(min(later(midnight(cuts[-1]), whole * width), span.end))
    return [Window(start, end) for start, end in pairwise(cuts)]


def _joined(pieces: Iterable[Window], gap: timedelta) -> Iterator[Window]:
    """The pieces, those together that lie no further apart than this, but no more than LARGEST_CHUNK days."""
    run: list[Window] = []
    for piece in pieces:
        if run and (piece.start - run[-1].end > gap or piece.end - run[0].start > LARGEST_CHUNK * DAY):
            yield Window(run[0].start, run[-1].end)
            run = []
        run.append(piece)
    if run:
        yield Window(run[0].start, run[-1].end)


def stretch(uow: Reading, pool: str, total: int, window: Window, given: Circumstances) -> Stretch:
    """A pool in the window."""
    level, changes = uow.capacity.pool_changes(pool, window, given.now)
    found = Stretch(total, level, changes)
    own = [Promise(row.blocked_from, row.blocked_to, row.quantity) for row in given.apart if row.stock_pool == pool]
    return found.without(own, window) if own else found


def _apart_in(pool: str, given: Circumstances) -> int:
    return sum(row.quantity for row in given.apart if row.stock_pool == pool)


def calendars(uow: Reading, item_type: str, window: Window, given: Circumstances) -> Calendars:
    """The units of an item type, and when in the window they are not free."""
    total = uow.capacity.assets({item_type: window}, given.now, given.location)[item_type].total
    apart = {(row.asset, row.blocked_from) for row in given.apart}
    blocks = [one for one in uow.capacity.blocks(item_type, window, given.now, given.location) if (one.asset, one.start) not in apart]
    return Calendars(total, [[Span(one.start, one.end) for one in several] for _, several in groupby(blocks, key=attrgetter("asset"))])
