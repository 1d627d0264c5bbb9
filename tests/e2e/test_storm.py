"""The web server is killed in the middle of a storm of approvals: what was acknowledged is there, and nothing is half done."""

import http.client
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from deployment import LD_SERVER, Deployment, environment, settled, up
from processes import PATIENCE, kill

from relational.unit_of_work import UnitOfWork, open_ledger

CLIENTS, RESERVATIONS, KILLS = 8, 160, 3
STOCK, UNITS = 20, 4


@pytest.fixture
def deployment(database_url: str, tmp_path: Path) -> Iterator[Deployment]:
    with up(tmp_path / "data", LD_WEB_WORKERS="2", LD_DATABASE_URL=database_url) as running:
        yield running


def test_a_killed_web_server_loses_nothing_and_leaves_nothing_half_done(deployment: Deployment, database_url: str) -> None:
    client = deployment.client()
    asked = _reservations(client)
    storm, told = Storm(deployment), {}
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        killer = pool.submit(storm.kill_now_and_then)
        told = dict(zip(asked, pool.map(storm.approve, asked), strict=True))
        storm.over.set()
        assert killer.result() == KILLS
    assert set(told.values()) == {200, 409}
    ledger = open_ledger(database_url)
    with ledger.read() as uow:
        documents = {one: orjson.loads(uow.documents.head(one).body) for one in asked}
        for identifier, document in documents.items():
            assert (document["status"] == "approved") == (told[identifier] == 200)
            _is_whole(uow, document)
    ledger.close()
    assert _most_at_once(list(documents.values()), "stockPool") <= STOCK
    assert _most_at_once(list(documents.values()), "asset") <= UNITS
    line = [*LD_SERVER, "check", "--data", str(deployment.data)]
    settings = environment(LD_DATABASE_URL=database_url)
    checked = settled(lambda: _good(subprocess.run(line, env=settings, capture_output=True, text=True)), "a check that finds nothing")
    assert "BAD" not in checked


def _good(run: "subprocess.CompletedProcess[str]") -> str:
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


class Storm:
    """Approvals, each repeated under its Idempotency-Key until it is answered; and somebody who kills the whole web server."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._headers = {"Authorization": f"Bearer {deployment.new_key}", "Content-Type": "application/json"}
        self._answered = 0
        self.over = threading.Event()

    def approve(self, identifier: str) -> int:
        """The status of the answer; 503 is none, by what it says itself."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                status = self._ask(f"/v1/rent-actions/{identifier}/approve", {**self._headers, "Idempotency-Key": f'"{identifier}"'})
            except (OSError, http.client.HTTPException):
                status = 503
            if status != 503:
                self._answered += 1
                return status
            time.sleep(0.05)
        raise AssertionError(f"{identifier} was never answered")

    def kill_now_and_then(self) -> int:
        """How often it did."""
        chance = random.Random(11)
        for number in range(1, KILLS + 1):
            while self._answered < RESERVATIONS * number / (KILLS + 2) and not self.over.is_set():
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.02))
            master = settled(lambda: self._deployment.part("web"), "a web server to be killed")
            for process in [*master.children(), master]:
                kill(process.pid)
        return KILLS

    def _ask(self, path: str, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._deployment.port, timeout=PATIENCE)
        try:
            connection.request("POST", path, b"{}", headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


def _reservations(client: Any) -> list[str]:
    """Reservations of units and of stock, more than there is for the windows that they share."""
    timer = client.create("/v1/catalog/item-types", {"code": "TN-2", "name": "Timer node", "kind": "serialized"})["identifier"]
    cable = client.create("/v1/catalog/item-types", {"code": "CABLE", "name": "Cable", "kind": "fungible"})["identifier"]
    for number in range(UNITS):
        client.create("/v1/catalog/assets", {"itemTypeId": timer, "assetTag": f"TN-{number}"})
    client.create("/v1/catalog/stock-pools", {"itemTypeId": cable, "quantityTotal": STOCK})
    asked = [_reservation(number, timer, cable) for number in range(RESERVATIONS)]
    made = client.create("/v1/rent-actions", {"@graph": asked}, Content_Type="application/ld+json")
    return [one["identifier"] for one in made["member"]]


def _reservation(number: int, timer: str, cable: str) -> dict[str, Any]:
    day = f"2027-03-{number // 10 + 1:02}"
    lines = [{"itemTypeId": timer, "requestedQuantity": 1}, {"itemTypeId": cable, "requestedQuantity": number % 4 + 1}]
    return {
        "@type": "RentAction",
        "agent": "alice",
        "startTime": f"{day}T08:00:00Z",
        "endTime": f"{day}T18:00:00Z",
        "lineItems": lines,
    }


def _is_whole(uow: UnitOfWork, document: dict[str, Any]) -> None:
    """Approved with all its units, rows and events, once each; or not at all."""
    identifier, is_approved = document["identifier"], document["status"] == "approved"
    rows = uow.allocations.of(identifier)
    told = [one.entry.type for one in uow.outbox.of_subject(identifier)]
    assert {f"alloc_{row.number}" for row in rows} == {one["identifier"] for one in document["allocations"]}
    assert sum(row.quantity for row in rows) == document["allocatedQuantity"] == (document["requestedQuantity"] if is_approved else 0)
    assert [told.count(event) for event in ("rentAction.approved", "rentAction.allocation.created")] == [int(is_approved)] * 2


def _most_at_once(documents: list[dict[str, Any]], source: str) -> int:
    """The most units of one sort that are promised at one instant."""
    promised = [one for document in documents for one in document["allocations"] if source in one]
    moments = [datetime.fromisoformat(one["allocatedFrom"]) for one in promised]
    return max(sum(one["quantity"] for one in promised if _lasts(one, moment)) for moment in moments)


def _lasts(allocation: dict[str, Any], moment: datetime) -> bool:
    return datetime.fromisoformat(allocation["allocatedFrom"]) <= moment < datetime.fromisoformat(allocation["allocatedTo"])
