"""
The terms of pyoxigraph in those of rdflib, as pySHACL wants them, and back.

They are made harmless on the way: no literal is read more generously than XSD reads it, none makes a comparison fail.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

import orjson
import pyoxigraph as ox
import rdflib
from rdflib.namespace import SH, XSD
from rdflib.term import Node

from ld_server.rdf import vocab

Statement: TypeAlias = tuple[Node, Node, Node]


class Statements(rdflib.Graph):
    """
    A graph that answers by subject from plain dictionaries. pySHACL asks nothing else, some hundred times a check, and
    rdflib's own store works out the contexts of each answer.
    """

    def __init__(self, triples: Iterable[Statement]) -> None:
        super().__init__(bind_namespaces="none")
        self.namespace_manager = _NoPrefixes()  # type: ignore[assignment]
        self._about: dict[Node, dict[Node, dict[Node, None]]] = {}
        for triple in triples:
            self.add(triple)

    def add(self, triple: Statement) -> "Statements":
        subject, predicate, value = triple
        self._about.setdefault(subject, {}).setdefault(predicate, {})[value] = None
        return self

    def objects(self, subject: Any = None, predicate: Any = None, unique: bool = False) -> Iterator[Node]:  # type: ignore[override]
        if subject is None or predicate is None:
            return super().objects(subject, predicate, unique)
        return iter(self._about.get(subject, _NOTHING).get(predicate, _NOTHING))

    def triples(self, triple: tuple[Any, Any, Any]) -> Iterator[Statement]:  # type: ignore[override]
        subject, predicate, value = triple
        for one in [subject] if subject is not None else list(self._about):
            said = self._about.get(one, _NOTHING)
            for property_ in [predicate] if predicate is not None else list(said):
                yield from ((one, property_, found) for found in said.get(property_, _NOTHING) if value is None or found == value)


_NOTHING: dict[Any, Any] = {}


class _NoPrefixes:
    """In place of rdflib's namespace manager: pySHACL writes a text for each result, and nobody reads it."""

    def bind(self, *_: Any, **__: Any) -> None:
        """Forgets the prefix."""

    def normalizeUri(self, iri: str) -> str:
        return f"<{iri}>"

    def namespaces(self) -> Iterator[tuple[str, str]]:
        return iter(())


def shape_value(statement: ox.Quad) -> Node:
    """XPath's `$`, which SHACL's patterns are written with, is the very end; Python's would let one more line feed pass."""
    value: Node = from_ox(statement.object)
    if statement.predicate.value == str(SH.pattern) and str(value).endswith("$"):
        return rdflib.Literal(str(value).removesuffix("$") + r"\Z")
    return value


def from_ox(term: Any) -> Any:
    """A term of pyoxigraph in rdflib's terms, its value read only where it is well-formed."""
    if isinstance(term, ox.NamedNode):
        return rdflib.URIRef(term.value)
    if isinstance(term, ox.BlankNode):
        return rdflib.BNode(term.value)
    return _literal(term)


def _literal(literal: ox.Literal) -> rdflib.Literal:
    if literal.language is not None:
        return _Literal(literal.value, lang=literal.language)
    datatype = literal.datatype.value
    if datatype == vocab.STRING:
        return _Literal(literal.value)
    is_well_formed = _WELL_FORMED.get(datatype)
    if is_well_formed is None or not is_well_formed(literal.value):
        return _Unread(literal.value, datatype, is_ill_typed=is_well_formed is not None)
    return _Literal(literal.value, datatype=rdflib.URIRef(datatype), normalize=False)


class _Literal(rdflib.Literal):
    """A literal that is not before one with which it cannot be compared; rdflib raises there, and pySHACL lets it."""

    __slots__ = ()

    def __lt__(self, other: Any) -> bool:
        return super().__lt__(other) is True

    def __le__(self, other: Any) -> bool:
        return super().__le__(other) is True


