"""
GET of one reservation as JSON-LD and as Turtle, beside Community Solid Server with the same graph.

`--command` starts that server, which is not a part of this project: by default npx fetches it from npm. Both have one process, since that
server takes no more with its notifications, and their data on disk.
"""

import argparse
import itertools
import shlex
import statistics
import tempfile
import urllib.request
from pathlib import Path

import psutil

from bench.load import HOST, drive, request
from bench.post import post_story
from bench.servers import KEY, cpu_seconds, free_port, running, settings_at, web_only
from bench.table import Row, print_table

ROUNDS, REQUESTS, CONNECTIONS, PROCESSES = 5, 100, 8, 1
COMMAND = "npx --yes @solid/community-server"
OPTIONS = "-c @css:config/file-root.json -f {data} -p {port} -b http://localhost:{port}/ -l error -w {processes}"
SYNTAXES = {"JSON-LD": "application/ld+json", "Turtle": "text/turtle"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", default=COMMAND)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        theirs = free_port()
        options = OPTIONS.format(data=Path(directory) / "solid", port=theirs, processes=PROCESSES)
        with running([*shlex.split(given.command), *shlex.split(options)], {}, theirs, "/") as solid:
            rows = [
                Row(
                    (
                        f"GET: median of {ROUNDS} rounds of {REQUESTS}, {CONNECTIONS} connections",
                        "requests/s",
                        "of Community Solid Server",
                        "server CPU per request",
                        "median",
                    )
                )
            ]
            for server in ("gunicorn", "granian"):
                rows += _beside(solid, theirs, Path(directory) / server, server)
            print_table(rows)


def _beside(solid: psutil.Process, theirs: int, data: Path, server: str) -> list[Row]:
    settings = settings_at(data, free_port(), sparql_url="memory:", server=server, web_workers=PROCESSES)
    with web_only(settings) as web:
        path = post_story(settings.port).reservations[0]
        _copy(settings.port, path, theirs)
        sides = {
            "Community Solid Server": (solid, theirs, "/reservation.ttl", {}),
            f"ours, {server}": (web, settings.port, path, {"Authorization": f"Bearer {KEY}"}),
        }
        return [row for name, syntax in SYNTAXES.items() for row in _rows(name, syntax, sides)]


def _copy(port: int, path: str, theirs: int) -> None:
    """Puts the graph of a resource of ours there."""
    asked = urllib.request.Request(f"http://{HOST}:{port}{path}", headers={"Accept": "text/turtle", "Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        graph = answer.read()
    put = urllib.request.Request(
        f"http://localhost:{theirs}/reservation.ttl", graph, {"Content-Type": "text/turtle", "Host": f"localhost:{theirs}"}, method="PUT"
    )
    urllib.request.urlopen(put, timeout=30).close()


def _rows(name: str, accept: str, sides: dict[str, tuple[psutil.Process, int, str, dict[str, str]]]) -> list[Row]:
    rates: dict[str, list[float]] = {side: [] for side in sides}
    costs: dict[str, list[float]] = {side: [] for side in sides}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _, (side, (process, port, path, headers)) in itertools.product(range(ROUNDS), sides.items()):
        wire = request("GET", path, {"Accept": accept, **headers}, host=f"localhost:{port}")
        before = cpu_seconds(process)
        result = drive(port, lambda wire=wire: itertools.repeat(wire, REQUESTS), CONNECTIONS)
        wrong = [status for status in result.statuses if status != 200]
        if wrong:
            raise SystemExit(f"{side} answered {wrong[0]}")
        rates[side].append(result.rate)
        costs[side].append((cpu_seconds(process) - before) * 1000 / REQUESTS)
        times[side] += result.latencies
    base = statistics.median(rates[next(iter(sides))])
    return [
        Row(
            (
                f"{name}, {side}",
                f"{statistics.median(rates[side]):,.0f}",
                f"{statistics.median(rates[side]) / base:.1f}",
                f"{statistics.median(costs[side]):.2f} ms",
                f"{statistics.median(times[side]) * 1000:.1f} ms",
            )
        )
        for side in sides
    ]


if __name__ == "__main__":
    main()
