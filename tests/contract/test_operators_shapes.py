"""Shapes of the operator: asked beside ours for the nodes that they are about, and refused at start when they could not be judged."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from ld_server.bootstrap import build
from ld_server.cli import upkeep
from ld_server.domain.errors import ShapeViolation
from ld_server.rdf import vocab
from ld_server.rdf.codecs import Limits
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import JSON, TURTLE
from ld_server.rdf.naming import Naming
from ld_server.rdf.operators import BrokenShapes, read_shapes
from ld_server.rdf.published import data_directory
from ld_server.rdf.validation import Validator
from ld_server.resources import KINDS, PATHS
from ld_server.resources.intake import take_in
from ld_server.services.parts import Parts
from ld_server.settings import InvalidSetting, Settings
from relational import tables
from tests import factories

BASE = "http://localhost:8000"
CONTEXTS, NAMING = Contexts(data_directory("contexts"), BASE), Naming(BASE, PATHS)
EX = "http://ex.example/"
HEAD = f"""
@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix schema: <http://schema.org/> . @prefix rsv: <{vocab.RSV}> . @prefix ex: <{EX}> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
"""

COST_CENTRE = """
ex:CostCentre a sh:NodeShape ; sh:targetClass schema:RentAction ;
  sh:property [ sh:path ex:costCentre ; sh:name "costCentre" ; sh:minCount 1 ; sh:maxCount 1 ; sh:pattern "^K[0-9]{4}$" ;
                sh:message "costCentre must be given, as in K1234" ] .
