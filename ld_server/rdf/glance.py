"""
A first look at a resource: whether it has its shape beyond doubt.

Most of what is written does, and pySHACL takes a millisecond to say so. What is looked at here are constraints that mean one thing and
values that are read in one way. Wherever there is anything else, in a shape or in a resource, there is doubt, and pySHACL judges; it
is also the one that says what is wrong. Tests hold this to pySHACL on every wrong value of every field.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import pyoxigraph as ox
import rdflib
from pyshacl.constraints import CONSTRAINT_PARAMETERS_MAP
from rdflib.namespace import RDFS, SH
from rdflib.term import Node

from ld_server.rdf import vocab
from ld_server.rdf.terms import is_json, to_ox

Value: TypeAlias = tuple[str, str]
"""The text of a term, and its datatype: that of a literal, IRI for a name, `@` and the tag for a text in a language."""
Said: TypeAlias = Mapping[str, Mapping[Value, None]]
"""Property → its values, each once."""
Data: TypeAlias = Mapping[Value, Said]
Check: TypeAlias = Callable[[Data, Value], bool]
"""Whether a value passes. Raises Doubtful."""

IRI = "IRI"


class Doubtful(Exception):
    """Only pySHACL can say what this means."""


class Glance:
    """
    The shapes of a graph, each put together when it is asked for first. `looked_at`: the properties that any shape looks at.
    """

    def __init__(self, graph: rdflib.Graph, looked_at: frozenset[str]) -> None:
        self._graph = graph
        self._looked_at = looked_at
        self._put_together: dict[str, _Shape | None] = {}

    def is_sure(self, triples: Iterable[ox.Triple], root: str, shape: str) -> bool:
        """Whether the node has the shape for certain, so that pySHACL would find nothing, not even a remark."""
        if shape not in self._put_together:
            self._put_together[shape] = self._first(rdflib.URIRef(shape))
        judge = self._put_together[shape]
        try:
            return judge is not None and judge.fits(_data(triples, self._looked_at), (root, IRI))
        except Doubtful:
            return False

    def _first(self, shape: Node) -> "_Shape | None":
        """None for a shape that there is not, or that has anything in it that is not looked at here."""
        with suppress(Doubtful):
            return _assembled_of(shape, self._graph, frozenset()) if str(RDFS.subClassOf) not in self._looked_at else None
        return None


def _data(triples: Iterable[ox.Triple], looked_at: frozenset[str]) -> Data:
    """What a shape can look at. Raises Doubtful for blank nodes among it."""
    data: dict[Value, dict[str, dict[Value, None]]] = {}
    for triple in triples:
        predicate = triple.predicate.value
        if predicate in looked_at and isinstance(triple.subject, ox.NamedNode):
            about = data.setdefault((triple.subject.value, IRI), {})
            about.setdefault(predicate, {})[_value(triple.object)] = None
    return data


def _value(term: Any) -> Value:
    if isinstance(term, ox.NamedNode):
        return term.value, IRI
    if isinstance(term, ox.Literal):
        return term.value, f"@{term.language}" if term.language else term.datatype.value
    raise Doubtful


# --- shapes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Property:
    """What a property shape asks of the values at its path; at several paths, of all of them together."""

    paths: tuple[str, ...]
    least: int
    most: int
    each: "_Shape"
    comparisons: tuple[tuple[str, bool], ...]
    """Another property that the values come before, and whether they may be the same."""

    def values(self, said: Said) -> Mapping[Value, None]:
        if len(self.paths) == 1:
            return said.get(self.paths[0], _NOTHING)
        return {value: None for path in self.paths for value in said.get(path, _NOTHING)}

    def fits(self, data: Data, said: Said) -> bool:
        values = self.values(said)
        if len(values) > self.most or not all(self.each.fits(data, value) for value in values):
            return False
        return all(_is_before(one, other, equal) for path, equal in self.comparisons for one in values for other in said.get(path, ()))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is asked of a node itself, the properties that it must have, and what is asked of a property where it has it."""

    checks: tuple[Check, ...]
    required: tuple[_Property, ...]
    at_path: Mapping[str, tuple[_Property, ...]]

    def fits(self, data: Data, node: Value) -> bool:
        for check in self.checks:
            if not check(data, node):
                return False
        if not self.at_path:
            return True
        said = data.get(node, _NOTHING)
        if any(len(one.values(said)) < one.least for one in self.required):
            return False
        return all(one.fits(data, said) for path in said for one in self.at_path.get(path, ()))


