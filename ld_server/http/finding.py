"""Resources by the identifiers in addresses. What is no identifier of the kind is not there, and the ledger is not even asked."""

from ld_server.domain.errors import NotFound
from ld_server.resources.kind import Kind
from ld_server.services.parts import Parts
from relational.documents import Head


def head_of(parts: Parts, kind: Kind, identifier: str) -> Head:
    """The head of a resource of the kind. Raises NotFound, without asking the ledger for what cannot be one."""
    check_identifier(parts, kind, identifier)
    head = parts.ledger.head(identifier)
    if head is None:
        raise _nothing(kind, identifier)
    return head


def check_identifier(parts: Parts, kind: Kind, identifier: str) -> None:
    """Raises NotFound for what is not an identifier of this kind."""
    parsed = parts.naming.parse(identifier)
    if parsed is None or parsed[0] != kind.prefix:
        raise _nothing(kind, identifier)


def _nothing(kind: Kind, identifier: str) -> NotFound:
    return NotFound(f"There is no {kind.frame.name} {identifier!r}.")
