"""
SHACL: whether a resource has the shape that is asked for, and what is wrong with it in words for the person who sent it.

pySHACL is the only judge of what is refused; of what conforms beyond doubt it is not asked (`rdf.glance`). What it is given is made
harmless first: only statements that a shape looks at, no description of a blank node where none can be judged, no literal that Python
reads more generously than XSD does.
"""

import math
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import orjson
import pyoxigraph as ox
import rdflib
from pyshacl.constraints import CONSTRAINT_PARAMETERS_MAP
from rdflib.namespace import RDF, RDFS, SH
from rdflib.term import Node

from ld_server.domain.errors import ShapeViolation, Violation
from ld_server.rdf import vocab
from ld_server.rdf.glance import Glance
from ld_server.rdf.naming import Naming
from ld_server.rdf.shacl import RawResult, Shapes, report, without_graph
from ld_server.rdf.terms import Statements, from_ox, shape_value

Pointer: TypeAlias = Callable[[str, str, object], str]

LONGEST_VALUE = 200
"""Characters of a wrong value that are given back; who sent it has the rest."""

MOST_TOLD = 100
"""Violations that a refusal lists; its sentence has the number of all. One line of a reservation can have ten."""

MOST_IN_DETAIL = 3
"""Violations that the sentence spells out."""


class Validator:
    """
    The shapes of `*.ttl` in some directories (not below them), read at the first check, and the operator's besides.

    `operators`: the statements of shapes that say themselves what they are about (see `rdf.operators`); nodes that are other
    resources of ours, as `naming` tells, are none of their business. Safe to share between threads: each gets a copy of its own,
    because pySHACL's shapes are not made for sharing.
    """

    def __init__(self, directories: Sequence[Path], operators: Sequence[ox.Quad] = (), naming: Naming | None = None) -> None:
        self._directories = tuple(directories)
        self._operators = tuple(operators)
        self._naming = naming
        self._local = threading.local()

    def check(self, triples: Sequence[ox.Triple], root: str, shape: str, pointer: Pointer | None = None) -> list[Violation]:
        """
        Raises ShapeViolation unless the node `root` of the graph has the shape, and KeyError when there is no such shape. Gives what
        shapes say as a warning or a remark (sh:Warning, sh:Info) and not to refuse anything.

        `shape` is the IRI of a node shape. `pointer(focus, path, value)` gives the JSON pointer of a wrong value; `path` is ""
        where a node is wrong as a whole. The `report` of the refusal is SHACL's own, as triples.
        """
        verdict = self._ours.judged(triples, root, shape)
        if self._operators:
            verdict += self._theirs.judged_by_target(triples, root, self._naming)
        if verdict.told:
            _refuse(verdict, pointer or _nowhere)
        return [_tell(result, pointer or _nowhere).violation for result in verdict.remarks[:MOST_TOLD]]

    @property
    def _ours(self) -> "_Shapes":
        if not hasattr(self._local, "ours"):
            self._local.ours = _Shapes(self._parsed, rdflib.URIRef)
        ours: _Shapes = self._local.ours
        return ours

    @property
    def _theirs(self) -> "_Shapes":
        if not hasattr(self._local, "theirs"):
            self._local.theirs = _Shapes(self._operators, rdflib.IdentifiedNode)
        theirs: _Shapes = self._local.theirs
        return theirs

    @cached_property
    def _parsed(self) -> tuple[ox.Quad, ...]:
        files = [file for directory in self._directories for file in sorted(directory.glob("*.ttl"))]
        return tuple(quad for file in files for quad in ox.parse(path=str(file), format=ox.RdfFormat.TURTLE, rename_blank_nodes=True))


def _nowhere(focus: str, path: str, value: object) -> str:
    return ""


def _refuse(verdict: "_Verdict", pointer: Pointer) -> NoReturn:
    told = [_tell(result, pointer) for result in verdict.told[:MOST_TOLD]]
    reported = verdict.raw if len(verdict.raw) <= MOST_TOLD else [result.raw for result in verdict.told[:MOST_TOLD]]
    raise ShapeViolation(_detail(told, len(verdict.told)), [one.violation for one in told], report(reported))