_NOTHING: Mapping[Any, Any] = {}
_Parameters: TypeAlias = Mapping[Node, list[Node]]


def _assembled(shape: Node, graph: rdflib.Graph, above: frozenset[Node]) -> _Shape:
    """A shape with everything that it asks for, of what it is about. Raises Doubtful."""
    asked = _asked(shape, graph)
    if shape in above:
        raise Doubtful
    properties = [_property(one, graph, above | {shape}) for one in asked.get(SH.property, ())]
    at_path = {path: tuple(one for one in properties if path in one.paths) for each in properties for path in each.paths}
    checks = [make(value, graph, above | {shape}) for parameter, make in CHECKS.items() for value in asked.get(parameter, ())]
    return _Shape(tuple(checks), tuple(one for one in properties if one.least), at_path)


def _property(shape: Node, graph: rdflib.Graph, above: frozenset[Node]) -> _Property:
    asked = _asked(shape, graph)
    return _Property(
        paths=_paths(graph.value(shape, SH.path), graph),
        least=max(map(_number, asked.get(SH.minCount, ())), default=0),
        most=min(map(_number, asked.get(SH.maxCount, ())), default=sys.maxsize),
        each=_assembled(shape, graph, above),
        comparisons=tuple((str(other), equal) for parameter, equal in COMPARISONS.items() for other in asked.get(parameter, ())),
    )


def _asked(shape: Node, graph: rdflib.Graph) -> _Parameters:
    """Parameter of SHACL → its values. Raises Doubtful for a shape with anything in it that is not looked at here."""
    asked: dict[Node, list[Node]] = {}
    for _, parameter, value in graph.triples((shape, None, None)):
        if parameter in _CHANGING or (parameter in CONSTRAINT_PARAMETERS_MAP and parameter not in LOOKED_AT):
            raise Doubtful
        asked.setdefault(parameter, []).append(value)
    if not asked:
        raise Doubtful
    return asked


_CHANGING = frozenset({SH.severity, SH.deactivated, SH.flags})
"""What changes what else is said in a shape."""


def _paths(path: Node | None, graph: rdflib.Graph) -> tuple[str, ...]:
    several = graph.value(path, SH.alternativePath) if isinstance(path, rdflib.BNode) else None
    steps = [path] if several is None else list(graph.items(several))
    if not all(isinstance(step, rdflib.URIRef) for step in steps):
        raise Doubtful
    return tuple(map(str, steps))


def _number(value: Node) -> int:
    if not (isinstance(value, rdflib.Literal) and str(value.datatype) == vocab.INTEGER):
        raise Doubtful
    return int(value)


# --- values -----------------------------------------------------------------------------------------------------------

_DURATION = re.compile(r"P(?=.)([0-9]{1,6}D)?(T(?=.)([0-9]{1,6}H)?([0-9]{1,8}M)?([0-9]{1,9}S)?)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")


def _instant(text: str) -> datetime:
    """Raises Doubtful for any other way to write an instant than our own."""
    if _INSTANT.fullmatch(text) is None:
        raise Doubtful
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Doubtful from None


_WELL_FORMED: Mapping[str, Callable[[str], object]] = {
    vocab.STRING: lambda _: True,
    vocab.INTEGER: _INTEGER.fullmatch,
    vocab.BOOLEAN: {"true", "false"}.__contains__,
    vocab.DATE_TIME: _instant,
    vocab.DURATION: _DURATION.fullmatch,
    vocab.JSON_LITERAL: is_json,
}
"""Datatype → whether a text is one of its values beyond doubt."""


def _is_before(value: Value, other: Value, or_equal: bool) -> bool:
    if value[1] != other[1] or value[1] not in _ORDERED:
        raise Doubtful
    one, another = _ORDERED[value[1]](value[0]), _ORDERED[other[1]](other[0])
    return one < another or (or_equal and one == another)


