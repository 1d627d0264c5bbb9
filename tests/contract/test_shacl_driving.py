"""pySHACL is driven cheaply, and says word for word what it says when it is driven its own way."""

from typing import Any

import pytest
import rdflib
from pyshacl.constraints import ALL_CONSTRAINT_COMPONENTS, CONSTRAINT_PARAMETERS_MAP
from pyshacl.pytypes import SHACLExecutor
from pyshacl.shapes_graph import ShapesGraph
from rdflib.namespace import SH

from ld_server.rdf import shacl, vocab
from ld_server.rdf.shacl import Shapes, without_graph
from ld_server.rdf.terms import Statements
from tests.contract.test_shapes import CASES, ROOTS, VALIDATOR, WHOLE, Case, graph, with_change
from tests.costs import cost

PLAIN = ShapesGraph(Statements(VALIDATOR._ours._shapes.graph.triples((None, None, None))))
"""The same shapes in pySHACL's own hands."""


def said(results: list[Any]) -> set[tuple[str, ...]]:
    """Everything that the results say, without the names of their nodes, which are new each time."""
    return {
        tuple(sorted(f"{p} {'…' if p == SH.detail else repr(without_graph(o))}" for s, p, o in triples if s is node))
        for _, node, triples in results
    }


def both(data: rdflib.Graph, root: str, shape: str) -> tuple[set[Any], set[Any]]:
    judge = next(one for one in PLAIN.shapes if str(one.node) == shape)
    _, theirs = judge.validate(SHACLExecutor(), data, focus=[rdflib.URIRef(root)])
    return said(VALIDATOR._ours._shapes.judge(shape, data, [rdflib.URIRef(root)])), said(theirs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.constraint)
def test_every_wrong_value_is_judged_alike(case: Case) -> None:
    data = VALIDATOR._ours.data_graph(graph(case.kind, with_change(WHOLE[case.kind](), case.subject, case.name, case.values)))
    ours, theirs = both(data, ROOTS[case.kind], vocab.SHAPES + case.kind)
    assert ours == theirs
    assert case.alone or ours


@pytest.mark.parametrize("kind", ROOTS)
def test_what_lacks_anything_is_judged_alike(kind: str) -> None:
    whole = WHOLE[kind]()
    for subject, properties in whole.items():
        for name in properties:
            data = VALIDATOR._ours.data_graph(graph(kind, with_change(WHOLE[kind](), subject, name, None)))
            ours, theirs = both(data, ROOTS[kind], vocab.SHAPES + kind)
            assert ours == theirs, (subject, name)


ABOUT_NOTHING = {
    SH.minCount: "1",
    SH.maxCount: "1",
    SH.hasValue: "1",
    SH.equals: "ex:other",
    SH.disjoint: "ex:other",
    SH.lessThan: "ex:other",
    SH.lessThanOrEquals: "ex:other",
    SH["class"]: "ex:C",
    SH.datatype: "xsd:string",
    SH.nodeKind: "sh:IRI",
    SH.minLength: "1",
    SH.maxLength: "1",
    SH.pattern: '"a"',
    SH.languageIn: '("de")',
    SH.uniqueLang: "true",
    SH["in"]: "(1 2)",
    SH.minInclusive: "1",
    SH.minExclusive: "1",
    SH.maxInclusive: "1",
    SH.maxExclusive: "1",
    SH["not"]: "ex:T",
    SH["and"]: "(ex:T)",
    SH["or"]: "(ex:T)",
    SH.xone: "(ex:T ex:U)",
    SH.node: "ex:T",
    SH.property: "ex:P",
    SH.closed: "true",
    SH.qualifiedValueShape: "ex:T ; sh:qualifiedMinCount 1",
}
"""Parameter of SHACL → a value with which it could be violated where there is no value of the property."""


@pytest.mark.parametrize("parameter", ABOUT_NOTHING, ids=lambda parameter: parameter.rpartition("#")[2])
def test_a_constraint_that_is_not_asked_of_nothing_has_nothing_to_say_of_it(parameter: rdflib.URIRef) -> None:
    turtle = f"""@prefix sh: <{SH}> . @prefix ex: <http://ex.example/> . @prefix xsd: <{vocab.XSD}> .
        ex:S a sh:NodeShape ; sh:property ex:Asked . ex:Asked a sh:PropertyShape ; sh:path ex:p ; <{parameter}> {ABOUT_NOTHING[parameter]} .
        ex:T a sh:NodeShape ; sh:property ex:P . ex:U a sh:NodeShape ; sh:class ex:C .
        ex:P a sh:PropertyShape ; sh:path ex:q ; sh:minCount 1 ."""
    triples = list(rdflib.Graph().parse(data=turtle, format="turtle"))
    data = Statements([(rdflib.URIRef("urn:x"), rdflib.URIRef("http://ex.example/other"), rdflib.Literal(1))])
    _, plain = next(one for one in ShapesGraph(Statements(triples)).shapes if str(one.node).endswith("/S")).validate(
        SHACLExecutor(), data, focus=[rdflib.URIRef("urn:x")]
    )
    ours = Shapes(Statements(triples)).judge("http://ex.example/S", data, [rdflib.URIRef("urn:x")])
    assert len(said(ours)) == len(said(plain))
    assert bool(plain) == any(one in shacl._ABOUT_NOTHING for one in [CONSTRAINT_PARAMETERS_MAP[parameter]])


def test_every_constraint_of_shacl_core_has_been_looked_at() -> None:
    assert {CONSTRAINT_PARAMETERS_MAP[one] for one in ABOUT_NOTHING} == {
        one for one in ALL_CONSTRAINT_COMPONENTS if "SPARQL" not in one.__name__
    }


def test_it_is_clearly_cheaper() -> None:
    data = VALIDATOR._ours.data_graph(graph("RentAction", WHOLE["RentAction"]()))
    root, shape = rdflib.URIRef(ROOTS["RentAction"]), vocab.SHAPES + "RentAction"
    judge = next(one for one in PLAIN.shapes if str(one.node) == shape)

    cheap = cost(lambda: VALIDATOR._ours._shapes.judge(shape, data, [root]))
    assert cheap * 3 < cost(lambda: judge.validate(SHACLExecutor(), data, focus=[root]))
