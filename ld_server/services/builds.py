"""Build requests: asked for, handed to the system that builds, and at last there, or not."""

from collections.abc import Mapping

import orjson

from ld_server.domain.builds import BUILD_STEPS, BuildStatus, refuse_step
from ld_server.domain.commands import ChangeBuildRequest, CreateBuildRequest, Document
from ld_server.domain.errors import TransitionRefused
from ld_server.domain.status import ItemKind
from ld_server.resources.build_request import BUILD_REQUEST
from ld_server.resources.demand_signal import DEMAND_SIGNAL
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import is_same
from ld_server.services import recording, references
from ld_server.services.occasion import Occasion
from ld_server.services.opening import opened, says_the_same
from ld_server.services.references import Pointing
from relational.documents import Head
from relational.unit_of_work import UnitOfWork


def create(uow: UnitOfWork, command: CreateBuildRequest, occasion: Occasion) -> Head:
    """Ask for more units. Raises UnknownReference for an item type or a demand signal that there is not."""
    document = _whole(uow, command.document)
    number = uow.documents.next_number(BUILD_REQUEST.name)
    made = {**recording.named(document, BUILD_REQUEST, number, occasion), "createdBy": occasion.principal}
    return recording.add(uow, BUILD_REQUEST, number, made, [EVENTS_OF[BuildStatus.REQUESTED]], occasion)


def change(uow: UnitOfWork, command: ChangeBuildRequest, occasion: Occasion) -> Head:
    """
    Give a build request another state; a document that says nothing new changes nothing.

    Raises NotFound, Stale, UnknownReference, and TransitionRefused for a step that it cannot take and for another number of units,
    or other ones, than somebody has been asked to build.
    """
    head = opened(uow, command.identifier, (BUILD_REQUEST,), command.expected)
    before: Document = orjson.loads(head.body)
    after = _whole(uow, command.document)
    refuse_step(BUILD_STEPS, BUILD_REQUEST.frame.name, before["status"], after["status"])
    _refuse_other_order(before, after)
    if says_the_same(before, after, occasion.naming):
        return head
    if after["status"] == before["status"]:
        return recording.replace(uow, BUILD_REQUEST, head, before, after, ["buildRequest.updated"], occasion)
    moved = {**after, **_stamp(after["status"], occasion)}
    return recording.replace(uow, BUILD_REQUEST, head, before, moved, ["buildRequest.updated", EVENTS_OF[after["status"]]], occasion)


EVENTS_OF: Mapping[str, str] = {status: f"buildRequest.{status}" for status in BuildStatus}
"""State → the event that tells that a request has come to it."""


_STAMPED: Mapping[str, str] = {BuildStatus.SUBMITTED: "submittedAt", BuildStatus.FULFILLED: "fulfilledAt"}
"""State → the key that tells when a request came to it, for whoever wants to know how long it takes."""


def _stamp(status: str, occasion: Occasion) -> Document:
    return {_STAMPED[status]: occasion.moment} if status in _STAMPED else {}


def _whole(uow: UnitOfWork, document: Document) -> Document:
    """The document with what goes without saying, and with the names of what it refers to."""
    item_type = _item_type(uow, document)
    signal = _signal(uow, document)
    return {"status": str(BuildStatus.REQUESTED), **document, "itemType": item_type, **signal}


def _item_type(uow: UnitOfWork, document: Document) -> Document:
    identifier = document["itemType"]["identifier"]
    place = Pointing("/itemType", "itemType", identifier)
    uow.allocations.keep([identifier])
    item_type = references.resolve(uow, [place], ITEM_TYPE)[identifier]
    if item_type["kind"] == ItemKind.KIT:
        raise references.unknown(place, f"{identifier} is a kit, and it is the units in it that are built")
    return references.echo(item_type, ITEM_TYPE)


def _signal(uow: UnitOfWork, document: Document) -> Document:
    if "demandSignal" not in document:
        return {}
    identifier = document["demandSignal"]["identifier"]
    place = Pointing("/demandSignal", "demandSignal", identifier)
    return {"demandSignal": references.echo(references.resolve(uow, [place], DEMAND_SIGNAL)[identifier], DEMAND_SIGNAL)}


_ORDERED = ("itemType", "quantity")
"""What cannot be changed here once somebody else has been asked for it."""


def _refuse_other_order(before: Document, after: Document) -> None:
    changed = [key for key in _ORDERED if not is_same(_value(before, key), _value(after, key))]
    if changed and before["status"] != BuildStatus.REQUESTED:
        detail = f"{changed[0]} of a build request that is {before['status']} cannot be changed; ask for what is missing in another one."
        raise TransitionRefused(detail, status=before["status"], allowedSteps=sorted(BUILD_STEPS[before["status"]]))


def _value(document: Document, key: str) -> object:
    value = document[key]
    return value["identifier"] if isinstance(value, dict) else value
