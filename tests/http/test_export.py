"""The dataset as one stream: in every syntax, from one point, in little memory, and going on from where the last one ended."""

import gzip
import itertools
import re
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import orjson
import pyoxigraph as ox
import pytest
from falcon import testing

from ld_server.rdf.formats import FORMATS, JSON_LD, N_QUADS, N_TRIPLES, RDF_XML, TRIG, TURTLE
from ld_server.resources import KINDS
from ld_server.services.exporting import BATCH
from ld_server.settings import Settings
from relational.documents import Authorship, Head
from tests import factories
from tests.http.conftest import ASSETS, BASE, ITEM_TYPES, RESERVATIONS, Site, problem, with_files_on_the_disk
from tests.http.test_csv import fill, open_transactions

EXPORT = "/v1/export"
NEXT = "https://w3id.org/ld-reservations#nextExport"


def dataset(site: Site, content: bytes, form: Any = N_QUADS) -> set[ox.Quad]:
    """What was exported; contexts that are named stand for ours."""
    if form.json:
        content = orjson.dumps({**orjson.loads(content), "@context": site.parts.contexts.inline})
    return set(ox.parse(content, form.rdf, base_iri=BASE))


def canonical(quads: Any) -> str:
    found = ox.Dataset(quads)
    found.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return "\n".join(sorted(map(str, found)))


def everything(site: Site, query: str = "") -> testing.Result:
    answer = site.get(EXPORT, query=query, key="admin", Accept=N_QUADS.media_type)
    assert answer.status_code == 200, answer.text
    return answer


def names(site: Site, answer: testing.Result) -> set[str]:
    """The identifiers of the resources that have a graph in it."""
    return {one.graph_name.value.rpartition("/")[2] for one in dataset(site, answer.content)}


def following(answer: testing.Result) -> str:
    """The query of the link to the next export."""
    found = re.search(rf'<[^>]*\?([^>]*)>; rel="{NEXT}"', answer.headers["link"])
    assert found, answer.headers["link"]
    return found[1]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_files_on_the_disk(settings)


@pytest.fixture
def fleet(site: Site) -> Site:
    item = site.item_type()
    site.asset(item, assetTag="TN-001", location="Ghent", metadata={"a": [1, None]})
    site.asset(item, assetTag="TN-002", location="Liège", description="Line 1\r\nLine 2 – ü")
    site.reservation(item, purpose="Spring fair")
    assert site.post(f"{RESERVATIONS}/ra_1/approve").status_code == 200
    return site


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_every_syntax_says_the_same(fleet: Site, form: Any) -> None:
    answer = fleet.get(EXPORT, key="admin", Accept=form.media_type)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == form.media_type
    expected = dataset(fleet, everything(fleet).content)
    if not (form.quads or form.json):
        expected = {ox.Quad(one.subject, one.predicate, one.object) for one in expected}
    assert canonical(dataset(fleet, answer.content, form)) == canonical(expected)


def test_each_resource_is_in_the_graph_of_its_name_as_it_is_read_alone(fleet: Site) -> None:
    whole = dataset(fleet, everything(fleet).content)
    assert {one.graph_name.value for one in whole} == {f"{BASE}{path}" for path in (
        f"{ITEM_TYPES}/itemType_1", f"{ASSETS}/asset_1", f"{ASSETS}/asset_2", f"{RESERVATIONS}/ra_1")}  # fmt: skip
    alone = dataset(fleet, fleet.get(f"{RESERVATIONS}/ra_1", Accept=N_QUADS.media_type).content)
    assert alone == {one for one in whole if one.graph_name == ox.NamedNode(f"{BASE}{RESERVATIONS}/ra_1")}


def post_nodes(site: Site, code: str) -> str:
    """An item type that has blank nodes."""
    body = {**factories.item_type(code), "additionalProperty": [{"@type": "PropertyValue", "name": "weight"}, {"name": "length"}]}
    body["@context"] = [f"{BASE}/contexts/v1.jsonld", "https://schema.org"]
    answer = site.post(ITEM_TYPES, body, Content_Type="application/ld+json")
    assert answer.status_code == 201, answer.text
    return str(answer.json["identifier"])


@pytest.mark.parametrize("form", [TURTLE, N_TRIPLES, RDF_XML, TRIG, JSON_LD], ids=lambda form: form.key)
def test_blank_nodes_of_two_resources_stay_two(site: Site, form: Any) -> None:
    for code in ("A", "B", "C"):
        post_nodes(site, code)
    found = dataset(site, site.get(EXPORT, key="admin", Accept=form.media_type).content, form)
    weights = [one.subject for one in found if one.object == ox.Literal("weight")]
    assert len(weights) == 3
    assert len({one.subject for one in found if isinstance(one.subject, ox.BlankNode)}) == 6


