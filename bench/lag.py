"""From the answer to a write until the SPARQL server itself has it: the projection lag, and what waiting for it costs a query."""

import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

from bench.load import HOST
from bench.post import post, post_story, reservation
from bench.servers import KEY, free_port, settings_at, whole
from bench.table import Row, print_table

WRITES = 100
GIVE_UP = 10.0


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        settings = settings_at(Path(directory), free_port())
        with whole(settings):
            story = post_story(settings.port)
            item_type = story.item_type.rpartition("/")[2]
            store = (settings.data_dir / "run" / "sparql-url").read_text().strip()
            lags = [_lag(settings.port, store, item_type, day) for day in range(WRITES)]
            through = [_through(settings.port, item_type, day) for day in range(WRITES)]
            direct = [_timed(f"{store}/query", "ASK {}", {}) for _ in range(WRITES)]
            idle = [_timed(f"http://{HOST}:{settings.port}/v1/sparql", "ASK {}", _key()) for _ in range(WRITES)]
    rows = {
        "commit → visible in the SPARQL server": lags,
        "write, then the query through /v1/sparql that sees it": through,
        "ASK through /v1/sparql, nothing pending": idle,
        "ASK at the SPARQL server itself": direct,
    }
    print_table([Row((f"Projection, {WRITES} writes one by one", "median", "p95")), *(_row(*one) for one in rows.items())])


def _lag(port: int, store: str, item_type: str, day: int) -> float:
    document, _ = post(port, "/v1/rent-actions", reservation(item_type, day))
    started = time.perf_counter()
    while time.perf_counter() - started < GIVE_UP:
        if _ask(f"{store}/query", f"ASK {{ <{document['@id']}> ?p ?o }}", {}):
            return time.perf_counter() - started
        time.sleep(0.001)
    raise SystemExit(f"{document['@id']} did not reach the SPARQL server in {GIVE_UP} s")


def _through(port: int, item_type: str, day: int) -> float:
    document, _ = post(port, "/v1/rent-actions", reservation(item_type, day))
    started = time.perf_counter()
    if not _ask(f"http://{HOST}:{port}/v1/sparql", f"ASK {{ <{document['@id']}> ?p ?o }}", _key()):
        raise SystemExit("a query did not see the write before it")
    return time.perf_counter() - started


def _timed(url: str, query: str, headers: dict[str, str]) -> float:
    started = time.perf_counter()
    _ask(url, query, headers)
    return time.perf_counter() - started


def _ask(url: str, query: str, headers: dict[str, str]) -> bool:
    asked = urllib.request.Request(
        f"{url}?{urllib.parse.urlencode({'query': query})}", headers={"Accept": "application/sparql-results+json", **headers}
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:  # loopback only
        return b"true" in answer.read()


def _key() -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}"}


def _row(name: str, seconds: list[float]) -> Row:
    ordered = sorted(seconds)
    return Row((name, f"{statistics.median(ordered) * 1000:.1f} ms", f"{ordered[int(len(ordered) * 0.95)] * 1000:.1f} ms"))


if __name__ == "__main__":
    main()
