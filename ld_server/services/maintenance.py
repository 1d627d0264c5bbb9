"""The maintenance log of a unit: what was done and what is planned, and what becomes of the unit by it, in one transaction."""

from collections.abc import Mapping
from typing import Any

import orjson

from ld_server.domain.commands import ChangeCatalogEntry, CreateMaintenanceLog, Document
from ld_server.domain.errors import ShapeViolation, Violation
from ld_server.domain.status import AssetStatus
from ld_server.rdf import vocab
from ld_server.resources.asset import ASSET
from ld_server.resources.kind import instant
from ld_server.resources.maintenance_log import MAINTENANCE_LOG, action_status
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import changes, recording, references, risk
from ld_server.services.occasion import Occasion
from ld_server.services.opening import opened
from ld_server.services.references import Pointing
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

CREATED, OVERDUE = "maintenanceLog.created", "maintenance.overdue"

MOST_OVERDUE = 10_000
"""Plans that one scan looks at."""

BECOMES: Mapping[str, AssetStatus] = {
    "return_to_pool": AssetStatus.AVAILABLE,
    "send_refurb": AssetStatus.MAINTENANCE,
    "hold": AssetStatus.HOLD,
    "retire": AssetStatus.RETIRED,
}
"""Next action → the state of the unit afterwards."""


def record(uow: UnitOfWork, command: CreateMaintenanceLog, occasion: Occasion) -> Head:
    """
    Write an entry, and give the unit the state that its next action asks for; tell of the reservations that this endangers.

    Raises UnknownReference, Duplicate for an entry that was corrected already, ShapeViolation.
    """
    document = command.document
    _refuse_half_told(document)
    asset = _held(uow, document, occasion)
    corrected = _corrected(uow, document)
    if "nextAction" in document:
        asset = _moved_on(uow, asset, document["nextAction"], occasion)
    number = uow.documents.next_number(MAINTENANCE_LOG.name)
    whole = _completed(document, orjson.loads(asset.body), corrected, occasion)
    endangered = _endangered(uow, asset.identifier, occasion) if "nextAction" in document else []
    told = {**whole, **({"endangers": endangered} if endangered else {})}
    head = recording.add(uow, MAINTENANCE_LOG, number, recording.named(told, MAINTENANCE_LOG, number, occasion), [CREATED], occasion)
    if "plannedStart" in document or "corrects" in document:
        risk.look(uow, [asset.identifier], occasion)
    return head


def overdue_scan(uow: UnitOfWork, occasion: Occasion) -> int:
    """
    Tell of planned work whose time is over and of which nobody has said what came of it. Gives how much of it there is.

    However often it runs, and in however many workers at once, each entry is told of once.
    """
    late = uow.index.plans_without_outcome(occasion.now, MOST_OVERDUE)
    new = {subject for subject, _ in uow.told.once(OVERDUE, [(one.identifier, OVERDUE) for one in late], occasion.now)}
    for head in late:
        if head.identifier in new:
            recording.tell(uow, MAINTENANCE_LOG, head, [OVERDUE], occasion)
    return len(late)


def _refuse_half_told(document: Document) -> None:
    """Work was done at some time, or it is planned from when until when."""
    planned = [key for key in ("plannedStart", "plannedEnd") if key in document]
    if len(planned) == 1:
        _refuse("plannedEnd" if planned == ["plannedStart"] else "plannedStart", "plannedStart and plannedEnd belong together")
    if not planned and "performedAt" not in document:
        _refuse("performedAt", "performedAt is required, unless the work is planned (plannedStart, plannedEnd)")
    if planned and instant(document["plannedStart"]) >= instant(document["plannedEnd"]):
        _refuse("plannedEnd", "plannedEnd must be after plannedStart")
    if "performedAt" not in document and ("outcome" in document or "nextAction" in document):
        _refuse("performedAt", "what came of work, and what becomes of the unit, is said when it was performed: performedAt is required")


def _refuse(key: str, message: str) -> None:
    path = {"performedAt": vocab.PERFORMED_AT, "plannedStart": vocab.PLANNED_START, "plannedEnd": vocab.PLANNED_END}.get(
        key, vocab.CORRECTS
    )
    raise ShapeViolation(f"{message[0].upper()}{message[1:]}.", [Violation(f"/{key}", path, None, message)])


def _held(uow: UnitOfWork, document: Document, _occasion: Occasion) -> Head:
    """The unit, locked; nobody else promises anything of its item type until this transaction ends."""
    identifier = document["object"]["identifier"]
    found = references.resolve(uow, [Pointing("/object", "object", identifier)], ASSET)[identifier]
    uow.allocations.hold([found["isVariantOf"]["identifier"]])
    return opened(uow, identifier, (ASSET,), None)


def _corrected(uow: UnitOfWork, document: Document) -> Document | None:
    """The entry that this one corrects, of the same unit."""
    if "corrects" not in document:
        return None
    identifier = document["corrects"]["identifier"]
    found = references.resolve(uow, [Pointing("/corrects", "corrects", identifier)], MAINTENANCE_LOG)[identifier]
    if found["object"]["identifier"] != document["object"]["identifier"]:
        _refuse("corrects", f"{identifier} is in the log of {found['object']['identifier']}")
    return found


def _moved_on(uow: UnitOfWork, asset: Head, next_action: str, occasion: Occasion) -> Head:
    after = {**orjson.loads(asset.body), "status": str(BECOMES[next_action])}
    return changes.change_entry(uow, ChangeCatalogEntry(asset.identifier, after, frozenset({asset.revision})), occasion)


def _completed(document: Document, asset: Document, corrected: Document | None, occasion: Occasion) -> Document:
    """The entry with what goes without saying."""
    agent = document.get("agent")
    named = agent.get("identifier") if isinstance(agent, dict) else None
    performed_by = document.get("performedBy") or named or occasion.principal
    own = {
        "object": references.echo(asset, ASSET),
        "performedBy": performed_by,
        "agent": agent or {"@id": f"{document['@id']}#agent", "@type": "Person", "identifier": performed_by},
        "actionStatus": action_status("performedAt" in document, document.get("outcome", "")),
        "createdBy": occasion.principal,
    }
    return {**document, **own, **({"corrects": references.echo(corrected, MAINTENANCE_LOG)} if corrected else {})}


def _endangered(uow: UnitOfWork, asset: str, occasion: Occasion) -> list[dict[str, Any]]:
    """The reservations that hold the unit and cannot rely on it."""
    found = uow.documents.heads(one.rent_action for one in uow.risks.through([asset], occasion.now))
    return [references.echo(orjson.loads(head.body), RENT_ACTION) for head in sorted(found.values(), key=lambda head: head.number)]
