"""
What can be promised, and what is in the way: units that are told apart one by one, quantities in stock pools.

Windows are half-open, [start, end), and are those in which units would be blocked. An allocation blocks from `blocked_from` to
`blocked_to`; when its units are out past `allocated_to`, it blocks until they are back, and nobody knows when that is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Executable, bindparam, text

from ld_server.domain.openings import Outlook
from ld_server.domain.window import EARLIEST, LATEST, Window
from relational import tables
from relational.allocations import AssetUnit
from relational.buckets import DAY, HOUR, Layout, bucket_of, first_of, last_of
from relational.counters import COUNTED, LAYOUT, WORDS
from relational.given import Given
from relational.index import number_of
from relational.wire import Row, Statement, Wire


@dataclass(frozen=True, slots=True)
class AssetsState:
    """How many units could be reserved at all, and how many of them are blocked somewhere in the window."""

    total: int
    busy: int


@dataclass(frozen=True, slots=True)
class PoolState:
    """
    A stock pool in a window. `label` is what people call it: its name, else its location, else its identifier.

    Of its units (`total`), `reserved` are promised to whatever overlaps the window, and `peak` at most at one instant of it.
    """

    identifier: str
    number: int
    location: str | None
    label: str
    total: int
    reserved: int
    peak: int


_BY_NUMBER = attrgetter("number")

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Seen(Generic[State]):
    """What was seen of an item type, and the revision that it had at that moment."""

    revision: int
    states: Sequence[State]


@dataclass(frozen=True, slots=True)
class Block:
    """What keeps a unit busy: a reservation, or (with `rent_action` None) that it cannot be had. `end` None: until further notice."""

    asset: str
    start: datetime
    end: datetime | None
    rent_action: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Day:
    """The promised units of a pool on a day in UTC: at first, at most, at least; how many begin and end to be promised in it."""

    start: datetime
    level: int
    peak: int
    low: int
    started: int
    ended: int


@dataclass(frozen=True, slots=True)
class Change:
    """So many units more, or fewer, are promised from an instant on: those that begin to be promised there, without those that end."""

    at: datetime
    change: int
    started: int = 0
    ended: int = 0


_DAY = timedelta(days=1)
EVERY = 2**31 - 1
"""More units than there are."""
LEAST_COMPARED = 200
"""So many free units at least, by number, are compared when the one that fits best is wanted."""

_ASKED = Given("asked", {"question": "whole", "about": "text", "starts": "instant", "ends": "instant"})
_ONE_ASKED = replace(_ASKED, has_one_row=True)
_STRETCHES = Given("stretches", {"question": "whole", "span": "whole", "first": "whole", "last": "whole", "inside": "truth"})
_EDGES = Given("edges", {"question": "whole", "first": "instant", "last": "instant", "inside": "truth"})
_CHOSEN = Given("chosen", {"number": "whole"})

_OVERDUE = "(b.status = 'in_use' AND b.allocated_to <= :now)"
"""Whether the units of the allocation `b` are out past the end of their time."""

_UNTIL = f"CASE WHEN {_OVERDUE} THEN :latest ELSE b.blocked_to END"
"""When an allocation ends to block: never, as far as anybody knows, when its units are out past their time."""

_UNAVAILABLE = """EXISTS (
    SELECT 1 FROM unavailabilities AS u
    WHERE u.asset_number = a.number AND u.unavailable_from < asked.ends AND (u.unavailable_to IS NULL OR u.unavailable_to > asked.starts)
)"""

_LATE = f"""late AS (
    SELECT b.asset_number FROM asked CROSS JOIN allocations AS b
    WHERE b.item_type = asked.about AND {_OVERDUE} AND b.asset_number IS NOT NULL AND b.blocked_from < asked.ends
)"""  # noqa: S608 (constants put together; values are parameters)
"""The units that are out past the end of their time, and so blocked in the windows that are asked about: they are few."""

_BUSY = f"""(
    coalesce(asked.starts < (
        SELECT b.blocked_to FROM allocations AS b
        WHERE b.asset_number = a.number AND {COUNTED} AND b.blocked_from < asked.ends
        ORDER BY b.blocked_from DESC LIMIT 1
    ), false)
    OR a.number IN (SELECT asset_number FROM late)
    OR {_UNAVAILABLE}
)"""  # noqa: S608 (constants put together; values are parameters)
"""
Whether something blocks the asset `a` in the window that is asked about.

