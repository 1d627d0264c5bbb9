"""The refusal for want of units says for each line that is short what is missing, who is in the way, and what would fit."""

from collections.abc import Mapping, Sequence
from typing import Any

from ld_server.domain.allocation import LinePlan
from ld_server.domain.commands import Document
from ld_server.domain.errors import InsufficientAvailability
from ld_server.domain.window import Window
from ld_server.services import obstacles, supply
from ld_server.services.obstacles import LOOKED_AT_IN_THE_WAY
from ld_server.services.occasion import Occasion
from relational.unit_of_work import UnitOfWork


def refusal(
    uow: UnitOfWork, document: Document, short: Sequence[LinePlan], blocked: Mapping[str, Window], occasion: Occasion
) -> InsufficientAvailability:
    """The refusal, which says for each line that is short what is missing, who is in the way, and what would fit."""
    position = {line["@id"]: number for number, line in enumerate(document["lineItems"])}
    lines = [_short_line(uow, document, position[line.demand.line], line, blocked, occasion) for line in short]
    asked = "; ".join(f"{line['requested']} of {line['item']['name']} asked for, {line['available']} available" for line in lines)
    return InsufficientAvailability(f"There are not enough units in this window: {asked}.", lines=lines)


def _short_line(
    uow: UnitOfWork, document: Document, position: int, line: LinePlan, blocked: Mapping[str, Window], occasion: Occasion
) -> dict[str, Any]:
    item_type, window = line.demand.item_type, blocked[line.demand.item_type]
    capacity = supply.capacity(uow, item_type, window)
    return {
        "pointer": f"/lineItems/{position}",
        "item": document["lineItems"][position]["object"],
        "requested": line.demand.quantity,
        "available": line.allocated,
        "totalCapacity": capacity.total,
        "reservedCapacity": capacity.reserved,
        "availableCapacity": capacity.available,
        "reservationsInTheWay": _in_the_way(uow, item_type, window, occasion),
        "alternatives": {"largestQuantity": line.allocated},
    }


def _in_the_way(uow: UnitOfWork, item_type: str, window: Window, occasion: Occasion) -> list[dict[str, Any]]:
    """The reservations that block units of the item type in the window, earliest first; a reservation is named once."""
    return obstacles.named(uow.allocations.in_the_way(item_type, window.start, window.end, LOOKED_AT_IN_THE_WAY), occasion)
