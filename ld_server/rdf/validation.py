"""
SHACL: whether a resource has the shape that is asked for, and what is wrong with it in words for the person who sent it.

pySHACL is the only judge. What it is given is made harmless first: only statements that a shape looks at, no description of a
blank node (pySHACL spells those out in full, at a cost without bound), no literal that Python reads more generously than XSD does.
"""

import math
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import orjson
import pyoxigraph as ox
import rdflib
from pyshacl.constraints import CONSTRAINT_PARAMETERS_MAP
from pyshacl.pytypes import SHACLExecutor
from pyshacl.shapes_graph import ShapesGraph
from pyshacl.validator import Validator as ReportWriter
from rdflib.namespace import RDF, SH, XSD
from rdflib.term import Node

from ld_server.domain.errors import ShapeViolation, Violation
from ld_server.rdf import vocab

Pointer: TypeAlias = Callable[[str, str, object], str]
Statement: TypeAlias = tuple[Node, Node, Node]
RawResult: TypeAlias = tuple[str, Node, list[tuple[Node, Node, Any]]]
"""A result as pySHACL makes it: a text, the node of the result, and triples, whose objects may be pairs of a graph and a node."""

LONGEST_VALUE = 200
"""Characters of a wrong value that are given back; who sent it has the rest."""

MOST_TOLD = 100
"""Violations that a refusal lists; its sentence has the number of all. One line of a reservation can have ten."""

MOST_IN_DETAIL = 3
"""Violations that the sentence spells out."""


class Validator:
    """
    The shapes of `*.ttl` in some directories (not below them), read at the first check.

    Safe to share between threads: each gets a copy of its own, because pySHACL's shapes are not made for sharing.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = tuple(directories)
        self._local = threading.local()

    def check(self, triples: Sequence[ox.Triple], root: str, shape: str, pointer: Pointer | None = None) -> None:
        """
        Raises ShapeViolation unless the node `root` of the graph has the shape, and KeyError when there is no such shape.

        `shape` is the IRI of a node shape. `pointer(focus, path, value)` gives the JSON pointer of a wrong value; `path` is ""
        where a node is wrong as a whole. The `report` of the refusal is SHACL's own, as triples.
        """
        shapes = self._shapes
        judge = shapes.by_iri[shape]
        conforms, raw = judge.validate(SHACLExecutor(), shapes.data_graph(triples), focus=[rdflib.URIRef(root)])
        if not conforms:
            _refuse(shapes, shapes.results(raw, root), raw, pointer or _nowhere)

    @property
    def _shapes(self) -> "_Shapes":
        if not hasattr(self._local, "shapes"):
            self._local.shapes = _Shapes(self._parsed)
        shapes: _Shapes = self._local.shapes
        return shapes

    @cached_property
    def _parsed(self) -> tuple[ox.Quad, ...]:
        files = [file for directory in self._directories for file in sorted(directory.glob("*.ttl"))]
        return tuple(quad for file in files for quad in ox.parse(path=str(file), format=ox.RdfFormat.TURTLE, rename_blank_nodes=True))


def _nowhere(focus: str, path: str, value: object) -> str:
    return ""


def _refuse(shapes: "_Shapes", results: Sequence["_Result"], raw: Sequence[RawResult], pointer: Pointer) -> NoReturn:
    told = [_tell(result, pointer) for result in results[:MOST_TOLD]]
    report = shapes.report(raw if len(raw) <= MOST_TOLD else [result.raw for result in results[:MOST_TOLD]])
    raise ShapeViolation(_detail(told, len(results)), [one.violation for one in told], report)


# --- the shapes of one thread -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Result:
    """A result of pySHACL. `place`: fragment of the focus, "" for the root; `order`: place of its shape among the others."""

    raw: RawResult
    focus: Node
    place: str
    path: str
    value: Node | None
    message: str
    component: str
    order: int


class _Shapes:
    """The parsed shapes, and what they look at."""

    def __init__(self, statements: Iterable[ox.Quad]) -> None:
        graph = _Statements((_term(one.subject), _term(one.predicate), _shape_value(one)) for one in statements)
        self._graph = _ShapesGraph(graph)
        self.by_iri = {str(shape.node): shape for shape in self._graph.shapes}
        self._looked_at = frozenset(str(term) for term in _predicates_looked_at(graph))
        self._orders = {str(shape): int(str(order)) for shape, order in graph.subject_objects(SH.order)}
        self._compared = {str(graph.value(shape, SH.path)): str(other) for shape, other in _comparisons(graph)}
        self._comparable = frozenset((*self._compared.keys(), *self._compared.values()))
        self._most = _highest_counts(graph)

    def data_graph(self, triples: Iterable[ox.Triple]) -> rdflib.Graph:
        """The statements that a shape can look at, in rdflib's terms. Where there are too many values, one too many is kept."""
        looked_at = self._without_surplus(one for one in triples if self._is_looked_at(one))
        return _Statements((_term(one.subject), _term(one.predicate), self._value(one)) for one in looked_at)

    def _without_surplus(self, triples: Iterable[ox.Triple]) -> Iterator[ox.Triple]:
        seen: Counter[tuple[str, str]] = Counter()
        for triple in dict.fromkeys(triples):
            place = (str(triple.subject), triple.predicate.value)
            seen[place] += 1
            if seen[place] - 1 <= self._most.get(place[1], sys.maxsize):
                yield triple

    def _is_looked_at(self, triple: ox.Triple) -> bool:
        return triple.predicate.value in self._looked_at and not isinstance(triple.subject, ox.BlankNode)

    def _value(self, triple: ox.Triple) -> Node:
        """pySHACL raises when it is to compare a blank node, where SHACL says that it cannot be compared; for an IRI it does say so."""
        if isinstance(triple.object, ox.BlankNode) and triple.predicate.value in self._comparable:
            return rdflib.URIRef(str(triple.object))
        value: Node = _term(triple.object)
        return value

    def results(self, raw: Iterable[RawResult], root: str) -> list[_Result]:
        """
        The results, one for each focus, path and message: those of the root first, then part by part, each in the order of the shape.

        Left out is what only repeats another: a comparison with a value that is wrong in itself, and what a value lacks that should be
        a node and is none.
        """
        found = sorted((one for one in (self._result(each, root) for each in raw) if isinstance(one.focus, rdflib.URIRef)), key=_rank)
        unique = {(one.focus, one.path, one.message): one for one in reversed(found)}
        wrong = {(one.focus, one.path) for one in found if one.component not in _COMPARISONS}
        return [one for one in found if unique.get((one.focus, one.path, one.message)) is one and not self._only_repeats(one, wrong)]

    def _only_repeats(self, result: _Result, wrong: set[tuple[Node, str]]) -> bool:
        if result.component not in _COMPARISONS:
            return False
        return any((result.focus, path) in wrong for path in (result.path, self._compared[result.path]))

    def _result(self, raw: RawResult, root: str) -> _Result:
        _, node, triples = raw
        said = {predicate: _without_graph(value) for subject, predicate, value in triples if subject is node}
        focus = said[SH.focusNode]
        return _Result(
            raw=raw,
            focus=focus,
            place="" if str(focus) == root else str(focus).rpartition("#")[2],
            path=str(said.get(SH.resultPath, "")),
            value=said.get(SH.value),
            message=str(said[SH.resultMessage]),
            component=str(said[SH.sourceConstraintComponent]),
            order=self._orders.get(str(said[SH.sourceShape]), 0),
        )

    def report(self, raw: Sequence[RawResult]) -> tuple[ox.Triple, ...]:
        """The SHACL validation report."""
        graph, _ = ReportWriter.create_validation_report(self._graph, False, list(raw))
        return tuple(ox.Triple(_ox_term(s), _ox_term(p), _ox_term(o)) for s, p, o in graph)