def _whole(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise Doubtful
    return int(text)


_ORDERED: Mapping[str, Callable[[str], Any]] = {vocab.INTEGER: _whole, vocab.DATE_TIME: _instant}


# --- what is asked of a value -----------------------------------------------------------------------------------------


def _datatype(asked: Node, *_: Any) -> Check:
    datatype = str(asked)
    if datatype not in _WELL_FORMED:
        raise Doubtful
    is_well_formed = _WELL_FORMED[datatype]

    def check(_: Data, value: Value) -> bool:
        if value[1] == datatype and not is_well_formed(value[0]):
            raise Doubtful
        return value[1] == datatype

    return check


def _class(asked: Node, *_: Any) -> Check:
    wanted = str(asked), IRI
    return lambda data, value: wanted in data.get(value, _NOTHING).get(vocab.TYPE, _NOTHING)


def _node_kind(asked: Node, *_: Any) -> Check:
    if asked not in (SH.IRI, SH.Literal):
        raise Doubtful
    is_name = asked == SH.IRI
    return lambda _, value: (value[1] == IRI) is is_name


def _pattern(asked: Node, *_: Any) -> Check:
    search = re.compile(str(asked)).search
    return lambda _, value: search(value[0]) is not None


def _min_length(asked: Node, *_: Any) -> Check:
    least = _number(asked)
    return lambda _, value: len(value[0]) >= least


def _max_length(asked: Node, *_: Any) -> Check:
    most = _number(asked)
    return lambda _, value: len(value[0]) <= most


def _at_least(asked: Node, *_: Any) -> Check:
    least = str(_number(asked)), vocab.INTEGER
    return lambda _, value: _is_before(least, value, True)


def _at_most(asked: Node, *_: Any) -> Check:
    most = str(_number(asked)), vocab.INTEGER
    return lambda _, value: _is_before(value, most, True)


def _in(asked: Node, graph: rdflib.Graph, _: Any) -> Check:
    """Names are the same or they are not; what is said of literals that are not is left to rdflib."""
    allowed = frozenset(_value(to_ox(one)) for one in graph.items(asked))

    def check(_: Data, value: Value) -> bool:
        if value not in allowed and value[1] != IRI:
            raise Doubtful
        return value in allowed

    return check


def _fits(asked: Node, graph: rdflib.Graph, above: frozenset[Node]) -> Check:
    return _assembled_of(asked, graph, above).fits


def _fits_not(asked: Node, graph: rdflib.Graph, above: frozenset[Node]) -> Check:
    fits = _assembled_of(asked, graph, above).fits
    return lambda data, value: not fits(data, value)


def _fits_one(asked: Node, graph: rdflib.Graph, above: frozenset[Node]) -> Check:
    ways = [_assembled_of(one, graph, above).fits for one in graph.items(asked)]
    return lambda data, value: any(fits(data, value) for fits in ways)


def _assembled_of(shape: Node, graph: rdflib.Graph, above: frozenset[Node]) -> _Shape:
    """A node shape that another one asks for."""
    if graph.value(shape, SH.path) is not None:
        raise Doubtful
    return _assembled(shape, graph, above)


CHECKS: Mapping[Node, Callable[[Node, rdflib.Graph, frozenset[Node]], Check]] = {
    SH.nodeKind: _node_kind,
    SH.datatype: _datatype,
    SH["class"]: _class,
    SH["in"]: _in,
    SH.minLength: _min_length,
    SH.maxLength: _max_length,
    SH.pattern: _pattern,
    SH.minInclusive: _at_least,
    SH.maxInclusive: _at_most,
    SH.node: _fits,
    SH["not"]: _fits_not,
    SH["or"]: _fits_one,
}
"""Parameter of SHACL → what it asks of a value."""

COMPARISONS: Mapping[Node, bool] = {SH.lessThan: False, SH.lessThanOrEquals: True}
LOOKED_AT = frozenset({*CHECKS, *COMPARISONS, SH.property, SH.minCount, SH.maxCount})
