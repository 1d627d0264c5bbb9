"""
What a key reaches by the scope `requester`: its own reservations, and what helps to make one.

Its own are those that it made and those whose agent has its name for an identifier. The names of others' reservations are told nowhere:
asked for by name they are not there, lists and events leave them out, and who is in the way is a number.

OPEN is the one table; a method of a route that is not in it is closed to who has no wider scope.
"""

from collections.abc import Callable, Mapping

from ld_server.domain.errors import NotFound
from ld_server.http.endpoints.availability import FREE_UNITS, QUESTIONS
from ld_server.http.endpoints.events import PATH as EVENTS
from ld_server.resources import KINDS
from ld_server.resources.asset import ASSET
from ld_server.resources.attachment import ATTACHMENT
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import Kind
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.resources.stock_pool import STOCK_POOL
from ld_server.services.parts import Parts
from relational.unit_of_work import UnitOfWork

_RESERVATION = f"{RENT_ACTION.path}/{{identifier}}"
_ATTACHMENT = f"{ATTACHMENT.path}/{{identifier}}"
_EVENT = f"{EVENTS}/{{identifier}}"

OPEN: Mapping[str, tuple[str, ...]] = {
    RENT_ACTION.path: ("GET", "POST"),
    _RESERVATION: ("GET", "PATCH"),
    f"{_RESERVATION}/submit": ("POST",),
    f"{_RESERVATION}/cancel": ("POST",),
    **dict.fromkeys((f"{_RESERVATION}/{part}" for part in ("revisions", "revisions/{number}", "allocations", "conflicts")), ("GET",)),
    ATTACHMENT.path: ("GET",),
    **dict.fromkeys((_ATTACHMENT, f"{_ATTACHMENT}/content", f"{_ATTACHMENT}/thumbnail"), ("GET",)),
    EVENTS: ("GET",),
    _EVENT: ("GET",),
    **{path: ("GET",) for kind in (ITEM_TYPE, ASSET, STOCK_POOL, KIT_TEMPLATE) for path in (kind.path, f"{kind.path}/{{identifier}}")},
    **dict.fromkeys((*QUESTIONS, FREE_UNITS), ("GET",)),
}
"""Template of a route → its methods that are open to requesters, where HEAD goes with GET."""


def is_open(template: str, method: str) -> bool:
    """Whether a method of a route is in the table."""
    return ("GET" if method == "HEAD" else method) in OPEN.get(template, ())


class Requesters:
    """What is open to them, over these parts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def may(self, template: str, method: str) -> bool:
        """Whether a requester may ask this at all."""
        return is_open(template, method)

    def refuse_others(self, template: str, identifier: str, owner: str) -> None:
        """Raises NotFound for what belongs to others, in the words in which it is raised for what does not exist."""
        for start, (belongs, what) in _OWNED.items():
            if (template == start or template.startswith(f"{start}/")) and not _is_own(self._parts, belongs, identifier, owner):
                raise NotFound(f"There is no {what} {identifier!r}.")


Belongs = Callable[[UnitOfWork, str, str], bool]
"""Whether the thing with this identifier belongs to this owner."""


def _is_own(parts: Parts, belongs: Belongs, identifier: str, owner: str) -> bool:
    if not (identifier.isascii() and identifier.isprintable()):
        return False
    with parts.ledger.read() as uow:
        return belongs(uow, identifier, owner)


def _resource(kind: Kind) -> Belongs:
    def belongs(uow: UnitOfWork, identifier: str, owner: str) -> bool:
        return bool(uow.index.having(kind.table, "identifier", [identifier], [(kind.owned, "belongs to", owner)]))

    return belongs


def _event(uow: UnitOfWork, identifier: str, owner: str) -> bool:
    event = uow.outbox.by_id(identifier)
    return event is not None and _resource(RENT_ACTION)(uow, event.entry.subject_id, owner)


_OWNED: Mapping[str, tuple[Belongs, str]] = {
    **{f"{kind.path}/{{identifier}}": (_resource(kind), kind.frame.name) for kind in KINDS.values() if kind.owned},
    _EVENT: (_event, "event"),
}
"""Beginning of a template → whether what it names belongs to somebody, and what it is called."""
