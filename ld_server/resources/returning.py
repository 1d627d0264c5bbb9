"""The way back in: the graph of a resource that was exported, as the document that it was."""

from collections.abc import Sequence
from typing import Any

from pyoxigraph import NamedNode, Triple

from ld_server.domain.errors import MalformedBody
from ld_server.rdf.adoption import Adopted
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.representation import document_of
from ld_server.rdf.validation import Validator
from ld_server.resources.kind import Document, Kind


def taken_back(iri: str, triples: Sequence[Triple], kind: Kind, contexts: Contexts, validator: Validator) -> Document:
    """
    The document of a graph that an export had, without the names of what it refers to, which graphs do not have.

    Raises ShapeViolation, and MalformedBody for a graph that is none of an export: it says who it is, and since when.
    """
    ordered = sorted(triples, key=lambda one: _place(one, iri, kind, contexts))
    document = _with_lines_named(document_of(Adopted(iri, tuple(ordered), {}), kind.keys, contexts))
    said = document.get("identifier")
    if said != iri.rpartition("/")[2] or not {"createdAt", "updatedAt"} <= document.keys():
        raise MalformedBody(f"The graph {iri} is none of an export: it must say its identifier, and when it was made and changed.")
    validator.check(triples, iri, kind.frame.shape)
    return document


def _place(one: Triple, iri: str, kind: Kind, contexts: Contexts) -> tuple[int, int]:
    """What is said of the resource stands in the order of its keys, so that a part is told where it belongs, and only named elsewhere."""
    value = one.object.value if isinstance(one.object, NamedNode) else ""
    order = kind.frame.types.index(value) if value in kind.frame.types else 0
    key = contexts.key(one.predicate.value)
    is_told = isinstance(one.subject, NamedNode) and one.subject.value == iri and key in kind.keys
    return kind.keys.index(key) if is_told else len(kind.keys), order


def _with_lines_named(document: Document) -> Document:
    """The line of an allocation stands there as a node, as the service writes it."""
    allocations = [{**one, "forLine": _node(one["forLine"])} if "forLine" in one else one for one in document.get("allocations", [])]
    return {**document, "allocations": allocations} if "allocations" in document else document


def _node(value: Any) -> Any:
    return {"@id": value} if isinstance(value, str) else value
