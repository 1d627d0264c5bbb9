"""Idempotency-Key: a repeated POST has one effect and one answer."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from ld_server import services
from ld_server.bootstrap import build
from ld_server.settings import Settings
from tests import factories
from tests.http.conftest import ITEM_TYPES, RESERVATIONS, Site, open_site, problem


def test_a_repeated_creation_gets_the_same_answer_and_makes_nothing(site: Site) -> None:
    first = site.post(ITEM_TYPES, factories.item_type(), Idempotency_Key='"k-1"', Accept="text/turtle")
    before = site.written()
    again = site.post(ITEM_TYPES, factories.item_type(), Idempotency_Key="k-1", Accept="text/turtle")
    assert (again.status_code, again.content) == (201, first.content)
    for name in ("location", "etag", "content-type", "vary"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert site.written() == before


def test_a_repeated_step_gets_the_same_answer(site: Site) -> None:
    site.asset(site.item_type())
    path = f"{RESERVATIONS}/{site.reservation('itemType_1')}/approve"
    first = site.post(path, Idempotency_Key="k-1", If_Match='"1-jsonld"')
    again = site.post(path, Idempotency_Key="k-1", If_Match='"1-jsonld"')
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content


def test_another_request_under_the_same_key_is_refused(site: Site) -> None:
    site.post(ITEM_TYPES, factories.item_type("A"), Idempotency_Key="k-1")
    before = site.written()
    problem(site.post(ITEM_TYPES, factories.item_type("B"), Idempotency_Key="k-1"), "idempotency-mismatch", 422)
    problem(site.post(RESERVATIONS, factories.reservation(), Idempotency_Key="k-1"), "idempotency-mismatch", 422)
    assert site.written() == before


def test_another_principal_may_use_the_same_key(site: Site) -> None:
    assert site.post(ITEM_TYPES, factories.item_type("A"), Idempotency_Key="k-1").json["code"] == "A"
    assert site.post(ITEM_TYPES, factories.item_type("B"), Idempotency_Key="k-1", key="catalog_admin").json["code"] == "B"


def test_a_refusal_is_not_remembered(site: Site) -> None:
    site.item_type()
    made = site.reservation("itemType_1")
    problem(site.post(f"{RESERVATIONS}/{made}/approve", Idempotency_Key="k-1"), "insufficient-availability", 409)
    site.asset("itemType_1")
    assert site.post(f"{RESERVATIONS}/{made}/approve", Idempotency_Key="k-1").status_code == 200


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_a_key_that_is_none_is_refused(site: Site, key: str) -> None:
    before = site.written()
    problem(site.post(ITEM_TYPES, factories.item_type(), Idempotency_Key=key), "invalid-parameter", 400)
    assert site.written() == before


def test_a_key_is_forgotten_after_a_day(site: Site) -> None:
    at = datetime(2027, 1, 1, tzinfo=UTC)
    for hours, code, status in ((0, "A", 201), (23.9, "B", 422), (24, "B", 201), (24, "A", 422)):
        later = at + timedelta(hours=hours)
        assert (
            site.over(now=lambda later=later: later).post(ITEM_TYPES, factories.item_type(code), Idempotency_Key="k-1").status_code
            == status
        )


@pytest.fixture
def on_postgres(postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    parts = build(Settings(data_dir=tmp_path, database_url=postgres_url, sparql_url="memory:"))
    yield open_site(parts)
    parts.close()


def test_while_the_first_is_still_running_the_second_is_told(on_postgres: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request is stopped inside its transaction; Postgres lets the second find the key taken."""
    site, inside, go_on = on_postgres, threading.Event(), threading.Event()
    handle = services.handle

    def slowly(*arguments):
        inside.set()
        go_on.wait(10)
        return handle(*arguments)

    monkeypatch.setattr(services, "handle", slowly)
    answers = []
    first = threading.Thread(target=lambda: answers.append(site.post(ITEM_TYPES, factories.item_type(), Idempotency_Key="k-1")))
    first.start()
    assert inside.wait(10)
    second = site.post(ITEM_TYPES, factories.item_type(), Idempotency_Key="k-1")
    go_on.set()
    first.join()
    problem(second, "idempotency-in-progress", 409)
    assert second.headers["retry-after"] == "1"
    assert answers[0].status_code == 201
    assert site.post(ITEM_TYPES, factories.item_type(), Idempotency_Key="k-1").content == answers[0].content


def test_many_at_once_make_one(site: Site) -> None:
    """On SQLite, which has one writer at a time, the others wait for the answer; on Postgres they may be told to come again, and do."""
    barrier, answers = threading.Barrier(5), []

    def ask() -> None:
        barrier.wait()
        while (answer := site.post(ITEM_TYPES, factories.item_type(), Idempotency_Key="k-1")).status_code == 409:
            problem(answer, "idempotency-in-progress", 409)
        answers.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert site.get(ITEM_TYPES).json["totalItems"] == 1


# --- a real process that dies -----------------------------------------------------------------------------------------

DYING = """
import os, sys
from pathlib import Path
from falcon import testing
from ld_server.bootstrap import build
from ld_server.http.app import create_app
from ld_server.settings import Settings
from relational.documents import Documents

directory, database_url, key, when = sys.argv[1:]
parts = build(Settings(data_dir=Path(directory), database_url=database_url, sparql_url="memory:"))
app = create_app(parts)

class Death:
    def process_response(self, *_everything):
        os._exit(9)

if when == "after the commit":
    app.add_middleware(Death())
else:
    Documents.tally = lambda _self: os._exit(9)  # the last that a transaction does before it commits

headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Idempotency-Key": "k-1"}
testing.TestClient(app).simulate_post("/v1/catalog/item-types", headers=headers, body=sys.stdin.read())
"""
"""A server that posts to itself, and dies on the way as from a blow: nothing is closed, nothing is answered."""


@pytest.mark.parametrize("when", ["after the commit", "before the commit"])
def test_who_got_no_answer_because_the_server_died_asks_again_and_it_happens_once(either_site: Site, when: str) -> None:
    settings, body = either_site.parts.settings, factories.item_type()
    arguments = [str(settings.data_dir), settings.database_url, either_site.keys["admin"], when]
    dead = subprocess.run(
        [sys.executable, "-c", DYING, *arguments], input=orjson.dumps(body).decode(), text=True, timeout=60, capture_output=True
    )
    assert dead.returncode == 9, dead.stderr
    has_happened = when == "after the commit"
    assert either_site.written()["itemType"] == has_happened
    answer = either_site.post(ITEM_TYPES, body, Idempotency_Key="k-1")
    assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (201, "true" if has_happened else None)
    assert either_site.written()["itemType"] == 1
    assert either_site.get(f"{ITEM_TYPES}/{answer.json['identifier']}").json == answer.json
