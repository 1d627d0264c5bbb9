"""
Where something stands in the JSON that a client sent, in whatever shape of JSON-LD that is.

We speak of places in our own document (`/lineItems/0/requestedQuantity`). The client may have written the same graph under other
keys, with prefixes, expanded, flattened, or as one of many in `@graph`: a place of ours is looked up in what the client's JSON
expands to, which remembers where it came from. Only a refusal asks, so none of this costs anything while all is well.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyoxigraph import BlankNode, Literal, NamedNode, Triple

from ld_server.domain.errors import MalformedBody
from ld_server.rdf import tracing, vocab
from ld_server.rdf.adoption import Frame, Node, roots, spelled_iri
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.tracing import Json, Traced, Unexpandable


@dataclass(frozen=True)
class _Value:
    """A value of a property, expanded; `node` is its name where it is a node. `key`: JSON pointer of the key under which it stands."""

    expanded: Any
    node: Node | None
    key: str


class Whereabouts:
    """
    The places of a body. `document` is the client's JSON with its contexts inline; `outside` is what was put around it here, to be
    left out of every pointer.
    """

    def __init__(self, document: Any, base_iri: str, frame: Frame, contexts: Contexts, outside: str = "") -> None:
        self._document = document
        self._base_iri = base_iri
        self._frame = frame
        self._contexts = contexts
        self._outside = outside

    def of(self, index: int, place: str = "") -> str:
        """
        Where the client wrote what stands at a place of our document; `index` says of which resource, counted from 0.

        For what is missing it is the place where it would stand. Where it cannot be told it is the place in our document.
        """
        if index >= len(self._roots):
            return place
        found = self._followed(self._roots[index], [tracing.key(one) for one in place.split("/")[1:]])
        return found.removeprefix(self._outside)

    # what was written

    @cached_property
    def _traced(self) -> Traced:
        try:
            return tracing.expand(self._document, self._base_iri)
        except Unexpandable:
            return Traced([], {})

    @cached_property
    def _names(self) -> dict[int, Node]:
        """Each expanded node object → the name of its node."""
        return {id(one): _named(one) for one in _nodes(self._traced.document)}

    @cached_property
    def _told(self) -> dict[Node, list[Json]]:
        """Each node → the expanded node objects that tell of it."""
        told: dict[Node, list[Json]] = {}
        for one in _nodes(self._traced.document):
            told.setdefault(self._names[id(one)], []).append(one)
        return told

    @cached_property
    def _roots(self) -> Sequence[Node]:
        try:
            return roots(list(self._statements()), self._frame, self._contexts)
        except MalformedBody:
            return ()

    def _statements(self) -> Iterator[Triple]:
        """The statements of the body, as far as they lead from node to node."""
        for one in _nodes(self._traced.document):
            subject = self._names[id(one)]
            for class_ in one.get("@type", ()):
                yield Triple(subject, NamedNode(vocab.TYPE), _named({"@id": class_}))
            for predicate, values in _predicates(_properties(one)):
                yield from (Triple(subject, predicate, self._names.get(id(value), Literal(""))) for value in _flat(values))
            for predicate, subjects in _predicates(one.get("@reverse", {}).items()):
                yield from (Triple(self._names[id(other)], predicate, subject) for other in subjects)

    # the way to a place

    def _followed(self, node: Node, keys: list[str]) -> str:
        """Where the client wrote what these keys of ours lead to, from a node."""
        if not keys:
            return self._home(node)
        values, rest = self._values(node, keys[0]), keys[1:]
        if not values:
            return self._without(node, keys)
        if rest and rest[0].isdecimal():
            value, rest = values[min(int(rest[0]), len(values) - 1)], rest[1:]
            return self._followed(value.node, rest) if value.node and rest else self._stands(value, values)
        if rest and values[0].node:
            return self._followed(values[0].node, rest)
        if rest and _is_json(values[0]):
            return self._stands(values[0], values) + self._within(values[0].expanded["@value"]).of(0, _pointer(rest))
        return self._stands(values[0], values) if len(values) == 1 and _is_value_object(values[0]) else values[0].key

    def _within(self, value: Any) -> "Whereabouts":
        """The places of JSON-LD that is itself a value."""
        document = {"@context": self._contexts.inline, **value} if isinstance(value, dict) else value
        return Whereabouts(document, self._base_iri, self._frame, self._contexts)

    def _without(self, node: Node, keys: list[str]) -> str:
        """Where there is no such key: the part may not have been written as one, and what is missing would stand beside the rest."""
        if self._iris(keys[0]) & self._frame.parts.keys() and len(keys) > 2:
            return self._followed(node, keys[2:])
        return self._home(node) + _pointer(keys)

    def _home(self, node: Node) -> str:
        """The object in which most is said of a node."""
        written = [one for expanded in self._told.get(node, ()) for one in self._traced.written(expanded)]
        return max(written, key=lambda one: len(one.keys)).pointer if written else ""

    def _values(self, node: Node, key: str) -> list[_Value]:
        """The values that the client gave for a key of ours, or for a flat key that stands for it; a node that is named twice is one."""
        asked = self._iris(key)
        flat = {one for one, meant in self._frame.flat.items() if meant in asked}
        for iris in (asked, flat):
            values = [value for expanded in self._told.get(node, ()) for value in self._values_in(expanded, iris)]
            if values:
                return list({value.node or number: value for number, value in enumerate(values)}.values())
        return []

    def _values_in(self, expanded: Json, iris: Iterable[str]) -> Iterator[_Value]:
        keys = {
            self._spelled(iri): f"{one.pointer}/{tracing.token(key)}"
            for one in self._traced.written(expanded)
            for iri, key in one.keys.items()
            if iri
        }
        for iri, values in (*_properties(expanded), ("@type", expanded.get("@type", ()))):
            if self._spelled(iri) in iris and self._spelled(iri) in keys:
                for value in _flat(values):
                    yield _Value(value, self._names.get(id(value)), keys[self._spelled(iri)])

    def _stands(self, value: _Value, values: Sequence[_Value]) -> str:
        """The place of a value itself: its object, its position in an array, or its key where it is the only one."""
        written = self._traced.written(value.expanded) if isinstance(value.expanded, dict) else []
        if written:
            literal = written[0].keys.get("@value")
            return f"{written[0].pointer}/{tracing.token(literal)}" if literal else written[0].pointer
        together = [one for one in values if one.key == value.key]
        array = tracing.at(self._document, value.key)
        is_listed = isinstance(array, list) and len(array) == len(together)
        return f"{value.key}/{together.index(value)}" if is_listed else value.key

    def _iris(self, key: str) -> set[str]:
        """What a key of our document may mean: the property that it stands for, or the one of that name that nobody knows."""
        known = self._contexts.iri(key)
        return {known} if known else {key} if ":" in key or key.startswith("@") else {vocab.SCHEMA + key, vocab.RSV + key}

    def _spelled(self, iri: str) -> str:
        return spelled_iri(iri, self._contexts)


def _nodes(expanded: Any) -> Iterator[Json]:
    """Every node object of an expanded document, in the order in which they stand there."""
    for one in expanded:
        if isinstance(one, dict) and "@value" not in one:
            if "@list" not in one and not one.keys() <= {"@graph", "@index"}:
                yield one
            for key, values in one.items():
                inside = values.values() if key == "@reverse" else [values] if isinstance(values, list) and key != "@type" else []
                for each in inside:
                    yield from _nodes(each)


def _properties(expanded: Json) -> Iterator[tuple[str, Any]]:
    return ((key, values) for key, values in expanded.items() if not key.startswith("@"))


def _predicates(properties: Iterable[tuple[str, Any]]) -> Iterator[tuple[NamedNode, Any]]:
    """The properties whose names are IRIs; the reader of graphs passes over the others, too."""
    named = ((_named({"@id": iri}), values) for iri, values in properties)
    return ((one, values) for one, values in named if isinstance(one, NamedNode))


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    """The values, those of a list one by one."""
    for value in values:
        if isinstance(value, dict) and "@list" in value:
            yield from _flat(value["@list"])
        else:
            yield value


def _named(expanded: Json) -> Node:
    name = expanded.get("@id")
    if not isinstance(name, str):
        return BlankNode()
    if name.startswith("_:"):
        return BlankNode(f"x{name[2:].encode().hex()}")
    try:
        return NamedNode(name)
    except ValueError:  # what is no IRI names nothing; the reader of graphs passes over it too
        return BlankNode()


def _is_json(value: _Value) -> bool:
    return _is_value_object(value) and value.expanded.get("@type") == "@json"


def _pointer(keys: Iterable[str]) -> str:
    return "".join(f"/{tracing.token(key)}" for key in keys)


def _is_value_object(value: _Value) -> bool:
    return isinstance(value.expanded, dict) and "@value" in value.expanded
