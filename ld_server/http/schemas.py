"""
JSON Schemas (2020-12) of what is sent and of what is answered, derived: the shape of a kind says what its properties are like, the
context what they are called, its frame what only the server says and how else a thing may be written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import product
from typing import Any

import orjson

from ld_server.rdf import vocab
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.shapes import Property, Shape, Shapes
from ld_server.resources.kind import Kind

Json = dict[str, Any]

IRI: Json = {"type": "string", "format": "uri"}
CONTEXT: Json = {"type": ["string", "object", "array"], "description": "The JSON-LD context."}

LITERALS: Mapping[str, Json] = {
    vocab.STRING: {"type": "string"},
    vocab.BOOLEAN: {"type": "boolean"},
    vocab.INTEGER: {"type": "integer"},
    vocab.DOUBLE: {"type": "number"},
    vocab.DATE_TIME: {"type": "string", "format": "date-time"},
    vocab.DURATION: {"type": "string", "format": "duration"},
    vocab.JSON_LITERAL: {},
    "": {},
}
"""Datatype of a shape → what its values are in JSON."""

LEFT_OUT: Mapping[str, str] = {
    "[!-~\u00a1-\U0010ffff]": r"[^\x00-\x20\x7f-\xa0]",
    "[ -~\u00a0-\U0010ffff]": r"[^\x00-\x1f\x7f-\x9f]",
    "[\t\n\r -~\u00a0-\U0010ffff]": r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]",
    "[!-?A-~\u00a1-\U0010ffff]": r"[^\x00-\x20@\x7f-\xa0]",
    "[A-Za-z0-9\u00a1-\U0010ffff-]": r"[^\x00-,./:-@\\[-`{-\xa0]",
}
"""
Characters as the patterns of shapes name them → the same by those that are left out, as they stand in a JSON Schema.