_COMPARISONS = {str(SH.LessThanConstraintComponent), str(SH.LessThanOrEqualsConstraintComponent)}
_LOOKING = (SH.path, SH.inversePath, SH.lessThan, SH.lessThanOrEquals, SH.equals, SH.disjoint, RDF.first)
"""Properties of shapes whose values are properties of the data (`rdf:first` for those in a path of several steps)."""


def _predicates_looked_at(graph: rdflib.Graph) -> Iterator[Node]:
    yield RDF.type
    for property_ in _LOOKING:
        yield from graph.objects(None, property_)


def _highest_counts(graph: rdflib.Graph) -> dict[str, int]:
    """
    Property → the most values that any node may have of it. A property of which some nodes may have any number is not there,
    nor is the class, which counts for other constraints too.
    """
    counts: dict[tuple[Node, str], int] = {}
    for owner, shape in graph.subject_objects(SH.property):
        if set(graph.predicates(shape)) & _EXAMINING:
            place = (owner, str(graph.value(shape, SH.path)))
            most = graph.value(shape, SH.maxCount)
            counts[place] = min(counts.get(place, sys.maxsize), sys.maxsize if most is None else int(str(most)))
    paths = {path for _, path in counts} - {vocab.TYPE}
    return {path: max(count for (_, one), count in counts.items() if one == path) for path in paths}


_EXAMINING = frozenset(CONSTRAINT_PARAMETERS_MAP) - {SH.minCount}


def _comparisons(graph: rdflib.Graph) -> Iterator[tuple[Node, Node]]:
    yield from graph.subject_objects(SH.lessThan)
    yield from graph.subject_objects(SH.lessThanOrEquals)


def _without_graph(value: Any) -> Any:
    return value[1] if isinstance(value, tuple) else value