def test_what_rdf_xml_cannot_name_is_left_out_and_told(site: Site) -> None:
    body = {**factories.item_type(), "@context": [f"{BASE}/contexts/v1.jsonld", "https://schema.org"], "http://x.example/p/1": "one"}
    assert site.post(ITEM_TYPES, body, Content_Type="application/ld+json").status_code == 201
    content = site.get(EXPORT, key="admin", Accept=RDF_XML.media_type).text
    assert "left out" in content and "http://x.example/p/1" in content
    assert len(dataset(site, content.encode(), RDF_XML)) == len(dataset(site, everything(site).content)) - 1


# --- parts of it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=asset", {"asset_1", "asset_2"}),
        ("type=IndividualProduct", {"asset_1", "asset_2"}),
        ("type=http://schema.org/RentAction", {"ra_1"}),
        ("type=itemType,rentAction", {"itemType_1", "ra_1"}),
        ("type=demandSignal", set()),
        ("location=Ghent", {"asset_1"}),
        ("location=Ghent&type=itemType", set()),
        ("since=2000-01-01T00:00:00Z&type=asset", {"asset_1", "asset_2"}),
        ("since=2999-01-01T00:00:00Z", set()),
        ("until=2000-01-01T00:00:00Z", set()),
        ("until=2999-01-01T00:00:00Z&type=rentAction", {"ra_1"}),
    ],
)
def test_a_part_of_it_can_be_asked_for(fleet: Site, query: str, expected: set[str]) -> None:
    assert names(fleet, everything(fleet, query)) == expected


@pytest.mark.parametrize(
    "query", ["type=aset", "since=yesterday", "since=2026-01-01T00:00:00", "until=x", "location=%00", "tpye=asset", "format=csv"]
)
def test_what_cannot_be_meant_is_refused(site: Site, query: str) -> None:
    problem(site.get(EXPORT, key="admin", query=query), "invalid-parameter", 400)


def test_the_next_export_has_what_has_changed_since_and_nothing_else(fleet: Site) -> None:
    first = everything(fleet, "type=asset,attachment,itemType")
    assert names(fleet, everything(fleet, following(first))) == set()
    fleet.asset("itemType_1", assetTag="TN-003")
    fleet.reservation("itemType_1")
    answer = fleet.ask("PATCH", f"{ASSETS}/asset_1", body={"location": "Bruges"}, Content_Type="application/merge-patch+json")
    assert answer.status_code == 200
    second = everything(fleet, following(first))
    assert names(fleet, second) == {"asset_1", "asset_3"}
    assert names(fleet, everything(fleet, following(second))) == set()
    assert names(fleet, everything(fleet, following(first).replace("since", "until"))) == {"itemType_1", "asset_2"}


def test_what_was_deleted_comes_as_a_tombstone(fleet: Site) -> None:
    form = {"ownerKind": "asset", "ownerId": "asset_1", "fileName": "note.txt", "contentType": "text/plain", "byteSize": 2}
    started = fleet.post("/v1/attachments/initiate", form)
    assert started.status_code == 201, started.text
    path = started.json["uploadUrl"].removeprefix(BASE)
    upload = fleet.client.simulate_put(
        path.partition("?")[0], query_string=path.partition("?")[2], body=b"hi", headers=started.json["uploadHeaders"]
    )
    assert upload.status_code == 204
    assert fleet.post("/v1/attachments/complete", {"identifier": started.json["identifier"]}).status_code in (200, 201)
    first = everything(fleet)
    assert fleet.ask("DELETE", "/v1/attachments/att_1").status_code == 204
    second = everything(fleet, following(first))
    assert names(fleet, second) == {"att_1"}
    assert "<https://w3id.org/ld-reservations#Tombstone>" in second.text


def test_a_token_of_data_that_was_replaced_is_refused(fleet: Site) -> None:
    query = following(everything(fleet))
    with fleet.parts.ledger.write() as uow:
        uow.facts.set("generation", "abcdef")
    assert "anew" in problem(fleet.get(EXPORT, key="admin", query=query), "invalid-parameter", 400)["detail"]
    assert names(fleet, everything(fleet, following(everything(fleet)))) == set()


def test_an_end_that_is_given_leads_nowhere(fleet: Site) -> None:
    assert NEXT not in everything(fleet, "until=2999-01-01T00:00:00Z").headers["link"]


# --- one point ---------------------------------------------------------------------------------------------------------


def streamed(site: Site, query: str = "", form: Any = N_QUADS) -> Iterator[bytes]:
    """The pieces of an export as a web server takes them, one by one."""
    headers = {"Accept": form.media_type, "X-Api-Key": site.keys["analyst"]}
    return iter(site.client.app(testing.create_environ(EXPORT, query_string=query, headers=headers), testing.StartResponseMock()))


def test_an_export_is_what_was_there_at_one_point_whatever_is_written_meanwhile(either_site: Site) -> None:
    fill(either_site, BATCH + 200)
    before = canonical(dataset(either_site, everything(either_site).content))
    pieces = streamed(either_site)
    beginning = list(itertools.islice(pieces, 1))
    assert open_transactions(either_site.parts.ledger.engine) == 0
    either_site.asset("itemType_1", serialNumber="late")
    for number in (1, BATCH + 100):
        change = {"location": "moved"}
        answer = either_site.ask("PATCH", f"{ASSETS}/asset_{number}", body=change, Content_Type="application/merge-patch+json")
        assert answer.status_code == 200
    assert canonical(dataset(either_site, b"".join([*beginning, *pieces]))) == before


