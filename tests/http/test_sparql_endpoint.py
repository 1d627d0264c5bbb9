"""`/v1/sparql`: the SPARQL 1.1 Protocol, its answers in every syntax, what it refuses, and that it reads its own writes."""

import csv
import io
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from falcon import testing
from pyoxigraph import NamedNode, RdfFormat, Triple, parse

from ld_server.bootstrap import build
from ld_server.http.asking import GRAPH_OFFERS, TABLE_OFFERS
from ld_server.http.endpoints.sparql import FORM, QUERY, UPDATE
from ld_server.rdf.formats import BY_MEDIA_TYPE, FORMATS, Format
from ld_server.services.seats import Sitting
from ld_server.settings import Settings
from tests.html import Page
from tests.http.conftest import BASE, Site, open_site, problem
from workers.projector import Projector

SPARQL = "/v1/sparql"
NAMES = "SELECT ?name WHERE { ?type a <http://schema.org/Product> ; <http://schema.org/name> ?name } ORDER BY ?name"
EVERYTHING = "CONSTRUCT WHERE { ?s ?p ?o }"
SOON = {"sparql_wait": 0.05}


def project(site: Site) -> int:
    """Brings what waits into the store, as the worker does."""
    return Projector(site.parts, "test").run_once(site.parts.now())


def with_settings(site: Site, **changes: object) -> Site:
    return site.over(settings=replace(site.parts.settings, **changes))  # type: ignore[arg-type]


@pytest.fixture
def fleet(site: Site) -> Site:
    """Two item types, projected."""
    site.item_type("finish-camera", name="Finish camera")
    site.item_type("timer", name="Timer")
    assert project(site) == 2
    return site


def asked(site: Site, query: str, **more: str) -> testing.Result:
    """A query by GET. Headers by keyword."""
    return site.get(SPARQL, query=urlencode({"query": query}), **more)


def posted(site: Site, media_type: str, body: str, query: str = "", **more: str) -> testing.Result:
    return site.post(SPARQL, body.encode(), query=query, Content_Type=media_type, **more)


def names(answer: testing.Result) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["name"]["value"] for row in answer.json["results"]["bindings"]]


# --- the protocol -----------------------------------------------------------------------------------------------------


def test_a_query_comes_by_get_in_a_form_or_by_itself(fleet: Site) -> None:
    expected = ["Finish camera", "Timer"]
    assert names(asked(fleet, NAMES)) == expected
    assert names(posted(fleet, FORM, urlencode({"query": NAMES}))) == expected
    assert names(posted(fleet, QUERY, NAMES)) == expected
    assert names(posted(fleet, "Application/SPARQL-Query; charset=UTF-8", NAMES)) == expected


GRAPHS = [
    ([("default-graph-uri", "itemType_1")], ["Finish camera"]),
    ([("default-graph-uri", "itemType_1"), ("default-graph-uri", "itemType_2")], ["Finish camera", "Timer"]),
    ([("named-graph-uri", "itemType_1")], []),
]


@pytest.mark.parametrize(("dataset", "expected"), GRAPHS)
def test_the_request_may_choose_the_dataset(fleet: Site, dataset: list[tuple[str, str]], expected: list[str]) -> None:
    chosen = [(parameter, fleet.parts.naming.iri(identifier)) for parameter, identifier in dataset]
    everything = urlencode([("query", NAMES), *chosen])
    assert names(fleet.get(SPARQL, query=everything)) == expected
    assert names(posted(fleet, FORM, everything)) == expected
    assert names(posted(fleet, QUERY, NAMES, query=urlencode(chosen))) == expected


def test_the_query_may_choose_the_dataset(fleet: Site) -> None:
    graph = fleet.parts.naming.iri("itemType_2")
    assert names(asked(fleet, NAMES.replace("WHERE", f"FROM <{graph}> WHERE"))) == ["Timer"]