What blocks one unit never overlaps, so of everything that starts before the end only the last can reach beyond the start: one probe
of an index per unit, however long its history.
"""

_RESERVABLE = "a.item_type = asked.about AND a.status = 'available' AND (CAST(:location AS text) IS NULL OR a.location = :location)"

_ASSETS = f"""
WITH asked AS ({{asked}}), {_LATE}
SELECT asked.about,
    (SELECT count(*) FROM assets AS a WHERE {_RESERVABLE}) AS total,
    (SELECT count(*) FROM assets AS a WHERE {_RESERVABLE} AND {_BUSY}) AS busy
FROM asked
"""  # noqa: S608 (constants put together; values are parameters)
"""Item type by item type, so that no more than the units of each are read."""

_LABEL = "coalesce(a.asset_tag, a.serial_number, a.identifier) AS label"

_BEHIND = f"""(
    SELECT b.blocked_from FROM allocations AS b
    WHERE b.asset_number = free.number AND {COUNTED} AND b.blocked_from >= free.ends ORDER BY b.blocked_from LIMIT 1
)"""  # noqa: S608 (constants put together; values are parameters)

_FREE = f"""
WITH asked AS ({{asked}}), {_LATE},
units AS MATERIALIZED (
    SELECT a.identifier, a.number, a.location, {_LABEL}, asked.starts, asked.ends, (
        SELECT b.blocked_to FROM allocations AS b
        WHERE b.asset_number = a.number AND {COUNTED} AND b.blocked_from < asked.ends ORDER BY b.blocked_from DESC LIMIT 1
    ) AS before
    FROM asked CROSS JOIN assets AS a
    WHERE {_RESERVABLE} {{among}} AND a.number NOT IN (SELECT asset_number FROM late) AND NOT {_UNAVAILABLE}
),
free AS (SELECT * FROM units WHERE before IS NULL OR before <= starts ORDER BY number LIMIT :compared)
SELECT identifier, number, location, label, count(*) OVER () AS every FROM free
ORDER BY coalesce({_BEHIND}, :latest) - coalesce(before, :earliest), number LIMIT :limit OFFSET :offset
"""  # noqa: S608 (constants put together; values are parameters)
"""
Every gap is as long as the window and what is left over, so the shortest leaves least. The last that blocks a free unit before the end of
the window also says where its gap begins.
"""

_PIECES = f"""
late AS (
    SELECT p.question, p.identifier AS pool, b.quantity, b.blocked_to, p.starts FROM pools AS p CROSS JOIN allocations AS b
    WHERE b.item_type = p.item_type AND {_OVERDUE} AND b.stock_pool = p.identifier AND b.blocked_to < p.ends
),
changes AS (
    SELECT p.question, p.identifier AS pool, e.inside, b.blocked_from AS at, b.quantity AS started, 0 AS ended
    FROM pools AS p CROSS JOIN edges AS e CROSS JOIN allocations AS b
    WHERE e.question = p.question AND b.stock_pool = p.identifier AND {COUNTED} AND b.blocked_from BETWEEN e.first AND e.last
    UNION ALL
    SELECT p.question, p.identifier, e.inside, b.blocked_to, 0, b.quantity
    FROM pools AS p CROSS JOIN edges AS e CROSS JOIN allocations AS b
    WHERE e.question = p.question AND b.stock_pool = p.identifier AND {COUNTED} AND b.blocked_to BETWEEN e.first AND e.last
),
pieces AS (
    SELECT p.question, p.identifier AS pool, s.inside, {{first}} AS at, c.started, c.started - c.ended AS net, c.rise
    FROM pools AS p CROSS JOIN stretches AS s CROSS JOIN counters AS c
    WHERE s.question = p.question AND c.stock_pool = p.identifier AND c.span = s.span AND c.bucket BETWEEN s.first AND s.last
    UNION ALL
    SELECT question, pool, inside, at, sum(started), sum(started - ended), sum(started - ended)
    FROM changes GROUP BY question, pool, inside, at
),
told AS (
    SELECT question, pool,
        coalesce(sum(net) FILTER (WHERE NOT inside), 0) AS level,
        coalesce(sum(started) FILTER (WHERE inside), 0) AS started,
        coalesce(max(height) FILTER (WHERE inside), 0) AS height
    FROM (SELECT pieces.*, sum(net) OVER (PARTITION BY question, pool ORDER BY at) - net + rise AS height FROM pieces) AS running
    GROUP BY question, pool
),
overdue AS (
    SELECT question, pool,
        coalesce(sum(quantity) FILTER (WHERE blocked_to <= starts), 0) AS quantity,
        count(*) FILTER (WHERE blocked_to > starts) AS later
    FROM late GROUP BY question, pool
)"""  # noqa: S608 (constants put together; values are parameters)
"""
What the pieces of each window add up to in each pool: the level at its first instant (`level`), what begins in it after that (`started`),
and the highest level after that (`height`); and what is overdue at its start, or becomes so in it (`later`).

