"""Rows for the ledger's tests: valid as they are, changed by keyword. A fleet of fog machines and the people who want them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from relational.allocations import AllocationRow
from relational.documents import Authorship, Head
from relational.index import number_of
from relational.unit_of_work import Ledger, UnitOfWork

MONDAY = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (MONDAY + timedelta(days=days) for days in range(1, 5))
ALICE = Authorship("alice", MONDAY, "correlation-1")
BOB = Authorship("bob", TUESDAY, "correlation-2")
KIND_OF = {"itemType": "itemType", "asset": "asset", "pool": "stockPool", "kit": "kitTemplate", "ra": "rentAction"}


def head(identifier: str, revision: int = 1, body: str = "{}") -> Head:
    return Head(identifier, KIND_OF[identifier.rpartition("_")[0]], number_of(identifier), revision, body)


def add_item_type(uow: UnitOfWork, identifier: str = "itemType_1", **changes: Any) -> str:
    uow.documents.add(head(identifier), ALICE)
    row = {"identifier": identifier, "code": f"FOG-{identifier}", "name": "Fog machine", "kind": "serialized", "is_active": True}
    uow.index.put("item_types", {**row, **changes})
    return identifier


def add_asset(uow: UnitOfWork, identifier: str, **changes: Any) -> str:
    uow.documents.add(head(identifier), ALICE)
    uow.index.put("assets", {"identifier": identifier, "item_type": "itemType_1", "status": "available", **changes})
    return identifier


def add_pool(uow: UnitOfWork, identifier: str, quantity: int = 30, **changes: Any) -> str:
    uow.documents.add(head(identifier), ALICE)
    row = {"identifier": identifier, "item_type": "itemType_1", "quantity_total": quantity, "is_active": True}
    uow.index.put("stock_pools", {**row, **changes})
    return identifier


def add_rent_action(uow: UnitOfWork, identifier: str, **changes: Any) -> str:
    uow.documents.add(head(identifier), ALICE)
    row = {
        "identifier": identifier,
        "status": "pending",
        "priority": "normal",
        "requester": "alice",
        "start_time": MONDAY,
        "end_time": TUESDAY,
    }
    uow.index.put("rent_actions", {**row, **changes})
    return identifier


def allocation(
    number: int, asset: str | None = "asset_1", start: datetime = MONDAY, end: datetime = TUESDAY, **changes: Any
) -> AllocationRow:
    """An allocation that blocks exactly its window, unless `blocked_from` and `blocked_to` say otherwise."""
    row: dict[str, Any] = {
        "number": number,
        "rent_action": "ra_1",
        "line": "line-1",
        "item_type": "itemType_1",
        "asset": asset,
        "stock_pool": None,
        "quantity": 1,
        "status": "allocated",
        "allocated_from": start,
        "allocated_to": end,
        "blocked_from": start,
        "blocked_to": end,
    }
    return AllocationRow(**{**row, **changes})


def stage(ledger: Ledger, assets: int = 1, rent_actions: int = 1) -> None:
    """One item type, some units of it, some reservations; committed."""
    with ledger.write() as uow:
        add_item_type(uow)
        for number in range(1, assets + 1):
            add_asset(uow, f"asset_{number}")
        for number in range(1, rent_actions + 1):
            add_rent_action(uow, f"ra_{number}")
