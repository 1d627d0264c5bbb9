"""
SHACL: whether a resource has the shape that is asked for, and what is wrong with it in words for the person who sent it.

pySHACL is the only judge. What is given to it is made harmless first: only statements that a shape can look at, no description of a
blank node (pySHACL spells those out in full, which costs without bound), no literal that Python reads more generously than XSD does.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import orjson
import pyoxigraph as ox
import rdflib
from pyshacl.pytypes import SHACLExecutor
from pyshacl.shapes_graph import ShapesGraph
from pyshacl.validator import Validator as ReportWriter
from rdflib.namespace import RDF, SH, XSD
from rdflib.term import Node

from ld_server.domain.errors import ShapeViolation, Violation

Pointer: TypeAlias = Callable[[str, str, object], str]
RawResult: TypeAlias = tuple[str, Node, list[tuple[Node, Node, Any]]]
"""A result as pySHACL has it: a text, the node of the result, and its triples, whose objects may be pairs (graph, node)."""

LONGEST_VALUE = 200
"""Characters of a wrong value that are given back; who sent it knows the rest."""

MOST_IN_DETAIL = 3
"""Violations that the sentence spells out; all of them are in `violations`."""


class Validator:
    """
    The shapes of `*.ttl` in some directories (not below them). They are read at the first check, and parsed once in each thread:
    pySHACL's shapes are not made for sharing.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = tuple(directories)
        self._local = threading.local()

    def check(self, triples: Sequence[ox.Triple], root: str, shape: str, pointer: Pointer | None = None) -> None:
        """
        Raises ShapeViolation unless the node `root` of the graph has the shape.

        `shape` is the IRI of a node shape; KeyError when there is none. `pointer(focus, path, value)` gives the JSON pointer of a
        wrong value, `path` being "" where a node is wrong as a whole. The `report` of the refusal is SHACL's, as triples.
        """
        shapes = self._shapes
        graph = shapes.data_graph(triples)
        conforms, results = shapes.named(shape).validate(SHACLExecutor(), graph, focus=[rdflib.URIRef(root)])
        if not conforms:
            _refuse(shapes, results, root, pointer or _nowhere)

    @property
    def _shapes(self) -> "_Shapes":
        if not hasattr(self._local, "shapes"):
            self._local.shapes = _Shapes(self._parsed)
        shapes: _Shapes = self._local.shapes
        return shapes

    @cached_property
    def _parsed(self) -> tuple[ox.Triple, ...]:
        files = [file for directory in self._directories for file in sorted(directory.glob("*.ttl"))]
        return tuple(_as_triple(quad) for file in files for quad in ox.parse(path=str(file), format=ox.RdfFormat.TURTLE))


def _as_triple(quad: ox.Quad) -> ox.Triple:
    return ox.Triple(quad.subject, quad.predicate, quad.object)


def _nowhere(focus: str, path: str, value: object) -> str:
    return ""


# --- shapes, one copy a thread ----------------------------------------------------------------------------------------


class _Shapes:
    """Parsed shapes, and what they look at."""

    def __init__(self, triples: Iterable[ox.Triple]) -> None:
        graph = _graph((_shape_term(t.subject), _shape_term(t.predicate), _shape_term(t.object)) for t in triples)
        self.graph = ShapesGraph(graph)
        self._by_node = {shape.node: shape for shape in self.graph.shapes}
        self.looked_at = frozenset(str(term) for term in _predicates_looked_at(graph))
        self.compared = {str(one): str(other) for one, other in _compared(graph)}

    def named(self, shape: str) -> Any:
        return self._by_node[rdflib.URIRef(shape)]

    def data_graph(self, triples: Sequence[ox.Triple]) -> rdflib.Graph:
        """The statements that a shape can look at, in rdflib's terms."""
        return _graph(
            (_term(t.subject), rdflib.URIRef(t.predicate.value), self._value(t))
            for t in triples
            if t.predicate.value in self.looked_at and not isinstance(t.subject, ox.BlankNode)
        )

    def _value(self, triple: ox.Triple) -> Node:
        """pySHACL raises where it is to compare blank nodes, instead of telling that they cannot be; as IRIs it does tell."""
        if isinstance(triple.object, ox.BlankNode) and triple.predicate.value in self._comparable:
            return rdflib.URIRef(str(triple.object))
        return _term(triple.object)

    @cached_property
    def _comparable(self) -> frozenset[str]:
        return frozenset((*self.compared.keys(), *self.compared.values()))
