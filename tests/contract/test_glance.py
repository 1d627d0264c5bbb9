"""What has its shape at first sight has it in pySHACL's eyes, too: whatever is wrong, there is doubt."""

from collections.abc import Iterator
from typing import Any

import pyoxigraph as ox
import pytest
import rdflib
from hypothesis import given, settings
from hypothesis import strategies as st
from pyshacl.constraints import CONSTRAINT_PARAMETERS_MAP
from rdflib.namespace import SH

from ld_server.rdf import vocab
from ld_server.rdf.glance import LOOKED_AT, Glance
from ld_server.rdf.shacl import Shapes
from ld_server.rdf.terms import Statements, from_ox, shape_value
from tests.contract.test_shacl_driving import ABOUT_NOTHING
from tests.contract.test_shapes import (
    CASES,
    DATATYPES,
    EVERY_PLACE,
    OPTIONAL,
    RIGHT,
    ROOTS,
    VALIDATOR,
    WHOLE,
    WRONG_VALUES,
    Case,
    Things,
    graph,
    least,
    many_lines,
    resolved,
    with_change,
)
from tests.costs import cost

OURS = VALIDATOR._ours


def is_sure(kind: str, things: Things, shape: str | None = None, focus: str = "") -> bool:
    """Whether the glance is sure; pySHACL must not find a thing then."""
    triples, root, name = graph(kind, things), resolved(kind, focus), vocab.SHAPES + (shape or kind)
    sure = OURS._glance.is_sure(triples, root, name)
    assert not (sure and OURS.judged_closely(triples, root, name).raw)
    return sure


@pytest.mark.parametrize("kind", ROOTS)
def test_what_is_stored_and_the_least_that_can_be_posted_are_sure(kind: str) -> None:
    assert is_sure(kind, WHOLE[kind]())
    assert is_sure(kind, least(kind))


def test_a_reservation_with_many_lines_is_sure() -> None:
    assert is_sure("RentAction", many_lines(500))
    assert not is_sure("RentAction", many_lines(501))


@pytest.mark.parametrize(("kind", "subject", "name", "values"), RIGHT, ids=lambda value: str(value)[:40])
def test_what_is_right_is_sure(kind: str, subject: str, name: str, values: str) -> None:
    assert is_sure(kind, with_change(WHOLE[kind](), subject, name, values))


@pytest.mark.parametrize("kind", ROOTS)
def test_whatever_may_be_left_out_may_be_left_out(kind: str) -> None:
    for other, subject, name in OPTIONAL:
        if other == kind:
            assert is_sure(kind, with_change(WHOLE[kind](), subject, name, None)), (subject, name)


@pytest.mark.parametrize("kind", ROOTS)
def test_what_lacks_anything_is_not_more_sure_than_pyshacl(kind: str) -> None:
    for subject, said in WHOLE[kind]().items():
        for name in said:
            is_sure(kind, with_change(WHOLE[kind](), subject, name, None))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.constraint)
def test_no_constraint_is_passed_over(case: Case) -> None:
    things = with_change(WHOLE[case.kind](), case.subject, case.name, case.values)
    shape = (case.shape, case.alone) if case.alone is not None else (case.kind, "")
    assert not is_sure(case.kind, things, *shape)


@pytest.mark.parametrize(("kind", "subject", "name", "values"), WRONG_VALUES, ids=lambda value: str(value)[:40])
def test_no_wrong_value_is_passed_over(kind: str, subject: str, name: str, values: str) -> None:
    assert not is_sure(kind, with_change(WHOLE[kind](), subject, name, values))


OTHERS = [f'"{text}"^^{datatype}' for text in ("1", "true", "2026-12-01T09:00:00Z", "PT4H", "{}", "") for datatype in DATATYPES]
NODES = ["<itemType_7>", "<kit_2>", "<#agent>", "<#line-1>", "<>", "[]", "rsv:approved", "schema:Product", '"x"@en', '"X"@EN']


@settings(max_examples=400, deadline=None)
@given(place=st.sampled_from(EVERY_PLACE), values=st.lists(st.sampled_from(OTHERS + NODES), min_size=1, max_size=3))
def test_whatever_stands_anywhere_is_not_more_sure_than_pyshacl(place: tuple[str, str, str], values: list[str]) -> None:
    kind, subject, name = place
    is_sure(kind, with_change(WHOLE[kind](), subject, name, ", ".join(values)))


def test_a_shape_that_there_is_not_is_never_sure() -> None:
    assert not is_sure("RentAction", WHOLE["RentAction"](), "NoSuchShape")


# --- constraint by constraint -----------------------------------------------------------------------------------------

