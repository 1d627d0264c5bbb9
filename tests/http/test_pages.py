"""Pages for people: complete, safe, linked, with the data inside, and without anything from elsewhere."""

import base64
from collections import deque
from collections.abc import Iterable
from typing import Any
from urllib.parse import urldefrag

import orjson
import pytest
from falcon import testing
from pyoxigraph import CanonicalizationAlgorithm, Dataset, Quad, RdfFormat, Triple, parse

from ld_server.http.errors import TITLES
from ld_server.http.negotiation import COLLECTION_OFFERS, READ_OFFERS
from ld_server.http.pages import pages
from ld_server.http.showing import RENDERERS
from ld_server.rdf import representation
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.published import data_directory
from ld_server.resources import KINDS
from ld_server.settings import Settings
from tests import factories
from tests.html import Page
from tests.http.conftest import ASSETS, BASE, ITEM_TYPES, RESERVATIONS, Site, with_files_on_the_disk
from workers.jobs import shortfall_scan
from workers.projector import Projector

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
SAFARI = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

KITS, POOLS = "/v1/catalog/kit-templates", "/v1/catalog/stock-pools"
HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\"'&amp;{{7*7}}"

PUBLIC = (
    "/",
    "/contexts",
    "/contexts/v1",
    "/contexts/schema.org",
    "/shapes",
    "/shapes/asset",
    "/ns/reservations",
    "/problems",
    "/problems/duplicate",
)
RESOURCES = (
    f"{ITEM_TYPES}/itemType_1", f"{ASSETS}/asset_1", f"{POOLS}/pool_1", f"{KITS}/kit_1", f"{RESERVATIONS}/ra_1",
    f"{RESERVATIONS}/ra_1/revisions/1",
)  # fmt: skip
COLLECTIONS = (ITEM_TYPES, ASSETS, POOLS, KITS, RESERVATIONS, f"{RESERVATIONS}/ra_1/allocations", f"{RESERVATIONS}/ra_1/revisions")
EVERY = (*PUBLIC, *RESOURCES, *COLLECTIONS, "/v1/sparql")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_files_on_the_disk(settings)


@pytest.fixture
def fleet(site: Site) -> Site:
    """One of each kind, the reservation approved, with whatever a page may have to show."""
    item = site.item_type(turnaroundAfter="PT1H30M", metadata={"colour": "red"})
    fungible = site.item_type("CABLE", name="Cable", kind="fungible")
    site.asset(item, assetTag="TN-001", location="Depot A")
    site.made(POOLS, {"itemTypeId": fungible, "quantityTotal": 5, "location": "Depot A"})
    components = [{"itemType": item, "quantityPerKit": 2}]
    site.made(KITS, {"code": "KIT-1", "name": "Timing kit", "kitComponents": components})
    site.reservation(item, purpose="Spring fair")
    assert site.post(f"{RESERVATIONS}/ra_1/approve").status_code == 200
    return site


def page(site: Site, path: str, status: int = 200, accept: str = CHROME, **more: Any) -> Page:
    """The page at a path, after checking what every page keeps to."""
    path, _, query = path.partition("?")
    answer = site.get(path, Accept=accept, query=query, **more)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["vary"] == "Accept"
    found = Page(answer.text)
    assert found.unclosed == []
    return found


def canonical(triples: Iterable[Triple]) -> set[Quad]:
    """The graph, with its blank nodes named in one way."""
    graph = Dataset(Quad(*triple) for triple in triples)
    graph.canonicalize(CanonicalizationAlgorithm.UNSTABLE)
    return set(graph)


@pytest.mark.parametrize("path", EVERY)
def test_everything_can_be_looked_at(fleet: Site, path: str) -> None:
    found = page(fleet, path)
    assert found.heading.strip()
    assert found.all("main") and found.all("header") and found.all("footer") and found.all("nav")
    assert found.all("html", lang="en") and found.all("meta", name="viewport")
    assert found.all("title")[0].text.strip()


@pytest.mark.parametrize("accept", [FIREFOX, CHROME, SAFARI, "text/html"])
@pytest.mark.parametrize("path", ["/", "/ns/reservations", RESERVATIONS, f"{RESERVATIONS}/ra_1"])
def test_browsers_get_pages(fleet: Site, path: str, accept: str) -> None:
    assert fleet.get(path, Accept=accept).headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("accept", [None, "", "*/*", "application/ld+json", "application/ld+json, text/html;q=0.5"])
