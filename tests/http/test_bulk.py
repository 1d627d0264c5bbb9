"""Many resources in one request: all of them or none, and a report on each that is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyoxigraph import BlankNode, NamedNode, parse

from ld_server.bootstrap import build
from ld_server.rdf import vocab
from ld_server.rdf.formats import FORMATS, JSON_LD, N_TRIPLES, RDF_XML, TRIG, TURTLE, Format
from ld_server.settings import Settings
from tests import factories
from tests.http.conftest import ASSETS, BASE, ITEM_TYPES, LD_JSON, RESERVATIONS, Site, open_site, problem

CONTEXT = ["https://schema.org", f"{BASE}/contexts/v1.jsonld"]
SCHEMA, RSV = "http://schema.org/", vocab.RSV


def item_types(*codes: str) -> list[dict[str, Any]]:
    return [factories.item_type(code) for code in codes]


def codes(members: list[dict[str, Any]]) -> list[str]:
    return [one["code"] for one in members]


def as_turtle(*names: str) -> bytes:
    nodes = [f'<urn:x:{name}> a s:Product ; s:sku "{name}" ; s:name "Timer" ; r:kind r:serialized .' for name in names]
    return f"@prefix s: <{SCHEMA}> . @prefix r: <{RSV}> .\n{chr(10).join(nodes)}".encode()


def as_triples(*names: str) -> bytes:
    return b"".join(f"{quad.subject} {quad.predicate} {quad.object} .\n".encode() for quad in parse(as_turtle(*names), TURTLE.rdf))


def as_rdf_xml(*names: str) -> bytes:
    nodes = "".join(
        f'<s:Product><s:sku>{name}</s:sku><s:name>Timer</s:name><r:kind rdf:resource="{RSV}serialized"/></s:Product>' for name in names
    )
    return f'<rdf:RDF xmlns:rdf="{vocab.RDF}" xmlns:s="{SCHEMA}" xmlns:r="{RSV}">{nodes}</rdf:RDF>'.encode()


BODIES: dict[str, tuple[Any, Format]] = {
    "an array": (item_types("A", "B", "C"), JSON_LD),
    "an array in which each has its context": (
        [{"@context": CONTEXT, "@type": "Product", **one} for one in item_types("A", "B", "C")],
        JSON_LD,
    ),
    "an array of many contexts": (
        [item_types("A")[0], {"@context": CONTEXT, **item_types("B")[0]}, {"@context": "https://schema.org", **item_types("C")[0]}],
        JSON_LD,
    ),
    "a graph": ({"@context": CONTEXT, "@graph": [{"@type": "Product", **one} for one in item_types("A", "B", "C")]}, JSON_LD),
    "a graph with names": (
        {"@context": CONTEXT, "@graph": [{"@id": f"urn:x:{one['code']}", "@type": "Product", **one} for one in item_types("A", "B", "C")]},
        JSON_LD,
    ),
    "a page of a collection": (
        {
            "@context": CONTEXT,
            "@type": "Collection",
            "totalItems": 3,
            "view": {"@type": "PartialCollectionView"},
            "member": item_types("A", "B", "C"),
        },
        JSON_LD,
    ),
    "Turtle": (as_turtle("A", "B", "C"), TURTLE),
    "TriG": (b"<urn:x:g> {" + as_triples("A", "B") + b"} <urn:x:h> {" + as_triples("C") + b"}", TRIG),
    "N-Triples": (as_triples("A", "B", "C"), N_TRIPLES),
    "RDF/XML": (as_rdf_xml("A", "B", "C"), RDF_XML),
}


@pytest.mark.parametrize("name", BODIES)
def test_many_are_created_in_the_order_in_which_they_stand(site: Site, name: str) -> None:
    body, form = BODIES[name]
    answer = site.post(ITEM_TYPES, body if isinstance(body, bytes) else orjson.dumps(body), Content_Type=form.media_type)
    assert answer.status_code == 201, answer.text
    assert "location" not in answer.headers
    assert (answer.json["@type"], answer.json["totalItems"]) == ("Collection", 3)
    assert codes(answer.json["member"]) == ["A", "B", "C"]
    assert [one["identifier"] for one in answer.json["member"]] == ["itemType_1", "itemType_2", "itemType_3"]
    for member in answer.json["member"]:
        stored = site.get(f"{ITEM_TYPES}/{member['identifier']}").json
        assert {key: value for key, value in stored.items() if key != "@context"} == member


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_the_new_ones_are_given_in_every_syntax(site: Site, form: Format) -> None:
    answer = site.post(ITEM_TYPES, item_types("A", "B"), Accept=form.media_type)
    assert answer.status_code == 201
    assert answer.headers["content-type"].split(";")[0] == form.media_type
    text = answer.text.replace(f'"{CONTEXT[0]}", "{CONTEXT[1]}"', "")
    if not form.json:
        triples = list(parse(answer.content, form.rdf))
        members = {quad.object for quad in triples if quad.predicate.value == vocab.HYDRA + "member"}
        assert members == {NamedNode(f"{BASE}{ITEM_TYPES}/itemType_{number}") for number in (1, 2)}
        assert {type(quad.subject) for quad in triples if quad.predicate.value == vocab.HYDRA + "member"} == {BlankNode}
    assert "itemType_2" in text


def test_a_page_that_was_read_can_be_posted_as_it_is(site: Site) -> None:
    site.reservation(site.item_type())
    site.reservation("itemType_1", 2)
    answer = site.post(RESERVATIONS, site.get(RESERVATIONS).content, Content_Type=LD_JSON)
    assert answer.status_code == 201, answer.text
    assert [(one["identifier"], one["requestedQuantity"]) for one in answer.json["member"]] == [("ra_3", 1), ("ra_4", 2)]


def test_each_has_its_events_and_waits_for_the_projector(site: Site) -> None:
    before = site.written()
    site.post(ITEM_TYPES, item_types("A", "B", "C"))
    after = site.written()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "itemType": 3,
        "events": 3,
        "projections": 3,
    }


def test_what_two_of_them_share_is_in_both(site: Site) -> None:
    site.item_type()
    alice = {"@id": "https://people.example/alice", "@type": "Person", "identifier": "alice"}
    answer = site.post(RESERVATIONS, [factories.reservation(agent=alice), factories.reservation(agent={"@id": alice["@id"]})])
    assert [one["agent"] for one in answer.json["member"]] == [alice, alice]


# --- all or none ------------------------------------------------------------------------------------------------------


def mixed() -> list[dict[str, Any]]:
    """Reservations of which three are wrong in ways that are noticed at different times."""
    return [
        factories.reservation(),
        factories.reservation(endTime="2027-02-01T08:00:00Z"),
        factories.reservation(),
        factories.several_lines(("itemType_1", 1), ("itemType_99", 1)),
        factories.reservation(prioritty="high"),
        factories.reservation(status="approved"),
    ]


def test_one_that_is_refused_stops_all_and_each_is_reported(either_site: Site) -> None:
    site = either_site
    site.item_type()
    before = site.written()
    found = problem(site.post(RESERVATIONS, {"@graph": mixed()}), "resources-refused", 422)
    assert site.written() == before
    told = [(one["index"], one["pointer"], one["type"].rpartition("/")[2], one["status"]) for one in found["reports"]]
    assert told == [
        (1, "/@graph/1", "shape-violation", 422),
        (3, "/@graph/3", "unknown-reference", 422),
        (4, "/@graph/4", "unknown-term", 422),
        (5, "/@graph/5", "shape-violation", 422),
    ]
    window, reference, term, status = found["reports"]
    assert [one["pointer"] for one in window["violations"]] == ["/@graph/1/endTime"]
    assert reference["detail"] == "object: itemType_99 does not exist."
    assert status["violations"][0]["pointer"] == "/@graph/5/status"
    assert term["suggestion"] == "priority"
    assert found["detail"].startswith("4 of 6 resources were refused, and nothing was created.")


@pytest.mark.parametrize("position", range(3))
def test_a_reference_that_is_missing_in_the_ledger_is_told_at_its_place(site: Site, position: int) -> None:
    site.item_type()
    many = [factories.reservation() for _ in range(3)]
    many[position] = factories.reservation(object=None, itemTypeId="itemType_99")
    found = problem(site.post(RESERVATIONS, many), "resources-refused", 422)
    pointing = [(one["index"], one["pointer"], one["identifier"]) for one in found["reports"]]
    assert pointing == [(position, f"/{position}", "itemType_99")]


def test_a_duplicate_is_told_with_the_resource_that_has_the_value(either_site: Site) -> None:
    site = either_site
    site.item_type("A")
    before = site.written()
    found = problem(site.post(ITEM_TYPES, item_types("B", "A", "C")), "resources-refused", 422)
    (report,) = found["reports"]
    assert (report["index"], report["status"], report["field"], report["resource"]) == (1, 409, "code", "itemType_1")
    assert site.written() == before


def test_a_duplicate_within_the_request_is_told_by_its_place(either_site: Site) -> None:
    found = problem(either_site.post(ITEM_TYPES, item_types("A", "B", "A")), "resources-refused", 422)
    (report,) = found["reports"]
    assert (report["index"], report["otherIndex"]) == (2, 0)
    assert report["detail"] == "code 'A' belongs to resource 0 of this request already."
    assert "resource" not in report


def test_what_is_no_json_is_reported_by_its_name(site: Site) -> None:
    body = as_turtle("A", "B").replace(b'"B"', b'"two words"')
    found = problem(site.post(ITEM_TYPES, body, Content_Type="text/turtle"), "resources-refused", 422)
    (report,) = found["reports"]
    assert report["focus"] == "urn:x:B"
    assert "pointer" not in report


def test_the_shacl_reports_are_one_report(site: Site) -> None:
    wrong = [factories.item_type("A", name=""), factories.item_type("B", kind="thing"), factories.item_type("C")]
    answer = site.post(ITEM_TYPES, wrong, Accept="text/turtle")
    assert answer.status_code == 422
    triples = list(parse(answer.content, TURTLE.rdf))
    assert len({one.subject for one in triples if one.object == NamedNode(vocab.SH + "ValidationReport")}) == 1
    assert len([one for one in triples if one.predicate.value == vocab.SH + "result"]) >= 2
    assert "/new-" not in answer.text


def test_a_problem_document_is_given_where_not_all_have_a_shacl_report(site: Site) -> None:
    problem(
        site.post(ITEM_TYPES, [factories.item_type("A", name=""), factories.item_type("B", colour=1)], Accept="text/turtle"),
        "resources-refused",
        422,
    )


# --- limits and keys --------------------------------------------------------------------------------------------------


@pytest.fixture
def narrow(settings: Settings, tmp_path: Path) -> Iterator[Site]:
    """A site that takes three resources at once, and fifty statements."""
    parts = build(Settings(data_dir=tmp_path, database_url=settings.database_url, sparql_url="memory:", max_resources=3, max_triples=60))
    yield open_site(parts)
    parts.close()


def test_there_is_a_limit_to_many(narrow: Site) -> None:
    assert narrow.post(ITEM_TYPES, item_types("A", "B", "C")).status_code == 201
    before = narrow.written()
    found = problem(narrow.post(ITEM_TYPES, item_types("D", "E", "F", "G")), "payload-too-large", 413)
    assert (found["limit"], found["found"]) == (3, 4)
    assert narrow.written() == before


def test_what_is_shared_counts_for_each_who_shares_it(narrow: Site) -> None:
    """A small body must not become a large one."""
    shared = {"@id": "https://people.example/alice", "identifier": "a", "ex:x": list(range(35))}
    graph = [factories.reservation(agent=shared), factories.reservation(agent={"@id": shared["@id"]})]
    body = {"@context": [*CONTEXT, {"ex": "http://ex.example/"}], "@graph": graph}
    found = problem(narrow.post(RESERVATIONS, body), "payload-too-large", 413)
    assert "share" in found["detail"]


def test_a_repeated_bulk_gets_the_same_answer_and_makes_nothing(site: Site) -> None:
    first = site.post(ITEM_TYPES, item_types("A", "B"), Idempotency_Key="k-1")
    before = site.written()
    again = site.post(ITEM_TYPES, item_types("A", "B"), Idempotency_Key="k-1")
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (201, first.content, "true")
    problem(site.post(ITEM_TYPES, item_types("A", "C"), Idempotency_Key="k-1"), "idempotency-mismatch", 422)
    assert site.written() == before


def test_a_bulk_needs_the_scope_of_one(site: Site) -> None:
    problem(site.post(ITEM_TYPES, item_types("A", "B"), key="planner"), "forbidden", 403)


def test_nothing_in_an_empty_array(site: Site) -> None:
    problem(site.post(ITEM_TYPES, []), "malformed-body", 400)


def test_the_units_of_a_new_fleet(site: Site) -> None:
    site.item_type()
    answer = site.post(ASSETS, [factories.asset(assetTag=f"TN-{number:03}", serialNumber=None) for number in range(100)])
    assert answer.status_code == 201
    assert site.get(ASSETS, query="limit=1").json["totalItems"] == 100
