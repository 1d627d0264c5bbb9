"""Adoption: one graph, one spelling, whatever was posted."""

import orjson
import pytest
from pyld import jsonld

from ld_server.domain.errors import MalformedBody, ShapeViolation, UnknownContext, UnknownReference, UnknownTerm
from ld_server.rdf import codecs
from ld_server.rdf.formats import JSON_LD, N_QUADS, N_TRIPLES, RDF_XML, TRIG, TURTLE
from ld_server.resources import KINDS
from tests.factories import asset, item_type, reservation, several_lines
from tests.unit.conftest import BASE, canonical

RSV = "https://w3id.org/ld-reservations#"
ITEM = f"{BASE}/v1/catalog/item-types/itemType_1"

PLAIN = reservation(agent={"@type": "Person", "identifier": "alice"}, description="Stage timing")
TURTLE_TEXT = f"""
@prefix s: <https://schema.org/> . @prefix r: <{RSV}> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<> a s:RentAction ; s:agent [ a s:Person ; s:identifier "alice" ] ; s:description "Stage timing" ;
   s:object <{ITEM}> ; r:requestedQuantity 1 ;
   s:startTime "2027-03-01T09:00:00+01:00"^^xsd:dateTime ; s:endTime "2027-03-02T08:00:00Z"^^xsd:dateTime .
"""


def expanded(reader):
    document = {"@context": reader.contexts.inline, "@type": "RentAction", **PLAIN, "object": ITEM}
    return jsonld.expand(document, {"base": BASE})


def prefixed():
    names = {"agent": "s:agent", "description": "s:description", "object": "s:object", "startTime": "s:startTime", "endTime": "s:endTime"}
    times = {"startTime", "endTime"}
    values = {name: {"@value": PLAIN[name], "@type": "xsd:dateTime"} if name in times else PLAIN[name] for name in names}
    values["object"] = {"@id": ITEM}
    values["agent"] = {"@type": "s:Person", "s:identifier": "alice"}
    context = {"s": "http://schema.org/", "r": RSV, "xsd": "http://www.w3.org/2001/XMLSchema#"}
    return {"@context": context, "@type": "s:RentAction", "r:requestedQuantity": 1, **{names[key]: value for key, value in values.items()}}


def in_other_syntax(reader, form):
    adopted = reader.adopt(TURTLE_TEXT.encode(), TURTLE)
    return codecs.write(adopted.triples, form, adopted.root)


