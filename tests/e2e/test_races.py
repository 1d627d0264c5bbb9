"""Sixty-four clients want the last one, over HTTP, from four web processes: one gets it, and the others are told so."""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from deployment import LD_SERVER, Client, environment, settled, some_port
from processes import PATIENCE, Running

CLIENTS, ROUNDS = 64, 20
KEY = "rsv_race_0123456789012345678901234567890123"
SERVICE = "http://localhost:8000"


@pytest.fixture
def client(database_url: str, tmp_path: Path) -> Iterator[Client]:
    """A web server of four processes over each engine in turn."""
    port = some_port()
    settings = {"LD_ADMIN_KEY": KEY, "LD_DATABASE_URL": database_url, "LD_DATA_DIR": str(tmp_path), "LD_SPARQL_URL": "memory:"}
    settings |= {"LD_WEB_WORKERS": "4", "LD_PORT": str(port), "LD_BASE_IRI": SERVICE}
    prepared = Running([*LD_SERVER, "migrate"], tmp_path / "migrate", environment(**settings), cwd=tmp_path)
    with prepared:
        assert prepared.ends() == 0, prepared.err
    with Running([*LD_SERVER, "web"], tmp_path / "web", environment(**settings), cwd=tmp_path):
        client = Client(f"http://127.0.0.1:{port}", KEY)
        settled(lambda: client("GET", "/health/live").status == 200, "a server that answers")
        yield client


@dataclass(frozen=True)
class Outcome:
    """What one client was told."""

    status: int
    problem: str


class Crowd:
    """Clients that each keep a connection, and all begin a round together."""

    def __init__(self, client: Client) -> None:
        self._address = client.address.removeprefix("http://")
        self._headers = {"Authorization": f"Bearer {client.key}", "Content-Type": "application/json"}
        self._connections = [http.client.HTTPConnection(self._address, timeout=PATIENCE) for _ in range(CLIENTS)]
        self._pool = ThreadPoolExecutor(CLIENTS)

    def round(self, paths: Sequence[str]) -> list[Outcome]:
        barrier = threading.Barrier(CLIENTS)
        return list(self._pool.map(partial(self._ask, barrier), self._connections, paths))

    def close(self) -> None:
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()

    def _ask(self, barrier: threading.Barrier, connection: http.client.HTTPConnection, path: str) -> Outcome:
        barrier.wait(PATIENCE)
        connection.request("POST", path, b"{}", self._headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        return Outcome(answer.status, str(body.get("type", "")).rpartition("/")[2] if answer.status >= 400 else "")


def the_last_unit(client: Client) -> list[dict[str, Any]]:
    kind = client.create("/v1/catalog/item-types", {"code": "TN-2", "name": "Timer node", "kind": "serialized"})
    client.create("/v1/catalog/assets", {"itemTypeId": kind["identifier"], "assetTag": "TN-0001"})
    return [{"itemTypeId": kind["identifier"]}]


def the_last_of_a_pool(client: Client) -> list[dict[str, Any]]:
    kind = client.create("/v1/catalog/item-types", {"code": "CABLE", "name": "Cable", "kind": "fungible"})
    client.create("/v1/catalog/stock-pools", {"itemTypeId": kind["identifier"], "quantityTotal": 1})
    return [{"itemTypeId": kind["identifier"]}]


def the_last_part_that_two_kits_share(client: Client) -> list[dict[str, Any]]:
    """Two kits name their parts in opposite orders; of one part there is only one unit, and plenty of the other."""
    scarce, plenty = the_last_unit(client)[0]["itemTypeId"], the_last_of_a_pool(client)[0]["itemTypeId"]
    client.create("/v1/catalog/stock-pools", {"itemTypeId": plenty, "quantityTotal": 1_000})
    kits = []
    for code, parts in {"START": [(scarce, 1), (plenty, 2)], "FINISH": [(plenty, 3), (scarce, 1)]}.items():
        components = [{"itemType": item, "quantityPerKit": quantity} for item, quantity in parts]
        kits.append(client.create("/v1/catalog/kit-templates", {"code": code, "name": f"Kit {code}", "kitComponents": components}))
    return [{"kitTemplateId": kit["identifier"]} for kit in kits]


@pytest.mark.parametrize("scarcity", [the_last_unit, the_last_of_a_pool, the_last_part_that_two_kits_share])
def test_of_all_who_want_it_exactly_one_gets_it(client: Client, scarcity: Callable[[Client], list[dict[str, Any]]]) -> None:
    items = scarcity(client)
    crowd = Crowd(client)
    for number in range(ROUNDS):
        outcomes = crowd.round([f"/v1/rent-actions/{one}/approve" for one in rivals(client, items, number)])
        assert Counter(outcomes) == {Outcome(200, ""): 1, Outcome(409, "insufficient-availability"): CLIENTS - 1}
    crowd.close()
    approved = client("GET", "/v1/rent-actions?status=approved&limit=1000").json
    assert approved["totalItems"] == len(approved["member"]) == ROUNDS
    assert all(one["allocatedQuantity"] == 1 for one in approved["member"])


def rivals(client: Client, items: Sequence[dict[str, Any]], number: int) -> list[str]:
    """As many reservations as there are clients, all for the same day, which is another in every round."""
    day = f"2027-03-{number + 1:02}"
    whole = {
        "@type": "RentAction",
        "requestedQuantity": 1,
        "agent": "alice",
        "startTime": f"{day}T08:00:00Z",
        "endTime": f"{day}T18:00:00Z",
    }
    asked = [{**whole, **items[position % len(items)]} for position in range(CLIENTS)]
    made = client.create("/v1/rent-actions", {"@graph": asked}, Content_Type="application/ld+json")
    return [one["identifier"] for one in made["member"]]