The regular expressions of SHACL cannot name control characters. Those of JavaScript see a character beyond U+FFFF as two, of which the
first form finds but one, and whoever makes texts from a pattern would otherwise go through a million characters for each.
"""

_READERS: Mapping[str, Callable[[str], Any]] = {vocab.INTEGER: int, vocab.DOUBLE: float, vocab.JSON_LITERAL: orjson.loads}
"""How the text of an example becomes a value, where it is more than a text."""

_ANY_JSON = {"note": "any JSON"}


class Side(Enum):
    """The two ways of a resource. What is sent may be written in more ways than what is answered."""

    ANSWER = "answer"
    REQUEST = "request"


@dataclass(frozen=True)
class KindSchemas:
    """What can be said in JSON Schema of one kind of resource."""

    kind: Kind
    shapes: Shapes
    contexts: Contexts
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.kind.frame.name.title().replace(" ", ""))

    @property
    def names(self) -> tuple[str, str, str]:
        """The names of the schemas: of what is answered, of what is posted, of a merge patch."""
        return self.name, f"New{self.name}", f"{self.name}Changes"

    def all(self) -> Json:
        """The three schemas and those of the parts, by name."""
        own = dict(zip(self.names, (self.answer(), self.request(), self.changes()), strict=True))
        answered = {self._part_name(one, Side.ANSWER): self._node(one, Side.ANSWER) for one in self._known if self._is_part(one)}
        sent = {self._part_name(one, Side.REQUEST): self._node(one, Side.REQUEST) for one in self._writable if self._is_part(one)}
        return {**own, **answered, **sent}

    def answer(self) -> Json:
        """The resource as it is given back, in compacted JSON-LD."""
        always = {vocab.IDENTIFIER, vocab.DATE_CREATED, vocab.DATE_MODIFIED}
        required = [self._key(one.path) for one in self._known if one.is_required or one.path in always]
        keywords = {"@context": CONTEXT, "@id": IRI, "@type": self._types()}
        properties = {self._key(one.path): self._described(one, Side.ANSWER) for one in self._known}
        return {
            "description": self._shape.description,
            "type": "object",
            "required": ["@id", "@type", *required],
            "properties": {**keywords, **properties},
        }

    def request(self) -> Json:
        """A new resource as it may be posted: under our context, which is assumed where there is none."""
        return {
            "description": f"{self._shape.description} Statements in other vocabularies may be added and are kept.",
            "type": "object",
            **self._required(self._writable, self._shape.choices),
            "properties": {**self._requested(), **{key: _one_of(values) for key, values in self.kind.at_first.items()}},
        }

    def changes(self) -> Json:
        """A merge patch (RFC 7396): what is named is replaced, what is null is taken away."""
        properties = {key: {"anyOf": [schema, {"type": "null"}]} for key, schema in self._requested().items() if not key.startswith("@")}
        return {"description": f"What is to be different about the {self.kind.frame.name}.", "type": "object", "properties": properties}

    def examples(self) -> Json:
        """Things to post, by what is special about them."""
        first = {paths[0] for paths in self._shape.choices}
        required = [one for one in self._writable if one.is_required or one.path in first]
        found = {
            "required": {self._key(one.path): self._example(one) for one in required},
            "everything": {"@type": self._type_names(), **{self._key(one.path): self._example(one) for one in self._written_out()}},
        }
        short = self._in_short(required)
        return {**found, "short": short} if short != found["required"] else found

    # --- which properties ---------------------------------------------------------------------------------------------

    @cached_property
    def _shape(self) -> Shape:
        return self.shapes.shape(self.kind.frame.shape)

    @cached_property
    def _known(self) -> list[Property]:
        """What an answer can have."""
        frame = self.kind.frame
        allowed = frame.properties | frame.managed | vocab.GENERAL_PROPERTIES
        return [one for one in self._shape.properties if one.path in allowed]

    @property
    def _writable(self) -> list[Property]:
        """What a client can say."""
        return [one for one in self._known if one.path not in self.kind.frame.managed]

    def _written_out(self) -> Iterator[Property]:
        """What a whole example has: nothing that only repeats what its parts say, and nothing that stands in place of something else."""
        repeated = {part.path for one in self._writable for part in self._instead(one)}
        instead = {path for paths in self._shape.choices for path in paths[1:]}
        return (one for one in self._writable if one.path not in repeated | instead)

    def _instead(self, one: Property) -> list[Property]:
        """What may be said of the resource itself in place of its only part: `object` and `requestedQuantity` for the only line."""
        if one.path not in self.kind.frame.parts:
            return []
        required = [part for part in one.properties if part.is_required]
        return required if all(part.path in self.kind.frame.properties for part in required) else []

    # --- requests -----------------------------------------------------------------------------------------------------

    def _requested(self) -> Json:
        known = {self._key(one.path): self._described(one, Side.REQUEST) for one in self._writable}
        reached = {one.path for one in self._writable}
        return {"@context": CONTEXT, "@type": self._types(), **known, **self._flat_keys(reached)}

    def _flat_keys(self, reached: Iterable[str]) -> Json:
        flat = {key: target for key, target in self.kind.frame.flat.items() if target in reached}
        return {self._key(key): {"type": "string", "description": self.shapes.comment(key)} for key in flat}

    def _required(self, properties: Iterable[Property], choices: Iterable[Iterable[str]] = ()) -> Json:
        """The keywords that say what must be there, in one of the ways in which it can be said."""
        ways = [self._ways(one) for one in properties if one.is_required]
        ways += [[(self._key(path),) for path in paths] for paths in choices]
        always = [way[0][0] for way in ways if len(way) == 1]
        chosen = [{"anyOf": [{"required": list(keys)} for keys in way]} for way in ways if len(way) > 1]
        return {**({"required": always} if always else {}), **({"allOf": chosen} if chosen else {})}

    def _ways(self, one: Property) -> list[tuple[str, ...]]:
        """Each a set of keys that together say the property."""
        direct: list[tuple[str, ...]] = [(key,) for key in self._keys(one)]
        instead = self._instead(one)
        return direct + list(product(*(self._keys(part) for part in instead))) if instead else direct

    def _keys(self, one: Property) -> list[str]:
        """The key of a property, and the flat keys that stand for it."""
        return [self._key(one.path), *(self._key(flat) for flat, target in self.kind.frame.flat.items() if target == one.path)]

    # --- values -------------------------------------------------------------------------------------------------------

    def _described(self, one: Property, side: Side) -> Json:
        schema = self._values(one, side)
        said = " ".join(text for text in (self.shapes.comment(one.path), _sentence(one.message)) if text)
        managed = {"readOnly": True} if side is Side.ANSWER and one.path in self.kind.frame.managed else {}
        return {**schema, "description": said, **managed}

    def _values(self, one: Property, side: Side) -> Json:
        value = self._value(one, side)
        if one.most == 1:
            return value
        bounds = {name: bound for name, bound in (("minItems", one.least), ("maxItems", one.most)) if bound}
        several = {"type": "array", "items": value, **bounds}
        return several if self._is_set(one) else {"anyOf": [value, several]}

    def _is_set(self, one: Property) -> bool:
        definition = self.contexts.v1.get(self._key(one.path), {})
        return isinstance(definition, dict) and definition.get("@container") == "@set"

    def _value(self, one: Property, side: Side) -> Json:
        if one.path in self.kind.frame.references:
            return self._reference(one, side)
        if one.allowed and not one.datatype:
            return {"enum": [self._word(one.path, iri) for iri in one.allowed]}
        if self._is_part(one):
            return {"$ref": f"#/components/schemas/{self._part_name(one, side)}"}
        if one.is_node and not (one.properties or one.classes) and self._is_address(one):
            return IRI
        return self._node(one, side) if one.is_node or one.properties else _literal(one, side)

    def _is_address(self, one: Property) -> bool:
        """Whether the values are IRIs of which nothing more is said, and which are written as plain texts."""
        definition = self.contexts.v1.get(self._key(one.path), {})
        return isinstance(definition, dict) and definition.get("@type") == "@id"

    def _is_part(self, one: Property) -> bool:
        """Whether the values are parts of the resource with a class and a description of their own, as lines are."""
        return bool(one.classes and one.properties) and one in self._known and one.path not in self.kind.frame.references

    def _part_name(self, one: Property, side: Side) -> str:
        name = self._key(one.classes[0])
        return name if side is Side.ANSWER else f"New{name}"

    def _reference(self, one: Property, side: Side) -> Json:
        prefixes = "|".join(self.kind.frame.references[one.path].targets)
        if side is Side.REQUEST:
            return {"$ref": "#/components/schemas/ReferenceToSend"}
        return {"$ref": "#/components/schemas/Reference", "properties": {"identifier": {"pattern": f"^({prefixes})_[1-9][0-9]*$"}}}

    def _node(self, one: Property, side: Side) -> Json:
        """A part of the resource, or a node beside it such as an agent."""
        part = self.kind.frame.parts.get(one.path)
        properties = [inner for inner in one.properties if side is Side.ANSWER or part is None or inner.path in part]
        members = {self._key(inner.path): self._described(inner, side) for inner in properties}
        if side is Side.ANSWER:
            required = [self._key(inner.path) for inner in properties if inner.is_required]
            return {"type": "object", "required": ["@id", *required], "properties": {"@id": IRI, **self._type_of(one), **members}}
        flat = self._flat_keys({inner.path for inner in properties})
        node = {"type": "object", **self._required(properties), "properties": {**self._type_of(one), **members, **flat}}
        return node if part is not None else {"anyOf": [{"type": "string", "minLength": 1}, node]}

    def _type_of(self, one: Property) -> Json:
        names = [self._key(iri) for iri in one.classes + one.one_of]
        return {"@type": {"type": ["string", "array"], "examples": names}} if names else {}

    def _types(self) -> Json:
        names = [self._key(iri) for iri in self.kind.frame.types]
        several: Json = {"type": "array", "allOf": [{"contains": {"const": name}} for name in names]}
        if self.kind.frame.others:
            one_of = list(dict.fromkeys([*names, *(self._key(iri) for iri in self.kind.frame.others)]))
            return {"anyOf": [{"enum": one_of}, {"type": "array", "contains": {"enum": one_of}}]}
        return {"anyOf": [{"const": names[0]}, several]} if len(names) == 1 else several

    def _type_names(self) -> str | list[str]:
        names = [self._key(iri) for iri in self.kind.frame.types]
        return names[0] if len(names) == 1 else names

    def _word(self, path: str, iri: str) -> str:
        return iri.removeprefix(self.contexts.vocabularies.get(path, ""))

    def _key(self, iri: str) -> str:
        return self.contexts.key(iri)

    # --- examples -----------------------------------------------------------------------------------------------------

    def _example(self, one: Property) -> Any:
        value = self._example_value(one)
        return [value] if one.most != 1 and self._is_set(one) else value

    def _example_value(self, one: Property) -> Any:
        if one.path in self.kind.frame.references:
            return one.example or f"{next(iter(self.kind.frame.references[one.path].targets))}_1"
        if one.properties:
            return self._example_node(one)
        if one.allowed and not one.datatype:
            return one.example or self._word(one.path, one.allowed[0])
        return _example_literal(one)

    def _example_node(self, one: Property) -> Json:
        part = self.kind.frame.parts.get(one.path)
        inner = [each for each in one.properties if part is None or (each.path in part and each.is_required)]
        type_ = {"@type": self._key(one.one_of[0])} if one.one_of else {}
        return {**type_, **{self._key(each.path): self._example(each) for each in inner}}

    def _in_short(self, required: Iterable[Property]) -> Json:
        """The least that can be posted, with flat keys and without parts where there is a choice."""
        found: Json = {}
        for one in required:
            for each in self._instead(one) or [one]:
                found[self._keys(each)[-1 if len(self._keys(each)) == 2 else 0]] = self._example(each)
        return found


def _literal(one: Property, side: Side) -> Json:
    schema = dict(LITERALS.get(one.datatype, {}))
    if schema.get("type") in ("integer", "number"):
        return {**schema, **_given(minimum=one.lowest, maximum=one.highest)}
    if schema.get("type") != "string" or (one.datatype == vocab.DATE_TIME and side is Side.REQUEST):
        return schema
    found = [_by_what_is_left_out(pattern) for pattern in one.patterns]
    patterns: Json = {"pattern": found[0]} if len(found) == 1 else {}
    several: Json = {"allOf": [{"pattern": pattern} for pattern in found]} if len(found) > 1 else {}
    return {**schema, **_given(minLength=one.shortest, maxLength=one.longest), **patterns, **several}


def _by_what_is_left_out(pattern: str) -> str:
    """The same pattern for JSON Schema."""
    for named, left_out in LEFT_OUT.items():
        pattern = pattern.replace(named, left_out)
    return pattern


def _given(**bounds: int | None) -> Json:
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _example_literal(one: Property) -> Any:
    if one.example is not None:
        return _READERS.get(one.datatype, str)(one.example)
    fallback = {vocab.BOOLEAN: True, vocab.INTEGER: one.lowest or 1, vocab.JSON_LITERAL: _ANY_JSON}
    if one.datatype not in fallback:
        raise ValueError(f"The shape gives no skos:example of {one.path}.")
    return fallback[one.datatype]


def _sentence(text: str) -> str:
    return f"{text}." if text else ""


def _one_of(values: Sequence[str]) -> Json:
    return {"enum": list(values), "description": f"At first one of {', '.join(values)}."}


REFERENCE: Json = {
    "description": "Another resource. Its name is the one that it had when this was written.",
    "type": "object",
    "required": ["@id", "@type", "identifier"],
    "properties": {
        "@id": IRI,
        "@type": {"type": ["string", "array"]},
        "identifier": {"type": "string"},
        "name": {"type": "string"},
    },
}

REFERENCE_TO_SEND: Json = {
    "description": "Another resource: its identifier, its IRI, or an object that has one of them.",
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "object", "required": ["@id"], "properties": {"@id": {"type": "string"}}},
        {"type": "object", "required": ["identifier"], "properties": {"identifier": {"type": "string"}}},
    ],
}


def collection_of(member: Json) -> Json:
    """A page of a collection, in Hydra's terms."""
    return {
        "type": "object",
        "required": ["@context", "@id", "@type", "view", "member"],
        "oneOf": [{"required": ["totalItems"]}, {"required": ["totalItemsAbove"]}],
        "properties": {
            "@context": CONTEXT,
            "@id": IRI,
            "@type": {"const": "Collection"},
            "totalItems": {"type": "integer", "minimum": 0, "description": "Members on all pages."},
            "totalItemsAbove": {
                "type": "integer",
                "minimum": 0,
                "description": "Instead of totalItems: so many members were counted, and there are more.",
            },
            "view": {
                "type": "object",
                "description": "This page; next is there when another follows.",
                "required": ["@id", "@type"],
                "properties": {"@id": IRI, "@type": {"const": "PartialCollectionView"}, "next": IRI},
            },
            "member": {"type": "array", "items": member},
        },
    }


def many_of(member: Json) -> Json:
    """New resources that were made together. They have no address as a whole."""
    return {
        "type": "object",
        "required": ["@context", "@type", "totalItems", "member"],
        "properties": {
            "@context": CONTEXT,
            "@type": {"const": "Collection"},
            "totalItems": {"type": "integer", "minimum": 1},
            "member": {"type": "array", "items": member},
        },
    }
