"""
What can be promised, and what is in the way: units that are told apart one by one, quantities in stock pools.

Windows are half-open, [start, end), and are those in which units would be blocked. An allocation blocks from `blocked_from` to
`blocked_to`; when its units are out past `allocated_to`, it blocks until they are back, and nobody knows when that is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate, pairwise
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, text

from ld_server.domain.window import EARLIEST, LATEST, Window
from relational import tables
from relational.allocations import AssetUnit
from relational.buckets import DAY, Layout, bucket_of, first_of, last_of
from relational.counters import COUNTED, LAYOUT, WORDS
from relational.given import Given
from relational.index import number_of


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
LEAST_COMPARED = 200
"""So many free units at least, by number, are compared when the one that fits best is wanted."""

_ASKED = Given("asked", {"question": "whole", "about": "text", "starts": "instant", "ends": "instant"})
_STRETCHES = Given("stretches", {"question": "whole", "span": "whole", "first": "whole", "last": "whole", "inside": "truth"})
_EDGES = Given("edges", {"question": "whole", "first": "instant", "last": "instant", "inside": "truth"})
_CHOSEN = Given("chosen", {"number": "whole"})

_OVERDUE = "(b.status = 'in_use' AND b.allocated_to <= :now)"
"""Whether the units of the allocation `b` are out past the end of their time."""

_UNTIL = f"CASE WHEN {_OVERDUE} THEN :latest ELSE b.blocked_to END"
"""When an allocation ends to block: never, as far as anybody knows, when its units are out past their time."""

_BUSY = f"""(
    coalesce(asked.starts < (
        SELECT b.blocked_to FROM allocations AS b
        WHERE b.asset_number = a.number AND {COUNTED} AND b.blocked_from < asked.ends
        ORDER BY b.blocked_from DESC LIMIT 1
    ), false)
    OR EXISTS (
        SELECT 1 FROM allocations AS b
        WHERE b.asset_number = a.number AND {_OVERDUE} AND b.blocked_from < asked.ends
    )
    OR EXISTS (
        SELECT 1 FROM unavailabilities AS u
        WHERE u.asset_number = a.number AND u.unavailable_from < asked.ends
            AND (u.unavailable_to IS NULL OR u.unavailable_to > asked.starts)
    )
)"""  # noqa: S608
"""
Whether something blocks the asset `a` in the window that is asked about.

What blocks one unit never overlaps, so of everything that starts before the end only the last can reach beyond the start: one probe
of an index per unit, however long its history.
"""

_RESERVABLE = "a.item_type = asked.about AND a.status = 'available' AND (CAST(:location AS text) IS NULL OR a.location = :location)"

_ASSETS = f"""
WITH asked AS ({{asked}})
SELECT asked.about, count(*) AS total, count(*) FILTER (WHERE {_BUSY}) AS busy
FROM asked CROSS JOIN assets AS a WHERE {_RESERVABLE} GROUP BY asked.about
"""  # noqa: S608

_FREE = f"""
WITH asked AS ({{asked}}),
free AS (
    SELECT a.identifier, a.number, a.location, coalesce(a.asset_tag, a.serial_number, a.identifier) AS label, asked.starts, asked.ends
    FROM asked CROSS JOIN assets AS a WHERE {_RESERVABLE} {{among}} AND NOT {_BUSY} ORDER BY a.number LIMIT :compared
),
gaps AS (
    SELECT free.*,
        (SELECT max(b.blocked_to) FROM allocations AS b
         WHERE b.asset_number = free.number AND {COUNTED} AND b.blocked_from < free.starts) AS before,
        (SELECT min(b.blocked_from) FROM allocations AS b
         WHERE b.asset_number = free.number AND {COUNTED} AND b.blocked_from >= free.ends) AS behind
    FROM free
)
SELECT identifier, number, location, label FROM gaps
ORDER BY coalesce(behind, :latest) - coalesce(before, :earliest), number LIMIT :limit
"""  # noqa: S608
"""Every gap is as long as the window and what is left over, so the shortest leaves least."""

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
)"""  # noqa: S608
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
SELECT p.question, p.identifier, p.number, p.location,
    coalesce(p.name, p.location, p.identifier) AS label, p.quantity_total AS total,
    CAST(coalesce(told.level + told.started, 0) + coalesce(overdue.quantity, 0) AS bigint) AS reserved,
    CAST(coalesce(CASE WHEN told.height > told.level THEN told.height ELSE told.level END, 0)
        + coalesce(overdue.quantity, 0) AS bigint) AS peak,
    coalesce(overdue.later, 0) AS later
