"""Who is in the way: the reservations that a refusal names, each once, the earliest first."""

from collections.abc import Iterable, Sequence
from typing import Any

from ld_server.resources.kind import written
from ld_server.services.occasion import Occasion
from relational.allocations import Blocking

NAMED_IN_THE_WAY = 20
"""Most reservations that a refusal names in one place."""
LOOKED_AT_IN_THE_WAY = 200
"""Most allocations that are looked at to find them."""


def told(blockings: Iterable[Blocking], occasion: Occasion) -> dict[str, Any]:
    """The members of a refusal that say who is in the way: their names, or how many where those are not for whoever asks."""
    blocking = list(blockings)
    if occasion.owner is None:
        return {"reservationsInTheWay": named(blocking, occasion)}
    return {"countInTheWay": len({one.rent_action for one in blocking})}


def named(blockings: Iterable[Blocking], occasion: Occasion) -> list[dict[str, Any]]:
    """The reservations that these blockings belong to, each with its units and the time from the first to the last of them."""
    found: dict[str, list[Blocking]] = {}
    for blocking in blockings:
        found.setdefault(blocking.rent_action, []).append(blocking)
    first = sorted(found.items(), key=lambda entry: min(one.start for one in entry[1]))[:NAMED_IN_THE_WAY]
    return [_obstacle(rent_action, several, occasion) for rent_action, several in first]


def _obstacle(rent_action: str, blockings: Sequence[Blocking], occasion: Occasion) -> dict[str, Any]:
    return {
        "@id": occasion.naming.iri(rent_action),
        "identifier": rent_action,
        "units": sum(one.quantity for one in blockings),
        "blockedFrom": written(min(one.start for one in blockings)),
        "blockedTo": written(max(one.end for one in blockings)),
    }
