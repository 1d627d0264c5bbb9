"""The catalog: item types and their units."""

from ld_server.domain.commands import CreateAsset, CreateItemType, Document
from ld_server.domain.duration import seconds
from ld_server.domain.errors import ShapeViolation, Violation
from ld_server.domain.status import AssetStatus, ItemKind
from ld_server.domain.window import LONGEST_TURNAROUND
from ld_server.rdf import vocab
from ld_server.resources.asset import ASSET
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.services import recording, references
from ld_server.services.occasion import Occasion
from ld_server.services.references import Pointing
from relational.documents import Head
from relational.unit_of_work import UnitOfWork


def create_item_type(uow: UnitOfWork, command: CreateItemType, occasion: Occasion) -> Head:
    """Add an item type. Raises Duplicate for its code, ShapeViolation for a turnaround that has no length or too much of it."""
    _refuse_endless_turnaround(command.document)
    number = uow.documents.next_number(ITEM_TYPE.name)
    document = {"isActive": True, **recording.named(command.document, ITEM_TYPE, number, occasion)}
    return recording.add(uow, ITEM_TYPE, number, document, ["catalog.itemType.created"], occasion)


def create_asset(uow: UnitOfWork, command: CreateAsset, occasion: Occasion) -> Head:
    """Add a unit of a serialized item type. Raises Duplicate for its tag, UnknownReference for its item type."""
    item_type = command.document["isVariantOf"]["identifier"]
    place = Pointing("/isVariantOf", "isVariantOf", item_type)
    found = references.resolve(uow, [place], ITEM_TYPE)[item_type]
    if found["kind"] != ItemKind.SERIALIZED:
        raise references.unknown(place, f"{item_type} is {found['kind']}, and only a serialized item type has units of its own")
    number = uow.documents.next_number(ASSET.name)
    document = {"status": str(AssetStatus.AVAILABLE), **recording.named(command.document, ASSET, number, occasion)}
    document["isVariantOf"] = references.echo(found, ITEM_TYPE)
    return recording.add(uow, ASSET, number, document, ["catalog.asset.created"], occasion)


_TURNAROUNDS = {"turnaroundBefore": vocab.TURNAROUND_BEFORE, "turnaroundAfter": vocab.TURNAROUND_AFTER}


def _refuse_endless_turnaround(document: Document) -> None:
    for key, path in _TURNAROUNDS.items():
        if key in document and not _is_bearable(document[key]):
            message = f"{key} must be a duration of whole seconds such as PT2H or P1D, and at most {LONGEST_TURNAROUND.days} days"
            raise ShapeViolation(f"{message}.", [Violation(f"/{key}", path, document[key], message)])


def _is_bearable(text: str) -> bool:
    try:
        return seconds(text) <= LONGEST_TURNAROUND.total_seconds()
    except ValueError:
        return False