PREFIXES = f"@prefix sh: <{SH}> . @prefix ex: <http://ex.example/> . @prefix xsd: <{vocab.XSD}> . @prefix rdf: <{vocab.RDF}> ."
ASKED = {
    **{parameter: [value] for parameter, value in ABOUT_NOTHING.items()},
    SH.minCount: ["0", "1", "2"],
    SH.maxCount: ["0", "1"],
    SH["class"]: ["ex:C"],
    SH.datatype: [*DATATYPES, "rdf:langString"],
    SH.nodeKind: ["sh:IRI", "sh:Literal", "sh:BlankNode", "sh:IRIOrLiteral", "sh:BlankNodeOrIRI", "sh:BlankNodeOrLiteral"],
    SH.minLength: ["0", "2"],
    SH.maxLength: ["0", "2"],
    SH.pattern: ['"a"', '"^a$"', '"^[0-9]+$"', '"a" ; sh:flags "i"'],
    SH["in"]: ['(1 "a" true ex:a)'],
    SH.minInclusive: ["1", '"2026-12-01T09:00:00Z"^^xsd:dateTime', '"a"', "1.5"],
    SH.maxInclusive: ["1", '"2026-12-01T09:00:00Z"^^xsd:dateTime', "1.5"],
    SH["not"]: ["ex:T", "ex:U", "ex:Number"],
    SH["or"]: ["(ex:T ex:U)", "(ex:Number ex:U)"],
    SH.node: ["ex:T", "ex:U", "ex:Number", "ex:Unheard"],
}
VALUES = (
    "1", "2", "01", "1.0", "true", '"1"^^xsd:boolean', '"a"', '"A"', '"a\\n"', '"aaa"', '""', '"a"@en', "ex:a", "ex:c", "[]",
    '"2026-12-01T09:00:00Z"^^xsd:dateTime', '"2026-12-01T09:00:00.5Z"^^xsd:dateTime', '"2026-12-01T10:00:00+01:00"^^xsd:dateTime',
    '"never"^^xsd:dateTime', '"PT4H"^^xsd:duration', '"P1Y"^^xsd:duration', '"{}"^^rdf:JSON', '"{"^^rdf:JSON', '"1"^^ex:unknown', "",
)  # fmt: skip
OF_OTHER = ("", "ex:other 1", "ex:other 2", 'ex:other "2026-12-01T09:00:00Z"^^xsd:dateTime', 'ex:other "a"', "ex:other [], 3")


def triples_of(turtle: str) -> list[ox.Triple]:
    return [quad.triple for quad in ox.parse(f"{PREFIXES} {turtle}", format=ox.RdfFormat.TURTLE)]


SHAPE = """ex:S a sh:NodeShape ; sh:property ex:Asked . ex:Asked a sh:PropertyShape ; sh:path ex:p ; <{parameter}> {asked} .
    ex:T a sh:NodeShape ; sh:property ex:P . ex:U a sh:NodeShape ; sh:class ex:C . ex:Number a sh:NodeShape ; sh:datatype xsd:integer .
    ex:P a sh:PropertyShape ; sh:path ex:q ; sh:minCount 1 ."""
DATA = [
    triples_of(f"{f'ex:root ex:p {value} .' if value else ''} {f'ex:root {other} .' if other else ''} ex:a a ex:C ; ex:q 1 . ex:c ex:q 1 .")
    for value in VALUES
    for other in OF_OTHER
]
LOOKED_AT_HERE = frozenset({vocab.TYPE, *(f"http://ex.example/{name}" for name in ("p", "q", "other"))})


def sure_of(shape: str) -> Iterator[bool]:
    """Of which of the data the glance is sure; pySHACL must not find a thing in these."""
    shapes = Statements((from_ox(one.subject), from_ox(one.predicate), shape_value(one)) for one in triples_of(shape))
    judge, glance = Shapes(shapes), Glance(shapes, LOOKED_AT_HERE)
    for triples in DATA:
        sure = glance.is_sure(triples, "http://ex.example/root", "http://ex.example/S")
        if sure:
            data = Statements((from_ox(one.subject), from_ox(one.predicate), from_ox(one.object)) for one in triples)
            assert not judge.judge("http://ex.example/S", data, [rdflib.URIRef("http://ex.example/root")])
        yield sure


@pytest.mark.parametrize("parameter", ASKED, ids=lambda parameter: parameter.rpartition("#")[2])
def test_each_constraint_is_sure_only_where_pyshacl_finds_nothing(parameter: Any) -> None:
    found = [sure for asked in ASKED[parameter] for sure in sure_of(SHAPE.format(parameter=parameter, asked=asked))]
    assert any(found) == (parameter in LOOKED_AT)


def test_every_parameter_of_shacl_is_looked_at_or_a_cause_of_doubt() -> None:
    assert set(CONSTRAINT_PARAMETERS_MAP) >= LOOKED_AT
    assert set(ASKED) >= LOOKED_AT


CHANGING = {
    "a severity": "ex:Asked sh:severity sh:Warning .",
    "a shape that is switched off": "ex:S sh:deactivated true .",
    "a path of several steps": "ex:S sh:property [ sh:path ( ex:p ex:q ) ; sh:minCount 1 ] .",
    "a way back": "ex:S sh:property [ sh:path [ sh:inversePath ex:p ] ; sh:minCount 1 ] .",
    "a shape that asks for itself": "ex:Asked sh:node ex:S .",
    "a constraint of another sort": "ex:S sh:closed true .",
}


@pytest.mark.parametrize("name", CHANGING)
def test_a_shape_with_more_in_it_is_never_sure(name: str) -> None:
    shape = f"ex:S a sh:NodeShape ; sh:property ex:Asked . ex:Asked a sh:PropertyShape ; sh:path ex:p ; sh:maxCount 1 . {CHANGING[name]}"
    plain = shape.removesuffix(CHANGING[name])
    for turtle, expected in ((plain, True), (shape, False)):
        shapes = Statements((from_ox(one.subject), from_ox(one.predicate), shape_value(one)) for one in triples_of(turtle))
        glance = Glance(shapes, frozenset({vocab.TYPE, "http://ex.example/p"}))
        assert glance.is_sure(triples_of("ex:root ex:p 1 ."), "http://ex.example/root", "http://ex.example/S") is expected


def test_it_is_clearly_cheaper() -> None:
    triples, root, shape = graph("RentAction", WHOLE["RentAction"]()), ROOTS["RentAction"], vocab.SHAPES + "RentAction"

    assert cost(lambda: OURS._glance.is_sure(triples, root, shape)) * 4 < cost(lambda: OURS.judged_closely(triples, root, shape))
