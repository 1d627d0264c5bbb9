"""A small fleet over a real ledger: valid commands with few words, and the views that the tests look at afterwards."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from ld_server.domain.commands import (
    ApproveReservation,
    CancelReservation,
    ChangeCatalogEntry,
    CheckOutUnits,
    Command,
    CreateAsset,
    CreateItemType,
    CreateKitTemplate,
    CreateReservation,
    CreateStockPool,
    Document,
    Expected,
    RejectReservation,
    ReturnUnits,
    SubmitReservation,
)
from ld_server.domain.custody import Handover
from ld_server.rdf.naming import Naming
from ld_server.resources import PATHS
from ld_server.services import handle
from ld_server.services.occasion import Occasion
from ld_server.services.shortage import explaining
from relational.allocations import AllocationRow
from relational.documents import Head
from relational.unit_of_work import Ledger

BASE = "https://fleet.example"
NAMING = Naming(BASE, PATHS)
CONTEXT = ["https://schema.org", f"{BASE}/contexts/v1.jsonld"]
NOW = datetime(2027, 2, 1, 12, 30, tzinfo=UTC)

MORNING = ("2027-03-01T08:00:00Z", "2027-03-01T12:00:00Z")
MIDDAY = ("2027-03-01T11:00:00Z", "2027-03-01T14:00:00Z")
AFTERNOON = ("2027-03-01T12:00:00Z", "2027-03-01T18:00:00Z")
NEXT_DAY = ("2027-03-02T08:00:00Z", "2027-03-02T12:00:00Z")


@dataclass
class Fleet:
    """Commands go in by `do`, or by the words below it; everything is done by Dana the dispatcher at NOW, unless said otherwise."""

    ledger: Ledger
    event_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def occasion(self, **changes: Any) -> Occasion:
        usual = {
            "now": NOW,
            "principal": "dana",
            "correlation_id": "order-77",
            "tenant": "default",
            "naming": NAMING,
            "context": CONTEXT,
            "new_event_id": lambda: f"evt_{next(self.event_numbers):026}",
        }
        return Occasion(**{**usual, **changes})

    def do(self, command: Command, **occasion: Any) -> Head:
        with explaining(self.ledger), self.ledger.write() as uow:
            return handle(uow, command, self.occasion(**occasion))

    def item_type(self, code: str = "TN-2", **changes: Any) -> str:
        return self.do(CreateItemType(item_type(code, **changes))).identifier

    def assets(self, item_type: str, *tags: str) -> list[str]:
        return [self.do(CreateAsset(asset(item_type, assetTag=tag))).identifier for tag in tags]

    def stocked(self, *tags: str, code: str = "TN-2", **changes: Any) -> str:
        """An item type with a unit for each tag."""
        item_type = self.item_type(code, **changes)
        self.assets(item_type, *tags)
        return item_type

    def pool(self, item_type: str, quantity: int, **changes: Any) -> str:
        return self.do(CreateStockPool(stock_pool(item_type, quantity, **changes))).identifier

    def kit(self, code: str, *components: tuple[str, int], **changes: Any) -> str:
        return self.do(CreateKitTemplate(kit_template(code, *components, **changes))).identifier

    def pooled(self, *quantities: int, code: str = "CABLE", **changes: Any) -> str:
        """A fungible item type with a pool for each quantity."""
        item_type = self.item_type(code, kind="fungible", **changes)
        for number, quantity in enumerate(quantities, start=1):
            self.pool(item_type, quantity, location=f"Depot {number}")
        return item_type

    def reserve(self, item_type: str, quantity: int = 1, window: tuple[str, str] = MORNING, **changes: Any) -> str:
        return self.do(CreateReservation(reservation([(item_type, quantity)], window, **changes))).identifier

    def approve(self, identifier: str, policy: str = "hard_fail", expected: Expected = None) -> Document:
        return document_of(self.do(ApproveReservation(identifier, expected, policy)))

    def submit(self, identifier: str, expected: Expected = None) -> Document:
        return document_of(self.do(SubmitReservation(identifier, expected)))

    def reject(self, identifier: str, expected: Expected = None, reason: str | None = None) -> Document:
        return document_of(self.do(RejectReservation(identifier, expected, reason)))

    def cancel(self, identifier: str, expected: Expected = None, reason: str | None = None) -> Document:
        return document_of(self.do(CancelReservation(identifier, expected, reason)))

    def check_out(self, identifier: str, *handovers: Handover, at: datetime = NOW, expected: Expected = None) -> Document:
        return document_of(self.do(CheckOutUnits(identifier, expected, handovers), now=at))

    def take_back(self, identifier: str, *handovers: Handover, at: datetime = NOW, expected: Expected = None) -> Document:
        return document_of(self.do(ReturnUnits(identifier, expected, handovers), now=at))

    def booked(self, item_type: str, quantity: int = 1, window: tuple[str, str] = MORNING, **changes: Any) -> str:
        """A reservation that is approved."""
        identifier = self.reserve(item_type, quantity, window, **changes)
        self.approve(identifier)
        return identifier

    def change(self, identifier: str, at: datetime = NOW, **changes: Any) -> Document:
        """A resource of the catalog with other values; None takes a key away."""
        head = self.ledger.head(identifier)
        assert head is not None
        document = {key: value for key, value in {**document_of(head), **changes}.items() if value is not None}
        return document_of(self.do(ChangeCatalogEntry(identifier, document, frozenset({head.revision})), now=at))

    def document(self, identifier: str) -> Document:
        head = self.ledger.head(identifier)
        assert head is not None
        return document_of(head)

    def allocations(self, identifier: str) -> list[AllocationRow]:
        with self.ledger.read() as uow:
            return uow.allocations.of(identifier)

    def events(self, identifier: str | None = None) -> list[dict[str, Any]]:
        """The envelopes about a resource, or all of them, oldest first."""
        with self.ledger.read() as uow:
            told = uow.outbox.after(0, 10_000) if identifier is None else uow.outbox.of_subject(identifier)
        return [orjson.loads(one.entry.body) for one in told]

    def event_types(self, identifier: str) -> list[str]:
        return [event["type"] for event in self.events(identifier)]


def document_of(head: Head) -> Document:
    document: Document = orjson.loads(head.body)
    return document


def tags(document: Document, status: str = "allocated") -> list[str]:
    """The names of the assets that a reservation has in this state."""
    return [one["asset"]["name"] for one in document["allocations"] if one["status"] == status]


# --- documents as they come from the intake ---------------------------------------------------------------------------


def item_type(code: str, **changes: Any) -> Document:
    return _new("itemType", "Product", {"code": code, "name": f"TimerNode {code}", "kind": "serialized"}, changes)


def asset(item_type: str, **changes: Any) -> Document:
    return _new("asset", "IndividualProduct", {"isVariantOf": _reference(item_type)}, changes)


def stock_pool(item_type: str, quantity: int, **changes: Any) -> Document:
    return _new("pool", "SomeProducts", {"isVariantOf": _reference(item_type), "quantityTotal": quantity}, changes)


def kit_template(code: str, *components: tuple[str, int], **changes: Any) -> Document:
    document: Document = _new("kit", "Product", {"code": code, "name": f"Kit {code}"}, {"@type": ["Product", "KitTemplate"]})
    parts = [_part_of_kit(document["@id"], number, *component) for number, component in enumerate(components, start=1)]
    return {**document, "kitComponents": parts, **changes}


def _part_of_kit(root: str, number: int, item: str, quantity: int) -> Document:
    named = {"@id": f"{root}#component-{number}", "@type": "KitComponent"}
    return {**named, "itemType": _reference(item), "quantityPerKit": quantity}


def reservation(lines: Sequence[tuple[str, int]], window: tuple[str, str] = MORNING, **changes: Any) -> Document:
    whole = {"startTime": window[0], "endTime": window[1]}
    document = _new("ra", "RentAction", whole, {})
    root = document["@id"]
    document["agent"] = {"@id": f"{root}#agent", "@type": "Person", "identifier": "alice@example.org", "name": "Alice"}
    document["lineItems"] = [_line(root, number, *line) for number, line in enumerate(lines, start=1)]
    return {**document, **changes}


def _line(root: str, number: int, item_type: str, quantity: int) -> Document:
    return {"@id": f"{root}#line-{number}", "@type": "LineItem", "object": _reference(item_type), "requestedQuantity": quantity}


def _reference(identifier: str) -> Document:
    return {"@id": NAMING.iri(identifier), "@type": "Product", "identifier": identifier}


def _new(prefix: str, kind: str, whole: Document, changes: Document) -> Document:
    return {"@context": CONTEXT, "@id": NAMING.placeholder(prefix), "@type": kind, **whole, **changes}
