"""
What a body costs whoever reads it, looked at before it is read: a small body must not make much work.

The parsers are fast where a body is as it usually is. What grows faster than the body does is refused here: entities that stand for
entities, elements within elements, contexts that are applied again and again, bases that are resolved against one another.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from xml.parsers import expat

from ld_server.domain.errors import MalformedBody, TooLarge

MOST_DEFINITIONS = 1000
"""Terms that the contexts in a body may define, besides those of contexts that are named."""
MOST_CONTEXT_CHARACTERS = 128 * 1024
"""Characters of all these definitions: a term may stand in the IRI of the next, so that IRIs grow with their number."""
MOST_APPLIED = 250_000
"""Definitions that are gone through while contexts are applied, about one second's work."""
ROOM = 3
"""Times that what is reckoned of JSON-LD may be above a limit: `@type` counts as a value, and each name as if it were the longest."""
MOST_BASES = 100
"""Times that Turtle may set another base."""

# --- RDF/XML ----------------------------------------------------------------------------------------------------------


def refuse_costly_xml(body: bytes, deepest: int) -> None:
    """
    Raises MalformedBody for what is no XML, has a document type (which could define entities, each out of ten others), or is nested
    deeper than `deepest` (the parser takes four times as long for twice the depth).
    """
    depth = 0

    def opened(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > deepest:
            raise MalformedBody(f"The elements are nested deeper than {deepest} levels.", limit=deepest)

    def closed(_name: str) -> None:
        nonlocal depth
        depth -= 1

    reader = expat.ParserCreate("utf-8")
    reader.StartElementHandler, reader.EndElementHandler, reader.StartDoctypeDeclHandler = opened, closed, _refuse_document_type
    try:
        reader.Parse(body, True)
    except expat.ExpatError as error:
        place = {"line": error.lineno, "column": error.offset + 1}
        text = f"{expat.ErrorString(error.code)} (line {place['line']}, column {place['column']})"
        raise MalformedBody(f"The body is not valid application/rdf+xml: {text}.", **place) from None


def _refuse_document_type(*_: Any) -> None:
    raise MalformedBody("The body must not have a document type (<!DOCTYPE …>); write out what its entities stand for.")


# --- Turtle -----------------------------------------------------------------------------------------------------------

_BASE = re.compile(rb"(?i)\bbase\s*<")


def refuse_costly_turtle(body: bytes) -> None:
    """Raises TooLarge for what sets its base again and again: each may be longer than the one before, by which it is resolved."""
    if sum(1 for _ in _BASE.finditer(body)) > MOST_BASES:
        raise TooLarge(f"The body sets its base more than {MOST_BASES} times.", limit=MOST_BASES)


# --- JSON-LD ----------------------------------------------------------------------------------------------------------


@dataclass
class _Tally:
    """What there is to do in a document: how much its contexts define, and how often one is applied."""

    named: Mapping[str, int]
    definitions: int = 0
    characters: int = 0
    sizes: int = 0
    occurrences: int = 0
    scoped: dict[str, int] = field(default_factory=dict)
    """Term that has a context of its own → the size of that."""
    said: dict[str, list[str]] = field(default_factory=dict)
    """Term, or keyword of a context → what one context or another says of it: an IRI, a datatype, a language, a container."""

    def take_context(self, context: Any) -> int:
        """Counts a context, and those in its definitions. Gives the number of its definitions."""
        if isinstance(context, str):
            self.occurrences += 1
            return self.named.get(context, 0)
        if isinstance(context, list):
            return sum(self.take_context(one) for one in context)
        self.occurrences += 1
        if not isinstance(context, dict):
            return 0
        return sum(self._take_definition(term, definition) for term, definition in context.items())

    def _take_definition(self, term: str, definition: Any) -> int:
        if term == "@import":
            return self.take_context(definition)
        self.definitions += 1
        self.characters += len(term) + _length(definition)
        self.said.setdefault(term, []).extend([term, *_texts(definition)])
        if not isinstance(definition, dict) or "@context" not in definition:
            return 1
        size = self.take_context(definition["@context"])
        self.scoped[term] = self.scoped.get(term, 0) + size
        return 1 + size

    @property
    def applied(self) -> int:
        """Whoever applies a context goes through it, and copies what was defined before."""
        return self.sizes + self.occurrences * self.definitions

    @cached_property
    def _longest(self) -> int:
        """Characters of the longest IRI there can be: one that is said, after all those with which others begin."""
        every = [one for several in self.said.values() for one in several]
        starts = {"@vocab", "@base", *(one.partition(":")[0] for one in every if ":" in one)}
        return max(map(len, every), default=0) + sum(len(one) for term in starts & self.said.keys() for one in self.said[term])

    def written_out(self, word: str) -> int:
        """Characters that a word of the document comes to, at most."""
        if word.startswith("@"):
            return len(word)
        start, colon, _ = word.partition(":")
        starts = (word, start) if colon else (word, "@vocab", "@base")
        return len(word) + (self._longest if "@language" in self.said or any(one in self.said for one in starts) else 0)


def refuse_costly_contexts(document: Any, named: Mapping[str, int], scoped: Iterable[str]) -> None:
    """
    Raises TooLarge for a document whose contexts define much, or are applied often.

    `named`: address of a context that may be named → the number of its definitions. `scoped`: terms of these that have contexts of
    their own; they cost something where a document defines terms besides.
    """
    tally = _Tally(named, scoped=dict.fromkeys(scoped, 0))
    nodes = list(_nodes(document))
    tally.sizes = sum(tally.take_context(node["@context"]) for node in nodes if "@context" in node)
    if tally.definitions > MOST_DEFINITIONS:
        raise TooLarge(f"The contexts of the body define more than {MOST_DEFINITIONS} terms.", limit=MOST_DEFINITIONS)
    if tally.characters > MOST_CONTEXT_CHARACTERS:
        raise TooLarge(f"The contexts of the body have more than {MOST_CONTEXT_CHARACTERS} characters.", limit=MOST_CONTEXT_CHARACTERS)
    for word in (one for node in nodes for one in _words(node) if one in tally.scoped):
        tally.sizes += tally.scoped[word]
        tally.occurrences += 1
    if tally.applied > MOST_APPLIED:
        raise TooLarge("The body applies its contexts too often; put them to its top, once.", limit=MOST_APPLIED)


def refuse_costly_statements(document: Any, statements: int, characters: int) -> None:
    """
    Raises TooLarge for a document that comes to more than ROOM times so many statements, or characters in them.

    The parser makes all that is under a key before it gives any of it, each statement with its subject and graph written out: 100 KB can
    become a gigabyte. What is in `metadata` counts as if it were statements.
    """
    tally = _Tally({})
    for node in _nodes(document):
        tally.take_context(node.get("@context"))
    count = written = 0
    for about, key, value in _said_in(document, tally):
        several = [one for one in _values(value) if one is not None]
        count += len(several)
        written += len(several) * (2 * about + tally.written_out(key)) + sum(
            tally.written_out(one) for one in several if isinstance(one, str)
        )
        if count > ROOM * statements:
            raise TooLarge(f"The body has more than {statements} statements.", limit=statements)
        if written > ROOM * characters:
            raise TooLarge(f"The statements of the body have more than {characters} characters.", limit=characters)


def _said_in(document: Any, tally: _Tally) -> Iterator[tuple[int, str, Any]]:
    """
    Every key with its value, and the characters of the longest name that a statement of it may begin with.

    That is the name of the object, the key under which it stands, or what is so around it: a map, `@nest` and `@reverse` are no subjects.
    """
    names = {"@id", "id"} | {term for term, said in tally.said.items() if "@id" in said}
    ahead = [("@graph", 0, document)]
    while ahead:
        outer, around, value = ahead.pop()
        if isinstance(value, list):
            ahead += [(outer, around, one) for one in value]
        elif isinstance(value, dict):
            own = (one for name in names & value.keys() for one in _values(value[name]) if isinstance(one, str))
            about = max(around, *map(tally.written_out, (outer, *own)))
            for key, inner in value.items():
                if key != "@context":
                    yield about, key, inner
                    ahead.append((key, about, inner))


def _nodes(document: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document that is no context."""
    ahead = [document]
    while ahead:
        value = ahead.pop()
        if isinstance(value, list):
            ahead += value
        elif isinstance(value, dict):
            yield value
            ahead += [inner for key, inner in value.items() if key != "@context"]


def _words(node: Mapping[str, Any]) -> Iterator[str]:
    """What may bring a context along: the keys of an object, once for each of their values, and these, which may be classes."""
    for key, value in node.items():
        if key != "@context":
            for one in _values(value):
                yield key
                if isinstance(one, str):
                    yield one


def _values(value: Any) -> Iterator[Any]:
    """A value, or those in an array, and in arrays within it."""
    ahead = [value]
    while ahead:
        one = ahead.pop()
        if isinstance(one, list):
            ahead += one
        else:
            yield one


def _texts(definition: Any) -> list[str]:
    """The texts of a definition, of which each may come to stand in a statement."""
    said = definition.values() if isinstance(definition, dict) else [definition]
    return [one for several in said for one in _values(several) if isinstance(one, str)]


def _length(value: Any) -> int:
    """Characters of the texts in a definition, but those in contexts of its own, which are counted for themselves."""
    if isinstance(value, str):
        return len(value)
    return sum(len(key) + _length(one) for key, one in value.items() if key != "@context") if isinstance(value, dict) else 0