FROM pools AS p
LEFT JOIN told ON told.question = p.question AND told.pool = p.identifier
LEFT JOIN overdue ON overdue.question = p.question AND overdue.pool = p.identifier
ORDER BY p.number, p.question
"""  # noqa: S608

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
"""  # noqa: S608
"""Of what starts before the window only the last can reach into it, besides what is overdue: no history is read."""

_CHANGES = f"""
SELECT at, CAST(sum(started) AS bigint) AS started, CAST(sum(ended) AS bigint) AS ended FROM (
    SELECT b.blocked_from AS at, b.quantity AS started, 0 AS ended FROM allocations AS b
    WHERE b.stock_pool = :pool AND {COUNTED} AND b.blocked_from > :starts AND b.blocked_from < :ends
    UNION ALL
    SELECT b.blocked_to, 0, b.quantity FROM allocations AS b
    WHERE b.stock_pool = :pool AND {COUNTED} AND b.blocked_to > :starts AND b.blocked_to < :ends AND NOT {_OVERDUE}
) AS changes GROUP BY at ORDER BY at
"""  # noqa: S608

_DAYS = f"""
SELECT bucket, opening, started, ended, rise, fall FROM counters
WHERE stock_pool = :pool AND span = {DAY} AND bucket BETWEEN :first AND :last
"""  # noqa: S608

_BECOMES_OVERDUE = f"""
SELECT DISTINCT b.blocked_to AS at FROM stock_pools AS p CROSS JOIN allocations AS b
WHERE p.identifier = :pool AND b.item_type = p.item_type AND b.stock_pool = p.identifier AND {_OVERDUE}
    AND b.blocked_to BETWEEN :starts AND :ends
ORDER BY at
"""  # noqa: S608

_LOCATIONS = """
SELECT location FROM assets WHERE item_type = :item_type AND location IS NOT NULL
UNION SELECT location FROM stock_pools WHERE item_type = :item_type AND is_active AND location IS NOT NULL
ORDER BY 1
"""


def _by_engine(statement: str, **columns: Any) -> dict[str, Executable]:
    """A statement as each engine understands it."""
    return {engine: _prepared(statement, engine, columns) for engine in ("postgresql", "sqlite")}


def _prepared(statement: str, engine: str, columns: Mapping[str, Any]) -> Executable:
    given = {one.name: one.select(engine) for one in (_ASKED, _STRETCHES, _EDGES, _CHOSEN)}
    whole = statement.format(**given, first=WORDS[engine].first.format(bucket="c.bucket", span="c.span"))
    instants = [bindparam(name, type_=tables.Instant) for name in _INSTANTS if f":{name}" in whole]
    return text(whole).bindparams(*instants).columns(**columns)


_INSTANTS = ("now", "latest", "earliest", "starts", "ends")

_ASK_ASSETS = _by_engine(_ASSETS)
_ASK_FREE = _by_engine(_FREE.replace("{among}", ""))
_ASK_FREE_AMONG = _by_engine(_FREE.replace("{among}", "AND a.number IN (SELECT number FROM ({chosen}) AS chosen)"))
_ASK_POOLS = _by_engine(_POOLS.replace("{which}", _ACTIVE))
_ASK_POOL = _by_engine(_POOLS.replace("{which}", "p.identifier = asked.about"))
_ASK_BLOCKS = _by_engine(_BLOCKS_OF_UNITS, start=tables.Instant, until=tables.Instant)
_ASK_CHANGES = _by_engine(_CHANGES, at=tables.Instant)
_ASK_DAYS = _by_engine(_DAYS)
_ASK_BECOMES_OVERDUE = _by_engine(_BECOMES_OVERDUE, at=tables.Instant)
_ASK_LOCATIONS = _by_engine(_LOCATIONS)


