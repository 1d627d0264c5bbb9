"""The three kinds of resources: made, read in every syntax, listed, filtered and paged."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyoxigraph import NamedNode, parse

from ld_server.bootstrap import build
from ld_server.rdf import vocab
from ld_server.rdf.formats import FORMATS, Format
from ld_server.resources import KINDS
from ld_server.settings import Settings
from tests import factories
from tests.http.conftest import ASSETS, BASE, ITEM_TYPES, LD_JSON, RESERVATIONS, Site, open_site, problem

PATHS = {"itemType": ITEM_TYPES, "asset": ASSETS, "rentAction": RESERVATIONS}
CLASSES = {"itemType": vocab.PRODUCT, "asset": vocab.INDIVIDUAL_PRODUCT, "rentAction": vocab.RENT_ACTION}


def bodies() -> dict[str, dict[str, Any]]:
    return {"itemType": factories.item_type("TN-9"), "asset": factories.asset(), "rentAction": factories.reservation()}


@pytest.fixture
def fleet(site: Site) -> Site:
    """One of each kind."""
    item = site.item_type()
    site.asset(item)
    site.reservation(item)
    return site


@pytest.mark.parametrize("kind", PATHS)
def test_a_new_resource_says_where_it_is_and_what_it_is(fleet: Site, kind: str) -> None:
    answer = fleet.post(PATHS[kind], bodies()[kind])
    iri = f"{BASE}{PATHS[kind]}/{KINDS[kind].prefix}_2"
    assert answer.status_code == 201
    assert (answer.headers["location"], answer.headers["content-location"]) == (iri, iri)
    assert (answer.headers["etag"], answer.headers["content-type"], answer.headers["vary"]) == ('"1-jsonld"', LD_JSON, "Accept")
    assert (answer.json["@id"], answer.json["identifier"]) == (iri, f"{KINDS[kind].prefix}_2")
    assert fleet.get(f"{PATHS[kind]}/{KINDS[kind].prefix}_2").json == answer.json


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_a_resource_is_read_in_every_syntax(fleet: Site, kind: str, form: Format) -> None:
    identifier = f"{KINDS[kind].prefix}_1"
    answer = fleet.get(f"{PATHS[kind]}/{identifier}", Accept=form.media_type)
    assert answer.headers["content-type"].split(";")[0] == form.media_type
    assert answer.headers["etag"] == f'"1-{form.key}"'
    if form.json:
        assert answer.json["@id"] == f"{BASE}{PATHS[kind]}/{identifier}"
    else:
        root = NamedNode(f"{BASE}{PATHS[kind]}/{identifier}")
        types = {
            quad.object.value for quad in parse(answer.content, form.rdf) if quad.subject == root and quad.predicate.value == vocab.TYPE
        }
        assert CLASSES[kind] in types


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_a_resource_can_be_made_with_its_answer_in_every_syntax(fleet: Site, kind: str, form: Format) -> None:
    answer = fleet.post(PATHS[kind], bodies()[kind], Accept=form.media_type)
    assert answer.status_code == 201
    assert answer.headers["content-type"].split(";")[0] == form.media_type
    assert answer.content == fleet.get(f"{PATHS[kind]}/{KINDS[kind].prefix}_2", Accept=form.media_type).content


@pytest.mark.parametrize("profile", ["compacted", "expanded", "flattened"])
def test_json_ld_comes_in_its_profiles(fleet: Site, profile: str) -> None:
    answer = fleet.get(f"{RESERVATIONS}/ra_1", Accept=f'{LD_JSON};profile="http://www.w3.org/ns/json-ld#{profile}"')
    assert isinstance(answer.json, dict if profile == "compacted" else list)
    assert (profile in answer.headers["content-type"]) is (profile != "compacted")
    assert (profile in answer.headers["etag"]) is (profile != "compacted")


def test_json_and_json_ld_are_the_same_bytes_under_two_tags(fleet: Site) -> None:
    plain, linked = (fleet.get(f"{RESERVATIONS}/ra_1", Accept=name) for name in ("application/json", LD_JSON))
    assert plain.content == linked.content
    assert plain.headers["etag"] != linked.headers["etag"]


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_a_collection_is_read_in_every_syntax(fleet: Site, kind: str, form: Format) -> None:
    answer = fleet.get(PATHS[kind], Accept=form.media_type)
    assert answer.headers["content-type"].split(";")[0] == form.media_type
    iri, member = f"{BASE}{PATHS[kind]}", f"{BASE}{PATHS[kind]}/{KINDS[kind].prefix}_1"
    if form.json:
        found = answer.json
        assert (found["@id"], found["@type"], found["totalItems"]) == (iri, "Collection", 1)
        assert [one["@id"] for one in found["member"]] == [member]
    else:
        triples = {(quad.subject, quad.predicate, quad.object) for quad in parse(answer.content, form.rdf)}
        assert (NamedNode(iri), NamedNode(vocab.HYDRA + "member"), NamedNode(member)) in triples


def test_an_empty_collection_is_a_collection(site: Site) -> None:
    assert site.get(ASSETS).json["member"] == []
    for form in FORMATS:
        assert site.get(ASSETS, Accept=form.media_type).status_code == 200


def test_paging_shows_everything_once_although_something_is_written_meanwhile(site: Site) -> None:
    first = [site.item_type(f"TN-{number}") for number in range(5)]
    answer = site.get(ITEM_TYPES, query="limit=2")
    seen = [one["identifier"] for one in answer.json["member"]]
    site.item_type("TN-late")
    while "next" in answer.json["view"]:
        following = answer.json["view"]["next"]
        assert answer.headers["link"].endswith(f"<{following}>; rel=next")
        answer = site.get(ITEM_TYPES, query=following.partition("?")[2])
        seen += [one["identifier"] for one in answer.json["member"]]
    assert seen == [*first, "itemType_6"]
    assert "rel=next" not in answer.headers["link"]
    assert answer.json["totalItems"] == 6


def test_a_page_keeps_its_filters(site: Site) -> None:
    item = site.item_type()
    for number in range(3):
        site.asset(item, assetTag=f"T-{number}", location="Hall 1" if number else "Hall 2")
    answer = site.get(ASSETS, query="location=Hall+1&limit=1")
    assert (answer.json["totalItems"], answer.json["@id"]) == (2, f"{BASE}{ASSETS}?location=Hall+1")
    second = site.get(ASSETS, query=answer.json["view"]["next"].partition("?")[2])
    assert [one["assetTag"] for one in second.json["member"]] == ["T-2"]


FILTERED = [
    (ITEM_TYPES, "", 3),
    (ITEM_TYPES, "code=A", 1),
    (ITEM_TYPES, "kind=serialized", 2),
    (ITEM_TYPES, "kind=fungible", 1),
    (ITEM_TYPES, "isActive=false", 1),
    (ITEM_TYPES, "isActive=true&kind=serialized", 1),
    (ASSETS, "itemTypeId=itemType_1", 2),
    (ASSETS, "itemTypeId=itemType_1&status=available", 1),
    (ASSETS, "itemTypeId=itemType_2", 0),
    (ASSETS, "itemTypeId=&status=&location=", 2),
    (ASSETS, "location=Hall%202", 1),
    (RESERVATIONS, "status=&startFrom=&endUntil=&externalRef=", 3),
    (RESERVATIONS, "status=pending", 2),
    (RESERVATIONS, "status=draft", 1),
    (RESERVATIONS, "startFrom=2027-03-02T08:00:00Z", 2),
    (RESERVATIONS, "startFrom=2027-03-02T09:00:00%2B01:00", 2),
    (RESERVATIONS, "endUntil=2027-03-03T08:00:00Z", 2),
    (RESERVATIONS, "startFrom=2027-03-02T08:00:00Z&endUntil=2027-03-03T08:00:00Z", 1),
    (RESERVATIONS, "externalRef=event-123", 1),
    (RESERVATIONS, "externalRef=event", 0),
    (RESERVATIONS, "priority=urgent", 1),
]


@pytest.fixture(scope="module")
def sqlite_copy(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path_factory.mktemp('varied') / 'ledger.db')}"


@pytest.fixture(scope="module")
def postgres_copy(postgres_server: Any) -> str:
    return str(postgres_server.url(postgres_server.new_database()))


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def varied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with some of everything, read by all the filters; on each engine in turn."""
    url = request.getfixturevalue(f"{request.param}_copy")
    parts = build(Settings(data_dir=tmp_path_factory.mktemp("data"), database_url=url, sparql_url="memory:"))
    site = open_site(parts)
    site.item_type("A")
    site.item_type("B", isActive=False)
    site.item_type("C", kind="fungible")
    site.asset("itemType_1", assetTag="T-1", location="Hall 1")
    site.asset("itemType_1", assetTag="T-2", location="Hall 2", status="maintenance")
    for day, changes in enumerate([{"status": "draft"}, {"externalRef": "event-123"}, {"priority": "urgent"}], start=1):
        site.reservation("itemType_1", startTime=f"2027-03-0{day}T08:00:00Z", endTime=f"2027-03-0{day + 1}T08:00:00Z", **changes)
    yield site
    parts.close()


