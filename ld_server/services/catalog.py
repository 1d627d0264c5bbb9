"""
The catalog: item types, their units and stock pools, and the kits that are put together from them.

Nothing that is in use vanishes or turns into something else: what can be promised is deactivated, and a change that would
break a promise is refused with those who hold it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ld_server.domain.commands import CreateAsset, CreateItemType, CreateKitTemplate, CreateStockPool, Document
from ld_server.domain.duration import seconds
from ld_server.domain.errors import InsufficientAvailability, InUse, ShapeViolation, Violation
from ld_server.domain.status import AssetStatus, ItemKind
from ld_server.domain.window import LONGEST_TURNAROUND
from ld_server.rdf import vocab
from ld_server.resources.asset import ASSET
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import Kind
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.resources.stock_pool import STOCK_POOL
from ld_server.services import obstacles, recording, references
from ld_server.services.obstacles import LOOKED_AT_IN_THE_WAY
from ld_server.services.occasion import Occasion
from ld_server.services.references import Pointing
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

# --- creation ---------------------------------------------------------------------------------------------------------


def create_item_type(uow: UnitOfWork, command: CreateItemType, occasion: Occasion) -> Head:
    """Add an item type. Raises Duplicate for its code, ShapeViolation for a turnaround that has no length or too much of it."""
    _refuse_endless_turnaround(command.document)
    return _create(uow, ITEM_TYPE, {"isActive": True, **command.document}, "catalog.itemType.created", occasion)


def create_asset(uow: UnitOfWork, command: CreateAsset, occasion: Occasion) -> Head:
    """Add a unit of a serialized item type. Raises Duplicate for its tag, UnknownReference for its item type."""
    document = {"status": str(AssetStatus.AVAILABLE), **settled(uow, ASSET, command.document)}
    return _create(uow, ASSET, document, "catalog.asset.created", occasion)


def create_stock_pool(uow: UnitOfWork, command: CreateStockPool, occasion: Occasion) -> Head:
    """Add a stock pool of a fungible item type. Raises UnknownReference for its item type."""
    document = {"isActive": True, **settled(uow, STOCK_POOL, command.document)}
    return _create(uow, STOCK_POOL, document, "catalog.stockPool.updated", occasion)


def create_kit_template(uow: UnitOfWork, command: CreateKitTemplate, occasion: Occasion) -> Head:
    """Add a kit template. Raises Duplicate for its code, UnknownReference for a component that there is not or that cannot be one."""
    document = {"isActive": True, **settled(uow, KIT_TEMPLATE, command.document)}
    return _create(uow, KIT_TEMPLATE, document, "catalog.kitTemplate.updated", occasion)


def _create(uow: UnitOfWork, kind: Kind, document: Document, event: str, occasion: Occasion) -> Head:
    number = uow.documents.next_number(kind.name)
    return recording.add(uow, kind, number, recording.named(document, kind, number, occasion), [event], occasion)


# --- what it refers to ------------------------------------------------------------------------------------------------


def settled(uow: UnitOfWork, kind: Kind, document: Document) -> Document:
    """
    The document with the names of the resources that it refers to, which keep their kind until this transaction ends.

    Raises UnknownReference for one that does not exist or cannot be meant here. A kind that refers to nothing is left as it is.
    """
    settle = _SETTLED.get(kind.name)
    return settle(uow, kind, document) if settle else document


def _as_variant(uow: UnitOfWork, kind: Kind, document: Document) -> Document:
    identifier = document["isVariantOf"]["identifier"]
    place = Pointing("/isVariantOf", "isVariantOf", identifier)
    uow.allocations.keep([identifier])
    item_type = references.resolve(uow, [place], ITEM_TYPE)[identifier]
    wanted, what = _VARIANTS[kind.name]
    if item_type["kind"] != wanted:
        raise references.unknown(place, f"{identifier} is {item_type['kind']}, and only a {wanted} item type has {what}")
    return {**document, "isVariantOf": references.echo(item_type, ITEM_TYPE)}


_VARIANTS: Mapping[str, tuple[ItemKind, str]] = {
    ASSET.name: (ItemKind.SERIALIZED, "units of its own"),
    STOCK_POOL.name: (ItemKind.FUNGIBLE, "stock pools"),
}
"""Kind of resource → the kind of item type that has it, and what it is called there."""


def _as_kit(uow: UnitOfWork, _kind: Kind, document: Document) -> Document:
    places = [_component(position, one) for position, one in enumerate(document["kitComponents"])]
    uow.allocations.keep(place.identifier for place in places)
    items = references.resolve(uow, places, ITEM_TYPE, KIT_TEMPLATE)
    for place in places:
        if items[place.identifier].get("kind") == ItemKind.KIT:
            raise references.unknown(place, f"{place.identifier} is an item type of kind kit; refer to the kit template itself")
    kinds = {KIT_TEMPLATE.prefix: KIT_TEMPLATE, ITEM_TYPE.prefix: ITEM_TYPE}
    echoes = {identifier: references.echo(item, kinds[identifier.partition("_")[0]]) for identifier, item in items.items()}
    components = [{**one, "itemType": echoes[one["itemType"]["identifier"]]} for one in document["kitComponents"]]
    return {**document, "kitComponents": components}


def _component(position: int, component: Mapping[str, Any]) -> Pointing:
    return Pointing(f"/kitComponents/{position}/itemType", "itemType", component["itemType"]["identifier"])


_SETTLED: Mapping[str, Callable[[UnitOfWork, Kind, Document], Document]] = {
    ASSET.name: _as_variant,
    STOCK_POOL.name: _as_variant,
    KIT_TEMPLATE.name: _as_kit,
}


# --- change -----------------------------------------------------------------------------------------------------------


def check_change(uow: UnitOfWork, kind: Kind, before: Document, after: Document, occasion: Occasion) -> None:
    """
    Refuse a change of a resource of the catalog that what is there does not allow; `after` is valid in itself. To deactivate always goes.

    Raises InUse (another kind of an item type that has units, another item type for what is promised), InsufficientAvailability
    (a pool with fewer units than are promised from it), UnknownReference, ShapeViolation (a kit in itself, an endless turnaround).
    """
    check = _CHECKS.get(kind.name)
    if check:
        check(uow, before, after, occasion)


def _check_item_type(uow: UnitOfWork, before: Document, after: Document, _occasion: Occasion) -> None:
    _refuse_endless_turnaround(after)
    if after["kind"] == before["kind"]:
        return
    identifier = before["identifier"]
    uow.allocations.hold([identifier])
    has = _members(uow, identifier, as_components=after["kind"] == ItemKind.KIT)
    if has:
        told = ", ".join(f"{count} {what}" for what, count in has.items())
        detail = f"kind of {identifier} cannot be changed from {before['kind']} to {after['kind']}: it has {told}."
        raise InUse(detail, field="kind", pointer="/kind", resource=identifier, has=has)


def _members(uow: UnitOfWork, item_type: str, as_components: bool) -> dict[str, int]:
    """What belongs to an item type and rests on its kind: what it is called → how many there are, where there are any."""
    of = [("item_type", "=", item_type)]
    counts = {
        "assets": uow.index.count(ASSET.table, of),
        "stock pools": uow.index.count(STOCK_POOL.table, of),
        "kit templates": len(uow.index.kits_with(item_type)) if as_components else 0,
    }
    return {what: count for what, count in counts.items() if count}


def _check_asset(uow: UnitOfWork, before: Document, after: Document, occasion: Occasion) -> None:
    if _is_moved(before, after):
        _hold_both(uow, before, after)
        settled(uow, ASSET, after)
        blocking = uow.allocations.blocking_asset(before["identifier"], occasion.now, LOOKED_AT_IN_THE_WAY)
        _refuse_to_move(before["identifier"], obstacles.named(blocking, occasion))


def _check_stock_pool(uow: UnitOfWork, before: Document, after: Document, occasion: Occasion) -> None:
    if _is_moved(before, after):
        _hold_both(uow, before, after)
        settled(uow, STOCK_POOL, after)
        blocking = uow.allocations.blocking_pool(before["identifier"], occasion.now, limit=LOOKED_AT_IN_THE_WAY)
        _refuse_to_move(before["identifier"], obstacles.named(blocking, occasion))
    if after["quantityTotal"] < before["quantityTotal"]:
        uow.allocations.hold([before["isVariantOf"]["identifier"]])
        _refuse_to_break_promises(uow, before["identifier"], after["quantityTotal"], occasion)


def _is_moved(before: Document, after: Document) -> bool:
    return bool(before["isVariantOf"]["identifier"] != after["isVariantOf"]["identifier"])


def _hold_both(uow: UnitOfWork, before: Document, after: Document) -> None:
    uow.allocations.hold(document["isVariantOf"]["identifier"] for document in (before, after))


def _refuse_to_move(identifier: str, in_the_way: Sequence[Mapping[str, Any]]) -> None:
    if in_the_way:
        who = ", ".join(one["identifier"] for one in in_the_way)
        detail = f"isVariantOf of {identifier} cannot be changed while it is promised: {who}."
        raise InUse(detail, field="isVariantOf", pointer="/isVariantOf", resource=identifier, reservationsInTheWay=list(in_the_way))


def _refuse_to_break_promises(uow: UnitOfWork, pool: str, quantity: int, occasion: Occasion) -> None:
    peak = uow.allocations.peak(pool, occasion.now)
    if peak.quantity <= quantity:
        return
    blocking = uow.allocations.blocking_pool(pool, occasion.now, peak.at, LOOKED_AT_IN_THE_WAY)
    raise InsufficientAvailability(
        f"{pool} cannot go down to {quantity}: {peak.quantity} of its units are promised at the same time.",
        field="quantityTotal",
        pointer="/quantityTotal",
        resource=pool,
        requested=quantity,
        promised=peak.quantity,
        reservationsInTheWay=obstacles.named(blocking, occasion),
    )


def _check_kit_template(uow: UnitOfWork, before: Document, after: Document, _occasion: Occasion) -> None:
    settled(uow, KIT_TEMPLATE, after)
    items = [one["itemType"]["identifier"] for one in after["kitComponents"]]
    kits = [item for item in items if _is_kit(item)]
    if kits:
        uow.index.hold_compositions()
        circle = _circle(uow, before["identifier"], kits)
        if circle:
            _refuse_circle(circle, items.index(circle[1]))


def _is_kit(identifier: str) -> bool:
    return identifier.startswith(f"{KIT_TEMPLATE.prefix}_")


def _circle(uow: UnitOfWork, kit: str, inside: Sequence[str]) -> list[str]:
    """The way from a kit, when it has these kits inside, back to itself: `[kit_1, kit_4, kit_1]`; empty when there is none."""
    came_from, ahead = dict.fromkeys(inside, kit), list(inside)
    while ahead and kit not in came_from:
        found = {item: outer for outer, item in uow.index.components_of(ahead) if _is_kit(item) and item not in came_from}
        came_from |= found
        ahead = list(found)
    return _way(came_from, kit) if kit in came_from else []


def _way(came_from: Mapping[str, str], kit: str) -> list[str]:
    way = [kit, came_from[kit]]
    while way[-1] != kit:
        way.append(came_from[way[-1]])
    return way[::-1]


def _refuse_circle(circle: Sequence[str], position: int) -> None:
    message = f"a kit cannot contain itself: {' → '.join(circle)}"
    violation = Violation(f"/kitComponents/{position}/itemType", vocab.ITEM_TYPE, circle[1], message)
    raise ShapeViolation(f"{message[0].upper()}{message[1:]}.", [violation])


_CHECKS: Mapping[str, Callable[[UnitOfWork, Document, Document, Occasion], None]] = {
    ITEM_TYPE.name: _check_item_type,
    ASSET.name: _check_asset,
    STOCK_POOL.name: _check_stock_pool,
    KIT_TEMPLATE.name: _check_kit_template,
}


# --- turnarounds ------------------------------------------------------------------------------------------------------

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
