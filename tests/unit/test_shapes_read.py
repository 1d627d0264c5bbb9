"""What shapes and schemas say, read for descriptions."""

from pathlib import Path
from typing import Any

import pytest

from ld_server.http.pages.interface import prose, said
from ld_server.http.schemas import KindSchemas
from ld_server.rdf import vocab
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.published import data_directory
from ld_server.rdf.shapes import Property, Shapes
from ld_server.resources import KINDS
from ld_server.resources.rent_action import RENT_ACTION

SHAPES = Shapes(data_directory("shapes"))
ENTRY = {one.path: one for one in SHAPES.shape(vocab.SHAPES + "StockPool").properties}
RESERVATION = {one.path: one for one in SHAPES.shape(vocab.SHAPES + "RentAction").properties}


def test_what_several_property_shapes_say_of_one_property_is_put_together() -> None:
    total = ENTRY[vocab.QUANTITY_TOTAL]
    assert (total.is_required, total.most, total.datatype) == (True, 1, vocab.INTEGER)
    assert total.message.startswith("quantityTotal must be a whole number")


def test_what_can_stand_in_place_of_something_is_told() -> None:
    choices = SHAPES.shape(vocab.SHAPES + "RentAction").choices
    assert choices == ((vocab.START_TIME, vocab.LENGTH), (vocab.END_TIME, vocab.LENGTH))
    assert not RESERVATION[vocab.START_TIME].is_required


def test_parts_are_described_with_their_own_properties() -> None:
    line = {one.path: one for one in RESERVATION[vocab.LINE_ITEMS].properties}
    assert line[vocab.OBJECT].is_required and line[vocab.REQUESTED_QUANTITY].lowest == 1
    assert RESERVATION[vocab.AGENT].one_of == (vocab.PERSON, vocab.ORGANIZATION)


def test_a_property_behind_a_path_of_several_steps_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "one.ttl").write_text(
        "@prefix sh: <http://www.w3.org/ns/shacl#> . <urn:s> a sh:NodeShape ; sh:property [ sh:path (<urn:a> <urn:b>) ; sh:minCount 1 ],"
        ' [ sh:path <urn:c> ; sh:in ("x" "y") ; sh:pattern "a", "b" ] .'
    )
    (only,) = Shapes(tmp_path).shape("urn:s").properties
    assert only == Property("urn:c", allowed=("x", "y"), patterns=only.patterns)
    assert set(only.patterns) == {"a", "b"}


def test_a_shape_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        SHAPES.shape("urn:nothing")


def test_comments_come_from_the_vocabulary() -> None:
    assert SHAPES.comment(vocab.LINE_ITEMS) == "A line of the reservation."
    assert SHAPES.comment(vocab.START_TIME) == ""


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_property_that_can_be_written_has_an_example(kind: Any) -> None:
    assert KindSchemas(kind, SHAPES, _contexts()).examples()["everything"]


def test_a_required_property_can_be_said_in_every_way_that_the_server_takes() -> None:
    request = KindSchemas(RENT_ACTION, SHAPES, _contexts()).request()
    ways, *times = [one["anyOf"] for one in request["allOf"]]
    assert [set(way["required"]) for way in ways][:3] == [
        {"lineItems"},
        {"object", "requestedQuantity"},
        {"itemTypeId", "requestedQuantity"},
    ]
    assert request["required"] == ["agent"]
    assert [[way["required"] for way in one] for one in times] == [[["startTime"], ["duration"]], [["endTime"], ["duration"]]]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/Asset"}, '<a href="#Asset">Asset</a>'),
        ({"enum": ["a", "<b>"]}, "one of <code>a</code>, <code>&lt;b&gt;</code>"),
        ({"type": "string", "format": "date-time"}, "string (date-time)"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "integer, at least 1, at most 9"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"const": "Collection"}, "<code>Collection</code>"),
        ({}, "any JSON"),
    ],
)
def test_a_schema_is_said_in_a_few_words(schema: Any, words: str) -> None:
    assert said(schema) == words


def test_prose_has_paragraphs_lists_and_code_and_nothing_else() -> None:
    assert prose("One.\n\n* `a`\n* <b>") == "<p>One.</p><ul><li><code>a</code></li><li>&lt;b&gt;</li></ul>"


def _contexts() -> Contexts:
    return Contexts(data_directory("contexts"), "http://localhost:8000")
