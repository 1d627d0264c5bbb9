"""The refusal for want of units says for each line that is short what is missing, who is in the way, and what would fit."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ld_server.domain import kits
from ld_server.domain.allocation import LinePlan, wanted
from ld_server.domain.capacity import Capacity
from ld_server.domain.errors import InsufficientAvailability
from ld_server.domain.kits import Component
from ld_server.domain.window import LATEST, Window
from ld_server.resources.kind import written
from ld_server.services import availability, obstacles, plans
from ld_server.services.availability import Circumstances
from ld_server.services.obstacles import LOOKED_AT_IN_THE_WAY
from ld_server.services.occasion import Occasion
from ld_server.services.plans import Planned
from relational.allocations import AllocationRow, Blocking
from relational.capacity import Block
from relational.unit_of_work import Ledger, UnitOfWork

MOST_LOCATIONS = 20
"""Other places that are looked at for one line."""


class Unexplained(InsufficientAvailability):
    """
    There are not enough units in this window

    What explains it costs more than the plan, and is not asked for while others wait for the item types: see `explaining`.
    """

    def __init__(self, explain: Callable[[UnitOfWork], InsufficientAvailability]) -> None:
        super().__init__("There are not enough units in this window.")
        self.explain = explain


@contextmanager
def explaining(ledger: Ledger) -> Iterator[None]:
    """What is refused unexplained by a transaction in here is refused with everything that explains it, after that transaction ended."""
    try:
        yield
    except Unexplained as refused:
        with ledger.read() as uow:
            explained = refused.explain(uow)
        raise explained from None


def refusal(uow: UnitOfWork, planned: Planned, short: Sequence[LinePlan], occasion: Occasion) -> InsufficientAvailability:
    """The refusal of a plan because of these lines."""
    lines = explained(uow, planned, short, occasion)
    asked = "; ".join(_sentence(line) for line in lines)
    return InsufficientAvailability(f"There are not enough units in this window: {asked}.", lines=lines)


def no_window(uow: UnitOfWork, at_once: Planned, occasion: Occasion) -> InsufficientAvailability:
    """The refusal of a reservation for which no window was found. `at_once`: the plan for the first window that was looked at."""
    lines = [_explained(uow, at_once, line, None, occasion) for line in at_once.short]
    days = occasion.search_horizon.days
    return InsufficientAvailability(f"Nothing fits within the next {days} days.", lines=lines, horizonDays=days)


def explained(uow: UnitOfWork, planned: Planned, short: Sequence[LinePlan], occasion: Occasion) -> list[dict[str, Any]]:
    """Why these lines get less than they ask for, and what would fit. This costs more than the plan, which needs nothing of it."""
    window = plans.window_of(planned.document)
    needed = wanted([line.demand for line in planned.lines])
    fits = availability.first_window(uow, needed, window.end - window.start, window.start, _given(planned, occasion))
    return [_explained(uow, planned, line, fits, occasion) for line in short]


def _given(planned: Planned, occasion: Occasion) -> Circumstances:
    """On what it depends what the plan can have: not on what the reservation would give back for it."""
    return replace(plans.given(planned.document, occasion), apart=planned.apart)


def _sentence(line: Mapping[str, Any]) -> str:
    limits = [one["itemType"]["name"] for one in line.get("limitingComponents", ())]
    why = f" for want of {' and '.join(limits)}" if limits else ""
    return f"{line['requested']} of {line['item']['name']} asked for, {line['available']} available{why}"


def _explained(uow: UnitOfWork, planned: Planned, line: LinePlan, fits: Window | None, occasion: Occasion) -> dict[str, Any]:
    position = next(number for number, one in enumerate(planned.document["lineItems"]) if one["@id"] == line.demand.line)
    asked = planned.document["lineItems"][position]
    windows = {part: planned.blocked[part] for part in line.demand.parts}
    capacities = availability.capacities(uow, windows, _given(planned, occasion))
    return {
        "pointer": f"/lineItems/{position}",
        "item": asked["object"],
        "requested": line.demand.quantity,
        "available": line.allocated,
        **_counted(asked, line, capacities),
        **_in_the_way(uow, _limiting(line, capacities), windows, planned.document["identifier"], occasion),
        "alternatives": _alternatives(uow, planned, line, windows, fits, occasion),
    }


def _counted(asked: Mapping[str, Any], line: LinePlan, capacities: Mapping[str, Capacity]) -> dict[str, Any]:
    """The numbers behind it: of an item type its capacity, of a kit the components of which there are too few."""
    if not plans.is_kit(asked["object"]):
        capacity = capacities[line.demand.item]
        return {"totalCapacity": capacity.total, "reservedCapacity": capacity.reserved, "availableCapacity": capacity.available}
    echoes = {one["itemType"]["identifier"]: one["itemType"] for one in asked["madeOf"]}
    return {"limitingComponents": [_component(one, echoes) for one in _limiting(line, capacities)]}


def _component(component: Component, echoes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "itemType": echoes[component.item_type],
        "quantityPerKit": component.quantity_per_kit,
        "availableUnits": component.available,
        "kitsSupported": component.kits_supported,
    }


def _limiting(line: LinePlan, capacities: Mapping[str, Capacity]) -> tuple[Component, ...]:
    return kits.limiting(_supported(line, capacities))


def _supported(line: LinePlan, capacities: Mapping[str, Capacity]) -> list[Component]:
    return [Component(part, each, capacities[part].available) for part, each in line.demand.parts.items()]


def _in_the_way(
    uow: UnitOfWork, components: Iterable[Component], windows: Mapping[str, Window], own: str, occasion: Occasion
) -> dict[str, Any]:
    """The other reservations that block units of these in their windows, earliest first; a reservation is named once."""
    asked = [(one.item_type, windows[one.item_type]) for one in components]
    found = [uow.allocations.in_the_way(item_type, window.start, window.end, LOOKED_AT_IN_THE_WAY) for item_type, window in asked]
    return obstacles.told([blocking for several in found for blocking in several if blocking.rent_action != own], occasion)


def _alternatives(
    uow: UnitOfWork, planned: Planned, line: LinePlan, windows: Mapping[str, Window], fits: Window | None, occasion: Occasion
) -> dict[str, Any]:
    """What would fit instead: fewer, another window for the whole reservation, another place for this line."""
    next_window = {"startTime": written(fits.start), "endTime": written(fits.end)} if fits else None
    elsewhere = _elsewhere(uow, planned, line, windows, occasion)
    return {
        "largestQuantity": line.allocated,
        "nextWindow": next_window,
        **({"otherLocations": elsewhere} if elsewhere is not None else {}),
    }


def _elsewhere(
    uow: UnitOfWork, planned: Planned, line: LinePlan, windows: Mapping[str, Window], occasion: Occasion
) -> list[dict[str, Any]] | None:
    """Other places that have some of it; None where no place was asked for."""
    given = _given(planned, occasion)
    location = given.location
    if location is None:
        return None
    places = dict.fromkeys(place for part in line.demand.parts for place in uow.capacity.locations(part) if place != location)
    found = [
        {"location": place, "available": _there(uow, line, windows, replace(given, location=place))}
        for place in list(places)[:MOST_LOCATIONS]
    ]
    return [one for one in found if one["available"]]


def _there(uow: UnitOfWork, line: LinePlan, windows: Mapping[str, Window], given: Circumstances) -> int:
    capacities = availability.capacities(uow, windows, given)
    return min(line.demand.quantity, kits.kits_supported(_supported(line, capacities)))


# --- one unit ---------------------------------------------------------------------------------------------------------


def unit_taken(asset: str, name: str, pointer: str, blocks: Sequence[Block], occasion: Occasion) -> InsufficientAvailability:
    """The refusal to promise a unit that was asked for by name. Without blocks it is its state that is in the way."""
    why = _who(blocks, occasion) or "it is not in a state to be reserved"
    return InsufficientAvailability(
        f"{name} ({asset}) cannot be had in this window: {why}.", pointer=pointer, resource=asset, **_blocking(blocks, occasion)
    )


def cannot_be_kept(row: AllocationRow, blocks: Sequence[Block], occasion: Occasion) -> InsufficientAvailability:
    """The refusal to let units stay out for longer, because of others to whom they are promised."""
    identifier, source = f"alloc_{row.number}", row.asset or row.stock_pool
    why = _who(blocks, occasion) or f"{source} has promised too many of its units to others"
    detail = f"{identifier} is out and cannot be kept until {written(row.allocated_to)}: {why}."
    return InsufficientAvailability(detail, pointer="/endTime", allocation=identifier, resource=source, **_blocking(blocks, occasion))


def _who(blocks: Iterable[Block], occasion: Occasion) -> str:
    told = dict.fromkeys(
        f"it is promised to {_holder(one, occasion)}" if one.rent_action else f"it is not to be had{_because(one)}" for one in blocks
    )
    return " and ".join(list(told)[:MOST_TOLD])


def _holder(block: Block, occasion: Occasion) -> str:
    return "others" if block.rent_action is None or occasion.owner is not None else block.rent_action


MOST_TOLD = 3
"""Reasons that a sentence spells out; the lists beside it have more."""


def _because(block: Block) -> str:
    return f" ({block.reason})" if block.reason else ""


def _blocking(blocks: Sequence[Block], occasion: Occasion) -> dict[str, Any]:
    reservations = [Blocking(one.rent_action, one.asset, one.start, one.end or LATEST) for one in blocks if one.rent_action]
    unavailable = [_unavailability(one) for one in blocks if not one.rent_action]
    return {**obstacles.told(reservations, occasion), **({"unavailable": unavailable} if unavailable else {})}


def _unavailability(block: Block) -> dict[str, Any]:
    said = {"startTime": written(block.start), "endTime": written(block.end) if block.end else None, "reason": block.reason}
    return {key: value for key, value in said.items() if value is not None}
