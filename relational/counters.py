"""
Counters: what the promises of a stock pool add up to, hour by hour, day by day, and in blocks of 32 days.

Whole buckets of a window are read from here and only what is left at its edges from the rows, so that a window costs the same
however many allocations there are. A counter has the units that begin (`started`) and end (`ended`) to be promised in its bucket,
and where the level is, beside that just before it: at its first instant (`opening`), at most (`rise`) and at least (`fall`). A longer
bucket is put together from the shorter ones in it, since the level before each is the sum of what those before it change.

What blocks is counted from `blocked_from` to `blocked_to`. Whether units are out past their end depends on when one asks: that is
not counted here.

Counters are written with the rows, by whoever holds the item type; so no two ever change those of one pool at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from sqlalchemy import Connection, TextClause, delete, select, text

from relational import tables
from relational.buckets import DAY, HOUR, Layout, bucket_of, buckets_around, first_of, last_of
from relational.given import Given
from relational.wire import Statement, Wire

LAYOUT = Layout((HOUR, DAY, 32 * DAY))
"""Measured beside others: `python -m bench.counters`."""

COUNTED = "b.status IN ('allocated', 'in_use')"
"""Of the allocations `b`. Literal, not bound: a planner uses a partial index only where it can see that its condition holds."""


@dataclass(frozen=True, slots=True)
class Words:
    """How an engine finds the bucket that an instant lies in, and the first instant of a bucket."""

    bucket: str
    first: str


WORDS = {
    "postgresql": Words("CAST(floor(extract(epoch FROM at) / {span}) AS bigint)", "to_timestamp({bucket} * {span})"),
    "sqlite": Words(
        "(at - ((at % {span}000000) + {span}000000) % {span}000000) / {span}000000",
        "{bucket} * {span} * 1000000",
    ),
}

_SHORTEST = Given("shortest", {"pool": "text", "bucket": "whole", "first": "instant", "last": "instant"})
_LONGER = Given("longer", {"pool": "text", "span": "whole", "bucket": "whole", "lowest": "whole", "highest": "whole"})
_POOLS = Given("pools", {"pool": "text"})

# --- counting rows ----------------------------------------------------------------------------------------------------

_FROM_ROWS = """
counted_0 AS (
    SELECT pool, bucket, coalesce(sum(started - ended) FILTER (WHERE at = first), 0) AS opening,
        sum(started) AS started, sum(ended) AS ended,
        CASE WHEN min(at) > min(first) AND max(height) < 0 THEN 0 ELSE max(height) END AS rise,
        CASE WHEN min(at) > min(first) AND min(height) > 0 THEN 0 ELSE min(height) END AS fall
    FROM (
        SELECT pool, bucket, first, at, started, ended, sum(started - ended) OVER (PARTITION BY pool, bucket ORDER BY at) AS height
        FROM (
            SELECT pool, bucket, first, at, sum(started) AS started, sum(ended) AS ended FROM ({changes}) AS changes
            GROUP BY pool, bucket, first, at
        ) AS instants
    ) AS running
    GROUP BY pool, bucket
)"""
"""Where nothing changes at the first instant of a bucket, the level there is that just before it: 0 counts, too."""

_CHANGES_OF_SOME = f"""
SELECT s.pool, s.bucket, s.first, b.blocked_from AS at, b.quantity AS started, 0 AS ended FROM shortest AS s CROSS JOIN allocations AS b
WHERE b.stock_pool = s.pool AND {COUNTED} AND b.blocked_from BETWEEN s.first AND s.last
UNION ALL
SELECT s.pool, s.bucket, s.first, b.blocked_to, 0, b.quantity FROM shortest AS s CROSS JOIN allocations AS b
WHERE b.stock_pool = s.pool AND {COUNTED} AND b.blocked_to BETWEEN s.first AND s.last
UNION ALL
SELECT pool, bucket, first, first, 0, 0 FROM shortest
"""  # noqa: S608 (constants put together; values are parameters)
"""The last of them for buckets that have become empty."""

_CHANGES_OF_ALL = f"""
SELECT pool, bucket, {{first}} AS first, at, started, ended FROM (
    SELECT pool, {{bucket}} AS bucket, at, started, ended FROM (
        SELECT b.stock_pool AS pool, b.blocked_from AS at, b.quantity AS started, 0 AS ended FROM pools AS p CROSS JOIN allocations AS b
        WHERE b.stock_pool = p.pool AND {COUNTED}
        UNION ALL
        SELECT b.stock_pool, b.blocked_to, 0, b.quantity FROM pools AS p CROSS JOIN allocations AS b
        WHERE b.stock_pool = p.pool AND {COUNTED}
    ) AS changes
) AS placed
"""  # noqa: S608 (constants put together; values are parameters)

# --- putting together -------------------------------------------------------------------------------------------------

_FROM_PARTS = """
counted_{level} AS (
    SELECT pool, bucket, coalesce(sum(opening) FILTER (WHERE part = lowest), 0) AS opening, sum(started) AS started, sum(ended) AS ended,
        CASE WHEN min(part) > min(lowest) AND max(before + rise) < 0 THEN 0 ELSE max(before + rise) END AS rise,
        CASE WHEN min(part) > min(lowest) AND min(before + fall) > 0 THEN 0 ELSE min(before + fall) END AS fall
    FROM (
        SELECT pool, bucket, lowest, part, opening, started, ended, rise, fall,
            sum(started - ended) OVER (PARTITION BY pool, bucket ORDER BY part) - (started - ended) AS before
        FROM ({parts}) AS parts
    ) AS running
    GROUP BY pool, bucket
)"""

_PARTS_OF_SOME = """
SELECT l.pool, l.bucket, l.lowest, f.bucket AS part, f.opening, f.started, f.ended, f.rise, f.fall
FROM longer AS l CROSS JOIN counted_{below} AS f
WHERE l.span = {span} AND f.pool = l.pool AND f.bucket BETWEEN l.lowest AND l.highest
UNION ALL
SELECT l.pool, l.bucket, l.lowest, c.bucket, c.opening, c.started, c.ended, c.rise, c.fall
FROM longer AS l CROSS JOIN counters AS c
WHERE l.span = {span} AND c.stock_pool = l.pool AND c.span = {shorter} AND c.bucket BETWEEN l.lowest AND l.highest
    AND (c.stock_pool, c.bucket) NOT IN (SELECT pool, bucket FROM counted_{below})
