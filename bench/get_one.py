"""GET of one reservation against a Falcon hello-world: same web server and settings, same request headers, turn by turn."""

import itertools
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.load import Result, drive, request
from bench.post import post_story
from bench.servers import KEY, cpu_seconds, free_port, hello, settings_at, web_only
from bench.table import Row, print_table

ROUNDS, REQUESTS, CONNECTIONS = 5, 2000, 8


def main() -> None:
    for server in ("gunicorn", "granian"):
        with tempfile.TemporaryDirectory() as directory:
            _compare(server, Path(directory))


def _compare(server: str, directory: Path) -> None:
    ours = settings_at(directory, free_port(), sparql_url="memory:", server=server)
    theirs = settings_at(directory / "hello", free_port(), sparql_url="memory:", server=server)
    with web_only(ours) as our_process, hello(theirs) as their_process:
        story = post_story(ours.port, reservations=1)
        item_type = story.item_type.rpartition("/")[2]
        available = f"/v1/availability?itemTypeId={item_type}&startTime=2027-03-01T00:00:00Z&endTime=2027-03-02T00:00:00Z"
        cases = {
            "Falcon hello-world": (theirs.port, their_process, _get("/hello", "application/ld+json")),
            "GET reservation, JSON-LD": (ours.port, our_process, _get(story.reservations[0], "application/ld+json")),
            "GET reservation, 304": (ours.port, our_process, _get(story.reservations[0], "application/ld+json", story.etag)),
            "GET reservation, Turtle": (ours.port, our_process, _get(story.reservations[0], "text/turtle")),
            "GET availability": (ours.port, our_process, _get(available, "application/ld+json")),
        }
        for case in cases.values():
            _round(*case)
        measured: dict[str, list[tuple[Result, float]]] = {name: [] for name in cases}
        for name, case in itertools.chain.from_iterable([cases.items()] * ROUNDS):
            measured[name].append(_round(*case))
        print_table(_rows(server, measured))


def _get(path: str, accept: str, etag: str | None = None) -> bytes:
    headers = {"Accept": accept, "Authorization": f"Bearer {KEY}"}
    return request("GET", path, {**headers, **({"If-None-Match": etag} if etag else {})})


def _round(port: int, process: psutil.Process, wire: bytes) -> tuple[Result, float]:
    """The answers, and the CPU milliseconds of the server per answer."""

    def requests() -> Iterator[bytes]:
        return itertools.repeat(wire, REQUESTS)

    before = cpu_seconds(process)
    result = drive(port, requests, CONNECTIONS)
    refused = [status for status in result.statuses if status >= 400]
    if refused:
        raise SystemExit(f"the server answered {refused[0]}")
    return result, (cpu_seconds(process) - before) * 1000 / len(result.statuses)


def _rows(server: str, measured: dict[str, list[tuple[Result, float]]]) -> list[Row]:
    rates = {name: statistics.median(result.rate for result, _ in rounds) for name, rounds in measured.items()}
    costs = {name: statistics.median(cost for _, cost in rounds) for name, rounds in measured.items()}
    base = next(iter(rates))
    title = f"{server}: median of {ROUNDS} rounds of {REQUESTS} requests, {CONNECTIONS} connections"
    rows = [Row((title, "requests/s", "of hello-world", "server CPU per request", "of hello-world"))]
    for name, rate in rates.items():
        cost = costs[name]
        rows.append(Row((name, f"{rate:,.0f}", f"{rate / rates[base]:.2f}", f"{cost:.3f} ms", f"{cost / costs[base]:.2f}")))
    return rows


if __name__ == "__main__":
    main()