UNKNOWN = ["http://localhost:8000/v1/catalog/item-types/itemType_99", "http://localhost:8000/itemType_1", "urn:x:g", "http://127.0.0.1:1/"]


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("parameter", ["default-graph-uri", "named-graph-uri"])
def test_the_request_can_choose_only_graphs_that_there_are(fleet: Site, parameter: str, name: str) -> None:
    known = (parameter, fleet.parts.naming.iri("itemType_1"))
    told = problem(fleet.get(SPARQL, query=urlencode([("query", NAMES), known, (parameter, name)])), "invalid-parameter", 400)
    assert told["parameter"] == parameter
    assert f"<{name}>" in told["detail"]


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("clause", ["FROM", "FROM NAMED"])
def test_the_query_can_choose_only_graphs_that_there_are(fleet: Site, clause: str, name: str) -> None:
    told = problem(asked(fleet, NAMES.replace("WHERE", f"{clause} <{name}> WHERE")), "invalid-parameter", 400)
    assert told["parameter"] == "query"
    assert f"<{name}>" in told["detail"]


def test_what_the_query_chooses_does_not_matter_where_the_request_chooses(fleet: Site) -> None:
    chosen = urlencode({"query": NAMES.replace("WHERE", "FROM <urn:x:g> WHERE"), "default-graph-uri": fleet.parts.naming.iri("itemType_1")})
    assert names(fleet.get(SPARQL, query=chosen)) == ["Finish camera"]


def test_every_resource_has_its_own_graph(fleet: Site) -> None:
    query = "SELECT ?name WHERE { GRAPH ?name { ?type a <http://schema.org/Product> } } ORDER BY ?name"
    assert names(asked(fleet, query)) == [fleet.parts.naming.iri(f"itemType_{number}") for number in (1, 2)]


def test_head_has_the_headers_of_get(fleet: Site) -> None:
    answer = fleet.ask("HEAD", SPARQL, query=urlencode({"query": NAMES}))
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-type"] == "application/sparql-results+json"


def test_options_say_what_may_be_posted(fleet: Site) -> None:
    answer = fleet.ask("OPTIONS", SPARQL)
    assert answer.status_code == 204
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer.headers["accept-post"] == f"{FORM}, {QUERY}"


def test_parameters_that_clients_send_to_other_servers_are_passed_over(fleet: Site) -> None:
    assert names(fleet.get(SPARQL, query=urlencode({"query": NAMES, "format": "json", "output": "json", "timeout": "0"}))) == [
        "Finish camera",
        "Timer",
    ]


def test_characters_of_every_script_arrive(fleet: Site) -> None:
    fleet.item_type("scale", name="Waage für Kraftdreikampf 🏋")
    project(fleet)
    query = 'SELECT ?name WHERE { ?type <http://schema.org/name> ?name FILTER(CONTAINS(?name, "für Kraftdreikampf 🏋")) }'
    for answer in (asked(fleet, query), posted(fleet, FORM, urlencode({"query": query})), posted(fleet, QUERY, query)):
        assert names(answer) == ["Waage für Kraftdreikampf 🏋"]


# --- syntaxes of answers ----------------------------------------------------------------------------------------------

TABLE_ACCEPTS = {
    "": "application/sparql-results+json",
    "*/*": "application/sparql-results+json",
    "application/sparql-results+json": "application/sparql-results+json",
    "application/json": "application/json",
    "application/sparql-results+xml": "application/sparql-results+xml",
    "application/xml;q=0.9, text/plain": "application/xml",
    "application/xml;q=0.9, text/html": "text/html; charset=utf-8",
    "text/csv": "text/csv; charset=utf-8; header=present",
    "text/*": "text/csv; charset=utf-8; header=present",
    "TEXT/TAB-Separated-Values": "text/tab-separated-values; charset=utf-8",
    "text/turtle, text/csv;q=0.1": "text/csv; charset=utf-8; header=present",
    "application/sparql-results+json;q=0.5, application/sparql-results+xml": "application/sparql-results+xml",
}


