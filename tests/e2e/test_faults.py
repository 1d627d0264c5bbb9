"""Parts are killed at any moment of a mixed storm, and stores are lost: nothing acknowledged is missing, what is derived comes back."""

import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deployment import Answer, Client, Deployment, codes, settled, up
from processes import PATIENCE, kill

from tests.receivers import receiving

SEED = int(os.environ.get("SEED", "20261127"))
"""What every choice of the storm follows from; another one by `SEED=… pytest …`."""

CLIENTS, TURNS, KILLS = 4, 10, 5
PARTS = ("sparql", "web", "worker")


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with up(tmp_path / "data", LD_WEBHOOK_ALLOW="127.0.0.1") as running:
        yield running


@dataclass
class Told:
    """What was acknowledged: the status of reservations, the names of item types and the bytes of attachments, by their identifier."""

    statuses: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class Guest:
    """A client that does one of many things in each turn, under an Idempotency-Key that it repeats until it is answered."""

    def __init__(self, client: Client, cable: str, number: int, told: Told) -> None:
        self._client, self._cable, self._number, self._told = client, cable, number, told
        self._chance = random.Random(f"{SEED} {number}")
        self._requests = 0

    def live(self) -> None:
        for _ in range(TURNS):
            self._chance.choice([self._reserve, self._reserve, self._catalog, self._attach, self._query])()

    def _reserve(self) -> None:
        day = f"2027-02-{self._chance.randint(1, 28):02}"
        body = {
            "agent": "alice",
            "object": self._cable,
            "requestedQuantity": 1,
            "startTime": f"{day}T08:00:00Z",
            "endTime": f"{day}T18:00:00Z",
        }
        made = self._until_answered("POST", "/v1/rent-actions", body).json
        self._told.statuses[made["identifier"]] = made["status"]
        for step in self._chance.choice([(), ("approve",), ("cancel",), ("approve", "cancel")]):
            answer = self._until_answered("POST", f"/v1/rent-actions/{made['identifier']}/{step}", {})
            assert answer.status in (200, 409), answer.text
            if answer.status == 200:
                self._told.statuses[made["identifier"]] = answer.json["status"]

    def _catalog(self) -> None:
        body = {"code": f"T-{self._number}-{self._requests}", "name": "Timer", "kind": "serialized"}
        made = self._until_answered("POST", "/v1/catalog/item-types", body).json["identifier"]
        name = f"Timer {self._chance.random()}"
        changed = self._until_answered(
            "PATCH", f"/v1/catalog/item-types/{made}", {"name": name}, Content_Type="application/merge-patch+json"
        )
        assert changed.status == 200, changed.text
        self._told.names[made] = name

    def _attach(self) -> None:
        content = b"%PDF-1.7\n" + self._chance.randbytes(20_000)
        fields = {"ownerKind": "item_type", "ownerId": self._cable}
        parts = [f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
        parts.append('--edge\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n')
        body = "".join(parts).encode() + content + b"\r\n--edge--\r\n"
        answer = self._until_answered("POST", "/v1/attachments", body, Content_Type="multipart/form-data; boundary=edge")
        assert answer.status == 201, answer.text
        self._told.files[answer.json["identifier"]] = content

    def _query(self) -> None:
        settled(lambda: "CABLE" in codes(self._client), "an answer by SPARQL")

    def _until_answered(self, method: str, path: str, body: Any, **headers: str) -> Answer:
        self._requests += 1
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._client(method, path, body, Idempotency_Key=f"{self._number}-{self._requests}", **headers)
                if answer.status != 503 and "idempotency-in-progress" not in answer.text:
                    return answer
            except OSError:
                pass
            assert time.monotonic() < deadline, f"{method} {path} was never answered"
            time.sleep(0.05)


def kill_now_and_then(deployment: Deployment, over: threading.Event) -> list[str]:
    """Who was killed."""
    chance, killed = random.Random(SEED), []
    for part in chance.sample([*PARTS, *PARTS], KILLS):
        over.wait(chance.uniform(0.0, 0.8))
        victim = settled(lambda part=part: deployment.part(part), f"a {part} to be killed")
        for process in [*victim.children(recursive=True), victim]:
            kill(process.pid)
        killed.append(part)
    return killed


def test_whoever_is_killed_in_a_storm_nothing_acknowledged_is_lost(deployment: Deployment) -> None:
    print(f"SEED={SEED}")
    client, told, over = deployment.client(), Told(), threading.Event()
    cable = client.create("/v1/catalog/item-types", {"code": "CABLE", "name": "Cable", "kind": "fungible"})["identifier"]
    client.create("/v1/catalog/stock-pools", {"itemTypeId": cable, "quantityTotal": 2})
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        killer = pool.submit(kill_now_and_then, deployment, over)
        for guest in [pool.submit(Guest(client, cable, number, told).live) for number in range(CLIENTS)]:
            guest.result()
        over.set()
        assert len(killer.result()) == KILLS
    settled(lambda: client("GET", "/health/ready").status == 200, "a service that is ready")
    assert {one: client("GET", f"/v1/rent-actions/{one}").json["status"] for one in told.statuses} == told.statuses
    assert {one: client("GET", f"/v1/catalog/item-types/{one}").json["name"] for one in told.names} == told.names
    for one, content in told.files.items():
        assert client("GET", client("GET", f"/v1/attachments/{one}").json["downloadUrl"]).body == content
    totals = [client("GET", f"/v1/{kind}?limit=1").json["totalItems"] for kind in ("rent-actions", "catalog/item-types", "attachments")]
    assert totals == [len(told.statuses), len(told.names) + 1, len(told.files)], "what was sent again is there once"
    assert len(codes(client)) == len(told.names) + 1
    is_sound(deployment)


def is_sound(deployment: Deployment) -> None:
    def checked() -> bool:
        run = deployment.command("check")
        assert run.returncode == 0, run.stdout + run.stderr
        return True

    settled(checked, "a check that finds nothing")


def test_what_can_be_derived_comes_back_by_itself_when_it_is_lost(deployment: Deployment) -> None:
    """The SPARQL store is stopped, and later emptied; the queue is deleted: changes go on, and are found and told of afterwards."""
    client = deployment.client()
    with receiving() as receiver:
        hook = client.create("/v1/webhooks", {"name": "Desk", "url": receiver.url})["identifier"]
        told = {"name": "Tell", "eventTypes": ["catalog.itemType.*"], "actions": [{"type": "webhook", "webhookId": hook}]}
        client.create("/v1/triggers", told)
        client.create("/v1/catalog/item-types", {"code": "before", "name": "Timer", "kind": "serialized"})
        for file in deployment.data.glob("huey.db*"):
            file.unlink()
        deployment.part("sparql").suspend()
        client.create("/v1/catalog/item-types", {"code": "meanwhile", "name": "Timer", "kind": "serialized"})
        ready = client("GET", "/health/ready")
        assert (ready.status, ready.json["parts"]["sparql"]) == (503, {"status": "down", "why": "The SPARQL store does not answer."})
        assert ready.json["parts"]["ledger"]["status"] == "ok"
        deployment.part("sparql").resume()
        assert codes(client) == {"before", "meanwhile"}
        kill(deployment.part("worker").pid)
        shutil.rmtree(deployment.data / "graphs")
        kill(deployment.part("sparql").pid)
        deployment.running.says("sparql is back")
        deployment.running.says("worker is back")
        settled(lambda: codes(client) == {"before", "meanwhile"}, "the graphs are there again")
        client.create("/v1/catalog/item-types", {"code": "after", "name": "Timer", "kind": "serialized"})
        assert codes(client) == {"before", "meanwhile", "after"}
        assert "the SPARQL store is empty: 2 resources are brought to it again" in deployment.running.err
        assert receiver.wait_for(3, PATIENCE), "deliveries go on from their rows"
        is_sound(deployment)
