"""Build requests are handed to an InvenTree over real HTTP: each once, whatever goes wrong on the way."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from ld_server.bootstrap import build
from ld_server.settings import Settings
from tests import factories
from tests.http.conftest import Site, open_site
from workers.inventree import InvenTree
from workers.jobs import build_request_submit
from workers.jobs.build_request_submit import submit

NOW = datetime(2027, 5, 1, 2, tzinfo=UTC)
BUILDS = "/v1/planning/build-requests"
TOKEN = "inv-4711"


class Stand(ThreadingHTTPServer):
    """As much of InvenTree as is spoken to: parts, build orders, token authentication, its errors."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.parts = [{"pk": 3, "name": "Timer", "IPN": "TN"}]
        self.orders: list[dict[str, Any]] = []
        self.fails = ""
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Stand

    def do_GET(self) -> None:
        if self.refused():
            return
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/api/part/":
            self.page([one for one in self.server.parts if one["IPN"].lower() == query["IPN"].lower()])
        elif parts.path == "/api/build/":
            self.page([one for one in self.server.orders if query["search"] in one["title"]])
        else:
            pk = int(parts.path.split("/")[3])
            self.found(next((one for one in self.server.orders if one["pk"] == pk), None))

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refused():
            return
        if not body.get("title"):
            self.answer(400, {"title": ["This field is required."]})
            return
        if not next(one for one in self.server.parts if one["pk"] == body["part"]).get("assembly", True):
            self.answer(400, {"part": ["Part must be an assembly"]})
            return
        with self.server.lock:
            pk = len(self.server.orders) + 41
            self.server.orders.append({"pk": pk, "reference": f"BO-{pk:04}", "status": 10, **body})
        if self.server.fails == "after":
            self.close_connection = True
            self.connection.close()
            return
        self.answer(201, self.server.orders[-1])

    def refused(self) -> bool:
        if self.headers.get("Authorization") != f"Token {TOKEN}":
            self.answer(401, {"detail": "Invalid token."})
        elif self.server.fails == "hang":
            time.sleep(1.5)
            self.answer(200, [])
        elif self.server.fails.isdecimal():
            self.answer(int(self.server.fails), {"detail": "broken"})
        elif self.server.fails == "html":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")
        else:
            return False
        return True

    def page(self, results: list[Any]) -> None:
        self.answer(200, {"count": len(results), "next": None, "previous": None, "results": results})

    def found(self, one: Any) -> None:
        self.answer(200, one) if one else self.answer(404, {"detail": "No Build matches the given query."})

    def answer(self, status: int, body: Any) -> None:
        content = orjson.dumps(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def stand() -> Iterator[Stand]:
    server = Stand()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def asking(database_url: str, tmp_path: Path, stand: Stand) -> Iterator[Site]:
    """A request for three timers."""
    url = {"inventree_url": stand.url, "inventree_token": TOKEN}
    parts = build(Settings(data_dir=tmp_path, database_url=database_url, sparql_url="memory:", **url))
    site = open_site(parts)
    site.made(BUILDS, factories.build_request(site.item_type("TN"), 3))
    yield site
    parts.close()


def run(site: Site) -> dict[str, Any]:
    return build_request_submit.run(site.parts, {}, NOW)


def request(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.get(f"{BUILDS}/build_1").json
    return found


def test_a_build_request_becomes_a_build_order(asking: Site, stand: Stand) -> None:
    assert run(asking)["submitted"] == ["build_1"]
    (order,) = stand.orders
    assert (order["part"], order["quantity"], order["target_date"]) == (3, 3, "2027-05-20")
    found = request(asking)
    assert order["link"] == found["@id"]
    assert (found["status"], found["externalSystem"], found["externalRef"]) == ("submitted", "inventree", "41")


def test_the_state_of_the_order_becomes_that_of_the_request(asking: Site, stand: Stand) -> None:
    run(asking)
    for status, wanted in ((10, "submitted"), (20, "accepted"), (25, "accepted"), (40, "fulfilled")):
        stand.orders[0]["status"] = status
        run(asking)
        assert request(asking)["status"] == wanted
    types = [one["type"] for one in asking.get("/v1/events", query="types=buildRequest.*").json["member"]]
    assert [one for one in types if not one.endswith("updated")] == [
        f"buildRequest.{one}" for one in ("requested", "submitted", "accepted", "fulfilled")
    ]


def test_ten_runs_order_once(asking: Site, stand: Stand) -> None:
    for _ in range(10):
        run(asking)
    assert len(stand.orders) == 1


def test_an_order_that_nobody_lived_to_write_down_is_not_placed_again(asking: Site, stand: Stand) -> None:
    stand.fails = "after"
    assert run(asking)["waiting"] == ["build_1"]
    assert (len(stand.orders), request(asking)["status"]) == (1, "requested")
    stand.fails = ""
    assert run(asking)["submitted"] == ["build_1"]
    assert (len(stand.orders), request(asking)["externalRef"]) == (1, "41")


@pytest.mark.parametrize("fails", ["403", "429", "500", "502", "html", "hang"])
def test_what_gets_no_answer_waits_for_the_next_run(asking: Site, stand: Stand, fails: str) -> None:
    stand.fails = fails
    result = submit(asking.parts, InvenTree(stand.url, TOKEN, 0.5), NOW)
    assert (result["waiting"], request(asking)["status"]) == (["build_1"], "requested")
    stand.fails = ""
    assert run(asking)["submitted"] == ["build_1"]


def test_a_wrong_token_and_a_server_that_is_not_there_are_no_failures_of_the_request(asking: Site, stand: Stand) -> None:
    for system in (InvenTree(stand.url, "wrong", 2), InvenTree("http://127.0.0.1:9", TOKEN, 2)):
        assert submit(asking.parts, system, NOW)["waiting"] == ["build_1"]
        assert request(asking)["status"] == "requested"


def test_a_part_that_nobody_knows_fails_with_the_reason(asking: Site, stand: Stand) -> None:
    stand.parts.clear()
    assert run(asking)["failed"] == ["build_1"]
    found = request(asking)
    assert (found["status"], found["metadata"]) == ("failed", {"failure": "There is no part with the IPN TN."})


def test_a_part_is_the_one_with_the_very_code_whatever_is_like_it(asking: Site, stand: Stand) -> None:
    stand.parts.insert(0, {"pk": 2, "name": "Tin", "IPN": "tn"})
    assert run(asking)["submitted"] == ["build_1"]
    assert [one["part"] for one in stand.orders] == [3]


def test_an_order_that_is_refused_fails_in_the_words_of_the_system(asking: Site, stand: Stand) -> None:
    stand.parts[0]["assembly"] = False
    assert run(asking)["failed"] == ["build_1"]
    assert "Part must be an assembly" in request(asking)["metadata"]["failure"]


def test_an_order_that_is_called_off_calls_off_the_request(asking: Site, stand: Stand) -> None:
    run(asking)
    stand.orders[0]["status"] = 30
    assert run(asking)["changed"] == ["build_1"]
    assert request(asking)["status"] == "cancelled"


def test_runs_at_once_order_once(asking: Site, stand: Stand) -> None:
    barrier = threading.Barrier(4)

    def at_once() -> None:
        barrier.wait(10)
        run(asking)

    threads = [threading.Thread(target=at_once) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert len(stand.orders) == 1
    assert request(asking)["status"] == "submitted"


def test_without_an_inventree_nothing_is_done(settings: Settings) -> None:
    parts = build(settings)
    assert build_request_submit.run(parts, {}, NOW)["submitted"] == []
    parts.close()