The level before a piece is what all pieces before it change, and the highest level in it that and its rise.
"""

_ACTIVE = "p.item_type = asked.about AND p.is_active AND (CAST(:location AS text) IS NULL OR p.location = :location)"

_POOLS = f"""
WITH asked AS ({{asked}}), stretches AS ({{stretches}}), edges AS ({{edges}}),
pools AS (
    SELECT p.*, asked.question, asked.starts, asked.ends FROM asked CROSS JOIN stock_pools AS p
    WHERE {{which}}
),{_PIECES}
SELECT p.question, coalesce(overdue.later, 0) AS later, p.identifier, p.number, p.location,
    coalesce(p.name, p.location, p.identifier) AS label, p.quantity_total AS total,
    CAST(coalesce(told.level + told.started, 0) + coalesce(overdue.quantity, 0) AS bigint) AS reserved,
    CAST(coalesce(CASE WHEN told.height > told.level THEN told.height ELSE told.level END, 0)
        + coalesce(overdue.quantity, 0) AS bigint) AS peak
FROM pools AS p
LEFT JOIN told ON told.question = p.question AND told.pool = p.identifier
LEFT JOIN overdue ON overdue.question = p.question AND overdue.pool = p.identifier
ORDER BY p.number, p.question
"""  # noqa: S608 (constants put together; values are parameters)

_AT_ONCE = "SELECT d.revision, found.* FROM documents AS d LEFT JOIN ({statement}) AS found ON true WHERE d.identifier = :of"
"""What a statement tells about an item type, and which revision of it that statement sees: the two belong to one snapshot."""

_BLOCKS_OF_UNITS = f"""
WITH asked AS ({{asked}}),
units AS (
    SELECT a.identifier, a.number, asked.starts, asked.ends, coalesce((
        SELECT b.blocked_from FROM allocations AS b
        WHERE b.asset_number = a.number AND {COUNTED} AND b.blocked_from <= asked.starts
        ORDER BY b.blocked_from DESC LIMIT 1
    ), :earliest) AS last
    FROM asked CROSS JOIN assets AS a
    WHERE {_RESERVABLE} AND (CAST(:asset AS bigint) IS NULL OR a.number = :asset)
)
SELECT a.identifier, a.number, b.blocked_from AS start, CASE WHEN {_UNTIL} = :latest THEN NULL ELSE b.blocked_to END AS until,
    b.rent_action, NULL AS reason
