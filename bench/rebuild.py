"""
What it costs to make a SPARQL store equal to the ledger: `rebuild graphs` of an empty store, of one that is equal, and of one in which
one graph of a hundred has been lost.

The store is an Oxigraph server over a directory, as `ld-server up` runs it. CPU time is that of the command and of the server (user and
system), so that a busy machine does not count; the rate is what the clock said.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.bulk import load_reservations
from bench.servers import free_port
from bench.table import Row, print_table
from ld_server.bootstrap import build
from ld_server.cli import main as ld_server
from ld_server.cli.deployment import settings_of
from ld_server.services.parts import Parts
from ld_server.supervisor.household import answers, oxigraph

COUNT = 40_000


def main() -> None:
    """`python -m bench.rebuild --count 40000`"""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help="reservations, of some 25 quads each")
    given, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as directory, _server(Path(directory)) as server:
        load_reservations(Path(directory), given.count)
        parts = build(settings_of(argparse.Namespace()))
        first = _measured(server)
        quads = _quads(parts)
        rows = [Row((f"{quads:,} quads", "seconds", "quads/s", "CPU µs per quad: ours", "Oxigraph's"))]
        rows.append(_row("an empty store", quads, first))
        rows.append(_row("an equal one", quads, _measured(server)))
        _lose(parts)
        rows.append(_row("one in which 1 of 100 is lost", quads, _measured(server)))
        parts.close()
        print_table(rows)


@contextmanager
def _server(data: Path) -> Iterator[psutil.Process]:
    """A managed store without a supervisor, and the deployment that is told of it."""
    port = free_port()
    (data / "run").mkdir()
    (data / "run" / "sparql-url").write_text(f"http://127.0.0.1:{port}")
    os.environ.update({"LD_DATA_DIR": str(data), "LD_SPARQL_URL": "managed:", "LD_ADMIN_KEY": "k" * 40})
    child = subprocess.Popen([oxigraph(), "serve", "-l", str(data / "graphs"), "-b", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    while not answers("127.0.0.1", port, "/query?query=ASK%7B%7D"):
        time.sleep(0.05)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()


def _quads(parts: Parts) -> int:
    return sum(len(parts.sparql.triples(name)) for name in _sample(parts)) * len(list(parts.sparql.graph_names())) // len(_sample(parts))


def _sample(parts: Parts) -> list[str]:
    return list(parts.sparql.graph_names())[:20]


def _lose(parts: Parts) -> None:
    parts.sparql.replace(dict.fromkeys(list(parts.sparql.graph_names())[::100], ()))


Measured = tuple[float, float, float]
"""Seconds by the clock, of the CPU here, of the CPU in the server."""


def _measured(server: psutil.Process) -> Measured:
    def used() -> Measured:
        theirs = server.cpu_times()
        return time.perf_counter(), time.process_time(), theirs.user + theirs.system

    before = used()
    if ld_server(["rebuild", "graphs"]):
        raise SystemExit("ld-server rebuild graphs failed")
    clock, ours, theirs = (after - start for after, start in zip(used(), before, strict=True))
    return clock, ours, theirs


def _row(label: str, quads: int, measured: Measured) -> Row:
    clock, ours, theirs = measured
    return Row((label, f"{clock:.1f}", f"{quads / clock:,.0f}", f"{1e6 * ours / quads:.1f}", f"{1e6 * theirs / quads:.1f}"))


if __name__ == "__main__":
    main()
