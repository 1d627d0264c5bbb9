"""
A resource is opened to be changed: it is in the state that was expected, and nobody else changes it until the transaction ends.
A change that says nothing new is none.
"""

from typing import Any

from ld_server.domain.commands import Document, Expected
from ld_server.domain.errors import NotFound, Stale
from ld_server.rdf.naming import Naming
from ld_server.resources.kind import Kind, is_same
from relational.documents import Head
from relational.unit_of_work import UnitOfWork


def opened(uow: UnitOfWork, identifier: str, kinds: tuple[Kind, ...], expected: Expected) -> Head:
    """
    The head of a resource of one of these kinds, locked.

    Raises NotFound, and Stale when its revision is none of those that are expected.
    """
    head = uow.documents.locked(identifier)
    if head is None or head.kind not in [kind.name for kind in kinds]:
        raise NotFound(f"There is no {' or '.join(kind.frame.name for kind in kinds)} {identifier}.")
    refuse_unexpected(head, expected)
    return head


def refuse_unexpected(head: Head, expected: Expected) -> None:
    """Raises Stale when the revision is none of those that are expected."""
    if expected is not None and head.revision not in expected:
        raise Stale(f"{head.identifier} has changed since it was read: it is at revision {head.revision} now.", resource=head.identifier)


def says_the_same(before: Document, after: Document, naming: Naming) -> bool:
    """Whether two documents make the same statements. The names beside references are for readers, and are no statements."""
    one, other = ({key: _without_names(value, naming) for key, value in document.items()} for document in (before, after))
    return is_same(one, other)


def _without_names(value: Any, naming: Naming) -> Any:
    if isinstance(value, list):
        return [_without_names(one, naming) for one in value]
    if not isinstance(value, dict):
        return value
    is_reference = naming.identifier(str(value.get("@id", ""))) is not None
    return {key: _without_names(one, naming) for key, one in value.items() if not (is_reference and key == "name")}