FROM units AS a CROSS JOIN allocations AS b
WHERE b.asset_number = a.number AND {COUNTED} AND b.blocked_from >= a.last AND b.blocked_from < a.ends AND {_UNTIL} > a.starts
UNION ALL
SELECT a.identifier, a.number, b.blocked_from, NULL, b.rent_action, NULL
FROM units AS a CROSS JOIN allocations AS b
WHERE b.asset_number = a.number AND {COUNTED} AND {_OVERDUE} AND b.blocked_from < a.last
UNION ALL
SELECT a.identifier, a.number, u.unavailable_from, u.unavailable_to, NULL, u.reason
FROM units AS a CROSS JOIN unavailabilities AS u
WHERE u.asset_number = a.number AND u.unavailable_from < a.ends AND (u.unavailable_to IS NULL OR u.unavailable_to > a.starts)
ORDER BY 2, 3
"""  # noqa: S608 (constants put together; values are parameters)
"""Of what starts before the window only the last can reach into it, besides what is overdue: no history is read."""

_CHANGES = f"""
SELECT at, CAST(sum(started) AS bigint) AS started, CAST(sum(ended) AS bigint) AS ended FROM (
    SELECT b.blocked_from AS at, b.quantity AS started, 0 AS ended FROM allocations AS b
    WHERE b.stock_pool = :pool AND {COUNTED} AND b.blocked_from > :starts AND b.blocked_from < :ends
    UNION ALL
    SELECT b.blocked_to, 0, b.quantity FROM allocations AS b
    WHERE b.stock_pool = :pool AND {COUNTED} AND b.blocked_to > :starts AND b.blocked_to < :ends AND NOT {_OVERDUE}
) AS changes GROUP BY at ORDER BY at
"""  # noqa: S608 (constants put together; values are parameters)

_DAYS = f"""
SELECT bucket, opening, started, ended, rise, fall FROM counters
WHERE stock_pool = :pool AND span = {DAY} AND bucket BETWEEN :first AND :last
"""  # noqa: S608 (constants put together; values are parameters)

_HOURS = f"""
SELECT bucket, opening, started, ended, rise, fall FROM counters
WHERE stock_pool = :pool AND span = {HOUR} AND bucket BETWEEN :first AND :last ORDER BY bucket
"""  # noqa: S608 (constants put together; values are parameters)

_BECOMES_OVERDUE = f"""
SELECT DISTINCT b.blocked_to AS at FROM stock_pools AS p CROSS JOIN allocations AS b
WHERE p.identifier = :pool AND b.item_type = p.item_type AND b.stock_pool = p.identifier AND {_OVERDUE}
    AND b.blocked_to BETWEEN :starts AND :ends