@pytest.mark.parametrize(("path", "query", "count"), FILTERED)
def test_filters_narrow_a_collection(varied: Site, path: str, query: str, count: int) -> None:
    answer = varied.get(path, query=query)
    assert answer.status_code == 200, answer.text
    assert (answer.json["totalItems"], len(answer.json["member"])) == (count, count)


def test_a_tag_answers_that_nothing_has_changed(fleet: Site) -> None:
    for path in (f"{RESERVATIONS}/ra_1", RESERVATIONS, f"{RESERVATIONS}/ra_1/allocations", "/", "/shapes/asset"):
        first = fleet.get(path)
        again = fleet.get(path, If_None_Match=f'"other", W/{first.headers["etag"]}')
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["vary"] == "Accept"
        assert "content-type" not in again.headers
        assert fleet.get(path, If_None_Match='"other"').status_code == 200


def test_a_tag_of_another_syntax_does_not_answer(fleet: Site) -> None:
    tag = fleet.get(f"{RESERVATIONS}/ra_1").headers["etag"]
    assert fleet.get(f"{RESERVATIONS}/ra_1", Accept="text/turtle", If_None_Match=tag).status_code == 200


def test_a_tag_changes_with_the_resource(fleet: Site) -> None:
    tag = fleet.get(f"{RESERVATIONS}/ra_1").headers["etag"]
    fleet.post(f"{RESERVATIONS}/ra_1/cancel")
    answer = fleet.get(f"{RESERVATIONS}/ra_1", If_None_Match=tag)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2-jsonld"')


