"""References to other resources: they must exist and be of the right kind, and are echoed with their name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ld_server.domain.commands import Document
from ld_server.domain.errors import UnknownReference
from ld_server.resources.kind import Kind
from relational.documents import Head
from relational.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Pointing:
    """A place that refers to a resource: its JSON pointer, its key, and the identifier that stands there."""

    pointer: str
    field: str
    identifier: str


def resolve(uow: UnitOfWork, pointings: Iterable[Pointing], *kinds: Kind) -> dict[str, Document]:
    """
    The documents that are referred to, by identifier.

    Raises UnknownReference, which names the first place whose resource does not exist or is of none of these kinds.
    """
    places = tuple(pointings)
    heads = uow.documents.heads(place.identifier for place in places)
    for place in places:
        _refuse_unknown(place, heads.get(place.identifier), kinds)
    return {identifier: orjson.loads(head.body) for identifier, head in heads.items()}


def _refuse_unknown(place: Pointing, head: Head | None, kinds: Sequence[Kind]) -> None:
    if head is None:
        raise unknown(place, f"{place.identifier} does not exist")
    if head.kind not in [kind.name for kind in kinds]:
        raise unknown(place, f"{place.identifier} is no {' and no '.join(kind.frame.name for kind in kinds)}")


def unknown(place: Pointing, why: str) -> UnknownReference:
    """The refusal of what stands at this place."""
    return UnknownReference(f"{place.field}: {why}.", pointer=place.pointer, field=place.field, identifier=place.identifier)


def echo(document: Document, kind: Kind) -> dict[str, Any]:
    """How a resource of this kind is shown where another one refers to it."""
    return {**{key: document[key] for key in ("@id", "@type", "identifier")}, "name": kind.label(document)}


def fragment(iri: str) -> str:
    """What a part is called inside its resource: `line-1` for `…/ra_3#line-1`."""
    return iri.rpartition("#")[2]