ORDER BY at
"""  # noqa: S608 (constants put together; values are parameters)

_LOCATIONS = """
SELECT location FROM assets WHERE item_type = :item_type AND location IS NOT NULL
UNION SELECT location FROM stock_pools WHERE item_type = :item_type AND is_active AND location IS NOT NULL
ORDER BY 1
"""


def _by_engine(statement: str, asked: Given = _ASKED, **columns: Any) -> Statement:
    """A statement as each engine understands it. `asked`: the questions that come with it, or the one."""
    return Statement({engine: _prepared(statement, engine, asked, columns) for engine in ("postgresql", "sqlite")})


def _prepared(statement: str, engine: str, asked: Given, columns: Mapping[str, Any]) -> Executable:
    given = {one.name: one.select(engine) for one in (asked, _STRETCHES, _EDGES, _CHOSEN)}
    whole = statement.format(**given, first=WORDS[engine].first.format(bucket="c.bucket", span="c.span"))
    instants = [bindparam(name, type_=tables.Instant) for name in _INSTANTS if f":{name}" in whole]
    return text(whole).bindparams(*instants).columns(**columns)


_INSTANTS = ("now", "latest", "earliest", "starts", "ends")

_ASK_ASSETS = _by_engine(_ASSETS)
_ASK_FREE = _by_engine(_FREE.replace("{among}", ""), _ONE_ASKED)
_ASK_FREE_AMONG = _by_engine(_FREE.replace("{among}", "AND a.number IN (SELECT number FROM ({chosen}) AS chosen)"), _ONE_ASKED)
_ASK_POOLS = _by_engine(_POOLS.replace("{which}", _ACTIVE))
_ASK_ASSETS_AT_ONCE = _by_engine(_AT_ONCE.replace("{statement}", _ASSETS), _ONE_ASKED)
_ASK_POOLS_AT_ONCE = _by_engine(_AT_ONCE.replace("{statement}", _POOLS.replace("{which}", _ACTIVE)), _ONE_ASKED)
_ASK_POOL = _by_engine(_POOLS.replace("{which}", "p.identifier = asked.about"))
_ASK_BLOCKS = _by_engine(_BLOCKS_OF_UNITS, _ONE_ASKED, start=tables.Instant, until=tables.Instant)
_ASK_CHANGES = _by_engine(_CHANGES, at=tables.Instant)
_ASK_DAYS = _by_engine(_DAYS)
_ASK_HOURS = _by_engine(_HOURS)
_ASK_BECOMES_OVERDUE = _by_engine(_BECOMES_OVERDUE, at=tables.Instant)
_ASK_LOCATIONS = _by_engine(_LOCATIONS)


class Capacities:
    """The gateway to what can be promised. What it tells is sure while the item types are held."""

    def __init__(self, wire: Wire, layout: Layout = LAYOUT) -> None:
        self._wire = wire
        self._engine = wire.engine
        self._layout = layout

    def assets(self, asked: Mapping[str, Window], now: datetime, location: str | None = None) -> dict[str, AssetsState]:
        """Item type → the state of its units in the window that goes with it."""
        rows = self._ask(_ASK_ASSETS, {**self._about(list(asked.items()), location, _ASKED), "now": now})
        return {about: AssetsState(total, busy) for about, total, busy in rows}

    def pools(self, asked: Mapping[str, Window], now: datetime, location: str | None = None) -> dict[str, list[PoolState]]:
        """Item type → the state of each of its active pools, by number, in the window that goes with it."""
        questions = list(asked.items())
        found: dict[str, list[PoolState]] = {item_type: [] for item_type in asked}
        for question, later, *state in self._pools(_ASK_POOLS, questions, now, location):
            item_type, window = questions[question]
            pool = PoolState(*state)
            found[item_type].append(replace(pool, peak=self._peak_in_parts(pool.identifier, window, now)) if later else pool)
        return found

    def assets_at_once(self, item_type: str, window: Window, now: datetime, location: str | None = None) -> Seen[AssetsState] | None:
        """The state of the units of one item type, by one statement; None where there is no such item type."""
        rows = self._ask(_ASK_ASSETS_AT_ONCE, {**self._about([(item_type, window)], location), "now": now, "of": item_type})
        return Seen(rows[0][0], [AssetsState(total, busy) for _, about, total, busy in rows if about is not None]) if rows else None

    def pools_at_once(self, item_type: str, window: Window, now: datetime, location: str | None = None) -> Seen[PoolState] | None:
        """The state of each active pool of one item type, by one statement; None where that does not tell: units become overdue."""
        rows = self._pools(_ASK_POOLS_AT_ONCE, [(item_type, window)], now, location, _ONE_ASKED, of=item_type)
        if not rows or any(later for _, _, later, *_ in rows):
            return None
        return Seen(rows[0][0], sorted((PoolState(*state) for _, question, _, *state in rows if question is not None), key=_BY_NUMBER))

    def _peak_in_parts(self, pool: str, window: Window, now: datetime) -> int:
        """The peak of a window in which units become overdue: from each time when some do, more are promised than was counted."""
        times = [window.start, *self._become_overdue(pool, window.start, window.end, now), window.end]
        parts = [(pool, Window(*part)) for part in pairwise(times) if part[0] < part[1]]
        return max(self._peaks(parts, now), default=0)

    def free_assets(self, item_type: str, window: Window, now: datetime, limit: int, location: str | None = None) -> list[AssetUnit]:
        """
        At most `limit` reservable units that nothing blocks anywhere in the window, those first that it leaves the shortest gaps beside.

        Of the first free ones by number, that is: four times as many as are wanted, and LEAST_COMPARED at least. Equals come by number.
        """
        asked = self._fitting(item_type, window, now, limit, max(LEAST_COMPARED, 4 * limit), location)
        return [AssetUnit(*unit) for *unit, _ in self._ask(_ASK_FREE, asked)]

    def free_page(
        self, item_type: str, window: Window, now: datetime, offset: int, limit: int, location: str | None = None
    ) -> tuple[int, list[AssetUnit]]:
        """How many reservable units nothing blocks in the window, and `limit` of them behind the first `offset`, best fit first."""
        asked = self._fitting(item_type, window, now, limit, EVERY, location)
        rows = self._ask(_ASK_FREE, {**asked, "offset": offset})
        if not rows and offset:
            return self.free_page(item_type, window, now, 0, 1, location)[0], []
        return rows[0][-1] if rows else 0, [AssetUnit(*unit) for *unit, _ in rows]

    def free_among(self, assets: Iterable[str], item_type: str, window: Window, now: datetime) -> list[AssetUnit]:
        """Those of the given units that are of the item type, reservable and blocked by nothing; in the order of `free_assets`."""
        numbers = sorted({number_of(asset) for asset in assets})
        asked = self._fitting(item_type, window, now, len(numbers), len(numbers))
        chosen = _CHOSEN.values(self._engine, [(number,) for number in numbers])
        return [AssetUnit(*unit) for *unit, _ in self._ask(_ASK_FREE_AMONG, {**asked, **chosen})] if numbers else []

    def blocks(self, item_type: str, window: Window, now: datetime, location: str | None = None, asset: str | None = None) -> list[Block]:
        """Everything that blocks reservable units (or one of them) in the window, by number of the unit and by start."""
        chosen = {"asset": number_of(asset) if asset is not None else None, "now": now, "latest": LATEST, "earliest": EARLIEST}
        rows = self._ask(_ASK_BLOCKS, {**self._about([(item_type, window)], location), **chosen})
        return [Block(unit, start, until, rent_action, reason) for unit, _, start, until, rent_action, reason in rows]

    def pool_changes(self, pool: str, window: Window, now: datetime) -> tuple[int, list[Change]]:
        """How many units of a pool are promised at the start of the window, and how that changes inside it, once per instant, in order."""
        asked = {"pool": pool, "starts": window.start, "ends": window.end, "now": now}
        changes = [Change(at, started - ended, started, ended) for at, started, ended in self._ask(_ASK_CHANGES, asked)]
        return self._level(pool, window.start, now), changes

    def pool_days(self, pool: str, first: date, last: date, now: datetime) -> list[Day]:
        """The promised units of a pool on each day in UTC, from the first to the last."""
        low, high = (bucket_of(_midnight(day), DAY) for day in (first, last))
        counted = {bucket: counts for bucket, *counts in self._ask(_ASK_DAYS, {"pool": pool, "first": low, "last": high})}
        overdue = {bucket_of(at, DAY) for at in self._become_overdue(pool, _midnight(first), last_of(high, DAY), now)}
        level, days = self._level_before(pool, _midnight(first), now), []
        for bucket in range(low, high + 1):
            start = first_of(bucket, DAY)
            days.append(self._day(pool, start, now) if bucket in overdue else _counted_day(start, level, counted.get(bucket)))
            level += days[-1].started - days[-1].ended
        return days

    def outlook(self, pool: str, first: datetime, last: datetime, now: datetime) -> Outlook:
        """
        The promised units of a pool hour by hour, from the hour of the first instant to that of the last; what becomes overdue in that
        time is not told.
        """
        low, high = bucket_of(first, HOUR), bucket_of(last, HOUR)
        start = first_of(low, HOUR)
        rows = self._ask(_ASK_HOURS, {"pool": pool, "first": low, "last": high})
        return _outlook(start, self._level_before(pool, start, now), rows, low, high)

    def locations(self, item_type: str) -> list[str]:
        """The places that have units or active pools of an item type."""
        return [location for (location,) in self._ask(_ASK_LOCATIONS, {"item_type": item_type})]

    def _day(self, pool: str, start: datetime, now: datetime) -> Day:
        """A day, from the rows."""
        before, changes = self.pool_changes(pool, Window(start - tables.MICROSECOND, start + _DAY), now)
        level = before + sum(change.change for change in changes if change.at == start)
        levels = list(accumulate((change.change for change in changes if change.at > start), initial=level))
        started, ended = sum(change.started for change in changes), sum(change.ended for change in changes)
        return Day(start, level, max(levels), min(levels), started, ended)

    def _peaks(self, parts: Sequence[tuple[str, Window]], now: datetime) -> list[int]:
        """The most units of a pool that are promised at one instant, for each pool and window; without what becomes overdue in it."""
        return [peak for *_, peak in self._pools(_ASK_POOL, parts, now)]

    def _level(self, pool: str, at: datetime, now: datetime) -> int:
        """How many units of a pool are promised at an instant."""
        window = Window(at, at + tables.MICROSECOND)
        return sum(self._peaks([(pool, window)], now))

    def _level_before(self, pool: str, at: datetime, now: datetime) -> int:
        """How many units of a pool are promised just before an instant."""
        return self._level(pool, at - tables.MICROSECOND, now) if at > EARLIEST else 0

    def _become_overdue(self, pool: str, first: datetime, last: datetime, now: datetime) -> list[datetime]:
        """The instants, in order, at which allocations of a pool would end if their units were not overdue."""
        asked = {"pool": pool, "starts": first, "ends": last, "now": now}
        return [at for (at,) in self._ask(_ASK_BECOMES_OVERDUE, asked)]

    def _pools(
        self,
        statement: Statement,
        questions: Sequence[tuple[str, Window]],
        now: datetime,
        location: str | None = None,
        asked: Given = _ASKED,
        **more: str,
    ) -> list[Row]:
        pieces = [self._layout.pieces(window) for _, window in questions]
        stretches = [(number, one.span, one.first, one.last, one.inside) for number, piece in enumerate(pieces) for one in piece.stretches]
        edges = [(number, one.first, one.last, one.inside) for number, piece in enumerate(pieces) for one in piece.edges]
        given = {**_STRETCHES.values(self._engine, stretches), **_EDGES.values(self._engine, edges)}
        return self._ask(statement, {**self._about(questions, location, asked), **given, **more, "now": now})

    def _fitting(
        self, item_type: str, window: Window, now: datetime, limit: int, compared: int, location: str | None = None
    ) -> dict[str, Any]:
        bounds = {"limit": limit, "offset": 0, "compared": compared, "now": now, "latest": LATEST, "earliest": EARLIEST}
        return {**self._about([(item_type, window)], location), **bounds}

    def _about(self, questions: Sequence[tuple[str, Window]], location: str | None, asked: Given = _ONE_ASKED) -> dict[str, Any]:
        rows = [(number, about, window.start, window.end) for number, (about, window) in enumerate(questions)]
        return {**asked.values(self._engine, rows), "location": location}

    def _ask(self, statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        return self._wire.rows(statement, values)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _counted_day(start: datetime, before: int, counts: Sequence[int] | None) -> Day:
    """A day on which so many units are promised just before it, with its counter if it has one."""
    if counts is None:
        return _quiet(start, before)
    opening, started, ended, rise, fall = counts
    return Day(start, before + opening, before + rise, before + fall, started, ended)


def _quiet(start: datetime, level: int) -> Day:
    return Day(start, level, level, level, 0, 0)


def _outlook(start: datetime, level: int, rows: Sequence[Row], low: int, high: int) -> Outlook:
    """Hours from their counters, which come in order; in between nothing changes."""
    levels: list[int] = []
    peaks: list[int] = []
    lows: list[int] = []
    begun = [0]
    for bucket, opening, started, ended, rise, fall in (*rows, (high + 1, 0, 0, 0, 0, 0)):
        quiet = [level] * (bucket - low - len(levels))
        levels += [*quiet, level + opening]
        peaks += [*quiet, level + rise]
        lows += [*quiet, level + fall]
        begun += [begun[-1]] * len(quiet)
        begun.append(begun[-1] + started)
        level += started - ended
    return Outlook(start, timedelta(seconds=HOUR), levels, peaks, lows, begun)