def _rank(result: _Result) -> tuple[Any, ...]:
    """Of those that say the same the one that counts comes first, then the least value."""
    told_once = (result.component != str(SH.MaxCountConstraintComponent), result.component, str(result.value))
    return (result.place != "", _by_number(str(result.focus)), result.order, result.path, result.message, *told_once)


def _by_number(text: str) -> list[tuple[int, str]]:
    """A key that sorts line-2 before line-10."""
    return [(int(piece[:18]), "") if piece.isdecimal() and piece.isascii() else (-1, piece) for piece in re.split(r"([0-9]+)", text)]


# --- words ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Told:
    """A violation and the clause that tells it."""

    violation: Violation
    clause: str


def _tell(result: _Result, pointer: Pointer) -> _Told:
    value = _json_value(result.value)
    violation = Violation(pointer(str(result.focus), result.path, value), result.path, _shortened(value), result.message)
    return _Told(violation, _place(result, violation.pointer) + result.message + _but(result, violation.value))


def _place(result: _Result, pointer: str) -> str:
    """Where the value stands, if that is not the top: by its pointer, else by the name of the part."""
    above = pointer.strip("/").rpartition("/")[0] if pointer else result.place
    return f"{above}: " if above else ""


def _but(result: _Result, value: Any) -> str:
    if result.component == str(SH.MaxCountConstraintComponent):
        return " (it is given too often)"
    if value is None or result.component in _COMPARISONS or str(result.value).startswith(f"{result.focus}#"):
        return ""
    return f" (not {orjson.dumps(value).decode()})"


def _detail(told: Sequence[_Told], count: int) -> str:
    """A sentence that says what is wrong, for those who do not look at the list."""
    clauses = "; ".join(one.clause for one in told[:MOST_IN_DETAIL])
    if count == 1:
        return f"{clauses}."
    more = f"; and {count - MOST_IN_DETAIL} more" if count > MOST_IN_DETAIL else ""
    return f"{count} things are wrong: {clauses}{more}."


def _json_value(node: Node | None) -> Any:
    """A node in JSON terms; None for a blank node, whose name would tell nothing."""
    if isinstance(node, rdflib.Literal):
        return _NATIVE.get(str(node.datatype), str)(str(node)) if node.ill_typed is not True else str(node)
    if isinstance(node, rdflib.URIRef) and not node.startswith("_:"):
        return _word(str(node))
    return None


def _word(iri: str) -> str:
    """Our own terms and schema.org's as they are written in JSON, any other IRI as it is."""
    for namespace in (vocab.RSV, vocab.SCHEMA):
        if iri.startswith(namespace):
            return iri.removeprefix(namespace)
    return iri


def _whole(text: str) -> int | str:
    """JSON readers keep whole numbers exactly up to 2^53."""
    return int(text) if len(text) <= 15 else text


def _fraction(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


_NATIVE: dict[str, Callable[[str], Any]] = {
    vocab.INTEGER: _whole,
    vocab.DOUBLE: _fraction,
    vocab.BOOLEAN: lambda text: text in ("true", "1"),
}


def _shortened(value: Any) -> Any:
    return value[:LONGEST_VALUE] + "…" if isinstance(value, str) and len(value) > LONGEST_VALUE else value


# --- terms ------------------------------------------------------------------------------------------------------------


class _Statements(rdflib.Graph):
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

    def add(self, triple: Statement) -> "_Statements":
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


class _ShapesGraph(ShapesGraph):
    """
    pySHACL's shapes, which it asks for what is said of a shape in order to find the constraints: it compares every property with its
    forty parameters, one after the other. It is told of constraints alone.
    """

    def __init__(self, graph: rdflib.Graph) -> None:
        super().__init__(graph)
        self._constraints: dict[Node, list[tuple[Node, Node]]] = {}
        for shape, property_, value in graph.triples((None, None, None)):
            if property_ in CONSTRAINT_PARAMETERS_MAP:
                self._constraints.setdefault(shape, []).append((property_, value))

    def predicate_objects(self, subject: Node) -> list[tuple[Node, Node]]:
        return self._constraints.get(subject, [])


def _shape_value(statement: ox.Quad) -> Node:
    """XPath's `$`, which SHACL's patterns are written with, is the very end; Python's would let one more line feed pass."""
    term: Node = _term(statement.object)
    if statement.predicate.value == str(SH.pattern) and str(term).endswith("$"):
        return rdflib.Literal(str(term).removesuffix("$") + r"\Z")
    return term


def _term(term: Any) -> Any:
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


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


_WELL_FORMED: dict[str, Callable[[str], bool]] = {
    vocab.INTEGER: _is_integer,
    vocab.BOOLEAN: {"true", "false", "1", "0"}.__contains__,
    vocab.DATE_TIME: _is_date_time,
    vocab.DURATION: _is_duration,
    vocab.JSON_LITERAL: _is_json,
}
"""Datatypes that a shape asks for → whether a text is one. A shape that asked for another one would refuse every value of it."""


def _ox_term(node: Any) -> Any:
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