@pytest.mark.parametrize("path", ["/", RESERVATIONS, f"{RESERVATIONS}/ra_1", f"{RESERVATIONS}/ra_1/revisions"])
def test_programs_get_data(fleet: Site, path: str, accept: str | None) -> None:
    answer = fleet.get(path, **({} if accept is None else {"Accept": accept}))
    assert answer.headers["content-type"] == "application/ld+json"
    assert "content-security-policy" not in answer.headers


def test_there_is_a_renderer_for_everything_that_is_offered() -> None:
    assert set(RENDERERS) == {choice.media_type for choice in COLLECTION_OFFERS.values()}
    assert {choice.media_type for choice in READ_OFFERS.values()} == set(RENDERERS) - {"text/csv"}


# --- what a page says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*RESOURCES, *COLLECTIONS])
def test_a_page_carries_the_document_that_data_clients_get(fleet: Site, path: str) -> None:
    data = fleet.get(path, Accept="application/ld+json")
    assert page(fleet, path).data == data.json


@pytest.mark.parametrize("path", [*RESOURCES, *COLLECTIONS, "/", "/problems", "/shapes/asset", "/ns/reservations"])
def test_the_data_in_a_page_is_the_same_graph(fleet: Site, path: str) -> None:
    turtle = parse(fleet.get(path, Accept="text/turtle").content, RdfFormat.TURTLE, base_iri=BASE + path)
    inside = page(fleet, path).data
    if isinstance(inside, dict) and BASE + "/contexts/v1.jsonld" in inside["@context"]:
        triples = representation.triples_of(orjson.dumps(inside).decode(), Contexts(data_directory("contexts"), BASE))
    else:
        triples = [quad.triple for quad in parse(orjson.dumps(inside), RdfFormat.JSON_LD, base_iri=BASE + path)]
    assert canonical(triples) == canonical(quad.triple for quad in turtle)


def test_a_reservation_is_told_in_words(fleet: Site) -> None:
    found = page(fleet, f"{RESERVATIONS}/ra_1")
    assert found.heading == "Reservation ra_1"
    for words in ("Mon 1 Mar 2027,", "08:00 UTC", "Spring fair", "approved", "Alice", "TN-001", "TimerNode v2"):
        assert words in found.body
    assert found.all("time", datetime="2027-03-01T08:00:00Z")
    assert {f"{ASSETS}/asset_1", f"{ITEM_TYPES}/itemType_1", f"{RESERVATIONS}/ra_1/allocations", f"{RESERVATIONS}/ra_1/revisions"} <= set(
        found.links
    )


def test_an_item_type_leads_to_what_there_is_of_it(fleet: Site) -> None:
    links = page(fleet, f"{ITEM_TYPES}/itemType_1").links
    for path, title in ((ASSETS, "Assets"), (POOLS, "Stock pools"), (KITS, "Kit templates"), (RESERVATIONS, "Reservations")):
        assert f"{path}?itemTypeId=itemType_1" in links
        assert page(fleet, f"{path}?itemTypeId=itemType_1").heading == title
    assert not any("itemTypeId" in one for one in page(fleet, f"{ITEM_TYPES}/itemType_1/revisions/1").links)


@pytest.mark.parametrize("path", ["/.well-known/void", "/v1/api-documentation"])
def test_a_description_is_shown_in_lines_that_can_be_read(fleet: Site, path: str) -> None:
    answer = fleet.get(path, key=None, Accept=CHROME)
    assert max(map(len, answer.text.partition("<pre")[2].partition("</pre>")[0].splitlines())) < 400


def test_every_value_of_a_document_stands_in_its_page(fleet: Site) -> None:
    found = page(fleet, f"{ITEM_TYPES}/itemType_1").body
    for words in ("TimerNode v2", "TimerNode-v2", "serialized", "1 hour 30 minutes", '"colour": "red"', "Active", "yes"):
        assert words in found


def test_the_page_of_a_snapshot_says_who_wants_what_is_missing(site: Site) -> None:
    item = site.item_type()
    wanted = [site.made("/v1/planning/demand-signals", factories.demand_signal(item, 12))]
    shortfall_scan.run(site.parts, {}, site.parts.now())
    found = page(site, "/v1/planning/snapshots/snap_1")
    assert {f"/v1/planning/demand-signals/{one}" for one in wanted} <= set(found.links)
    assert {"Causes", "Recommended build quantity", "Needed by", "Quantity", "Priority"} <= {one.text for one in found.all("th")}