"""


def validator(directory: Path, *files: str) -> Validator:
    """Ours with these files of an operator."""
    directory.mkdir(exist_ok=True)
    for number, text in enumerate(files):
        (directory / f"{number}.ttl").write_text(HEAD + text, encoding="utf-8")
    return Validator([data_directory("shapes")], read_shapes(directory), NAMING)


def posted(judge: Validator, kind: str, body: dict[str, Any] | bytes) -> dict[str, Any]:
    if isinstance(body, bytes):
        return take_in(body, TURTLE, KINDS[kind], NAMING, CONTEXTS, judge, Limits())
    whole = {"@context": [*CONTEXTS.reference, {"ex": EX}], **body}
    return take_in(orjson.dumps(whole), JSON, KINDS[kind], NAMING, CONTEXTS, judge, Limits())


def refused(judge: Validator, kind: str, body: dict[str, Any] | bytes) -> ShapeViolation:
    with pytest.raises(ShapeViolation) as caught:
        posted(judge, kind, body)
    return caught.value


def told(refusal: ShapeViolation) -> set[tuple[str, str]]:
    return {(one.pointer, one.message) for one in refusal.violations}


def test_a_property_of_the_operators_own_can_be_demanded(tmp_path: Path) -> None:
    judge = validator(tmp_path, COST_CENTRE)
    assert posted(judge, "rentAction", factories.reservation(**{"ex:costCentre": "K1234"}))[f"{EX}costCentre"] == "K1234"
    refusal = refused(judge, "rentAction", factories.reservation(**{"ex:costCentre": "1234"}))
    assert told(refusal) == {("/ex:costCentre", "costCentre must be given, as in K1234")}
    assert refusal.detail == 'costCentre must be given, as in K1234 (not "1234").'
    assert told(refused(judge, "rentAction", factories.reservation())) == {
        ("/http:~1~1ex.example~1costCentre", "costCentre must be given, as in K1234")
    }


def test_our_shapes_and_theirs_are_told_together(tmp_path: Path) -> None:
    refusal = refused(validator(tmp_path, COST_CENTRE), "rentAction", factories.reservation(requestedQuantity=0))
    assert {one.path for one in refusal.violations} == {vocab.REQUESTED_QUANTITY, f"{EX}costCentre"}
    results = [one for one in refusal.report if one.predicate.value == vocab.SH + "result"]
    assert len(results) == 2


def test_other_kinds_are_left_alone(tmp_path: Path) -> None:
    judge = validator(tmp_path, COST_CENTRE)
    posted(judge, "itemType", factories.item_type())
    posted(judge, "asset", factories.asset())


def test_a_shape_about_item_types_does_not_judge_those_that_are_only_referred_to(tmp_path: Path) -> None:
    judge = validator(tmp_path, "ex:W a sh:NodeShape ; sh:targetClass schema:Product ; sh:property [ sh:path ex:weight ; sh:minCount 1 ] .")
    refused(judge, "itemType", factories.item_type())
    posted(judge, "itemType", factories.item_type(**{"ex:weight": 4}))
    posted(judge, "asset", factories.asset())
    posted(judge, "rentAction", factories.reservation())


TARGETS = {
    "sh:targetClass": "sh:targetClass ex:Crew",
    "sh:targetSubjectsOf": "sh:targetSubjectsOf ex:lead",
    "sh:targetObjectsOf": "sh:targetObjectsOf ex:crew",
    "an implicit class": "a rdfs:Class",
    "a class below": "sh:targetClass ex:Group . ex:Crew rdfs:subClassOf ex:Group",
    "sh:targetNode": "sh:targetNode ex:crew-1",
}


@pytest.mark.parametrize("name", TARGETS)
def test_every_sort_of_target_finds_its_nodes(tmp_path: Path, name: str) -> None:
    shape = f"ex:Crew a sh:NodeShape ; sh:property [ sh:path ex:size ; sh:minInclusive 2 ] ; {TARGETS[name]} ."
    judge = validator(tmp_path, shape)
    crew = {"@id": "ex:crew-1", "@type": "ex:Crew", "ex:lead": "Ann", "ex:size": 1}
    assert told(refused(judge, "rentAction", factories.reservation(**{"ex:crew": crew}))) == {
        ("/ex:crew/ex:size", "size must be at least 2")
    }
    posted(judge, "rentAction", factories.reservation(**{"ex:crew": {**crew, "ex:size": 2}}))


def test_what_is_a_subclass_is_not_for_the_sender_to_say(tmp_path: Path) -> None:
    judge = validator(tmp_path, "ex:S a sh:NodeShape ; sh:targetSubjectsOf ex:crew ; sh:property [ sh:path ex:crew ; sh:class ex:Crew ] .")
    body = {
        "ex:crew": {"@type": "ex:Robot"},
        "ex:about": {"@id": f"{EX}Robot", "http://www.w3.org/2000/01/rdf-schema#subClassOf": {"@id": f"{EX}Crew"}},
    }
    refused(judge, "rentAction", factories.reservation(**body))


def test_a_warning_refuses_nothing(tmp_path: Path) -> None:
    warning = COST_CENTRE.replace("sh:message", "sh:severity sh:Warning ; sh:message")
    posted(validator(tmp_path, warning), "rentAction", factories.reservation())


WORDS = {
    "sh:minCount 2": "x must have 2 or more values",
    "sh:datatype xsd:date": "x must be of the datatype date",
    "sh:class ex:Crew": "x must be of the class Crew",
    "sh:nodeKind sh:IRI": "x must be of the node kind IRI",
    "sh:minLength 5": "x must have at least 5 characters",
    "sh:maxLength 0": "x must have at most 0 characters",
    "sh:in ( 1 2 )": "x must be one of the values that its shape lists",
    "sh:hasValue 7": "x must have the value 7",
    "sh:minExclusive 5": "x must be more than 5",
    "sh:maxInclusive 1": "x must be at most 1",
    "sh:maxExclusive 1": "x must be less than 1",
    "sh:equals ex:y": "x must have the same values as y",
    "sh:disjoint ex:z": "x must not share a value with z",
    "sh:lessThan ex:y": "x must be less than y",
    "sh:lessThanOrEquals ex:y": "x must not be more than y",
    "sh:not [ sh:minInclusive 1 ]": "x does not fit the shape",
    "sh:languageIn ( 'de' )": "x must be in one of the languages that its shape lists",
    "sh:qualifiedValueShape [ sh:minInclusive 9 ] ; sh:qualifiedMinCount 1": "x must have another number of values that fit the shape",
}


@pytest.mark.parametrize("constraint", WORDS)
def test_a_shape_without_a_message_is_told_in_words_of_ours(tmp_path: Path, constraint: str) -> None:
    judge = validator(tmp_path, f"ex:S a sh:NodeShape ; sh:targetClass schema:RentAction ; sh:property [ sh:path ex:x ; {constraint} ] .")
    refusal = refused(judge, "rentAction", factories.reservation(**{"ex:x": 3, "ex:y": 2, "ex:z": 3}))
    assert WORDS[constraint] in {one.message for one in refusal.violations}
    assert "/new-" not in str(refusal.members) + str(refusal.report)


DATATYPES = {
    "decimal": ("1.5", "1,5"),
    "double": ("1.5e3", "much"),
    "float": ("INF", "1.5e"),
    "date": ("2027-02-28", "2027-02-30"),
    "time": ("08:00:00", "8:00"),
    "positiveInteger": ("1", "0"),
    "unsignedByte": ("255", "256"),
    "long": ("-5", "5.0"),
    "int": ("7", "seven"),
    "anyURI": ("urn:x", None),
    "gYear": ("2027", None),
    "boolean": ("true", "yes"),
    "dateTime": ("2027-01-01T00:00:00Z", "2027-01-01"),
}


@pytest.mark.parametrize("name", DATATYPES)
def test_a_shape_may_ask_for_any_datatype(tmp_path: Path, name: str) -> None:
    right, wrong = DATATYPES[name]
    judge = validator(
        tmp_path, f"ex:S a sh:NodeShape ; sh:targetClass schema:RentAction ; sh:property [ sh:path ex:x ; sh:datatype xsd:{name} ] ."
    )
    posted(judge, "rentAction", factories.reservation(**{"ex:x": {"@value": right, "@type": vocab.XSD + name}}))
    refused(judge, "rentAction", factories.reservation(**{"ex:x": {"@value": right, "@type": EX + "other"}}))
    if wrong is not None:
        refused(judge, "rentAction", factories.reservation(**{"ex:x": {"@value": wrong, "@type": vocab.XSD + name}}))


EVERYTHING = f"""
ex:S a sh:NodeShape ; sh:targetClass schema:RentAction, ex:Crew ; sh:targetObjectsOf ex:crew ; sh:nodeKind sh:IRI ;
  sh:property [ sh:path ex:x ; {" ; ".join(WORDS)} ; sh:uniqueLang true ; sh:pattern "^a" ; sh:minInclusive 4 ] ;
  sh:property [ sh:path ( ex:crew [ sh:zeroOrMorePath ex:crew ] ) ; sh:maxCount 1 ; sh:node ex:T ] ;
  sh:property [ sh:path [ sh:inversePath ex:crew ] ; sh:minCount 1 ] ;
  sh:xone ( [ sh:property [ sh:path ex:x ; sh:minCount 1 ] ] [ sh:property [ sh:path ex:y ; sh:minCount 1 ] ] ) ;
  sh:closed true ; sh:ignoredProperties ( ex:z ) .
