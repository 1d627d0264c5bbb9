"""
Compaction by a table: what is said as our own documents say it, in the terms of one context, without asking PyLD.

Each property has one term, a value has the type of that term or none, an IRI begins with no prefix. Whatever else there is (lists,
languages, other datatypes, properties that no term stands for) is Unusual, and PyLD's to compact; a test holds the table to PyLD.

There is one thing that the table says better: JSON that is an array stays what it is. The algorithm of JSON-LD takes it apart as if its
items were values, so that `[1]` would come back as `1`, and `[[1], [2]]` as `[1, 2]`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class Unusual(Exception):
    """The table does not tell how this is compacted."""


@dataclass(frozen=True, slots=True)
class _Term:
    """
    The term of a property or class. `coercion`: the type of its values as the context says it, expanded; empty where it says none.
    `hidden`: properties that have no term below it. `vocabulary`: where its values are words, the namespace of these.
    """

    key: str
    coercion: str
    is_array: bool
    hidden: frozenset[str]
    vocabulary: str


class Shorthand:
    """The table of a context, given as the definitions that it is made of, in their order."""

    def __init__(self, definitions: Iterable[Json]) -> None:
        merged: Json = {key: value for one in definitions for key, value in one.items()}
        self._vocabulary = str(merged.pop("@vocab", ""))
        self._meanings = {key: _meaning(value, merged) for key, value in merged.items() if not key.startswith("@")}
        self._iris = frozenset(self._meanings.values())
        self._prefixes = tuple(iri for iri in self._iris if iri.endswith(_DELIMITERS))
        self._terms = self._told(merged) if merged.keys() & _KEYWORDS <= {"@version"} else {}

    def compacted(self, node: Json) -> Json:
        """An expanded node, with everything below it, in terms. Raises Unusual."""
        if len(node) < 2:
            raise Unusual
        return self._node(node, frozenset())

    def _told(self, definitions: Json) -> dict[str, _Term]:
        """Property or class → its term, where it has but one of which the table knows everything."""
        times = Counter(self._meanings.values())
        known = {key: one for key, one in definitions.items() if self._meanings.get(key) and times[self._meanings[key]] == 1}
        terms = {self._meanings[key]: self._term(key, one if isinstance(one, dict) else {}) for key, one in known.items()}
        return {iri: term for iri, term in terms.items() if term is not None}

    def _term(self, key: str, definition: Json) -> _Term | None:
        scoped, coercion = definition.get("@context", {}), definition.get("@type", "")
        hidden = {name for name, meaning in scoped.items() if meaning is None} if isinstance(scoped, dict) else set()
        if not definition.keys() <= _UNDERSTOOD or not isinstance(scoped, dict) or scoped.keys() - hidden - {"@vocab"}:
            return None
        if definition.get("@container", "@set") != "@set" or ("@container" in definition and coercion == _JSON):
            return None
        if (coercion == "@vocab") != ("@vocab" in scoped):
            return None
        return _Term(
            key=key,
            coercion=_expanded(coercion, self._meanings),
            is_array="@container" in definition,
            hidden=frozenset(self._meanings.get(name, self._vocabulary + name) for name in hidden),
            vocabulary=scoped.get("@vocab", ""),
        )

    def _term_of(self, iri: str) -> _Term:
        return self._terms.get(iri) or _Term(self._word(iri, self._vocabulary), "", False, frozenset(), "")

    def _word(self, iri: str, vocabulary: str) -> str:
        """What is left of an IRI in a vocabulary, where that is no term and can be read as nothing else."""
        word = iri.removeprefix(vocabulary)
        if not vocabulary or word == iri or word in self._meanings or iri in self._iris or not word.replace("_", "").isalnum():
            raise Unusual
        return word

    def _node(self, node: Json, hidden: frozenset[str]) -> Json:
        compacted: Json = {}
        for name in sorted(node):
            if name == "@id":
                compacted[name] = self._name(node[name])
            elif name == "@type":
                compacted[name] = _single([self._class(one) for one in node[name]])
            else:
                term = self._term_of(name)
                if name in hidden:
                    raise Unusual
                values = [self._value(one, term, hidden) for one in node[name]]
                if term.coercion == _JSON and len(values) > 1:
                    raise Unusual
                compacted[term.key] = values if term.is_array else _single(values)
        return compacted

    def _value(self, value: Json, term: _Term, hidden: frozenset[str]) -> Any:
        if "@value" in value:
            return _plain(value, term)
        if "@list" in value or not value:
            raise Unusual
        if value.keys() == _NAME_ALONE:
            return self._reference(value["@id"], term)
        if term.coercion not in _OF_NODES or term.vocabulary:
            raise Unusual
        return self._node(value, hidden | term.hidden)

    def _reference(self, iri: str, term: _Term) -> Any:
        if term.vocabulary:
            return self._word(iri, term.vocabulary)
        if term.coercion not in _OF_NODES:
            raise Unusual
        return self._name(iri) if term.coercion else {"@id": self._name(iri)}

    def _name(self, iri: str) -> str:
        """An IRI that stays as it is."""
        scheme, colon, _ = iri.partition(":")
        if not colon or scheme in self._meanings or iri.startswith(self._prefixes):
            raise Unusual
        return iri

    def _class(self, iri: str) -> str:
        term = self._term_of(iri)
        if term.coercion or term.hidden:
            raise Unusual
        return term.key


_KEYWORDS = frozenset({"@version", "@base", "@language", "@direction", "@import", "@propagate", "@protected"})
_UNDERSTOOD = frozenset({"@id", "@type", "@container", "@context"})
_OF_NODES = frozenset({"", "@id"})
_NAME_ALONE = {"@id": None}.keys()
_DELIMITERS = tuple(":/?#[]@")
"""What the IRI of a prefix ends in."""


def _meaning(definition: Any, definitions: Json) -> str:
    """The IRI that a term stands for; empty where it stands for none."""
    compact = definition.get("@id") if isinstance(definition, dict) else definition
    return _expanded(compact, definitions) if isinstance(compact, str) else ""


def _expanded(compact: str, definitions: Mapping[str, Any]) -> str:
    prefix, colon, local = compact.partition(":")
    return definitions[prefix] + local if colon and isinstance(definitions.get(prefix), str) else compact


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _plain(value: Json, term: _Term) -> Any:
    """What a literal is, where its type is that of the term."""
    if value.keys() - _ALONE or value.get("@type", "") != term.coercion:
        raise Unusual
    return value["@value"]


_JSON = "@json"
_ALONE = frozenset({"@value", "@type"})