def test_no_change_is_missed_that_commits_late(either_site: Site) -> None:
    """A writer that began before the export ends after it, and after another one: on Postgres all three run side by side."""
    site, document = either_site, orjson.loads(either_site.get(f"{ITEM_TYPES}/{either_site.item_type()}").content)
    author, kind = Authorship("test", site.parts.now(), "test"), KINDS["itemType"]
    has_written, may_end = threading.Event(), threading.Event()

    def write_slowly() -> None:
        late = {**document, "@id": f"{BASE}{ITEM_TYPES}/itemType_99", "identifier": "itemType_99", "code": "late"}
        with site.parts.ledger.write() as uow:
            uow.documents.add(Head("itemType_99", "itemType", 99, 1, orjson.dumps(late).decode()), author)
            uow.index.put(kind.table, kind.index_row(late))
            has_written.set()
            assert may_end.wait(20)

    slow = threading.Thread(target=write_slowly)
    slow.start()
    assert has_written.wait(20)
    if site.parts.ledger.engine.dialect.name == "postgresql":
        site.item_type("quick")
    first = everything(site)
    may_end.set()
    slow.join()
    assert "itemType_99" not in names(site, first)
    assert "itemType_99" in names(site, everything(site, following(first)))
    assert names(site, everything(site, following(everything(site, following(first))))) == set()


@pytest.mark.parametrize("form", [N_QUADS, TRIG, JSON_LD], ids=lambda form: form.key)
def test_many_resources_pass_through_little_memory(site: Site, form: Any) -> None:
    fill(site, BATCH)
    few = _peak(streamed(site, form=form))
    fill(site, 5 * BATCH, start=BATCH + 1)
    assert _peak(streamed(site, form=form)) - few < 1_000_000


def _peak(pieces: Iterator[bytes]) -> int:
    tracemalloc.start()
    length = sum(map(len, pieces))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length > 100_000
    return peak


# --- on the wire -------------------------------------------------------------------------------------------------------


CODINGS = {
    "gzip": "gzip", "br, gzip;q=0.8": "gzip", "*": "gzip", "": None, "br": None, "gzip;q=0": None, "gzip;q=0.5, identity": None,
}  # fmt: skip
"""Accept-Encoding → Content-Encoding."""


@pytest.mark.parametrize(("accepted", "coding"), CODINGS.items())
def test_it_is_compressed_for_whoever_takes_it_so(fleet: Site, accepted: str, coding: str | None) -> None:
    answer = fleet.get(EXPORT, key="admin", Accept=N_QUADS.media_type, Accept_Encoding=accepted)
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    content = gzip.decompress(answer.content) if coding else answer.content
    assert canonical(dataset(fleet, content)) == canonical(dataset(fleet, everything(fleet).content))


def test_it_is_for_analysts_and_admins(fleet: Site) -> None:
    assert fleet.get(EXPORT, key="admin").status_code == 200
    for key in ("reader", "planner", "catalog_admin"):
        problem(fleet.get(EXPORT, key=key), "forbidden", 403)
    problem(fleet.get(EXPORT, key=None), "unauthenticated", 401)


def test_head_lists_nothing_and_says_where_to_go_on(fleet: Site) -> None:
    answer = fleet.ask("HEAD", EXPORT, key="admin", Accept=N_QUADS.media_type)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", N_QUADS.media_type)
    assert names(fleet, everything(fleet, following(answer))) == set()
    assert fleet.ask("OPTIONS", EXPORT).headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_browser_gets_a_page_that_leads_to_each_syntax(fleet: Site) -> None:
    answer = fleet.get(EXPORT, key="admin", query="type=asset", Accept="text/html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for form in FORMATS:
        assert f"/v1/export?type=asset&amp;format={form.key}" in answer.text
        assert fleet.get(EXPORT, key="admin", query=f"type=asset&format={form.key}", Accept="text/html").status_code == 200


def test_an_empty_instance_has_an_empty_dataset(site: Site) -> None:
    for form in FORMATS:
        assert dataset(site, site.get(EXPORT, key="admin", Accept=form.media_type).content, form) == set()


def test_a_file_is_saved_under_a_name(fleet: Site) -> None:
    assert everything(fleet).headers["content-disposition"] == 'attachment; filename="export.nq"'


def test_crawlers_are_told_where_it_is(fleet: Site) -> None:
    assert fleet.get("/.well-known/void", Accept="application/ld+json").json["topic"]["dataDump"] == f"{BASE}{EXPORT}"
    assert fleet.get("/", Accept="application/ld+json").json["export"] == f"{BASE}{EXPORT}"