def test_reading_under_if_match_is_refused_when_it_does_not_hold(fleet: Site) -> None:
    assert fleet.get(f"{RESERVATIONS}/ra_1", If_Match='"1-jsonld"').status_code == 200
    problem(fleet.get(f"{RESERVATIONS}/ra_1", If_Match='"7-jsonld"'), "precondition-failed", 412)


@pytest.mark.parametrize(
    "identifier",
    ["ra_2", "ra_0", "ra_01", "ra_-1", "ra_99999999999999999999", "itemType_1", "alloc_1", "nonsense", "ra_1%00", "ra_%D9%A1", "RA_1"],
)
def test_what_is_not_there_is_not_found(fleet: Site, identifier: str) -> None:
    problem(fleet.get(f"{RESERVATIONS}/{identifier}"), "not-found", 404)
    problem(fleet.get(f"{RESERVATIONS}/{identifier}/allocations"), "not-found", 404)
    problem(fleet.post(f"{RESERVATIONS}/{identifier}/approve"), "not-found", 404)


def test_every_answer_carries_a_correlation_id(fleet: Site) -> None:
    for path, key in ((RESERVATIONS, "admin"), ("/nowhere", None), (RESERVATIONS, None), ("/health/live", None)):
        assert fleet.get(path, key=key, X_Correlation_Id="order-77").headers["x-correlation-id"] == "order-77"
        assert len(fleet.get(path, key=key, X_Correlation_Id="not visible").headers["x-correlation-id"]) == 32