def test_statements_in_other_words_are_shown_too(site: Site) -> None:
    body = {
        "@context": ["https://schema.org", f"{BASE}/contexts/v1.jsonld", {"ex": "https://example.org/ns#"}],
        "@type": "Product", "code": "X", "name": "X", "kind": "serialized",
        "ex:weight": {"@value": "3.5", "@type": "http://www.w3.org/2001/XMLSchema#decimal"},
        "ex:title": [{"@value": "Zeitnehmer", "@language": "de"}, {"@value": "Timer", "@language": "en"}],
        "ex:maker": {"@id": "https://example.org/maker", "name": "Maker & Sons"},
        "ex:script": {"@id": "javascript:alert(1)"},
    }  # fmt: skip
    assert site.post(ITEM_TYPES, body, Content_Type="application/ld+json").status_code == 201
    found = page(site, f"{ITEM_TYPES}/itemType_1")
    for words in ("3.5", "Zeitnehmer", "Timer", "Maker & Sons", "javascript:alert(1)"):
        assert words in found.body
    assert found.all("span", lang="de")
    assert "https://example.org/maker" in found.links
    assert not [link for link in found.links if link.startswith("javascript")]


def test_a_past_state_says_that_it_is_past(fleet: Site) -> None:
    found = page(fleet, f"{RESERVATIONS}/ra_1/revisions/1")
    assert "pending" in found.body
    assert f"{RESERVATIONS}/ra_1" in found.links
    assert f"{RESERVATIONS}/ra_1/revisions/1/revisions" not in found.links


def test_the_history_leads_to_each_state(fleet: Site) -> None:
    found = page(fleet, f"{RESERVATIONS}/ra_1/revisions")
    assert {f"{RESERVATIONS}/ra_1/revisions/{number}" for number in (1, 2)} <= set(found.links)


def test_every_term_of_the_vocabulary_has_an_anchor(fleet: Site) -> None:
    found = page(fleet, "/ns/reservations")
    anchors = {one.attributes["id"] for one in found.elements if "id" in one.attributes}
    assert {"LineItem", "Allocation", "assetTag", "pending", "urgent"} <= anchors
    assert "The tag on the unit; no two assets have the same." in found.body
    own = {urldefrag(link) for link in found.links if link.startswith(("#", "/ns/reservations"))}
    assert {link.fragment for link in own if link.fragment} <= anchors


def test_every_problem_is_explained(fleet: Site) -> None:
    for slug, (title, problem) in TITLES.items():
        found = page(fleet, f"/problems/{slug}", key=None)
        assert found.heading == title
        assert problem.advice.replace("`", "") in found.body.replace("`", "")


# --- lists ------------------------------------------------------------------------------------------------------------


def test_a_list_has_a_header_for_every_column(fleet: Site) -> None:
    for path in COLLECTIONS:
        found = page(fleet, path)
        assert all(one.attributes.get("scope") in ("col", "row") for one in found.all("th")), path


def test_pages_of_a_list_are_followed_by_clicking(site: Site) -> None:
    for number in range(5):
        site.item_type(f"T-{number}", name=f"Timer {number}")
    seen, path = [], f"{ITEM_TYPES}?limit=2"
    while path:
        found = page(site, path)
        seen += [one.text for one in found.all("a") if one.attributes["href"].startswith(f"{ITEM_TYPES}/itemType_")]
        path = next((one.attributes["href"] for one in found.all("a", rel="next")), "")
    assert seen == [f"Timer {number}" for number in range(5)]
    assert f"{ITEM_TYPES}?limit=2" in found.links


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_list_has_a_labelled_control_for_every_filter(site: Site, kind: Any) -> None:
    found = page(site, kind.path)
    controls = {one.attributes["name"]: one for one in (*found.all("select"), *found.all("input"))}
    assert set(controls) == set(kind.filters)
    labels = {one.attributes["for"] for one in found.all("label")}
    assert {one.attributes["id"] for one in controls.values()} == labels
    for name, one in kind.filters.items():
        options = [option.text for option in found.all("option")]
        assert set(one.allowed) <= set(options), name


def test_a_form_that_is_sent_as_it_stands_shows_what_it_showed(fleet: Site) -> None:
    query = "&".join(f"{name}=" for name in KINDS["rentAction"].filters)
    assert page(fleet, f"{RESERVATIONS}?{query}").data["totalItems"] == 1


