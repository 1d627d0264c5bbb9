"""
What can be promised, and what is in the way: units that are told apart one by one, quantities in stock pools.

Windows are half-open, [start, end), and are those in which units would be blocked. An allocation blocks from `blocked_from` to
`blocked_to`; when its units are out past `allocated_to`, it blocks until they are back, and nobody knows when that is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, text

from ld_server.domain.window import EARLIEST, LATEST, Window
from relational import tables
from relational.allocations import AssetUnit
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


DAY = timedelta(days=1)
LEAST_COMPARED = 200
"""So many free units at least, by number, are compared when the one that fits best is wanted."""

_ASKED = Given("asked", {"item_type": "text", "starts": "instant", "ends": "instant"})

_BLOCKS = "b.status IN ('allocated', 'in_use')"

_UNTIL = "CASE WHEN b.status = 'in_use' AND b.allocated_to <= :now THEN :latest ELSE b.blocked_to END"
"""When an allocation ends to block: never, as far as anybody knows, when its units are out past their time."""

_BUSY = f"""(
    coalesce(asked.starts < (
        SELECT b.blocked_to FROM allocations AS b
        WHERE b.asset_number = a.number AND {_BLOCKS} AND b.blocked_from < asked.ends
        ORDER BY b.blocked_from DESC LIMIT 1
    ), false)
    OR EXISTS (
        SELECT 1 FROM allocations AS b
        WHERE b.asset_number = a.number AND b.status = 'in_use' AND b.allocated_to <= :now AND b.blocked_from < asked.ends
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

_RESERVABLE = "a.item_type = asked.item_type AND a.status = 'available' AND (CAST(:location AS text) IS NULL OR a.location = :location)"

_ASSETS = f"""
WITH asked AS ({{asked}})
SELECT asked.item_type, count(*) AS total, count(*) FILTER (WHERE {_BUSY}) AS busy
FROM asked CROSS JOIN assets AS a WHERE {_RESERVABLE} GROUP BY asked.item_type
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
         WHERE b.asset_number = free.number AND {_BLOCKS} AND b.blocked_from < free.starts) AS before,
        (SELECT min(b.blocked_from) FROM allocations AS b
         WHERE b.asset_number = free.number AND {_BLOCKS} AND b.blocked_from >= free.ends) AS behind
    FROM free
)
SELECT identifier, number, location, label FROM gaps
ORDER BY coalesce(behind, :latest) - coalesce(before, :earliest), number LIMIT :limit
"""  # noqa: S608
"""Every gap is as long as the window and what is left over, so the shortest leaves least."""

_POOLS = f"""
WITH asked AS ({{asked}}),
pools AS (
    SELECT p.*, asked.starts, asked.ends FROM asked CROSS JOIN stock_pools AS p
    WHERE p.item_type = asked.item_type AND p.is_active AND (CAST(:location AS text) IS NULL OR p.location = :location)
),
promised AS (
    SELECT p.identifier AS pool, p.starts, b.blocked_from, {_UNTIL} AS until, b.quantity, p.ends
    FROM pools AS p CROSS JOIN allocations AS b
    WHERE b.stock_pool = p.identifier AND {_BLOCKS} AND b.blocked_from < p.ends AND {_UNTIL} > p.starts
),
changes AS (
    SELECT pool, CASE WHEN blocked_from < starts THEN starts ELSE blocked_from END AS at, quantity AS change FROM promised
    UNION ALL SELECT pool, until, -quantity FROM promised WHERE until < ends
),
heights AS (SELECT pool, sum(change) OVER (PARTITION BY pool ORDER BY at, change ROWS UNBOUNDED PRECEDING) AS height FROM changes)
SELECT p.item_type, p.identifier, p.number, p.location, coalesce(p.name, p.location, p.identifier), p.quantity_total,
    CAST(coalesce((SELECT sum(quantity) FROM promised WHERE pool = p.identifier), 0) AS bigint),
    CAST(coalesce((SELECT max(height) FROM heights WHERE pool = p.identifier), 0) AS bigint)
FROM pools AS p ORDER BY p.number
"""  # noqa: S608

_BLOCKS_OF_UNITS = f"""
WITH asked AS ({{asked}}),
units AS (
    SELECT a.identifier, a.number, asked.starts, asked.ends FROM asked CROSS JOIN assets AS a
    WHERE {_RESERVABLE} AND (CAST(:asset AS bigint) IS NULL OR a.number = :asset)
)
SELECT a.identifier, a.number, b.blocked_from AS start, CASE WHEN {_UNTIL} = :latest THEN NULL ELSE b.blocked_to END AS until,
    b.rent_action, NULL AS reason
FROM units AS a CROSS JOIN allocations AS b
WHERE b.asset_number = a.number AND {_BLOCKS} AND b.blocked_from < a.ends AND {_UNTIL} > a.starts
UNION ALL
SELECT a.identifier, a.number, u.unavailable_from, u.unavailable_to, NULL, u.reason
FROM units AS a CROSS JOIN unavailabilities AS u
WHERE u.asset_number = a.number AND u.unavailable_from < a.ends AND (u.unavailable_to IS NULL OR u.unavailable_to > a.starts)
ORDER BY 2, 3
"""  # noqa: S608

_CHANGES = f"""
WITH promised AS (
    SELECT b.blocked_from, {_UNTIL} AS until, b.quantity FROM allocations AS b
    WHERE b.stock_pool = :pool AND {_BLOCKS} AND b.blocked_from < :ends AND {_UNTIL} > :starts
),
changes AS (
    SELECT CASE WHEN blocked_from < :starts THEN :starts ELSE blocked_from END AS at, quantity AS started, 0 AS ended FROM promised
    UNION ALL SELECT until, 0, quantity FROM promised WHERE until < :ends
)
SELECT at, CAST(sum(started) AS bigint), CAST(sum(ended) AS bigint) FROM changes GROUP BY at ORDER BY at
"""  # noqa: S608

_LOCATIONS = """
SELECT location FROM assets WHERE item_type = :item_type AND location IS NOT NULL
UNION SELECT location FROM stock_pools WHERE item_type = :item_type AND is_active AND location IS NOT NULL
ORDER BY 1
"""

_CHOSEN = Given("chosen", {"number": "whole"})


def _by_engine(statement: str, **columns: Any) -> dict[str, Executable]:
    """A statement as each engine understands it."""
    return {engine: _prepared(statement, engine, columns) for engine in ("postgresql", "sqlite")}


def _prepared(statement: str, engine: str, columns: Mapping[str, Any]) -> Executable:
    whole = statement.format(asked=_ASKED.select(engine), chosen=_CHOSEN.select(engine), among="{among}")
    instants = [bindparam(name, type_=tables.Instant) for name in _INSTANTS if f":{name}" in whole]
    return text(whole).bindparams(*instants).columns(**columns)


_INSTANTS = ("now", "latest", "earliest", "starts", "ends")

_ASK_ASSETS = _by_engine(_ASSETS)
_ASK_FREE = _by_engine(_FREE.replace("{among}", ""))
_ASK_FREE_AMONG = _by_engine(_FREE.replace("{among}", "AND a.number IN (SELECT number FROM ({chosen}) AS chosen)"))
_ASK_POOLS = _by_engine(_POOLS)
_ASK_BLOCKS = _by_engine(_BLOCKS_OF_UNITS, start=tables.Instant, until=tables.Instant)
_ASK_CHANGES = _by_engine(_CHANGES, at=tables.Instant)
_ASK_LOCATIONS = _by_engine(_LOCATIONS)


class Capacities:
    """The gateway to what can be promised. What it tells is sure while the item types are held."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._engine = connection.dialect.name

    def assets(self, asked: Mapping[str, Window], now: datetime, location: str | None = None) -> dict[str, AssetsState]:
        """Item type → the state of its units in the window that goes with it."""
        rows = self._ask(_ASK_ASSETS, self._about(asked, now, location))
        return {**dict.fromkeys(asked, AssetsState(0, 0)), **{row.item_type: AssetsState(row.total, row.busy) for row in rows}}

    def pools(self, asked: Mapping[str, Window], now: datetime, location: str | None = None) -> dict[str, list[PoolState]]:
        """Item type → the state of each of its active pools, by number, in the window that goes with it."""
        found: dict[str, list[PoolState]] = {item_type: [] for item_type in asked}
        for item_type, *state in self._ask(_ASK_POOLS, self._about(asked, now, location)):
            found[item_type].append(PoolState(*state))
        return found

    def free_assets(self, item_type: str, window: Window, now: datetime, limit: int, location: str | None = None) -> list[AssetUnit]:
        """
        At most `limit` reservable units that nothing blocks anywhere in the window, those first that it leaves the shortest gaps beside.

        Of the first free ones by number, that is: four times as many as are wanted, and LEAST_COMPARED at least. Equals come by number.
        """
        bounds = {"limit": limit, "compared": max(LEAST_COMPARED, 4 * limit), "latest": LATEST, "earliest": EARLIEST}
        rows = self._ask(_ASK_FREE, {**self._about({item_type: window}, now, location), **bounds})
        return [AssetUnit(*row) for row in rows]

    def free_among(self, assets: Iterable[str], item_type: str, window: Window, now: datetime) -> list[AssetUnit]:
        """Those of the given units that are of the item type, reservable and blocked by nothing; in the order of `free_assets`."""
        numbers = sorted({number_of(asset) for asset in assets})
        bounds = {"limit": len(numbers), "compared": len(numbers), "latest": LATEST, "earliest": EARLIEST}
        chosen = _CHOSEN.values(self._engine, [(number,) for number in numbers])
        rows = self._ask(_ASK_FREE_AMONG, {**self._about({item_type: window}, now, None), **bounds, **chosen}) if numbers else []
        return [AssetUnit(*row) for row in rows]

    def blocks(self, item_type: str, window: Window, now: datetime, location: str | None = None, asset: str | None = None) -> list[Block]:
        """Everything that blocks reservable units (or one of them) in the window, by number of the unit and by start."""
        chosen = {"asset": number_of(asset) if asset is not None else None, "latest": LATEST}
        rows = self._ask(_ASK_BLOCKS, {**self._about({item_type: window}, now, location), **chosen})
        return [Block(row.identifier, row.start, row.until, row.rent_action, row.reason) for row in rows]

    def pool_changes(self, pool: str, window: Window, now: datetime) -> tuple[int, list[Change]]:
        """How many units of a pool are promised at the start of the window, and how that changes inside it, once per instant, in order."""
        asked = {"pool": pool, "starts": window.start, "ends": window.end, "now": now, "latest": LATEST}
        found = [Change(at, started - ended, started, ended) for at, started, ended in self._ask(_ASK_CHANGES, asked)]
        level = found[0].change if found and found[0].at == window.start else 0
        return level, [change for change in found if change.at > window.start]

    def pool_days(self, pool: str, first: date, last: date, now: datetime) -> list[Day]:
        """The promised units of a pool on each day in UTC, from the first to the last."""
        days = [_midnight(first) + count * DAY for count in range((last - first).days + 1)]
        return [self._day(pool, day, now) for day in days]

    def locations(self, item_type: str) -> list[str]:
        """The places that have units or active pools of an item type."""
        return [row.location for row in self._ask(_ASK_LOCATIONS, {"item_type": item_type})]

    def _day(self, pool: str, start: datetime, now: datetime) -> Day:
        level, changes = self.pool_changes(pool, Window(start - tables.MICROSECOND, start + DAY), now)
        level += changes[0].change if changes and changes[0].at == start else 0
        levels = list(accumulate((change.change for change in changes if change.at > start), initial=level))
        started, ended = sum(change.started for change in changes), sum(change.ended for change in changes)
        return Day(start, level, max(levels), min(levels), started, ended)

    def _about(self, asked: Mapping[str, Window], now: datetime, location: str | None) -> dict[str, Any]:
        rows = [(item_type, window.start, window.end) for item_type, window in asked.items()]
        return {**_ASKED.values(self._engine, rows), "now": now, "location": location, "latest": LATEST}

    def _ask(self, statements: Mapping[str, Executable], values: Mapping[str, Any]) -> list[Any]:
        return list(self._connection.execute(statements[self._engine], values))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
