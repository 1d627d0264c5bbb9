"""Many creations in one transaction: all of them or none, and a report on each that is refused."""

from collections.abc import Callable, Sequence
from copy import copy

from ld_server.domain.commands import Creation
from ld_server.domain.errors import Refusal, Report, ResourcesRefused, StoreUnavailable
from relational.documents import Head


def create(creations: Sequence[Creation | Refusal], make: Callable[[Creation], Head]) -> list[Head]:
    """
    Makes one after the other. After a refusal the others are tried all the same, for their reports; the caller rolls back.

    Raises ResourcesRefused, and what is nobody's fault at once.
    """
    heads: list[Head] = []
    positions: dict[str, int] = {}
    reports: list[Report] = []
    for index, creation in enumerate(creations):
        made = _tried(creation, make)
        if isinstance(made, Refusal):
            reports.append(Report(index, "", "", _among_themselves(made, positions)))
        else:
            positions[made.identifier] = index
            heads.append(made)
    if reports:
        raise ResourcesRefused(reports, len(creations))
    return heads


def _tried(creation: Creation | Refusal, make: Callable[[Creation], Head]) -> Head | Refusal:
    try:
        return creation if isinstance(creation, Refusal) else make(creation)
    except StoreUnavailable:
        raise
    except Refusal as refusal:
        return refusal


def _among_themselves(refusal: Refusal, positions: dict[str, int]) -> Refusal:
    """The refusal; where it names a resource of the same request, which will not be there, it names the place of that instead."""
    other = refusal.members.get("resource")
    if other not in positions:
        return refusal
    told = copy(refusal)
    told.detail = refusal.detail.replace(str(other), f"resource {positions[other]} of this request")
    told.members = {**{name: value for name, value in refusal.members.items() if name != "resource"}, "otherIndex": positions[other]}
    return told
