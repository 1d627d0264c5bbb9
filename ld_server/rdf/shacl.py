"""
pySHACL, behind one door: what it judges by, what it is given, and what it found, in terms of pyoxigraph.

It is driven cheaply: its constraints are put together once and not for every look at a node, and where a property has no value
only those are asked that have something to say about that. Each verdict is still that of pySHACL's own constraint.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, TypeAlias

import pyoxigraph as ox
import rdflib
from pyshacl.constraints import CONSTRAINT_PARAMETERS_MAP
from pyshacl.constraints.constraint_component import ConstraintComponent
from pyshacl.constraints.core.cardinality_constraints import MinCountConstraintComponent
from pyshacl.constraints.core.other_constraints import HasValueConstraintComponent
from pyshacl.constraints.core.property_pair_constraints import EqualsConstraintComponent
from pyshacl.constraints.core.shape_based_constraints import QualifiedValueShapeConstraintComponent
from pyshacl.pytypes import SHACLExecutor
from pyshacl.shape import Shape
from pyshacl.shapes_graph import ShapesGraph
from rdflib.namespace import RDF, SH
from rdflib.term import Identifier, Node

from ld_server.rdf.terms import Statement, Statements, to_ox

RawResult: TypeAlias = tuple[str, Node, list[tuple[Node, Node, Any]]]
"""A result as pySHACL makes it: a text, the node of the result, and triples, whose objects may be pairs of a graph and a node."""
Values: TypeAlias = dict[Any, set[Any]]
"""Focus node → its value nodes."""


class Shapes(ShapesGraph):
    """
    The shapes of a graph of statements. `by_iri` has those with a name. One thread at a time.

    pySHACL asks for what is said of a shape in order to find the constraints, and compares every property with its forty parameters,
    one after the other. It is told of constraints alone, by shapes that remember them.
    """

    def __init__(self, graph: Statements) -> None:
        super().__init__(graph)
        self.constraints_of: dict[Node, list[tuple[Node, Node]]] = {}
        for shape, property_, value in graph.triples((None, None, None)):
            if property_ in CONSTRAINT_PARAMETERS_MAP:
                self.constraints_of.setdefault(shape, []).append((property_, value))
        self.by_iri = {str(shape.node): shape for shape in self.shapes}

    def judge(self, shape: str, data: rdflib.Graph, nodes: Iterable[Node]) -> list[RawResult]:
        """What is wrong with the nodes. Raises KeyError for an unknown shape."""
        return _judged(self.by_iri[shape], data, nodes)

    def judge_targets(self, data: rdflib.Graph, is_excused: Callable[[Node], bool]) -> list[RawResult]:
        """What is wrong with the nodes that each shape is about by its own word; nodes that are excused are not looked at."""
        found: list[RawResult] = []
        for shape in self.targeting:
            found.extend(_judged(shape, data, [node for node in shape.targeted(data) if not is_excused(node)]))
        return found

    @cached_property
    def targeting(self) -> "list[_Shape]":
        """The shapes that say what they are about, by name."""
        return sorted((shape for shape in self.shapes if shape.has_target), key=lambda shape: str(shape.node))

    def predicate_objects(self, subject: Node) -> list[tuple[Node, Node]]:
        return self.constraints_of.get(subject, [])

    def _build_node_shape_cache(self) -> None:
        super()._build_node_shape_cache()  # type: ignore[no-untyped-call]
        cache: dict[Any, Shape] = self._node_shape_cache
        for node, shape in cache.items():
            cache[node] = _Shape(self, node, shape.is_property_shape, shape._path, self.logger)


def _judged(shape: Any, data: rdflib.Graph, nodes: Iterable[Node]) -> list[RawResult]:
    results: list[RawResult] = shape.validate(SHACLExecutor(), data, focus=list(nodes))[1]
    return results


class _Shape(Shape):
    """A shape that puts its constraints together once."""

    def validate(
        self, executor: SHACLExecutor, target_graph: Any, focus: Any = None, _evaluation_path: list[Any] | None = None
    ) -> tuple[bool, list[RawResult]]:
        if self.deactivated:
            return True, []
        path = [*(_evaluation_path or ()), self]
        values = self.value_nodes(target_graph, [focus] if isinstance(focus, Identifier) else focus)
        conforms, results = True, []
        for constraint in self.constraints if any(values.values()) else self.about_nothing:
            fits, found = constraint.evaluate(executor, target_graph, values, [*path, constraint])
            conforms = conforms and fits
            results.extend(found)
        return conforms, results

    def value_nodes(self, target_graph: Any, focus: Any, sparql_mode: bool = False, debug: bool = False) -> Values:
        if not self.is_property_shape:
            return {node: {node} for node in focus}
        if isinstance(self._path, rdflib.URIRef):
            return {node: set(target_graph.objects(node, self._path)) for node in focus}
        values: Values = super().value_nodes(target_graph, focus)
        return values

    @cached_property
    def has_target(self) -> bool:
        """Whether the shape says what it is about."""
        return any(list(targets) for targets in self.target())  # type: ignore[no-untyped-call]

    def targeted(self, data: rdflib.Graph) -> set[Node]:
        """The nodes that it is about."""
        nodes: set[Node] = self.focus_nodes(data)  # type: ignore[no-untyped-call]
        return nodes

    @cached_property
    def constraints(self) -> list[ConstraintComponent]:
        """Every constraint of the shape, in the order in which they are written. Raises what pySHACL says of a malformed one."""
        asked: list[tuple[Node, Node]] = self.sg.predicate_objects(self.node)  # type: ignore[no-untyped-call]
        kinds = dict.fromkeys(CONSTRAINT_PARAMETERS_MAP[parameter] for parameter, _ in asked)
        return [_untold(kind(self)) for kind in kinds]

    @cached_property
    def about_nothing(self) -> list[ConstraintComponent]:
        """Those that may be violated where there is no value."""
        return [one for one in self.constraints if isinstance(one, _ABOUT_NOTHING)]


_ABOUT_NOTHING = (
    MinCountConstraintComponent, HasValueConstraintComponent, EqualsConstraintComponent, QualifiedValueShapeConstraintComponent,
)  # fmt: skip


def _untold(constraint: ConstraintComponent) -> ConstraintComponent:
    """
    The constraint, which says what it asks for in our words where its shape has no message, and does not write a text for each
    result: nobody reads it, and pySHACL spells out blank nodes there, at a cost without bound.
    """
    constraint.make_v_result_description = _no_text  # type: ignore[method-assign]
    constraint.make_generic_messages = lambda *_, **__: _sentence(constraint)  # type: ignore[method-assign]
    return constraint


def _no_text(*_: Any, **__: Any) -> str:
    return ""


# --- the report -------------------------------------------------------------------------------------------------------


def report(results: Iterable[RawResult]) -> tuple[ox.Triple, ...]:
    """SHACL's validation report; blank nodes of the data are named and not described."""
    top = rdflib.BNode()
    statements: dict[Any, None] = {(top, RDF.type, SH.ValidationReport): None, (top, SH.conforms, rdflib.Literal(False)): None}
    for _, node, said in results:
        statements[top, SH.result, node] = None
        for subject, predicate, value in said:
            statements[subject, predicate, without_graph(value)] = None
            if predicate == SH.resultPath:
                statements.update(dict.fromkeys(_spelled(*value)))
    return tuple(ox.Triple(to_ox(s), to_ox(p), to_ox(o)) for s, p, o in statements)