class _Unread(_Literal):
    """A literal whose value rdflib does not work out: it would log what it cannot read, and read XML and HTML as documents."""

    __slots__ = ()

    def __new__(cls, text: str, datatype: str, is_ill_typed: bool) -> "_Unread":
        literal: _Unread = super().__new__(cls, text)
        literal._datatype = rdflib.URIRef(datatype)
        literal._value = None
        literal._ill_typed = is_ill_typed
        return literal


_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_DATE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?")
_DURATION = re.compile(r"-?P(?=.)([0-9]+Y)?([0-9]+M)?([0-9]+D)?(T(?=.)([0-9]+H)?([0-9]+M)?([0-9]+(\.[0-9]+)?S)?)?")


def _is_integer(text: str) -> bool:
    """Python's int takes more: underscores, blanks around, digits of every script."""
    return _INTEGER.fullmatch(text) is not None


def _is_date_time(text: str) -> bool:
    """Python's fromisoformat takes more: weeks, dates alone, times without seconds."""
    return _DATE_TIME.fullmatch(text) is not None and _is_in_calendar(text)


def _is_in_calendar(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_duration(text: str) -> bool:
    return _DURATION.fullmatch(text) is not None and len(text) <= 100


def is_json(text: str) -> bool:
    """Whether a text is JSON."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None and len(text) <= _LONGEST


_LONGEST = 400
"""Characters of a number; Python refuses to read much longer ones."""


def _is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and _is_in_calendar(text[:10])


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None and _is_in_calendar(f"2000-01-01T{text}")


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?")
_FLOAT = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,9})?|[+-]?INF|NaN"


def _between(lowest: int | None, highest: int | None) -> Callable[[str], bool]:
    def is_well_formed(text: str) -> bool:
        return _is_integer(text) and (lowest is None or int(text) >= lowest) and (highest is None or int(text) <= highest)

    return is_well_formed


_BOUNDED: dict[str, tuple[int | None, int | None]] = {
    "nonNegativeInteger": (0, None),
    "positiveInteger": (1, None),
    "nonPositiveInteger": (None, 0),
    "negativeInteger": (None, -1),
    **{name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for name, bits in (("byte", 8), ("short", 16), ("int", 32), ("long", 64))},
    **{f"unsigned{name}": (0, 2**bits - 1) for name, bits in (("Byte", 8), ("Short", 16), ("Int", 32), ("Long", 64))},
}
"""The integers of XSD that have bounds."""

_WELL_FORMED: dict[str, Callable[[str], bool]] = {
    vocab.INTEGER: _is_integer,
    vocab.BOOLEAN: {"true", "false", "1", "0"}.__contains__,
    vocab.DATE_TIME: _is_date_time,
    vocab.DURATION: _is_duration,
    vocab.JSON_LITERAL: is_json,
    vocab.XSD + "decimal": _matches(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"),
    vocab.DOUBLE: _matches(_FLOAT),
    vocab.XSD + "float": _matches(_FLOAT),
    vocab.XSD + "date": _is_date,
    vocab.XSD + "time": _is_time,
    **{vocab.XSD + name: _between(*bounds) for name, bounds in _BOUNDED.items()},
}
"""Datatypes whose values can be judged → whether a text is one. A value of another datatype is taken as it is written."""


def to_ox(node: Any) -> Any:
    """And back; an IRI that stands for a blank node becomes one again."""
    if isinstance(node, rdflib.Literal):
        return _ox_literal(node)
    text = str(node)
    if isinstance(node, rdflib.BNode) or text.startswith("_:"):
        return ox.BlankNode(text.removeprefix("_:"))
    return ox.NamedNode(text)


def _ox_literal(literal: rdflib.Literal) -> ox.Literal:
    if literal.language is not None:
        return ox.Literal(str(literal), language=literal.language)
    return ox.Literal(str(literal), datatype=ox.NamedNode(str(literal.datatype or XSD.string)))
