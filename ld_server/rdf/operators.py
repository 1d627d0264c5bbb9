"""
Shapes of the operator: SHACL Core in `*.ttl` files of a directory, asked on every write beside ours.

A shape says itself what it is about (sh:targetClass and the like). Whatever could not be judged as it is meant is refused at start,
in one line that names the file: nobody must believe in a rule that is not there. Nothing is ever fetched.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import rdflib
from pyshacl.errors import ConstraintLoadError, ShapeLoadError
from rdflib.namespace import OWL, RDF, SH

from ld_server.rdf import vocab
from ld_server.rdf.shacl import Shapes
from ld_server.rdf.terms import Statements, from_ox, shape_value


class BrokenShapes(ValueError):
    """Shapes that cannot be used; the message names the file, or the shape, and what is wrong with it."""


def read_shapes(directory: Path) -> tuple[ox.Quad, ...]:
    """The statements of all `*.ttl` in a directory (not below it). Raises BrokenShapes."""
    if not directory.is_dir():
        raise BrokenShapes(f"{directory} is not a directory")
    files = {file: _parsed(file) for file in sorted(directory.glob("*.ttl"))}
    statements = tuple(quad for quads in files.values() for quad in quads)
    _refuse_unusable(statements)
    return statements


def _parsed(file: Path) -> list[ox.Quad]:
    """Raises BrokenShapes for what is no Turtle, and for what this server does not do with shapes."""
    try:
        quads = list(ox.parse(path=str(file), format=ox.RdfFormat.TURTLE, base_iri=file.as_uri(), rename_blank_nodes=True))
    except (SyntaxError, ValueError, OSError) as error:
        raise BrokenShapes(f"{file} is not Turtle: {error.args[0] if error.args else error}") from None
    for quad in quads:
        _refuse_beyond_core(file, quad)
    return quads


def _refuse_beyond_core(file: Path, quad: ox.Quad) -> None:
    if isinstance(quad.subject, ox.NamedNode) and quad.subject.value.startswith(vocab.SHAPES):
        raise BrokenShapes(f"{file} says something of {quad.subject.value}, a shape of this server; write a shape of your own beside it")
    for term in (quad.predicate, quad.object):
        if isinstance(term, ox.NamedNode) and term.value in _REFUSED:
            raise BrokenShapes(f"{file} uses {_REFUSED[term.value]}")


_BEYOND_CORE = (
    "sparql", "select", "ask", "construct", "SPARQLConstraint", "SPARQLRule", "SPARQLFunction", "SPARQLTarget", "SPARQLTargetType",
    "target", "rule",
    "expression", "js", "jsFunctionName", "jsLibrary", "JSConstraint", "JSRule", "JSFunction", "ConstraintComponent", "values",
)  # fmt: skip
_REFUSED = {
    **{vocab.SH + name: f"sh:{name}, which is not SHACL Core; only that is taken here" for name in _BEYOND_CORE},
    str(OWL.imports): "owl:imports, but nothing is ever fetched; put that file into the directory instead",
}
"""IRI → what is said of it."""


def _refuse_unusable(statements: Sequence[ox.Quad]) -> None:
    graph = Statements((from_ox(one.subject), from_ox(one.predicate), shape_value(one)) for one in statements)
    try:
        shapes = Shapes(graph)
        for shape in shapes.shapes:
            _refuse_unusable_shape(shape, graph)
    except (ShapeLoadError, ConstraintLoadError) as error:
        raise BrokenShapes(_first_line(error)) from None


def _refuse_unusable_shape(shape: Any, graph: rdflib.Graph) -> None:
    try:
        _ = shape.constraints
    except (re.error, AssertionError, TypeError, ValueError, AttributeError) as error:
        raise BrokenShapes(f"the shape {_name(shape.node)} has a value that cannot be used: {_first_line(error)}") from None
    if shape.is_property_shape and not _is_path(shape.path(), graph):
        raise BrokenShapes(f"the shape {_name(shape.node)} has a sh:path that is no property path")
    for other in _asked_for(shape.node, graph):
        if not list(graph.predicate_objects(other)):
            raise BrokenShapes(f"the shape {_name(shape.node)} asks for {_name(other)}, of which nothing is said")
    if not shape.has_target and next(graph.subjects(None, shape.node), None) is None:
        raise BrokenShapes(
            f"the shape {_name(shape.node)} is about nothing: it has no target, such as sh:targetClass, and none asks for it"
        )
    if shape.node in _reached(shape.node, graph):
        raise BrokenShapes(f"the shape {_name(shape.node)} asks for itself in the end, and SHACL does not say what that means")


def _is_path(path: Any, graph: rdflib.Graph, depth: int = 0) -> bool:
    """Whether it is a property path of SHACL, nested no deeper than pySHACL follows one."""
    if isinstance(path, rdflib.URIRef):
        return True
    said = dict(graph.predicate_objects(path))
    if depth > _DEEPEST_PATH or not isinstance(path, rdflib.BNode):
        return False
    steps = list(graph.items(path if RDF.first in said else said[SH.alternativePath])) if said.keys() & _SEVERAL_STEPS else []
    if steps:
        return len(steps) > 1 and all(_is_path(step, graph, depth + len(steps)) for step in steps)
    return len(said) == 1 and said.keys() <= _ONE_STEP and all(_is_path(step, graph, depth + 1) for step in said.values())


_SEVERAL_STEPS = {RDF.first, SH.alternativePath}
_ONE_STEP = {SH.inversePath, SH.zeroOrMorePath, SH.oneOrMorePath, SH.zeroOrOnePath}
_DEEPEST_PATH = 9


def _asked_for(node: Any, graph: rdflib.Graph) -> Iterator[Any]:
    """The shapes that a shape asks for by name, or in a list."""
    for parameter in (SH.property, SH.node, SH["not"], SH.qualifiedValueShape):
        yield from graph.objects(node, parameter)
    for parameter in (SH["and"], SH["or"], SH.xone):
        for several in graph.objects(node, parameter):
            yield from graph.items(several)


def _reached(node: Any, graph: rdflib.Graph) -> set[Any]:
    """The shapes that a shape asks for, those that they ask for, and so on."""
    found: set[Any] = set()
    ahead = list(_asked_for(node, graph))
    while ahead:
        if (one := ahead.pop()) not in found:
            found.add(one)
            ahead.extend(_asked_for(one, graph))
    return found


def _name(node: object) -> str:
    return f"<{node}>" if isinstance(node, rdflib.URIRef) else "without a name"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