WAYS = {
    "plain JSON": lambda reader: (PLAIN, JSON_LD),
    "JSON-LD in our context": lambda reader: ({"@context": reader.contexts.reference, "@type": "RentAction", **PLAIN}, JSON_LD),
    "JSON-LD in schema.org's context alone": lambda reader: ({"@context": "https://schema.org", "@type": "RentAction", **PLAIN}, JSON_LD),
    "expanded JSON-LD": lambda reader: (expanded(reader), JSON_LD),
    "prefixes": lambda reader: (prefixed(), JSON_LD),
    "https IRIs": lambda reader: (orjson.dumps(prefixed()).replace(b"http://schema.org/", b"https://schema.org/"), JSON_LD),
    "a graph of one": lambda reader: ({"@context": reader.contexts.reference, "@graph": [{"@type": "RentAction", **PLAIN}]}, JSON_LD),
    "the flat key": lambda reader: ({**{k: v for k, v in PLAIN.items() if k != "object"}, "itemTypeId": "itemType_1"}, JSON_LD),
    "a reference by identifier": lambda reader: ({**PLAIN, "object": {"@type": "Product", "identifier": "itemType_1"}}, JSON_LD),
    "a reference as it is given back": lambda reader: (
        {**PLAIN, "object": {"@id": ITEM, "@type": "Product", "identifier": "itemType_1", "name": "TimerNode"}},
        JSON_LD,
    ),
    "one line": lambda reader: (several_lines(("itemType_1", 1), agent=PLAIN["agent"], description="Stage timing"), JSON_LD),
    "Turtle": lambda reader: (TURTLE_TEXT.encode(), TURTLE),
    "N-Triples": lambda reader: (in_other_syntax(reader, N_TRIPLES), N_TRIPLES),
    "N-Quads": lambda reader: (in_other_syntax(reader, N_QUADS), N_QUADS),
    "TriG": lambda reader: (in_other_syntax(reader, TRIG), TRIG),
    "RDF/XML": lambda reader: (in_other_syntax(reader, RDF_XML), RDF_XML),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_post_a_reservation_gives_the_same_graph(reader, way):
    posted, form = WAYS[way](reader)
    plain = reader.adopt(PLAIN)
    adopted = reader.adopt(posted, form)
    assert canonical(adopted.triples, adopted.root) == canonical(plain.triples, plain.root)


def test_times_are_written_in_utc(reader):
    document = reader.document(reservation(startTime="2027-03-01T09:00:00+01:00"))
    assert document["startTime"] == "2027-03-01T08:00:00Z"


def test_an_agent_may_be_a_name_alone(reader):
    document = reader.document(reservation(agent="alice@example.org"))
    assert document["agent"] == {"@id": document["@id"] + "#agent", "@type": "Person", "identifier": "alice@example.org"}


def test_an_agent_may_be_a_bare_name_where_an_iri_is_expected(reader):
    document = reader.document(reservation(agent={"@id": "alice"}))
    assert document["agent"] == {"@id": document["@id"] + "#agent", "@type": "Person", "identifier": "alice"}


def test_an_agent_with_an_iri_of_its_own_keeps_it(reader):
    document = reader.document(reservation(agent={"@id": "https://people.example/alice", "@type": "Organization", "identifier": "a"}))
    assert document["agent"] == {"@id": "https://people.example/alice", "@type": "Organization", "identifier": "a"}


def test_lines_keep_their_order_and_get_names(reader):
    document = reader.document(several_lines(("itemType_9", 3), ("itemType_2", 1)))
    lines = [(line["@id"].partition("#")[2], line["object"]["identifier"], line["requestedQuantity"]) for line in document["lineItems"]]
    assert lines == [("line-1", "itemType_9", 3), ("line-2", "itemType_2", 1)]


def test_what_only_the_server_says_is_left_out_so_that_a_representation_can_be_posted_back(reader):
    posted = reservation(
        identifier="ra_9", actionStatus="ActiveActionStatus", createdBy="eve", createdAt="2020-01-01T00:00:00Z", allocatedQuantity=7,
        allocations=[{"@id": "#alloc_1", "@type": "Allocation", "identifier": "alloc_1", "quantity": 1}],
    )  # fmt: skip
    fresh, back = reader.adopt(reservation()), reader.adopt(posted)
    assert canonical(back.triples, back.root) == canonical(fresh.triples, fresh.root)


def test_statements_in_other_vocabularies_are_kept(reader):
    posted = {
        "@context": [*reader.contexts.reference, {"ex": "http://ex.example/"}],
        **reservation(),
        "ex:crew": {"@list": ["Ann", {"@value": "Björn", "@language": "sv"}, 4.5]},
        "ex:truck": {"@id": "http://ex.example/truck", "ex:axles": {"ex:count": 3}},
    }
    document = reader.document(posted)
    assert document["http://ex.example/crew"] == {"@list": ["Ann", {"@value": "Björn", "@language": "sv"}, 4.5]}
    assert document["http://ex.example/truck"]["http://ex.example/axles"] == {"http://ex.example/count": 3}


REFUSED = {
    "a misspelt key": (reservation(startTme="x"), UnknownTerm, "Did you mean startTime?"),
    "a misspelt key in other case": (reservation(PRIORTY="high"), UnknownTerm, "Did you mean priority?"),
    "a misspelt key in a line": (several_lines(lineItems=[{"requestdQuantity": 1}]), UnknownTerm, "Did you mean requestedQuantity?"),
    "a key of another kind": (reservation(assetTag="T-1"), UnknownTerm, "assetTag is not a known property of a reservation"),
    "an unknown class": (reservation(agent={"@type": "Persn", "identifier": "a"}), UnknownTerm, "Did you mean Person?"),
    "another class": (reservation(**{"@type": "Product"}), ShapeViolation, "@type must be RentAction"),
    "a remote context": ({"@context": "https://evil.example/c", **reservation()}, UnknownContext, "no context is ever fetched"),
    "a remote context inside": (
        {"@context": {"x": {"@id": "http://x.example/", "@context": "https://evil.example/c"}}}, UnknownContext, "ever fetched"
    ),
    "a remote import": ({"@context": {"@version": 1.1, "@import": "https://evil.example/c"}}, UnknownContext, "no context is ever fetched"),
    "a reference to a thing elsewhere": (reservation(object="https://shop.example/7"), UnknownReference, "object must name a resource"),
    "a reference to another kind": (reservation(object="asset_1"), UnknownReference, "object must name a resource"),
    "statements about another resource": (
        reservation(object={"@id": ITEM, "color": "red"}), ShapeViolation, "object may only be referred to here"
    ),
    "lines that contradict": (several_lines(("itemType_1", 2), requestedQuantity=3, object="itemType_1"), ShapeViolation, "sum"),
    "two reservations": ({"@graph": [reservation(), reservation()]}, MalformedBody, "describes 2 resources"),
    "no statement": ([], MalformedBody, "holds no statement"),
    "no object": ("text", MalformedBody, "neither a JSON object nor an array"),
    "a direction": ({"description": {"@value": "a", "@language": "ar", "@direction": "rtl"}}, MalformedBody, "direction"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_adopted_is_refused_with_a_reason(reader, name):
    posted, refusal, reason = REFUSED[name]
    with pytest.raises(refusal, match=reason.replace("?", r"\?")):
        reader.adopt(posted)


def test_a_loose_statement_is_refused(reader):
    with pytest.raises(MalformedBody, match="not connected"):
        reader.adopt(TURTLE_TEXT.encode() + b"<http://x.example/loose> <http://x.example/p> <http://x.example/loose> .", TURTLE)


@pytest.mark.parametrize(("levels", "is_taken"), [(30, True), (40, False), (20_000, False)])
def test_nodes_are_nested_no_deeper_than_they_can_be_written(reader, levels, is_taken):
    nested = b"<http://x.example/p> " + b"[ <http://x.example/p> " * levels + b"1" + b" ]" * levels
    posted = TURTLE_TEXT.rstrip(" .\n").encode() + b" ; " + nested + b" ."
    if is_taken:
        assert reader.document(posted, TURTLE)
    else:
        with pytest.raises(MalformedBody, match="nested deeper than 32 levels"):
            reader.adopt(posted, TURTLE)


def test_a_long_list_is_not_deep(reader):
    posted = TURTLE_TEXT.rstrip(" .\n").encode() + b" ; <http://x.example/p> ( " + b"1 " * 15_000 + b") ."
    assert len(reader.document(posted, TURTLE)["http://x.example/p"]["@list"]) == 15_000


def test_what_only_looks_like_a_long_list_is_deep(reader):
    cells = b"[ <http://x.example/p> 1 ; <http://www.w3.org/1999/02/22-rdf-syntax-ns#rest> " * 5_000 + b"1" + b" ]" * 5_000
    posted = TURTLE_TEXT.rstrip(" .\n").encode() + b" ; <http://x.example/p> " + cells + b" ."
    with pytest.raises(MalformedBody, match="nested deeper"):
        reader.adopt(posted, TURTLE)


def test_a_status_that_only_a_step_can_give_is_refused(reader):
    with pytest.raises(ShapeViolation, match="draft or pending"):
        KINDS["rentAction"].to_create(reader.document(reservation(status="approved")))


def test_an_asset_refers_to_its_item_type(reader):
    document = reader.document(asset("itemType_3"), kind="asset")
    assert document["isVariantOf"]["@id"] == f"{BASE}/v1/catalog/item-types/itemType_3"


def test_metadata_is_json_for_its_own_sake(reader):
    metadata = {"@context": "https://evil.example/", "@id": 5, "list": [1.0, None, {"deep": []}]}
    assert reader.document(item_type(metadata=metadata), kind="itemType")["metadata"] == metadata