ex:T sh:property [ sh:path [ sh:alternativePath ( ex:y [ sh:oneOrMorePath ex:crew ] ) ] ; sh:minCount 2 ; sh:nodeKind sh:BlankNode ] .
"""
values = st.one_of(
    st.text(max_size=8).map(ox.Literal),
    st.sampled_from(
        [("5", "integer"), ("x", "integer"), ("2027-01-01T00:00:00Z", "dateTime"), ("2027-01-01T00:00:00", "dateTime"), ("1.5", "decimal")]
    ).map(lambda one: ox.Literal(one[0], datatype=ox.NamedNode(vocab.XSD + one[1]))),
    st.just(ox.Literal("a", language="en")),
    st.integers(0, 3).map(lambda number: ox.BlankNode(f"b{number}")),
    st.integers(0, 2).map(lambda number: ox.NamedNode(f"{EX}n{number}")),
)
nodes = st.one_of(st.integers(0, 3).map(lambda number: ox.BlankNode(f"b{number}")), st.just(ox.NamedNode(f"{BASE}/v1/rent-actions/new-1")))
statements = st.lists(st.tuples(nodes, st.sampled_from(["x", "y", "z", "crew"]), values), max_size=12)


@settings(max_examples=100, deadline=None)
@given(statements)
def test_no_data_whatever_makes_a_shape_fail(everything: Validator, drawn: Sequence[Any]) -> None:
    root = f"{BASE}/v1/rent-actions/new-1"
    triples = [ox.Triple(one, ox.NamedNode(EX + name), value) for one, name, value in drawn]
    triples += [ox.Triple(ox.NamedNode(root), ox.NamedNode(vocab.TYPE), ox.NamedNode(vocab.RENT_ACTION))]
    with pytest.raises(ShapeViolation) as caught:
        everything.check(triples, root, vocab.SHAPES + "RentAction")
    assert ox.serialize(caught.value.report, format=ox.RdfFormat.N_TRIPLES)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Validator:
    return validator(tmp_path_factory.mktemp("shapes"), EVERYTHING)


# --- at start ---------------------------------------------------------------------------------------------------------

BROKEN = {
    "no Turtle": ("this is not", "0.ttl is not Turtle"),
    "owl:imports": ("<> owl:imports <http://evil.example/shapes> .", "nothing is ever fetched"),
    "SPARQL": (
        'ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:sparql [ sh:select "SELECT $this {}" ] .',
        "sh:sparql, which is not SHACL Core",
    ),
    "a target by SPARQL": ('ex:S a sh:NodeShape ; sh:target [ a sh:SPARQLTarget ; sh:select "SELECT ?this {}" ] .', "not SHACL Core"),
    "JavaScript": ("ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:js [] .", "sh:js, which is not SHACL Core"),
    "a component of its own": ("ex:C a sh:ConstraintComponent .", "not SHACL Core"),
    "a word about a shape of ours": (
        "<https://w3id.org/ld-reservations/shapes#RentAction> sh:property [ sh:path ex:x ; sh:minCount 1 ] .",
        "a shape of your own",
    ),
    "no target": ("ex:S a sh:NodeShape ; sh:property [ sh:path ex:x ; sh:minCount 1 ] .", "<http://ex.example/S> is about nothing"),
    "a property shape that nobody uses": ("ex:P a sh:PropertyShape ; sh:path ex:x ; sh:minCount 1 .", "is about nothing"),
    "a number that is none": (
        'ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:property [ sh:path ex:x ; sh:minCount "one" ] .',
        "sh:minCount",
    ),
    "two counts": ("ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:property [ sh:path ex:x ; sh:maxCount 1, 2 ] .", "sh:maxCount"),
    "a pattern that is none": (
        'ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:property [ sh:path ex:x ; sh:pattern "(" ] .',
        "cannot be used",
    ),
    "a property shape without a path": (
        "ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:property [ a sh:PropertyShape ; sh:minCount 1 ] .",
        "sh:path",
    ),
    "a shape that is not there": ("ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:node ex:Nowhere .", "of which nothing is said"),
    "a shape that asks for itself": (
        "ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:property [ sh:path ex:x ; sh:or ( ex:T ) ] . ex:T a sh:NodeShape ; sh:node ex:S .",
        "asks for itself",
    ),
    "a path of one step in a list": (
        "ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:property [ sh:path ( ex:y ) ; sh:minCount 1 ] .",
        "path",
    ),
    "a path that is none": ("ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:property [ sh:path [ ex:y ex:z ] ; sh:minCount 1 ] .", "path"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_could_not_be_judged_is_refused_at_start_in_one_line(tmp_path: Path, name: str) -> None:
    text, reason = BROKEN[name]
    with pytest.raises(BrokenShapes, match=reason) as caught:
        validator(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"LD_SHAPES_DIR: .*nowhere is not a directory"):
        build(Settings(data_dir=tmp_path, sparql_url="memory:", shapes_dir=str(tmp_path / "nowhere")))


def test_files_of_other_names_and_below_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no Turtle")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "x.ttl").write_text("no Turtle")
    assert len(read_shapes(tmp_path)) == 0


# --- ld-server check --------------------------------------------------------------------------------------------------


def parts_of(settings: Settings, **changes: Any) -> Parts:
    return build(Settings(data_dir=settings.data_dir, database_url=settings.database_url, sparql_url="memory:", **changes))


def fill(parts: Parts, count: int, **changes: Any) -> None:
    """Documents of item types, straight into the ledger."""
    document = posted(Validator([data_directory("shapes")]), "itemType", factories.item_type(**changes))
    rows = []
    for number in range(1, count + 1):
        own = {"@context": CONTEXTS.reference, "@id": NAMING.iri(f"itemType_{number}"), "identifier": f"itemType_{number}"}
        body = orjson.dumps({**document, **own}).decode()
        rows.append({"identifier": f"itemType_{number}", "kind": "itemType", "number": number, "revision": 1, "body": body})
    with parts.ledger.write() as uow:
        uow.documents._connection.execute(insert(tables.documents), rows)


def test_check_tells_which_documents_have_come_to_be_out_of_shape(settings: Settings, tmp_path: Path) -> None:
    fill(parts_of(settings), 8)
    assert upkeep._shapes(parts_of(settings)) == (False, "8 documents conform")
    validator(
        tmp_path / "shapes", "ex:W a sh:NodeShape ; sh:targetClass schema:Product ; sh:property [ sh:path ex:weight ; sh:minCount 1 ] ."
    )
    trouble, said = upkeep._shapes(parts_of(settings, shapes_dir=str(tmp_path / "shapes")))
    assert trouble
    assert said.startswith("8 of 8 documents do not conform: itemType_1 (weight must have 1 or more values) itemType_2")
    assert said.endswith("and 3 more")


def test_check_does_not_hold_the_documents_in_memory(settings: Settings) -> None:
    parts = parts_of(settings)
    fill(parts, 600, description="x" * 50_000)
    tracemalloc.start()
    assert upkeep._shapes(parts)[0] is False
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15_000_000, f"{peak:,} bytes of 30,000,000"