def test_the_correlation_id_of_a_request_is_that_of_its_events(fleet: Site) -> None:
    fleet.post(f"{RESERVATIONS}/ra_1/approve", X_Correlation_Id="order-77")
    with fleet.parts.ledger.read() as uow:
        told = [one.entry for one in uow.outbox.of_subject("ra_1")]
    assert {one.correlation_id for one in told if one.type == "rentAction.approved"} == {"order-77"}
    assert orjson.loads(told[-1].body)["meta"]["correlationId"] == "order-77"


def test_addresses_come_from_the_settings_and_not_from_the_host_header(fleet: Site) -> None:
    answer = fleet.get(RESERVATIONS, Host="evil.example", X_Forwarded_Host="evil.example")
    assert "evil" not in answer.text + str(dict(answer.headers))


SPELLINGS = {
    "application/json": orjson.dumps(factories.reservation(description="Spring fair")),
    LD_JSON: orjson.dumps(
        {
            "@context": "http://schema.org/",
            "@type": "RentAction",
            "https://w3id.org/ld-reservations#requestedQuantity": 1,
            "object": {"@id": f"{BASE}{ITEM_TYPES}/itemType_1"},
            "agent": {"@type": "Person", "identifier": "alice@example.org", "name": "Alice"},
            "startTime": "2027-03-01T08:00:00Z",
            "endTime": "2027-03-02T08:00:00Z",
            "description": "Spring fair",
        }
    ),
    "text/turtle": b"""
        @prefix schema: <https://schema.org/> . @prefix rsv: <https://w3id.org/ld-reservations#> .
        @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
        <> a schema:RentAction ; schema:startTime "2027-03-01T08:00:00Z"^^xsd:dateTime ;
           schema:endTime "2027-03-02T09:00:00+01:00"^^xsd:dateTime ;
           schema:description "Spring fair" ; rsv:requestedQuantity 1 ; schema:object <itemType_1> ;
           schema:agent [ a schema:Person ; schema:identifier "alice@example.org" ; schema:name "Alice" ] .""",
    "application/rdf+xml": b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:schema="http://schema.org/"
           xmlns:rsv="https://w3id.org/ld-reservations#"><schema:RentAction>
        <schema:startTime rdf:datatype="http://www.w3.org/2001/XMLSchema#dateTime">2027-03-01T08:00:00Z</schema:startTime>
        <schema:endTime rdf:datatype="http://www.w3.org/2001/XMLSchema#dateTime">2027-03-02T08:00:00Z</schema:endTime>
        <schema:description>Spring fair</schema:description> <schema:object rdf:resource="itemType_1"/>
        <rsv:requestedQuantity rdf:datatype="http://www.w3.org/2001/XMLSchema#integer">1</rsv:requestedQuantity>
        <schema:agent><schema:Person schema:identifier="alice@example.org" schema:name="Alice"/></schema:agent>
        </schema:RentAction></rdf:RDF>""",
}
"""One reservation in the words of four sorts of clients."""


@pytest.mark.parametrize("media_type", SPELLINGS)
def test_one_reservation_may_be_written_in_many_ways(fleet: Site, media_type: str) -> None:
    answer = fleet.post(RESERVATIONS, SPELLINGS[media_type], Content_Type=f"{media_type}; charset=utf-8")
    assert answer.status_code == 201, answer.text
    plain = fleet.post(RESERVATIONS, SPELLINGS["application/json"], Content_Type="application/json")
    volatile = {"createdAt", "updatedAt"}
    first, second = (
        {key: value for key, value in orjson.loads(one.text.replace(one.json["identifier"], "ra")).items() if key not in volatile}
        for one in (answer, plain)
    )
    assert first == second


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_what_is_given_can_be_posted_again(fleet: Site, kind: str, form: Format) -> None:
    """A copy of a resource is a new one: what the service manages is not taken over."""
    path = f"{PATHS[kind]}/{KINDS[kind].prefix}_1"
    given = fleet.get(path, Accept=form.media_type).text.replace("TimerNode-v2", "TimerNode-v3")
    answer = fleet.post(PATHS[kind], given.encode(), Content_Type=form.media_type)
    assert answer.status_code == 201, answer.text
    assert answer.json["identifier"] == f"{KINDS[kind].prefix}_2"
