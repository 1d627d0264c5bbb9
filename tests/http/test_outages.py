"""Postgres is restarted and connections to it are cut in a storm of changes: nothing acknowledged is lost, and nothing is half done."""

import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from falcon import testing
from sqlalchemy import event

from ld_server.bootstrap import build
from ld_server.cli.upkeep import QUESTIONS
from ld_server.settings import Settings
from relational.tables import BLOCKING
from relational.unit_of_work import open_ledger
from tests import factories
from tests.conftest import PostgresServer
from tests.http.conftest import RESERVATIONS, Site, open_site, problem
from tests.http.test_attachments import ATTACHMENTS, form
from tests.pictures import PDF
from tests.receivers import receiving
from workers.deliver import Deliverer
from workers.projector import Projector
from workers.relay import Relay

SEED = int(os.environ.get("SEED", "20261127"))
"""What every choice of the storm follows from; another one by `SEED=… pytest …`."""

CLIENTS, TURNS, CUTS, RESTARTS = 5, 14, 6, 2
PATIENCE = 120.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of its own, which keeps what it has confirmed: others must not be disturbed."""
    directory = Path(tempfile.mkdtemp(prefix="ledger-"))
    started = PostgresServer(directory, settings=["max_connections = 100"])
    yield started
    started.stop()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def database(server: PostgresServer) -> str:
    return server.new_database()


@pytest.fixture
def site(server: PostgresServer, database: str, tmp_path: Path) -> Iterator[Site]:
    told = {"sparql_url": "memory:", "webhook_allow": "127.0.0.1", "delivery_lease": 20.0}
    parts = build(Settings(data_dir=tmp_path, database_url=server.url(database), **told))
    site = open_site(parts)
    site.get(RESERVATIONS)  # the first use of a key is a change of its own
    yield site
    parts.close()


# --- one connection that is cut ---------------------------------------------------------------------------------------


def test_a_connection_that_was_cut_while_it_lay_ready_is_noticed_before_it_is_used(server: PostgresServer, database: str) -> None:
    ledger = open_ledger(server.url(database))
    for _ in range(3):
        ledger.ping()
        server.cut(database)
        with ledger.write() as uow:
            uow.facts.set("kept", "yes")
        server.cut(database)
        with ledger.read() as uow:
            assert uow.facts.get("kept") == "yes"
    ledger.close()


Moment = Callable[[Any], object]


@contextmanager
def at_each(site: Site, moment: str, act: Moment, times: int = 1) -> Iterator[list[object]]:
    """Something happens at a moment (begin or commit) of the first transactions that write; what is given has an entry for each of them."""
    seen: list[object] = []

    def meddle(connection: Any) -> None:
        if connection.get_execution_options().get("postgresql_readonly"):
            return
        seen.append(connection)
        if len(seen) <= times:
            act(connection)

    event.listen(site.parts.ledger.engine, moment, meddle)
    yield seen
    event.remove(site.parts.ledger.engine, moment, meddle)


@pytest.fixture
def cut(server: PostgresServer, database: str) -> Moment:
    """The connection is cut before what comes next."""
    return lambda _connection: server.cut(database)


def unheard(connection: Any) -> None:
    """What comes next, a commit, is done, and the connection is lost before that is heard."""
    connection.connection.dbapi_connection.execute("COMMIT")
    raise psycopg.OperationalError("the connection is lost")


def create(site: Site, **headers: str) -> testing.Result:
    return site.post("/v1/catalog/item-types", factories.item_type(), **headers)


def test_a_request_whose_connection_is_cut_is_begun_anew(site: Site, cut: Moment) -> None:
    with at_each(site, "begin", cut) as begun:
        assert create(site).status_code == 201
    assert len(begun) == 2
    assert site.written()["itemType"] == 1


def test_it_is_begun_anew_a_few_times_and_then_said(site: Site, cut: Moment) -> None:
    with at_each(site, "begin", cut, times=99) as begun:
        answer = create(site)
    assert "outcome" not in problem(answer, "store-unavailable", 503)
    assert (answer.headers["retry-after"], len(begun)) == ("1", 3)
    assert site.written()["itemType"] == 0


@pytest.mark.parametrize("done", [False, True])
def test_a_commit_that_was_not_confirmed_is_never_repeated_blindly(site: Site, cut: Moment, done: bool) -> None:
    with at_each(site, "commit", unheard if done else cut) as committed:
        answer = create(site)
    told = problem(answer, "store-unavailable", 503)
    assert told["outcome"] == "unknown" and "Idempotency-Key" in told["detail"]
    assert len(committed) == 1
    assert site.written()["itemType"] == int(done)


@pytest.mark.parametrize("done", [False, True])
def test_under_an_idempotency_key_it_is_repeated_and_done_once(site: Site, cut: Moment, done: bool) -> None:
    with at_each(site, "commit", unheard if done else cut) as committed:
        assert create(site, Idempotency_Key="once").status_code == 201
    assert len(committed) == 2
    assert site.written()["itemType"] == 1


@pytest.mark.parametrize("key", [{}, {"Idempotency_Key": "once"}], ids=["without a key", "with a key"])
def test_an_attachment_that_may_be_there_keeps_its_bytes(site: Site, key: dict[str, str]) -> None:
    asset = site.asset(site.item_type())
    body, content_type = form({"ownerKind": "asset", "ownerId": asset}, PDF, "manual.pdf", "application/pdf")
    with at_each(site, "commit", unheard):
        answer = site.ask("POST", ATTACHMENTS, body=body, Content_Type=content_type, **key)
    assert answer.status_code == (201 if key else 503)
    (found,) = site.get(ATTACHMENTS).json["member"]
    assert b"".join(site.parts.blobs.get(found["storageKey"])) == PDF


# --- a storm ----------------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """What clients were told of the reservations that they made, by the name that each gave to its own."""

    made: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    steps: dict[str, str] = field(default_factory=dict)
    """The status that a reservation had by the last answer, by its identifier."""
    outages: list[dict[str, Any]] = field(default_factory=list)


class Guest:
    """A client that makes reservations and takes steps with them, some under an Idempotency-Key, which it repeats until it is answered."""

    def __init__(self, site: Site, number: int, told: Told) -> None:
        self._site, self._number, self._told = site, number, told
        self._chance = random.Random(f"{SEED} {number}")

    def live(self) -> None:
        for turn in range(TURNS):
            name = f"guest {self._number}, {turn}"
            key = {"Idempotency-Key": name.replace(" ", "-")} if self._chance.random() < 0.6 else {}
            self._make(name, key)

    def _make(self, name: str, key: dict[str, str]) -> None:
        day = self._chance.randint(1, 28)
        window = {"startTime": f"2027-02-{day:02}T08:00:00Z", "endTime": f"2027-02-{day:02}T18:00:00Z"}
        answer = self._ask("POST", RESERVATIONS, factories.reservation("itemType_1", description=name, **window), key)
        if answer.status_code == 503:
            (self._told.unknown if "outcome" in answer.json else self._told.refused).add(name)
            return
        assert answer.status_code == 201, answer.text
        self._told.made[name] = answer.json["identifier"]
        for step in self._chance.choice([(), ("approve",), ("cancel",), ("approve", "cancel"), ("reject",)]):
            self._step(answer.json["identifier"], step)

    def _step(self, identifier: str, step: str) -> None:
        answer = self._ask("POST", f"{RESERVATIONS}/{identifier}/{step}", {}, {"Idempotency-Key": f"{identifier}-{step}"})
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 200:
            self._told.steps[identifier] = answer.json["status"]

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> testing.Result:
        sent = {"Authorization": f"Bearer {self._site.keys['admin']}", "Content-Type": "application/json", **headers}
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._site.client.simulate_request(method, path, headers=sent, body=orjson.dumps(body))
            if answer.status_code != 503:
                return answer
            self._told.outages.append({**answer.json, "after": answer.headers["retry-after"]})
            if "Idempotency-Key" not in headers:
                return answer
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)


@contextmanager
def working(site: Site) -> Iterator[None]:
    """A worker's loops."""
    deliverer = Deliverer(site.parts, "first")
    loops = [Projector(site.parts, "first"), Relay(site.parts, "first", deliverer.nudge), deliverer]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.stop()


