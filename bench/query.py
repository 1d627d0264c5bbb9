"""Small SPARQL queries through `/v1/sparql`, beside the same queries asked of the Oxigraph server that answers them."""

import itertools
import statistics
import tempfile
import urllib.parse
from pathlib import Path

import psutil

from bench.load import drive, request
from bench.post import post_story
from bench.servers import KEY, cpu_seconds, free_port, settings_at, whole
from bench.table import Row, print_table
from ld_server.settings import Settings

ROUNDS, REQUESTS, CONNECTIONS, RESERVATIONS = 5, 1000, 6, 50
QUERIES = {
    "ASK {}": "ASK {{}}",
    "one value": "SELECT ?status WHERE {{ <{one}> <https://w3id.org/ld-reservations#status> ?status }}",
    "all of one reservation": "SELECT ?p ?o WHERE {{ <{one}> ?p ?o }}",
    "a page of 50 reservations": "PREFIX s: <http://schema.org/> "
    "SELECT ?one ?start ?end WHERE {{ ?one a s:RentAction ; s:startTime ?start ; s:endTime ?end }} ORDER BY ?start LIMIT 50",
    "counted by day": "PREFIX s: <http://schema.org/> "
    "SELECT ?day (COUNT(?one) AS ?n) WHERE {{ ?one a s:RentAction ; s:startTime ?start BIND(STRBEFORE(STR(?start), 'T') AS ?day) }} "
    "GROUP BY ?day",
}
ACCEPT = "application/sparql-results+json"
PATIENCE = 2.0
"""Seconds. Oxigraph keeps a thread for every query until its time is over, answered or not: more than it has room for, in a benchmark."""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for server in ("gunicorn", "granian"):
            settings = settings_at(Path(directory) / server, free_port(), server=server, sparql_timeout=PATIENCE)
            with whole(settings) as family:
                story = post_story(settings.port, reservations=RESERVATIONS)
                print_table(_rows(settings, family, f"{settings.base_iri}{story.reservations[0]}"))


def _rows(settings: Settings, family: psutil.Process, one: str) -> list[Row]:
    store = urllib.parse.urlsplit((settings.data_dir / "run" / "sparql-url").read_text().strip())
    rows = [
        Row(
            (
                f"{settings.server}: median of {ROUNDS} rounds of {REQUESTS} queries, {CONNECTIONS} connections",
                "Oxigraph, queries/s",
                "through us",
                "of Oxigraph",
                "CPU of each there",
                "CPU of each here",
            )
        )
    ]
    for name, query in QUERIES.items():
        asked = urllib.parse.urlencode({"query": query.format(one=one)})
        sides = {
            "there": (int(store.port or 0), request("GET", f"/query?{asked}", {"Accept": ACCEPT})),
            "here": (settings.port, request("GET", f"/v1/sparql?{asked}", {"Accept": ACCEPT, "Authorization": f"Bearer {KEY}"})),
        }
        rates: dict[str, list[float]] = {side: [] for side in sides}
        costs: dict[str, list[float]] = {side: [] for side in sides}
        for _, (side, (port, wire)) in itertools.product(range(ROUNDS), sides.items()):
            rate, cost = _round(port, wire, family)
            rates[side].append(rate)
            costs[side].append(cost)
        there, here = (statistics.median(rates[side]) for side in sides)
        cpu = [f"{statistics.median(costs[side]):.2f} ms" for side in sides]
        rows.append(Row((name, f"{there:,.0f}", f"{here:,.0f}", f"{here / there:.2f}", *cpu)))
    return rows


def _round(port: int, wire: bytes, family: psutil.Process) -> tuple[float, float]:
    """Answers per second, and CPU milliseconds of all our processes, the store's among them, per answer."""
    before = cpu_seconds(family)
    result = drive(port, lambda: itertools.repeat(wire, REQUESTS), CONNECTIONS)
    wrong = [status for status in result.statuses if status != 200]
    if wrong:
        raise SystemExit(f"{len(wrong)} queries on port {port} were not answered with 200, the first with {wrong[0]}")
    return result.rate, (cpu_seconds(family) - before) * 1000 / len(result.statuses)


if __name__ == "__main__":
    main()
