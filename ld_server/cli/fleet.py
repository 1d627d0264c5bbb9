"""A small believable fleet for `ld-server demo`: race timing equipment, loaded through the HTTP API like anybody's."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from ld_server.bootstrap import build, now
from ld_server.domain.scopes import Scope
from ld_server.resources.kind import written
from ld_server.services import keys
from ld_server.settings import Settings
from ld_server.supervisor.banner import address_of
from ld_server.supervisor.watch import notice

ITEM_TYPES = (
    {"code": "timer-node-v2", "name": "Timer node, second version", "kind": "serialized", "turnaroundAfter": "PT4H"},
    {"code": "finish-camera", "name": "Finish line camera", "kind": "serialized", "turnaroundBefore": "PT1H", "turnaroundAfter": "PT8H"},
    {"code": "start-gate", "name": "Start gate with countdown display", "kind": "serialized"},
    {"code": "lte-router", "name": "Mobile network router", "kind": "serialized"},
    {"code": "bib-chip", "name": "Timing chip for a bib", "kind": "fungible"},
    {"code": "cable-50", "name": "Signal cable, 50 m", "kind": "fungible", "turnaroundAfter": "PT2H"},
)

UNITS = {"timer-node-v2": ("TN", 12), "finish-camera": ("FC", 3), "start-gate": ("SG", 2), "lte-router": ("RT", 6)}
"""How the units of an item type are tagged, and how many there are."""

POOLS = {"bib-chip": (1200, 800), "cable-50": (20, 12)}
"""How many of a fungible item type there are at each depot."""

KITS = (
    ("finish-kit", "Finish line, complete", {"finish-camera": 1, "timer-node-v2": 2, "cable-50": 4}),
    ("start-kit", "Start, complete", {"start-gate": 1, "timer-node-v2": 1, "cable-50": 2}),
)
"""What kits are put together from."""

DEPOTS = ("Innsbruck", "Graz")

EVENTS = (
    ("Night ski race", "event-office", {"timer-node-v2": 6, "finish-camera": 1, "start-gate": 1}, 9, 2, "approve"),
    ("Regional cross-country cup", "nordic-club", {"timer-node-v2": 4, "lte-router": 2, "bib-chip": 300, "cable-50": 6}, 10, 3, "approve"),
    ("City half marathon", "city-sports", {"timer-node-v2": 10, "finish-camera": 2, "bib-chip": 900}, 24, 1, None),
    ("School athletics day", "school-board", {"start-gate": 1, "timer-node-v2": 2}, 31, 1, "reject"),
    ("Downhill training week", "ski-federation", {"start-gate": 2, "timer-node-v2": 8}, 40, 5, "approve"),
)
"""What it is for, who asks, how many of what, in how many days, for how many days, and which step it has taken."""


def load_when_empty(settings: Settings) -> None:
    """Load the fleet into a deployment that serves, unless it has item types already. Says what came of it."""
    with _temporary_key(settings) as key:
        try:
            notice(load(Api(address_of(settings), key)))
        except OSError as error:
            notice(f"the demonstration fleet could not be loaded: {error}")


def load(api: "Api") -> str:
    """Load the fleet where the catalog is empty. Gives a sentence about it."""
    if api.get("/v1/catalog/item-types?limit=1")["totalItems"]:
        return "the catalog is not empty: the demonstration fleet is left out"
    types = {one["code"]: api.post("/v1/catalog/item-types", one)["identifier"] for one in ITEM_TYPES}
    _load_units(api, types)
    _load_pools_and_kits(api, types)
    _load_reservations(api, types, now())
    return "the demonstration fleet is loaded"


def _load_units(api: "Api", types: dict[str, str]) -> None:
    for code, (letters, count) in UNITS.items():
        for number in range(1, count + 1):
            unit = {"itemTypeId": types[code], "assetTag": f"{letters}-{number:03}", "serialNumber": f"{letters}{26_000 + number}"}
            api.post("/v1/catalog/assets", {**unit, "location": DEPOTS[number % len(DEPOTS)]})


def _load_pools_and_kits(api: "Api", types: dict[str, str]) -> None:
    for code, quantities in POOLS.items():
        for location, quantity in zip(DEPOTS, quantities, strict=True):
            api.post("/v1/catalog/stock-pools", {"itemTypeId": types[code], "location": location, "quantityTotal": quantity})
    for code, name, parts in KITS:
        components = [{"itemTypeId": types[part], "quantityPerKit": quantity} for part, quantity in parts.items()]
        api.post("/v1/catalog/kit-templates", {"code": code, "name": name, "kitComponents": components})


def _load_reservations(api: "Api", types: dict[str, str], today: datetime) -> None:
    morning = today.astimezone(UTC).replace(hour=6, minute=0, second=0, microsecond=0)
    for purpose, agent, wanted, days_ahead, days, step in EVENTS:
        start = morning + timedelta(days=days_ahead)
        lines = [{"object": types[code], "requestedQuantity": quantity} for code, quantity in wanted.items()]
        window = {"startTime": written(start), "endTime": written(start + timedelta(days=days))}
        made = api.post("/v1/rent-actions", {**window, "agent": agent, "purpose": purpose, "lineItems": lines})
        if step:
            api.post(f"/v1/rent-actions/{made['identifier']}/{step}", {})


class Api:
    """The HTTP API, in JSON. Raises urllib.error.HTTPError for every refusal."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json", "Content-Type": "application/json"}
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def get(self, path: str) -> Any:
        return self._answer(urllib.request.Request(self._address + path, headers=self._headers))  # noqa: S310 (our own address)

    def post(self, path: str, body: object) -> Any:
        data = json.dumps(body).encode()
        return self._answer(urllib.request.Request(self._address + path, data, self._headers, method="POST"))  # noqa: S310 (our own address)

    def _answer(self, request: urllib.request.Request) -> Any:
        with self._open(request, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def _temporary_key(settings: Settings) -> Iterator[str]:
    """An admin key that is revoked again."""
    parts = build(settings)
    text = keys.new_text()
    try:
        with parts.ledger.write() as uow:
            row = keys.add(uow, text, "demonstration", (Scope.ADMIN,), now(), now() + timedelta(hours=1))
        yield text
        with parts.ledger.write() as uow:
            uow.keys.revoke(row.identifier, now())
    finally:
        parts.close()