def test_a_filter_that_is_chosen_stays_chosen(fleet: Site) -> None:
    found = page(fleet, f"{RESERVATIONS}?status=approved&externalRef=%22%3E%3Cb%3E")
    assert [one.text for one in found.elements if one.tag == "option" and "selected" in one.attributes] == ["approved"]
    assert found.all("input", name="externalRef", value='"><b>')
    assert "nothing here that matches" in " ".join(found.body.split())


def test_a_list_is_sorted_by_clicking(site: Site) -> None:
    for code in ("B", "A", "C"):
        site.item_type(code)
    (link,) = [
        one.attributes["href"] for one in page(site, ITEM_TYPES).all("a", class_="sort") if one.attributes["href"].endswith("sort=code")
    ]
    ascending = page(site, link)
    assert [one["code"] for one in ascending.data["member"]] == ["A", "B", "C"]
    (back,) = [link for link in ascending.links if link.endswith("sort=-code")]
    assert [one["code"] for one in page(site, back).data["member"]] == ["C", "B", "A"]
    assert ascending.all("th", aria_sort="ascending")


# --- safety -----------------------------------------------------------------------------------------------------------


def test_hostile_names_are_words_and_nothing_else(site: Site) -> None:
    item = site.item_type("H", name=HOSTILE, metadata={HOSTILE: HOSTILE})
    site.asset(item, assetTag=HOSTILE[:100], location=HOSTILE)
    site.reservation(item, purpose=HOSTILE, agent={"@type": "Person", "identifier": HOSTILE, "name": HOSTILE})
    for path in (f"{ITEM_TYPES}/itemType_1", f"{ASSETS}/asset_1", f"{RESERVATIONS}/ra_1", ITEM_TYPES, ASSETS, RESERVATIONS):
        found = page(site, path)
        assert len(found.all("script")) == 1, path
        assert {one.tag for one in found.elements} & {"img"} == {"img"} and len(found.all("img")) == 1, path
        assert "alert(1)" in found.body, path
        assert HOSTILE.encode() not in found.source.encode()
        assert found.data == site.get(path).json


@pytest.mark.parametrize("path", [f"/{HOSTILE}", f"{RESERVATIONS}/{HOSTILE}", f"{RESERVATIONS}?status={HOSTILE}"])
def test_hostile_requests_are_words_and_nothing_else(site: Site, path: str) -> None:
    answer = site.get(path.partition("?")[0].replace("<", "%3C"), query=path.partition("?")[2].replace("&", "%26"), Accept=CHROME)
    found = Page(answer.text)
    assert answer.status_code in (400, 404)
    assert found.unclosed == []
    assert not found.all("script") and len(found.all("img")) == 1


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "\u2028", "<", "&lt;", "\\u003c"])
def test_embedded_json_ends_no_element_and_reads_the_same(text: str) -> None:
    document = {"name": text, text: [text]}
    embedded = str(pages.embedded(orjson.dumps(document).decode()))
    assert not set("<>&") & set(embedded)
    assert orjson.loads(embedded) == document


@pytest.mark.parametrize("path", [*EVERY, "/nowhere"])
def test_a_page_loads_nothing_from_elsewhere_and_runs_nothing(fleet: Site, path: str) -> None:
    found = page(fleet, path, 404 if path == "/nowhere" else 200)
    assert set(found.loads) == {"/pages/style.css", "/pages/icon.svg"}
    for one in found.elements:
        assert "style" not in one.attributes and not [name for name in one.attributes if name.startswith("on")]
        assert one.tag not in ("style", "iframe", "object", "embed", "base")
        assert one.tag != "script" or one.attributes["type"] == "application/ld+json"
        assert one.attributes.get("action", "/").startswith("/")
    for name in found.loads:
        answer = fleet.get(name, key=None)
        assert answer.status_code == 200
        assert b"url(" not in answer.content and b"@import" not in answer.content
        assert fleet.get(name, key=None, If_None_Match=answer.headers["etag"]).status_code == 304