@pytest.mark.parametrize("query", [NAMES, "ASK { ?s ?p ?o }"])
@pytest.mark.parametrize("accept", TABLE_ACCEPTS)
def test_tables_and_booleans_come_in_the_syntax_that_is_liked_best(fleet: Site, accept: str, query: str) -> None:
    answer = asked(fleet, query, Accept=accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == TABLE_ACCEPTS[accept]
    assert answer.headers["vary"] == "Accept, Prefer"
    assert ("true" if query.startswith("ASK") else "Finish camera") in answer.text


def test_a_table_as_csv_can_be_read_by_a_spreadsheet(fleet: Site) -> None:
    assert list(csv.reader(io.StringIO(asked(fleet, NAMES, Accept="text/csv").text))) == [["name"], ["Finish camera"], ["Timer"]]


@pytest.mark.parametrize("query", [EVERYTHING, "DESCRIBE ?s WHERE { ?s a <http://schema.org/Product> }"])
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_graphs_come_in_every_syntax_of_rdf(fleet: Site, form: Format, query: str) -> None:
    answer = asked(fleet, query, Accept=form.media_type)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == form.media_type
    subjects = {quad.subject for quad in parse(answer.content, form.rdf)}
    assert {NamedNode(fleet.parts.naming.iri(f"itemType_{number}")) for number in (1, 2)} <= subjects


def test_a_browser_gets_the_rows_as_a_table(fleet: Site) -> None:
    page = Page(asked(fleet, "SELECT ?type ?name WHERE { ?type <http://schema.org/name> ?name } ORDER BY ?name", Accept="text/html").text)
    assert page.unclosed == []
    assert [one.text.strip() for one in page.all("td")][1::2] == ["Finish camera", "Timer"]
    assert "/v1/catalog/item-types/itemType_1" in page.links
    hostile = 'SELECT ("<script>alert(1)</script>" AS ?x) WHERE {}'
    assert not any("alert" in one.text for one in Page(asked(fleet, hostile, Accept="text/html").text).all("script"))


def test_turtle_has_prefixes(fleet: Site) -> None:
    assert "@prefix schema: <http://schema.org/> ." in asked(fleet, EVERYTHING, Accept="text/turtle").text


def test_a_graph_of_nothing_is_an_answer(fleet: Site) -> None:
    for form in FORMATS:
        answer = asked(fleet, "CONSTRUCT WHERE { ?s <urn:x:nothing> ?o }", Accept=form.media_type)
        assert answer.status_code == 200
        assert list(parse(answer.content, form.rdf)) == []


@pytest.mark.parametrize(("query", "accept", "there_is"), [
    (NAMES, "text/turtle", set(TABLE_OFFERS)),
    (EVERYTHING, "text/csv", set(GRAPH_OFFERS)),
    ("ASK {}", "image/png", set(TABLE_OFFERS)),
])  # fmt: skip
def test_what_cannot_be_produced_is_said_with_what_can(fleet: Site, query: str, accept: str, there_is: set[str]) -> None:
    assert set(problem(asked(fleet, query, Accept=accept), "not-acceptable", 406)["available"]) == there_is


# --- what the endpoint says about itself ------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["", *(form.media_type for form in FORMATS)])
def test_without_a_query_the_endpoint_describes_itself(site: Site, accept: str) -> None:
    answer = site.get(SPARQL, Accept=accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == (accept or "text/turtle")
    triples = {quad.triple for quad in parse(answer.content, BY_MEDIA_TYPE[accept or "text/turtle"].rdf)}
    sd = "http://www.w3.org/ns/sparql-service-description#"
    here = NamedNode(BASE + SPARQL)
    assert Triple(here, NamedNode(sd + "endpoint"), here) in triples
    assert Triple(here, NamedNode(sd + "feature"), NamedNode(sd + "UnionDefaultGraph")) in triples


def test_the_description_names_every_syntax_of_answers(site: Site) -> None:
    described = site.get(SPARQL, Accept="text/turtle").content
    objects = [quad.object for quad in parse(described, RdfFormat.TURTLE) if quad.predicate.value.endswith("#resultFormat")]
    assert len(objects) == len({one.syntax for one in TABLE_OFFERS.values()}) + len(FORMATS) - 1  # JSON-LD has two names


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_syntax_error_is_told_in_the_words_of_the_parser(fleet: Site) -> None:
    told = problem(asked(fleet, "SELECT ?x WHERE { ?x ?y "), "invalid-parameter", 400)
    assert re.search(r"expected|syntax error", told["detail"])
    assert told["parameter"] == "query"


REFUSED_QUERIES = ["SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }", "DELETE WHERE { ?s ?p ?o }", "INSERT DATA { <a:> <b:> <c:> }"]


@pytest.mark.parametrize("query", REFUSED_QUERIES)
def test_only_reading_and_only_from_here(fleet: Site, query: str) -> None:
    for answer in (asked(fleet, query), posted(fleet, FORM, urlencode({"query": query})), posted(fleet, QUERY, query)):
        problem(answer, "query-refused", 400)
    assert names(asked(fleet, NAMES)) == ["Finish camera", "Timer"]


def test_updates_are_refused_in_every_way_they_may_come(fleet: Site) -> None:
    update = "CLEAR ALL"
    for answer in (
        fleet.get(SPARQL, query=urlencode({"update": update})),
        posted(fleet, FORM, urlencode({"update": update})),
        posted(fleet, UPDATE, update),
        posted(fleet, QUERY, update),
    ):
        problem(answer, "query-refused", 400)
    assert names(asked(fleet, NAMES)) == ["Finish camera", "Timer"]


PARAMETERS = {
    "no query": "default-graph-uri=urn%3Ax%3Ag",
    "two queries": "query=ASK%7B%7D&query=ASK%7B%7D",
    "an empty query": "query=",
    "a relative graph": "query=ASK%7B%7D&default-graph-uri=itemType_1",
    "a graph that is no IRI": "query=ASK%7B%7D&named-graph-uri=http%3A%2F%2Fa%20b",
    "a misspelled parameter": "query=ASK%7B%7D&default-graph-url=urn%3Ax%3Ag",
    "bytes that are not UTF-8": "query=%ff%fe",
    "far too many": "query=ASK%7B%7D&" + "&".join(["default-graph-uri=urn%3Ax%3Ag"] * 2000),
}


@pytest.mark.parametrize("query", PARAMETERS.values(), ids=PARAMETERS)
def test_wrong_parameters_are_refused(fleet: Site, query: str) -> None:
    problem(fleet.get(SPARQL, query=query), "invalid-parameter", 400)
    problem(posted(fleet, FORM, query), "invalid-parameter", 400)


def test_a_misspelled_parameter_is_told_the_right_one(fleet: Site) -> None:
    told = problem(fleet.get(SPARQL, query="query=ASK%7B%7D&default-graph-url=urn%3Ax"), "invalid-parameter", 400)
    assert told["suggestion"] == "default-graph-uri"


@pytest.mark.parametrize("media_type", ["", "application/json", "text/plain", "multipart/form-data", f"{QUERY}; charset=utf-16"])
def test_other_bodies_are_refused_with_what_may_be_posted(fleet: Site, media_type: str) -> None:
    answer = posted(fleet, media_type, NAMES)
    problem(answer, "unsupported-media-type", 415)
    assert answer.headers["accept-post"] == f"{FORM}, {QUERY}"


def test_a_body_that_is_too_large_is_refused(fleet: Site) -> None:
    small = with_settings(fleet, max_body_bytes=100)
    problem(posted(small, QUERY, NAMES + " " * 100), "payload-too-large", 413)


def test_a_body_that_is_not_utf8_is_refused(fleet: Site) -> None:
    problem(fleet.post(SPARQL, b"SELECT * { ?s ?p '\xff' }", Content_Type=QUERY), "malformed-body", 400)


@pytest.mark.parametrize(("key", "status"), [("analyst", 200), ("admin", 200), ("reader", 403), ("planner", 403), (None, 401)])
def test_analysts_may_ask(fleet: Site, key: str | None, status: int) -> None:
    assert fleet.get(SPARQL, key=key, query=urlencode({"query": NAMES})).status_code == status
    assert fleet.post(SPARQL, NAMES.encode(), key=key, Content_Type=QUERY).status_code == status


@pytest.fixture
def limited(settings: Settings) -> Iterator[Site]:
    parts = build(replace(settings, sparql_max_rows=1, sparql_timeout=0.3))
    yield open_site(parts)
    parts.close()


def test_more_rows_than_allowed_are_refused(limited: Site) -> None:
    for code in ("a", "b"):
        limited.item_type(code)
    project(limited)
    problem(asked(limited, NAMES), "query-limit-exceeded", 400)
    problem(asked(limited, EVERYTHING, Accept="text/turtle"), "query-limit-exceeded", 400)
    assert asked(limited, f"{NAMES} LIMIT 1").status_code == 200


def test_a_query_that_takes_too_long_is_given_up(limited: Site) -> None:
    for code in ("a", "b", "c", "d"):
        limited.item_type(code)
    project(limited)
    endless = f"SELECT (COUNT(*) AS ?n) WHERE {{ {' '.join(f'?s{number} ?p{number} ?o{number} .' for number in range(7))} }}"
    begin = time.monotonic()
    problem(asked(limited, endless), "query-limit-exceeded", 400)
    assert time.monotonic() - begin < 60


def test_queries_beyond_those_that_may_be_asked_at_once_are_told_to_come_back(fleet: Site) -> None:
    narrow = with_settings(fleet, sparql_queries=1)
    seats, settings = narrow.parts.seats, narrow.parts.settings
    assert seats.take(Sitting.QUERY, settings)
    refused = [asked(narrow, NAMES), asked(narrow, EVERYTHING), narrow.get("/v1/queries/no-shows")]
    for answer in refused:
        problem(answer, "rate-limited", 429)
        assert int(answer.headers["retry-after"]) > 0
    assert narrow.get("/v1/catalog/item-types").status_code == 200
    seats.give_back(Sitting.QUERY)
    for query in (NAMES, "SELECT", f"{NAMES} LIMIT x", EVERYTHING, NAMES):
        assert asked(narrow, query).status_code in (200, 400)
    assert seats.take(Sitting.QUERY, settings), "a query gives its seat back, also one that is refused"
    seats.give_back(Sitting.QUERY)


# --- reading its own writes -------------------------------------------------------------------------------------------


def test_a_query_sees_what_was_written_before_it(site: Site) -> None:
    projector = Projector(site.parts, "test")
    projector.start()
    try:
        for number in range(10):
            site.item_type(f"code-{number}", name=f"Name {number}")
            assert f"Name {number}" in names(asked(site, NAMES))
    finally:
        projector.stop()


def test_what_is_not_projected_in_time_is_said(site: Site) -> None:
    site.item_type()
    answer = asked(with_settings(site, **SOON), NAMES)
    assert "1 revisions wait" in problem(answer, "store-unavailable", 503)["detail"]
    assert int(answer.headers["retry-after"]) > 0


LENIENT = ["handling=lenient", "respond-async, Handling=Lenient", 'handling="lenient"', "wait=10;foo, handling=lenient"]


@pytest.mark.parametrize("prefer", LENIENT)
def test_a_lenient_client_gets_what_there_is(fleet: Site, prefer: str) -> None:
    fleet.item_type("scale", name="Scale")
    answer = asked(with_settings(fleet, **SOON), NAMES, Prefer=prefer)
    assert names(answer) == ["Finish camera", "Timer"]
    assert answer.headers["preference-applied"] == "handling=lenient"
    assert answer.headers["x-projection-backlog"] == "1"


@pytest.mark.parametrize("prefer", ["", "handling=strict", "return=minimal", "handling=lenient-ish"])
def test_a_client_that_is_not_lenient_does_not(fleet: Site, prefer: str) -> None:
    fleet.item_type("scale", name="Scale")
    problem(asked(with_settings(fleet, **SOON), NAMES, Prefer=prefer), "store-unavailable", 503)


def test_a_lenient_client_is_told_nothing_when_nothing_waits(fleet: Site) -> None:
    answer = asked(fleet, NAMES, Prefer="handling=lenient")
    assert "preference-applied" not in answer.headers
    assert "x-projection-backlog" not in answer.headers


def test_what_is_written_after_the_query_is_not_waited_for(site: Site) -> None:
    """Or a query would never end beside a busy writer."""
    site.item_type("first", name="First")
    newest_is_one = threading.Event()

    def write_on_and_on() -> None:
        for number in range(200):
            site.item_type(f"later-{number}", name=f"Later {number}")
            newest_is_one.set()

    writer = threading.Thread(target=write_on_and_on)
    projector = Projector(site.parts, "test")
    writer.start()
    newest_is_one.wait(10)
    projector.start()
    try:
        assert "First" in names(asked(site, NAMES))
    finally:
        writer.join()
        projector.stop()


def test_a_refused_query_does_not_wait(site: Site) -> None:
    site.item_type()
    begin = time.monotonic()
    problem(asked(site, "DELETE WHERE { ?s ?p ?o }"), "query-refused", 400)
    problem(asked(site, NAMES, Accept="image/png"), "not-acceptable", 406)
    assert time.monotonic() - begin < site.parts.settings.sparql_wait