class Capacities:
    """The gateway to what can be promised. What it tells is sure while the item types are held."""

    def __init__(self, connection: Connection, layout: Layout = LAYOUT) -> None:
        self._connection = connection
        self._engine = connection.dialect.name
        self._layout = layout

    def assets(self, asked: Mapping[str, Window], now: datetime, location: str | None = None) -> dict[str, AssetsState]:
        """Item type → the state of its units in the window that goes with it."""
        rows = self._ask(_ASK_ASSETS, {**self._about(list(asked.items()), location), "now": now})
        return {**dict.fromkeys(asked, AssetsState(0, 0)), **{row.about: AssetsState(row.total, row.busy) for row in rows}}

    def pools(self, asked: Mapping[str, Window], now: datetime, location: str | None = None) -> dict[str, list[PoolState]]:
        """Item type → the state of each of its active pools, by number, in the window that goes with it."""
        questions = list(asked.items())
        found: dict[str, list[PoolState]] = {item_type: [] for item_type in asked}
        for row in self._pools(_ASK_POOLS, questions, now, location):
            item_type, window = questions[row.question]
            peak = self._peak_in_parts(row.identifier, window, now) if row.later else row.peak
            found[item_type].append(PoolState(row.identifier, row.number, row.location, row.label, row.total, row.reserved, peak))
        return found

    def _peak_in_parts(self, pool: str, window: Window, now: datetime) -> int:
        """The peak of a window in which units become overdue: from each time when some do, more are promised than was counted."""
        times = [window.start, *self._become_overdue(pool, window.start, window.end, now), window.end]
        parts = [(pool, Window(*part)) for part in pairwise(times) if part[0] < part[1]]
        return max((int(row.peak) for row in self._pools(_ASK_POOL, parts, now)), default=0)

    def free_assets(self, item_type: str, window: Window, now: datetime, limit: int, location: str | None = None) -> list[AssetUnit]:
        """
        At most `limit` reservable units that nothing blocks anywhere in the window, those first that it leaves the shortest gaps beside.

        Of the first free ones by number, that is: four times as many as are wanted, and LEAST_COMPARED at least. Equals come by number.
        """
        asked = self._fitting([(item_type, window)], now, limit, max(LEAST_COMPARED, 4 * limit), location)
        return [AssetUnit(*row) for row in self._ask(_ASK_FREE, asked)]

    def free_among(self, assets: Iterable[str], item_type: str, window: Window, now: datetime) -> list[AssetUnit]:
        """Those of the given units that are of the item type, reservable and blocked by nothing; in the order of `free_assets`."""
        numbers = sorted({number_of(asset) for asset in assets})
        asked = self._fitting([(item_type, window)], now, len(numbers), len(numbers))
        chosen = _CHOSEN.values(self._engine, [(number,) for number in numbers])
        return [AssetUnit(*row) for row in self._ask(_ASK_FREE_AMONG, {**asked, **chosen})] if numbers else []

    def blocks(self, item_type: str, window: Window, now: datetime, location: str | None = None, asset: str | None = None) -> list[Block]:
        """Everything that blocks reservable units (or one of them) in the window, by number of the unit and by start."""
        chosen = {"asset": number_of(asset) if asset is not None else None, "now": now, "latest": LATEST, "earliest": EARLIEST}
        rows = self._ask(_ASK_BLOCKS, {**self._about([(item_type, window)], location), **chosen})
        return [Block(row.identifier, row.start, row.until, row.rent_action, row.reason) for row in rows]

    def pool_changes(self, pool: str, window: Window, now: datetime) -> tuple[int, list[Change]]:
        """How many units of a pool are promised at the start of the window, and how that changes inside it, once per instant, in order."""
        asked = {"pool": pool, "starts": window.start, "ends": window.end, "now": now}
        changes = [Change(at, started - ended, started, ended) for at, started, ended in self._ask(_ASK_CHANGES, asked)]
        return self._level(pool, window.start, now), changes

    def pool_days(self, pool: str, first: date, last: date, now: datetime) -> list[Day]:
        """The promised units of a pool on each day in UTC, from the first to the last."""
        low, high = (bucket_of(_midnight(day), DAY) for day in (first, last))
        counted = {row.bucket: row for row in self._ask(_ASK_DAYS, {"pool": pool, "first": low, "last": high})}
        overdue = {bucket_of(at, DAY) for at in self._become_overdue(pool, _midnight(first), last_of(high, DAY), now)}
        level, days = self._level_before(pool, _midnight(first), now), []
        for bucket in range(low, high + 1):
            start = first_of(bucket, DAY)
            days.append(self._day(pool, start, now) if bucket in overdue else _counted_day(start, level, counted.get(bucket)))
            level += days[-1].started - days[-1].ended
        return days

    def locations(self, item_type: str) -> list[str]:
        """The places that have units or active pools of an item type."""
        return [row.location for row in self._ask(_ASK_LOCATIONS, {"item_type": item_type})]

    def _day(self, pool: str, start: datetime, now: datetime) -> Day:
        """A day, from the rows."""
        before, changes = self.pool_changes(pool, Window(start - tables.MICROSECOND, start + _DAY), now)
        level = before + sum(change.change for change in changes if change.at == start)
        levels = list(accumulate((change.change for change in changes if change.at > start), initial=level))
        started, ended = sum(change.started for change in changes), sum(change.ended for change in changes)
        return Day(start, level, max(levels), min(levels), started, ended)

    def _level(self, pool: str, at: datetime, now: datetime) -> int:
        """How many units of a pool are promised at an instant."""
        window = Window(at, at + tables.MICROSECOND)
        return sum(row.peak for row in self._pools(_ASK_POOL, [(pool, window)], now))

    def _level_before(self, pool: str, at: datetime, now: datetime) -> int:
        """How many units of a pool are promised just before an instant."""
        return self._level(pool, at - tables.MICROSECOND, now) if at > EARLIEST else 0

    def _become_overdue(self, pool: str, first: datetime, last: datetime, now: datetime) -> list[datetime]:
        """The instants, in order, at which allocations of a pool would end if their units were not overdue."""
        asked = {"pool": pool, "starts": first, "ends": last, "now": now}
        return [row.at for row in self._ask(_ASK_BECOMES_OVERDUE, asked)]

    def _pools(
        self, statements: Mapping[str, Executable], questions: Sequence[tuple[str, Window]], now: datetime, location: str | None = None
    ) -> list[Any]:
        pieces = [self._layout.pieces(window) for _, window in questions]
        stretches = [(number, one.span, one.first, one.last, one.inside) for number, piece in enumerate(pieces) for one in piece.stretches]
        edges = [(number, one.first, one.last, one.inside) for number, piece in enumerate(pieces) for one in piece.edges]
        given = {**_STRETCHES.values(self._engine, stretches), **_EDGES.values(self._engine, edges)}
        return self._ask(statements, {**self._about(questions, location), **given, "now": now})

    def _fitting(
        self, questions: Sequence[tuple[str, Window]], now: datetime, limit: int, compared: int, location: str | None = None
    ) -> dict[str, Any]:
        bounds = {"limit": limit, "compared": compared, "now": now, "latest": LATEST, "earliest": EARLIEST}
        return {**self._about(questions, location), **bounds}

    def _about(self, questions: Sequence[tuple[str, Window]], location: str | None) -> dict[str, Any]:
        rows = [(number, about, window.start, window.end) for number, (about, window) in enumerate(questions)]
        return {**_ASKED.values(self._engine, rows), "location": location}

    def _ask(self, statements: Mapping[str, Executable], values: Mapping[str, Any]) -> list[Any]:
        return list(self._connection.execute(statements[self._engine], values))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _counted_day(start: datetime, before: int, row: Any) -> Day:
    """A day on which so many units are promised just before it, with its counter if it has one."""
    return Day(start, before + row.opening, before + row.rise, before + row.fall, row.started, row.ended) if row else _quiet(start, before)


def _quiet(start: datetime, level: int) -> Day:
    return Day(start, level, level, level, 0, 0)