def test_every_link_within_leads_somewhere(fleet: Site) -> None:
    """From the entry point everything that can be clicked is clicked, but for what only sorts a list."""
    Projector(fleet.parts, "test").run_once(fleet.parts.now())
    seen, waiting = {"/"}, deque(["/"])
    while waiting:
        link = waiting.popleft()
        path, _, query = link.partition("?")
        answer = fleet.get(path, query=query, Accept=CHROME)
        assert answer.status_code == 200, link
        if answer.headers["content-type"].startswith("text/html"):
            found = {urldefrag(one).url for one in Page(answer.text).links} - seen
            within = sorted(one for one in found if one.startswith("/") and "sort=" not in one)
            seen.update(within)
            waiting.extend(within)
    assert {f"{RESERVATIONS}/ra_1/revisions/2", f"{KITS}/kit_1", "/shapes/asset.ttl", "/problems/duplicate", f"{ASSETS}?format=csv"} <= seen


def test_ids_stand_once_in_a_page(fleet: Site) -> None:
    for path in EVERY:
        ids = [one.attributes["id"] for one in page(fleet, path).elements if "id" in one.attributes]
        assert len(ids) == len(set(ids)), path


# --- keys -------------------------------------------------------------------------------------------------------------


def basic(name: str, key: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{key}".encode()).decode()


def test_a_browser_without_a_key_is_told_how_to_bring_one(site: Site) -> None:
    answer = site.get(RESERVATIONS, key=None, Accept=FIREFOX)
    assert answer.headers["www-authenticate"] == 'Basic realm="ld-server", charset="UTF-8"'
    assert "password is your key" in " ".join(page(site, RESERVATIONS, 401, key=None).body.split())


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/ld+json, text/html;q=0.9"])
def test_only_browsers_are_asked_for_a_password(site: Site, accept: str | None) -> None:
    answer = site.get(RESERVATIONS, key=None, **({"Accept": accept} if accept else {}))
    assert answer.headers["www-authenticate"] == 'Bearer realm="ld-server"'
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["", "alice", "caf\u00e9"])
def test_the_key_is_the_password(site: Site, name: str) -> None:
    assert page(site, RESERVATIONS, key=None, Authorization=basic(name, site.keys["reader"])).heading == "Reservations"


@pytest.mark.parametrize("credentials", [basic("alice", ""), basic("alice", "rsv_wrong"), "Basic", "Basic ???", "Basic YQ==", "Basic /w=="])
def test_another_password_opens_nothing(site: Site, credentials: str) -> None:
    page(site, RESERVATIONS, 401, key=None, Authorization=credentials)


def test_a_password_changes_nothing(fleet: Site) -> None:
    """Browsers send it along when another site makes them post a form."""
    before = fleet.written()
    headers = {"key": None, "Authorization": basic("alice", fleet.keys["admin"])}
    for path, body in ((ITEM_TYPES, factories.item_type("CSRF")), (f"{RESERVATIONS}/ra_1/cancel", None)):
        for accept in (CHROME, "*/*"):
            answer = fleet.post(path, body, Accept=accept, **headers)
            assert answer.status_code == 401
            assert "Basic" not in answer.headers["www-authenticate"]
    assert fleet.written() == before


def test_a_key_without_the_scope_is_told_so_in_words(site: Site) -> None:
    assert "scope" in page(site, "/v1/sparql", 403, key="reader").body


# --- problems ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        (f"{RESERVATIONS}/ra_77", 404),
        (f"{RESERVATIONS}?limit=0", 400),
        (f"{RESERVATIONS}?sattus=pending", 400),
        ("/?format=csv", 400),
    ],
)
def test_a_problem_is_a_page_with_the_members_of_its_document(site: Site, path: str, status: int) -> None:
    found = page(site, path, status)
    document = site.get(path.partition("?")[0], query=path.partition("?")[2]).json
    assert found.heading == document["title"]
    assert document["type"].removeprefix(BASE) in found.links
    for name, value in document.items():
        if name not in ("type", "correlationId") and isinstance(value, str | int):
            assert str(value) in found.body, name


def test_what_is_wrong_with_a_body_is_listed(site: Site) -> None:
    answer = site.post(ITEM_TYPES, {"code": "X", "name": "X", "kind": "nonsense"}, Accept=CHROME)
    found = Page(answer.text)
    assert answer.status_code == 422
    assert "kind must be one of serialized, fungible, kit" in found.body
    assert "/kind" in found.body


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/problem+json"),
        ("application/problem+json, text/html;q=0.5", "application/problem+json"),
        ("text/turtle, text/html;q=0.5", "application/problem+json"),
        ("text/html;q=0.5, */*;q=0.1", "text/html; charset=utf-8"),
    ],
)
def test_a_problem_is_a_page_only_where_that_is_liked_best(site: Site, accept: str | None, media_type: str) -> None:
    answer = site.get("/nowhere", **({"Accept": accept} if accept else {}))
    assert answer.headers["content-type"] == media_type