def merged_reports(reports: Sequence[Sequence[ox.Triple]]) -> list[ox.Triple]:
    """Several reports of SHACL as one."""
    top = reports[0][0].subject
    return [ox.Triple(top if s == report[0].subject else s, p, o) for report in reports for s, p, o in report]


# --- the shapes of one thread -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Result:
    """
    A result of pySHACL. `place`: fragment of the focus, "" for the root; `order`: place of its shape among the others. `path` is ""
    where the wrong value has no property of its own; where one of several properties is asked for, it is the first of them.
    """

    raw: RawResult
    focus: Node
    place: str
    path: str
    value: Node | None
    message: str
    component: str
    order: int
    is_harmless: bool


@dataclass(frozen=True)
class _Verdict:
    """What is wrong: all that pySHACL found, and of that what is told; `remarks` refuse nothing."""

    raw: list[RawResult]
    told: list[_Result]
    remarks: list[_Result]

    def __add__(self, other: "_Verdict") -> "_Verdict":
        return _Verdict(self.raw + other.raw, self.told + other.told, self.remarks + other.remarks)


class _Shapes:
    """The parsed shapes, and what they look at. `judged_nodes`: the sort of nodes of which something may be told."""

    def __init__(self, statements: Iterable[ox.Quad], judged_nodes: type[Node]) -> None:
        self._judged_nodes = judged_nodes
        graph = Statements((from_ox(one.subject), from_ox(one.predicate), shape_value(one)) for one in statements)
        self._shapes = Shapes(graph)
        self._classes = [(lower, RDFS.subClassOf, upper) for lower, upper in graph.subject_objects(RDFS.subClassOf)]
        self._looked_at = frozenset(str(term) for term in _predicates_looked_at(graph))
        self._leading = {str(shape): str(first) for shape, first in _leading_alternatives(graph)}
        self._orders = {str(shape): int(str(order)) for shape, order in graph.subject_objects(SH.order)}
        self._compared = {str(graph.value(shape, SH.path)): str(other) for shape, other in _comparisons(graph)}
        self._comparable = frozenset((*self._compared.keys(), *self._compared.values()))
        self._most = _highest_counts(graph)
        self._glance = Glance(graph, self._looked_at)

    def judged(self, triples: Sequence[ox.Triple], root: str, shape: str) -> _Verdict:
        """What the shape has to say of the root. Raises KeyError when there is no such shape."""
        if self._glance.is_sure(triples, root, shape):
            return _Verdict([], [], [])
        return self.judged_closely(triples, root, shape)

    def judged_closely(self, triples: Iterable[ox.Triple], root: str, shape: str) -> _Verdict:
        """The same in pySHACL's words alone."""
        data = self.data_graph(triples)
        return self._verdict(self._shapes.judge(shape, data, [rdflib.URIRef(root)]), data, root)

    def judged_by_target(self, triples: Iterable[ox.Triple], root: str, naming: Naming | None) -> _Verdict:
        """What the shapes have to say of the nodes that they are about. Other resources than the root are judged where they are."""
        data = Statements((from_ox(one.subject), from_ox(one.predicate), self._value(one)) for one in triples if not _is_hierarchy(one))
        for statement in self._classes:
            data.add(statement)

        def is_elsewhere(node: Node) -> bool:
            return str(node) != root and (naming is not None and naming.identifier(str(node)) is not None)

        return self._verdict(self._shapes.judge_targets(data, is_elsewhere), data, root)

    def data_graph(self, triples: Iterable[ox.Triple]) -> rdflib.Graph:
        """The statements that a shape can look at, in rdflib's terms. Where there are too many values, one too many is kept."""
        looked_at = self._without_surplus(one for one in triples if self._is_looked_at(one))
        return Statements((from_ox(one.subject), from_ox(one.predicate), self._value(one)) for one in looked_at)

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
        value: Node = from_ox(triple.object)
        return value

    def _verdict(self, raw: list[RawResult], data: rdflib.Graph, root: str) -> _Verdict:
        """
        What is told: the results, one for each focus, path and message: those of the root first, then part by part, each in the order
        of the shape.

        Left out is what only repeats another: a comparison with a value that is wrong in itself, and what a value lacks that should be
        a node and is none. What is only a warning or a remark stands apart.
        """
        every = sorted((one for one in (self._result(each, root) for each in raw) if one is not None), key=_rank)
        remarks, found = [one for one in every if one.is_harmless], [one for one in every if not one.is_harmless]
        unique = {(one.focus, one.path, one.message): one for one in reversed(found)}
        wrong = {(one.focus, one.path) for one in found if one.component not in _COMPARISONS}
        told = [one for one in found if unique.get((one.focus, one.path, one.message)) is one and not self._only_repeats(one, wrong)]
        said = {(one.focus, one.path, one.message): one for one in remarks}
        return _Verdict(raw, [self._blamed(one, data) for one in told], list(said.values()))

    def _only_repeats(self, result: _Result, wrong: set[tuple[Node, str]]) -> bool:
        if result.component not in _COMPARISONS:
            return False
        return any((result.focus, path) in wrong for path in (result.path, self._compared.get(result.path, "")))

    def _blamed(self, result: _Result, data: rdflib.Graph) -> _Result:
        """What is not before another value is told of that other one: it is the end that is wrong, and not the start."""
        other = self._compared.get(result.path) if result.component == str(SH.LessThanConstraintComponent) else None
        if other is None:
            return result
        return replace(result, path=other, value=next(iter(data.objects(result.focus, rdflib.URIRef(other))), None))

    def _result(self, raw: RawResult, root: str) -> _Result | None:
        """None for what is said of another sort of node."""
        _, node, triples = raw
        said = {predicate: without_graph(value) for subject, predicate, value in triples if subject is node}
        focus, path = said[SH.focusNode], said.get(SH.resultPath)
        if not isinstance(focus, self._judged_nodes):
            return None
        return _Result(
            raw=raw,
            focus=focus,
            place="" if str(focus) == root else str(focus).rpartition("#")[2],
            path=str(path) if isinstance(path, rdflib.URIRef) else self._leading.get(str(said[SH.sourceShape]), ""),
            value=said.get(SH.value),
            message=str(said[SH.resultMessage]),
            component=str(said[SH.sourceConstraintComponent]),
            order=self._orders.get(str(said[SH.sourceShape]), 0),
            is_harmless=said[SH.resultSeverity] in _HARMLESS,
        )