def disturb(server: PostgresServer, database: str) -> None:
    chance = random.Random(SEED)
    for act in chance.sample([*[lambda: server.cut(database)] * CUTS, *[server.restart] * RESTARTS], CUTS + RESTARTS):
        time.sleep(chance.uniform(0.1, 0.5))
        act()


def test_a_storm_in_which_postgres_is_restarted_loses_and_repeats_nothing(site: Site, server: PostgresServer, database: str) -> None:
    print(f"SEED={SEED}")
    cables = site.item_type("CABLE", kind="fungible")
    site.made("/v1/catalog/stock-pools", factories.stock_pool(cables, 3))
    told = Told()
    with receiving() as receiver, working(site):
        site.made("/v1/triggers", {"name": "Tell", "eventTypes": ["rentAction.created"], "actions": [hook(site, receiver.url)]})
        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            disturbance = pool.submit(disturb, server, database)
            for guest in [pool.submit(Guest(site, number, told).live) for number in range(CLIENTS)]:
                guest.result()
            disturbance.result()
        there = documents(site)
        assert receiver.wait_for(len(there), PATIENCE), "the workers go on"
        eventually(lambda: question("projection", site) == (False, "nothing waits"))
    assert {told["after"] for told in told.outages} <= {"1", "5"}
    nothing_is_lost_or_half_done(site, told, there)
    assert {one["data"]["identifier"] for one in (got.json for got in receiver.got)} == set(there)


def hook(site: Site, url: str) -> dict[str, str]:
    return {"type": "webhook", "webhookId": site.made("/v1/webhooks", {"name": "Desk", "url": url})}


def documents(site: Site) -> dict[str, dict[str, Any]]:
    with site.parts.ledger.read() as uow:
        return {head.identifier: orjson.loads(head.body) for head in uow.documents.each("rentAction")}


def nothing_is_lost_or_half_done(site: Site, told: Told, there: dict[str, dict[str, Any]]) -> None:
    times = Counter(one["description"] for one in there.values())
    assert set(times.values()) == {1}, "what was sent again is there once"
    assert set(told.made) <= set(times) <= set(told.made) | told.unknown
    assert not told.refused & set(times)
    assert {name: there[identifier]["description"] for name, identifier in told.made.items()} == {name: name for name in told.made}
    assert {identifier: there[identifier]["status"] for identifier in told.steps} == told.steps
    with site.parts.ledger.read() as uow:
        events = Counter((one.entry.subject_id, one.entry.type) for one in uow.outbox.after(0, 100_000))
        for identifier, document in there.items():
            rows = uow.allocations.of(identifier)
            assert sum(row.quantity for row in rows if row.status in BLOCKING) == (1 if document["status"] == "approved" else 0)
            assert events[identifier, "rentAction.created"] == 1
    assert [name for name in ("index", "counters", "graphs", "shapes") if question(name, site)[0]] == []


def question(name: str, site: Site) -> tuple[bool, str]:
    """What `ld-server check` says of one thing."""
    return QUESTIONS[name](site.parts)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
