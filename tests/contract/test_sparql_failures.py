"""What happens to an HTTP store when its server is away, comes back, breaks off or says something odd."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pyoxigraph import Literal, NamedNode, Triple

from ld_server.domain.errors import InvalidParameter, QueryLimitExceeded, StoreUnavailable
from ld_server.settings import Settings
from ld_server.sparql import results
from ld_server.sparql.http import FORGOTTEN_SECONDS, PROBE, HttpStore
from ld_server.sparql.store import Limits, SparqlStore, open_store
from ld_server.sparql.wire import Endpoints
from tests.sparql_servers import OxigraphServer, free_port

LIMITS = Limits(rows=1000, octets=100_000)
CAMERA = "http://localhost:8000/v1/catalog/item-types/itemType_1"
GRAPH = {CAMERA: [Triple(NamedNode(CAMERA), NamedNode("http://schema.org/name"), Literal("Finish camera"))]}

ACTIONS: dict[str, Callable[[SparqlStore], object]] = {
    "query": lambda store: store.query("ASK {}", results.JSON, timeout=2),
    "replace": lambda store: store.replace(GRAPH),
    "triples": lambda store: store.triples(CAMERA),
    "graph_names": lambda store: list(store.graph_names()),
    "clear": lambda store: store.clear(),
    "ping": lambda store: store.ping(),
}
every_action = pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)


def store_at(url: str) -> HttpStore:
    endpoints = Endpoints(f"{url}/query", f"{url}/update")
    return HttpStore(lambda: endpoints, LIMITS)


@pytest.fixture
def server() -> Iterator[OxigraphServer]:
    started = OxigraphServer()
    yield started
    started.stop()


@every_action
def test_a_server_that_is_away_is_unavailable(action: Callable[[SparqlStore], object]) -> None:
    with pytest.raises(StoreUnavailable) as refusal:
        action(store_at(f"http://127.0.0.1:{free_port()}"))
    assert "127.0.0.1" not in refusal.value.detail


@every_action
def test_a_managed_server_that_was_never_started_is_unavailable(action: Callable[[SparqlStore], object], tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        action(open_store(Settings(data_dir=tmp_path)))


def test_a_server_that_comes_back_is_found_again(server: OxigraphServer) -> None:
    store = store_at(server.url)
    store.replace(GRAPH)
    server.stop(hard=True)
    with pytest.raises(StoreUnavailable):
        store.ping()
    server.start()
    store.ping()
    store.replace(GRAPH)
    assert store.triples(CAMERA) == GRAPH[CAMERA]


def test_a_server_that_was_restarted_between_two_requests_is_no_outage(server: OxigraphServer) -> None:
    store = store_at(server.url)
    store.ping()
    server.stop(hard=True)
    server.start()
    store.replace(GRAPH)


def test_a_managed_server_may_come_back_elsewhere(tmp_path: Path) -> None:
    address = tmp_path / "run" / "sparql-url"
    address.parent.mkdir()
    first, second = OxigraphServer(), OxigraphServer()
    try:
        address.write_text(first.url)
        store = open_store(Settings(data_dir=tmp_path))
        store.replace(GRAPH)
        first.stop()
        address.write_text(second.url)
        store.replace(GRAPH)
        assert store_at(second.url).triples(CAMERA) == GRAPH[CAMERA]
    finally:
        first.stop()
        second.stop()


class Stand:
    """Answers every request with the same words: servers that we do not have, and the moments when one goes wrong."""

    def __init__(self, status: int, media_type: str, body: bytes, delay: float = 0.0, announced: int | None = None) -> None:
        self.connections: set[object] = set()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        stand = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stand.connections.add(self.connection)
                posted = self.rfile.read(int(self.headers["Content-Length"]))
                stand.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, posted))
                time.sleep(delay)
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body) if announced is None else announced))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> "Stand":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


TRUE = b'{"head":{},"boolean":true}'
TABLE = b'{"head":{"vars":["n"]},"results":{"bindings":[{"n":{"type":"literal","value":"1"}}'
EXCUSE = b"The SPARQL operation has been cancelled"

ANSWERS = {
    "a syntax error": (400, "text/plain", b"error at 1:9: expected SELECT", InvalidParameter),
    "a timeout by its status": (504, "text/plain", b"", QueryLimitExceeded),
    "a timeout by its words": (500, "text/plain", b"Transaction timed out", QueryLimitExceeded),
    "a timeout as Fuseki says it": (503, "text/plain", b"Query timed out", QueryLimitExceeded),
    "a timeout in the middle of a table": (200, results.JSON, TABLE + EXCUSE, QueryLimitExceeded),
    "a failure in the middle of a table": (200, results.JSON, TABLE + b"disk error", StoreUnavailable),
    "an error": (500, "text/html", b"<h1>secret host 10.0.0.1</h1>", StoreUnavailable),
    "no access": (401, "text/plain", b"", StoreUnavailable),
    "a redirect": (302, "text/plain", b"", StoreUnavailable),
    "a web page": (200, "text/html", b"<h1>Welcome</h1>", StoreUnavailable),
}


@pytest.mark.parametrize(("status", "media_type", "body", "refusal"), ANSWERS.values(), ids=ANSWERS)
def test_what_a_server_says_about_a_query(status: int, media_type: str, body: bytes, refusal: type[Exception]) -> None:
    with Stand(status, media_type, body) as stand, pytest.raises(refusal) as raised:
        store_at(stand.url).query("SELECT * {}", results.CSV, timeout=2)
    assert "10.0.0.1" not in str(raised.value)


@pytest.mark.parametrize("body", [b"<urn:x:s> <urn:x:p> <urn:x:o> .\n" + EXCUSE, b"<urn:x:s> <urn:x:p>" + EXCUSE])
@pytest.mark.parametrize("accept", [results.N_TRIPLES, "text/turtle"])
def test_a_graph_that_breaks_off_is_no_answer(body: bytes, accept: str) -> None:
    with Stand(200, results.N_TRIPLES, body) as stand, pytest.raises(QueryLimitExceeded):
        store_at(stand.url).query("CONSTRUCT WHERE { ?s ?p ?o }", accept, timeout=2)


@pytest.mark.parametrize(("media_type", "body"), [
    (results.XML, b'<sparql xmlns="http://www.w3.org/2005/sparql-results#"><head/><boolean>true</boolean></sparql>'),
    ("text/xml; charset=utf-8", b'<sparql xmlns="http://www.w3.org/2005/sparql-results#"><head/><boolean>true</boolean></sparql>'),
    ("application/json", TRUE),
])  # fmt: skip
def test_a_server_may_answer_in_another_syntax(media_type: str, body: bytes) -> None:
    with Stand(200, media_type, body) as stand:
        assert store_at(stand.url).query("ASK {}", results.JSON, timeout=2).body == TRUE


def test_a_graph_may_come_as_turtle() -> None:
    with Stand(200, "text/turtle;charset=UTF-8", b"@prefix x: <urn:x:> . x:s x:p x:o .") as stand:
        found = store_at(stand.url).query("CONSTRUCT WHERE { ?s ?p ?o }", results.N_TRIPLES, timeout=2)
    assert found.body == b"<urn:x:s> <urn:x:p> <urn:x:o> .\n"


def test_a_server_that_says_nothing_is_given_up() -> None:
    with Stand(200, results.JSON, TRUE, delay=8) as stand:
        begin = time.monotonic()
        with pytest.raises(QueryLimitExceeded):
            store_at(stand.url).query("ASK {}", results.JSON, timeout=0.2)
        assert time.monotonic() - begin < 7


def test_a_body_that_ends_early_is_an_outage() -> None:
    with Stand(200, results.JSON, TRUE, announced=1000) as stand, pytest.raises(StoreUnavailable):
        stand._server.RequestHandlerClass.timeout = 0.1  # type: ignore[attr-defined]
        store_at(stand.url).query("ASK {}", results.JSON, timeout=2)


def test_a_host_that_swallows_connections_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as full:
        crowd = [socket.create_connection(full.getsockname()) for _ in range(2)]
        with pytest.raises((StoreUnavailable, QueryLimitExceeded)):
            store_at(f"http://127.0.0.1:{full.getsockname()[1]}").query("ASK {}", results.JSON, timeout=0.3)
        for one in crowd:
            one.close()


def test_an_update_that_a_server_does_not_take_is_no_outage() -> None:
    with Stand(400, "text/plain", b"too long") as stand, pytest.raises(ValueError, match="too long"):
        store_at(stand.url).clear()


def test_an_update_that_fails_is_an_outage() -> None:
    with Stand(500, "text/plain", b"disk full") as stand, pytest.raises(StoreUnavailable):
        store_at(stand.url).clear()


def test_requests_share_a_connection() -> None:
    with Stand(200, results.JSON, TRUE) as stand:
        store = store_at(stand.url)
        for _ in range(5):
            store.query("ASK {}", results.JSON, timeout=2)
        assert len(stand.requests) == 5
        assert len(stand.connections) == 1


def test_credentials_in_the_url_are_sent_and_parameters_stay(tmp_path: Path) -> None:
    with Stand(200, results.JSON, TRUE) as stand:
        url = stand.url.replace("http://", "http://planner:s%40cret@") + "/query?timeout=1000"
        open_store(Settings(data_dir=tmp_path, sparql_url=url)).ping()
    path, headers, body = stand.requests[0]
    assert path == "/query?timeout=1000"
    assert headers["authorization"] == "Basic cGxhbm5lcjpzQGNyZXQ="
    assert body == b"query=ASK+%7B%7D"


def test_what_a_killed_probe_left_is_dropped_and_a_live_probe_left_alone() -> None:
    old, live = f"{PROBE}{time.time() - FORGOTTEN_SECONDS - 5:.0f}:a", f"{PROBE}{time.time():.0f}:b"
    server = OxigraphServer()
    try:
        endpoints = Endpoints(f"{server.url}/query", f"{server.url}/update")
        HttpStore(lambda: endpoints, Limits(10, 10_000)).replace(dict.fromkeys((old, live), GRAPH[CAMERA]))
        store = HttpStore(lambda: endpoints, Limits(10, 10_000))
        store.replace(GRAPH)
        assert sorted(store.graph_names()) == sorted([CAMERA, live])
    finally:
        server.stop()


@pytest.mark.parametrize(("times", "mirrored"), [("0", True), ("1", False), ("2", False)])
def test_a_union_is_mirrored_where_the_server_makes_none(times: str, mirrored: bool) -> None:
    count = (
        b'{"head":{"vars":["n"]},"results":{"bindings":[{"n":{"type":"literal","value":"%s"},"g":{"type":"bnode","value":"b"}}]}}'
        % times.encode()
    )
    with Stand(200, results.JSON, count) as stand:
        store_at(stand.url).replace(GRAPH)
    assert (b"DELETE { ?s ?p ?o }" in stand.requests[-1][2]) == mirrored
    assert (b"INSERT { ?s ?p ?o }" in stand.requests[-1][2]) == mirrored