# --- tags, addresses, formats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/ns/reservations", RESERVATIONS, f"{RESERVATIONS}/ra_1", f"{RESERVATIONS}/ra_1/revisions/1"])
def test_a_page_is_not_sent_twice(fleet: Site, path: str) -> None:
    tag = fleet.get(path, Accept=CHROME).headers["etag"]
    again = fleet.get(path, Accept=CHROME, If_None_Match=tag)
    assert (again.status_code, again.content, again.headers["etag"], again.headers["vary"]) == (304, b"", tag, "Accept")
    assert fleet.get(path, If_None_Match=tag).status_code == 200
    head = fleet.ask("HEAD", path, Accept=CHROME)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)


def test_the_tag_of_a_page_names_the_revision_and_the_templates(fleet: Site) -> None:
    edition = pages.Pages(BASE, fleet.parts.contexts).edition
    assert fleet.get(f"{RESERVATIONS}/ra_1", Accept=CHROME).headers["etag"] == f'"2-html-{edition}"'


def test_the_tag_changes_with_the_templates(tmp_path) -> None:
    (tmp_path / "templates").mkdir()
    template = tmp_path / "templates" / "base.html"
    template.write_text("<p>old</p>")
    before = pages.edition.__wrapped__(tmp_path)
    template.write_text("<p>new</p>")
    assert pages.edition.__wrapped__(tmp_path) != before
    assert len(before) == 8


def test_the_tag_of_a_page_serves_as_a_precondition(fleet: Site) -> None:
    tag = fleet.get(f"{RESERVATIONS}/ra_1", Accept=CHROME).headers["etag"]
    assert fleet.post(f"{RESERVATIONS}/ra_1/cancel", If_Match=tag.replace('"2-', '"1-')).status_code == 412
    assert fleet.post(f"{RESERVATIONS}/ra_1/cancel", If_Match=tag).status_code == 200


def test_a_past_state_is_not_kept_for_good_as_a_page(fleet: Site) -> None:
    path = f"{RESERVATIONS}/ra_1/revisions/1"
    assert "immutable" in fleet.get(path).headers["cache-control"]
    assert "immutable" not in fleet.get(path, Accept=CHROME).headers["cache-control"]


@pytest.mark.parametrize("path", ["/", "/shapes/asset", f"{RESERVATIONS}/ra_1", RESERVATIONS, "/v1/sparql"])
def test_a_syntax_can_be_had_by_a_link(fleet: Site, path: str) -> None:
    links = [one.attributes["href"] for one in page(fleet, path).all("a", rel="alternate")]
    assert len(links) >= 7
    for link in links:
        answer = fleet.get(path, query=link.partition("?")[2], Accept=CHROME)
        key = link.rpartition("=")[2]
        plain = fleet.get(path, Accept={choice.key: name for name, choice in reversed(COLLECTION_OFFERS.items())}[key])
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, plain.content, plain.headers["content-type"])


def test_the_format_is_no_part_of_what_is_shown(fleet: Site) -> None:
    assert fleet.get(RESERVATIONS, query="status=approved&format=jsonld").json["@id"] == f"{BASE}{RESERVATIONS}?status=approved"


def test_links_keep_the_path_of_the_base_address(site: Site) -> None:
    shown = pages.Pages("https://example.org/fleet", Contexts(data_directory("contexts"), "https://example.org/fleet"))
    iri = "https://example.org/fleet/v1/catalog/item-types/itemType_1"
    document = {"@context": [], "@id": iri, "@type": "Product", **factories.item_type(), "identifier": "itemType_1"}
    found = Page(shown.resource(KINDS["itemType"], iri, orjson.dumps(document).decode()))
    assert set(found.loads) == {"/fleet/pages/style.css", "/fleet/pages/icon.svg"}
    assert all(link.startswith(("/fleet/", "#", "http://schema.org/")) for link in found.links)


def test_pages_do_not_believe_the_host_header(fleet: Site) -> None:
    client = testing.TestClient(fleet.client.app)
    answer = client.simulate_get("/", headers={"Accept": CHROME, "Host": "evil.example"})
    assert "evil" not in answer.text