_HARMLESS = (SH.Warning, SH.Info)


def _is_hierarchy(triple: ox.Triple) -> bool:
    """What is a subclass of what is not for the sender to say."""
    return triple.predicate.value == str(RDFS.subClassOf)


_COMPARISONS = {str(SH.LessThanConstraintComponent), str(SH.LessThanOrEqualsConstraintComponent)}
_LOOKING = (SH.path, SH.inversePath, SH.lessThan, SH.lessThanOrEquals, SH.equals, SH.disjoint, RDF.first)
"""Properties of shapes whose values are properties of the data (`rdf:first` for those in a path of several steps)."""


def _predicates_looked_at(graph: rdflib.Graph) -> Iterator[Node]:
    yield RDF.type
    for property_ in _LOOKING:
        yield from graph.objects(None, property_)


def _leading_alternatives(graph: rdflib.Graph) -> Iterator[tuple[Node, Node]]:
    """Shape → the first of the properties that it counts together."""
    for path, alternatives in graph.subject_objects(SH.alternativePath):
        first = graph.value(alternatives, RDF.first)
        yield from ((shape, first) for shape in graph.subjects(SH.path, path) if isinstance(first, rdflib.URIRef))


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
    focus = f"_:{result.focus}" if isinstance(result.focus, rdflib.BNode) else str(result.focus)
    place = pointer(focus, result.path, value)
    violation = Violation(place, result.path, _shortened(value), result.message, focus)
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
