"""
Demand signals: what is expected to be needed, as its sources tell it, again and again.

A source knows its demand by a reference of its own. What it tells anew about the same reference and the same item supersedes what it
told before; telling the same twice changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from ld_server.domain.builds import DEMAND_STEPS, DemandStatus, refuse_step
from ld_server.domain.commands import CancelDemandSignal, ChangeDemandSignal, CreateDemandSignal, Document
from ld_server.domain.errors import Duplicate
from ld_server.domain.status import ItemKind, Priority
from ld_server.resources.demand_signal import DEMAND_SIGNAL
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.services import recording, references
from ld_server.services.occasion import Occasion
from ld_server.services.opening import opened, says_the_same
from ld_server.services.references import Pointing
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

ITEM_KINDS = {KIT_TEMPLATE.prefix: KIT_TEMPLATE, ITEM_TYPE.prefix: ITEM_TYPE}


class Arrival(StrEnum):
    """What came of a demand signal that was told."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    """It stands in the place of another one now."""


@dataclass(frozen=True, slots=True)
class Told:
    """The signal that counts now, what came of its telling, and the signal that it has superseded."""

    head: Head
    arrival: Arrival
    superseded: str | None = None


def create(uow: UnitOfWork, command: CreateDemandSignal, occasion: Occasion) -> Head:
    """Take a demand in as `told` does."""
    return told(uow, command, occasion).head


def told(uow: UnitOfWork, command: CreateDemandSignal, occasion: Occasion) -> Told:
    """
    Take in what a source tells: a new signal, one in the place of another, or nothing new. Raises UnknownReference for an item type
    or kit that there is not.
    """
    document = _whole(uow, command.document)
    uow.index.hold_signals()
    before = active(uow, document)
    if before is None:
        return Told(_add(uow, document, occasion), Arrival.CREATED)
    old: Document = orjson.loads(before.body)
    if says_the_same(_said(old), _said(document), occasion.naming):
        return Told(before, Arrival.UNCHANGED)
    superseded = {**old, "status": str(DemandStatus.SUPERSEDED)}
    recording.replace(uow, DEMAND_SIGNAL, before, old, superseded, ["demandSignal.superseded"], occasion)
    document["supersedes"] = references.echo(old, DEMAND_SIGNAL)
    return Told(_add(uow, document, occasion), Arrival.SUPERSEDED, before.identifier)


def active(uow: UnitOfWork, document: Mapping[str, Any]) -> Head | None:
    """The active signal of the same source and reference for the same item; none for what its source has no reference for."""
    if "sourceRef" not in document:
        return None
    conditions = [
        ("source", "=", document["source"]),
        ("source_ref", "=", document["sourceRef"]),
        ("item", "=", document["itemType"]["identifier"]),
        ("status", "=", str(DemandStatus.ACTIVE)),
    ]
    found = uow.index.page(DEMAND_SIGNAL.table, conditions, None, 1)
    return found[0] if found else None


def key_of(document: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """By what its source knows the demand; None for what it has no reference for."""
    item = document["itemType"]["identifier"]
    return (document["source"], document["sourceRef"], item) if "sourceRef" in document else None


def change(uow: UnitOfWork, command: ChangeDemandSignal, occasion: Occasion) -> Head:
    """
    Give a demand signal another state; a document that says nothing new changes nothing.

    Raises NotFound, Stale, UnknownReference, TransitionRefused, and Duplicate where another signal of the same source has its place.
    """
    head = opened(uow, command.identifier, (DEMAND_SIGNAL,), command.expected)
    before: Document = orjson.loads(head.body)
    after = _whole(uow, command.document)
    refuse_step(DEMAND_STEPS, "demand signal", before["status"], after["status"])
    if says_the_same(before, after, occasion.naming):
        return head
    uow.index.hold_signals()
    _refuse_second(uow, head.identifier, after)
    has_ended = after["status"] == DemandStatus.CANCELLED != before["status"]
    events = ["demandSignal.updated", *(["demandSignal.cancelled"] if has_ended else [])]
    return recording.replace(uow, DEMAND_SIGNAL, head, before, after, events, occasion)


def cancel(uow: UnitOfWork, command: CancelDemandSignal, occasion: Occasion) -> Head:
    """Let a demand signal count no more; one that is cancelled already stays as it is. Raises NotFound, Stale."""
    head = opened(uow, command.identifier, (DEMAND_SIGNAL,), command.expected)
    before: Document = orjson.loads(head.body)
    if before["status"] == DemandStatus.CANCELLED:
        return head
    after = {**before, "status": str(DemandStatus.CANCELLED)}
    return recording.replace(uow, DEMAND_SIGNAL, head, before, after, ["demandSignal.updated", "demandSignal.cancelled"], occasion)


def _whole(uow: UnitOfWork, document: Document) -> Document:
    """The document with what goes without saying, and with the name of what is needed."""
    identifier = document["itemType"]["identifier"]
    place = Pointing("/itemType", "itemType", identifier)
    uow.allocations.keep([identifier])
    item = references.resolve(uow, [place], ITEM_TYPE, KIT_TEMPLATE)[identifier]
    if item.get("kind") == ItemKind.KIT:
        raise references.unknown(place, f"{identifier} is an item type of kind kit; refer to the kit template itself")
    echo = references.echo(item, ITEM_KINDS[identifier.partition("_")[0]])
    return {"status": str(DemandStatus.ACTIVE), "priority": str(Priority.NORMAL), **document, "itemType": echo}


def _add(uow: UnitOfWork, document: Document, occasion: Occasion) -> Head:
    number = uow.documents.next_number(DEMAND_SIGNAL.name)
    made = {**recording.named(document, DEMAND_SIGNAL, number, occasion), "createdBy": occasion.principal}
    return recording.add(uow, DEMAND_SIGNAL, number, made, ["demandSignal.created"], occasion)


_OF_THE_SERVER = ("@context", "@id", "identifier", "createdBy", "createdAt", "updatedAt", "supersedes")


def _said(document: Document) -> Document:
    """What the source has said."""
    return {key: value for key, value in document.items() if key not in _OF_THE_SERVER}


def _refuse_second(uow: UnitOfWork, identifier: str, after: Document) -> None:
    there = active(uow, after) if after["status"] == DemandStatus.ACTIVE else None
    if there is not None and there.identifier != identifier:
        detail = f"{there.identifier} stands for this demand of {after['source']} already."
        raise Duplicate(detail, field="sourceRef", resource=there.identifier)