"""
"""
The parts that have just been counted, and the others as they were. NOT IN, since Postgres hashes that where it may join by loops alone.
"""

_PARTS_OF_ALL = """
SELECT pool, bucket, bucket * {ratio} AS lowest, part, opening, started, ended, rise, fall FROM (
    SELECT pool, {bucket} AS bucket, bucket AS part, opening, started, ended, rise, fall FROM counted_{below}
) AS placed
"""

_COLUMNS = "opening, started, ended, rise, fall"
_INSERT = f"INSERT INTO counters (stock_pool, span, bucket, {_COLUMNS})"
_OR_CHANGE = f"ON CONFLICT (stock_pool, span, bucket) DO UPDATE SET {', '.join(f'{one} = excluded.{one}' for one in _COLUMNS.split(', '))}"

_DIFFERING = f"""
told AS (SELECT * FROM ({{counted}}) AS counted WHERE started <> 0 OR ended <> 0),
kept AS (
    SELECT c.stock_pool AS pool, c.span, c.bucket, {_COLUMNS} FROM pools AS p CROSS JOIN counters AS c
    WHERE c.stock_pool = p.pool AND (started <> 0 OR ended <> 0)
)
SELECT pool FROM (SELECT * FROM told EXCEPT SELECT * FROM kept) AS missing
UNION SELECT pool FROM (SELECT * FROM kept EXCEPT SELECT * FROM told) AS wrong
"""  # noqa: S608 (constants put together; values are parameters)
"""A counter of nothing is as good as none."""


@lru_cache(maxsize=16)
def _recount(layout: Layout) -> Statement:
    """The statement that counts certain buckets anew, and what has them as its parts."""
    return Statement({engine: _recount_on(layout, engine) for engine in WORDS})


def _recount_on(layout: Layout, engine: str) -> TextClause:
    given = [f"{one.name} AS ({one.select(engine)})" for one in (_SHORTEST, _LONGER)]
    longer = [
        _FROM_PARTS.format(level=level, parts=_PARTS_OF_SOME.format(below=level - 1, span=span, shorter=shorter))
        for level, (shorter, span) in enumerate(pairwise(layout.spans), 1)
    ]
    counted = ",".join([*given, _FROM_ROWS.format(changes=_CHANGES_OF_SOME), *longer])
    return text(f"WITH {counted} {_INSERT} {_every_level(layout)} {_OR_CHANGE}")


@lru_cache(maxsize=16)
def _count_all(layout: Layout, engine: str) -> TextClause:
    """The statement that counts everything in certain pools, which have no counters."""
    return text(f"WITH {_whole(layout, engine)} {_INSERT} {_every_level(layout)}")


@lru_cache(maxsize=16)
def _differing(layout: Layout, engine: str) -> TextClause:
    """The statement that names those of certain pools whose counters are not what their rows add up to."""
    return text(f"WITH {_whole(layout, engine)}, {_DIFFERING.format(counted=_every_level(layout))}")


def _whole(layout: Layout, engine: str) -> str:
    words, span = WORDS[engine], layout.shortest
    changes = _CHANGES_OF_ALL.format(bucket=words.bucket.format(span=span), first=words.first.format(bucket="bucket", span=span))
    longer = [
        _FROM_PARTS.format(level=level, parts=_PARTS_OF_ALL.format(below=level - 1, ratio=span // shorter, bucket=_above(span // shorter)))
        for level, (shorter, span) in enumerate(pairwise(layout.spans), 1)
    ]
    return ",".join([f"pools AS ({_POOLS.select(engine)})", _FROM_ROWS.format(changes=changes), *longer])


def _above(ratio: int) -> str:
    """The longer bucket around a bucket. Division rounds towards zero, and there is time before 1970."""
    return f"(bucket - ((bucket % {ratio}) + {ratio}) % {ratio}) / {ratio}"


def _every_level(layout: Layout) -> str:
    levels = (f"SELECT pool, {span} AS span, bucket, {_COLUMNS} FROM counted_{level}" for level, span in enumerate(layout.spans))  # noqa: S608 (constants put together; values are parameters)
    return f"SELECT * FROM ({' UNION ALL '.join(levels)}) AS levels WHERE true"  # noqa: S608 (constants put together; values are parameters)


class Counters:
    """The gateway to counters."""

    def __init__(self, connection: Connection, layout: Layout = LAYOUT) -> None:
        self._connection = connection
        self._engine = connection.dialect.name
        self._layout = layout

    def recount(self, changed: Iterable[tuple[str, datetime]]) -> None:
        """Count anew what has changed: pools, and the instants at which more or fewer of their units are promised than before."""
        span = self._layout.shortest
        shortest = sorted({(pool, bucket_of(at, span)) for pool, at in changed})
        if not shortest:
            return
        bounds = [(pool, bucket, first_of(bucket, span), last_of(bucket, span)) for pool, bucket in shortest]
        values = {**_SHORTEST.values(self._engine, bounds), **_LONGER.values(self._engine, self._longer(shortest))}
        Wire.of(self._connection).run(_recount(self._layout), values)

    def rebuild(self, pools: Sequence[str]) -> None:
        """Count everything in these pools anew."""
        self._connection.execute(delete(tables.counters).where(tables.counters.c.stock_pool.in_(pools)))
        self._connection.execute(_count_all(self._layout, self._engine), self._of(pools))

    def differing(self, pools: Sequence[str]) -> list[str]:
        """Those of these pools, in order, whose counters are not what their rows add up to."""
        return sorted(self._connection.execute(_differing(self._layout, self._engine), self._of(pools)).scalars())

    def pools(self) -> dict[str, list[str]]:
        """Item type → its pools, active or not."""
        found: dict[str, list[str]] = {}
        stored = tables.stock_pools.c
        for item_type, pool in self._connection.execute(select(stored.item_type, stored.identifier).order_by(stored.number)):
            found.setdefault(item_type, []).append(pool)
        return found

    def _longer(self, shortest: Iterable[tuple[str, int]]) -> list[tuple[str, int, int, int, int]]:
        found, buckets = [], list(shortest)
        for shorter, span in pairwise(self._layout.spans):
            ratio = span // shorter
            buckets = buckets_around(buckets, ratio)
            found += [(pool, span, bucket, bucket * ratio, bucket * ratio + ratio - 1) for pool, bucket in buckets]
        return found

    def _of(self, pools: Sequence[str]) -> dict[str, object]:
        return _POOLS.values(self._engine, [(pool,) for pool in pools])