def _spelled(shapes: rdflib.Graph, path: Node) -> Iterator[Statement]:
    """What is said of a path that has no name."""
    ahead, seen = [path], set()
    while ahead:
        node = ahead.pop()
        if isinstance(node, rdflib.BNode) and node not in seen:
            seen.add(node)
            said = list(shapes.triples((node, None, None)))
            yield from said
            ahead.extend(value for _, _, value in said)


def without_graph(value: Any) -> Any:
    """The node alone, where pySHACL has put the graph beside it."""
    return value[1] if isinstance(value, tuple) else value


# --- words for shapes that bring none ---------------------------------------------------------------------------------

_WORDS = {
    SH.minCount: "must have {} or more values",
    SH.maxCount: "must not have more than {} value(s)",
    SH.datatype: "must be of the datatype {}",
    SH["class"]: "must be of the class {}",
    SH.nodeKind: "must be of the node kind {}",
    SH.minLength: "must have at least {} characters",
    SH.maxLength: "must have at most {} characters",
    SH.pattern: "must match {}",
    SH.languageIn: "must be in one of the languages that its shape lists",
    SH.uniqueLang: "must not have two values in one language",
    SH["in"]: "must be one of the values that its shape lists",
    SH.hasValue: "must have the value {}",
    SH.minInclusive: "must be at least {}",
    SH.minExclusive: "must be more than {}",
    SH.maxInclusive: "must be at most {}",
    SH.maxExclusive: "must be less than {}",
    SH.equals: "must have the same values as {}",
    SH.disjoint: "must not share a value with {}",
    SH.lessThan: "must be less than {}",
    SH.lessThanOrEquals: "must not be more than {}",
    SH.closed: "says more than its shape allows",
    SH.qualifiedValueShape: "must have another number of values that fit the shape",
}
"""Parameter of SHACL → what is asked for; whatever is not here asks for a value that fits another shape."""


def _sentence(constraint: ConstraintComponent) -> list[rdflib.Literal]:
    """What the constraint asks for, about the property as its shape names it."""
    asked = next((one for one in constraint.constraint_parameters() if one in _WORDS), None)
    values = " and ".join(_short(value) for value in constraint.shape.objects(asked)) if asked else ""  # type: ignore[no-untyped-call]
    words = _WORDS[asked].format(values) if asked else "does not fit the shape"
    return [rdflib.Literal(f"{name_of(constraint.shape)} {words}")]


def name_of(shape: Shape) -> str:
    """What people call the property that a shape is about."""
    name = next(iter(shape.name), None)
    return str(name) if name is not None else _short(shape._path) if isinstance(shape._path, rdflib.URIRef) else "this node"


def _short(term: Any) -> str:
    """The last part of an IRI, the text of a literal."""
    return re.split("[/#]", str(term))[-1] or str(term) if isinstance(term, rdflib.URIRef) else str(term)
