"""What a Virtuoso does in its own way: it is refused, or mended, and never wrong in silence."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyoxigraph import Literal, NamedNode, Triple

from ld_server.domain.errors import QueryLimitExceeded, QueryRefused, StoreUnavailable
from ld_server.settings import Settings
from ld_server.sparql import results
from ld_server.sparql.store import SparqlStore, open_store
from tests.contract.test_sparql_store import CAMERA, KIND, NAME, SCALE, many, product, rows
from tests.virtuoso.differences import DIFFERENCES
from tests.virtuoso.servers import ACCOUNT, GRANTS, VirtuosoServer

DURATION = NamedNode("http://www.w3.org/2001/XMLSchema#duration")
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture
def store(settings: Settings) -> Iterator[SparqlStore]:
    opened = open_store(settings)
    opened.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(SCALE, "Scale")})
    yield opened
    opened.close()


def test_what_is_otherwise_and_what_to_grant_is_told_to_operators() -> None:
    told = OPERATIONS.read_text()
    assert [one for one in (*DIFFERENCES.values(), *GRANTS, *ACCOUNT) if one not in told] == []


@pytest.mark.parametrize(
    "call", ["bif:exec('x')", "<bif:exec>('x')", "BIF:http_get('http://127.0.0.1:1/')", "sql:x()", "\\u0062if:exec('x')"]
)
def test_functions_that_reach_beyond_the_data_are_refused(store: SparqlStore, call: str) -> None:
    with pytest.raises(QueryRefused):
        rows(store, f"SELECT ({call} AS ?x) {{ }}")


@pytest.mark.parametrize(
    "query", [f"SELECT ?s FROM <{SCALE}> {{ ?s a ?kind }}", f"SELECT * {{ GRAPH <{CAMERA}> {{ ?s ?p ?o }} GRAPH ?g {{ ?s ?q ?r }} }}"]
)
def test_what_it_would_answer_wrongly_is_refused(store: SparqlStore, query: str) -> None:
    with pytest.raises(QueryRefused):
        rows(store, query, default_graphs=[CAMERA] if "FROM" in query else [])


def test_graphs_may_be_named_by_constants_and_by_variables(store: SparqlStore) -> None:
    assert rows(store, f"SELECT ?n {{ GRAPH <{CAMERA}> {{ ?s a ?kind }} ?s <{NAME.value}> ?n }}") == [("Camera",)]
    query = f"SELECT ?g ?n {{ ?s a ?kind OPTIONAL {{ GRAPH ?g {{ ?s <{NAME.value}> ?n }} FILTER(?n != 'Scale') }} }}"
    assert rows(store, query) == [("", ""), (CAMERA, "Camera")]


def test_durations_keep_their_value(store: SparqlStore) -> None:
    store.replace({CAMERA: [Triple(NamedNode(CAMERA), NAME, Literal(text, datatype=DURATION)) for text in ("PT1H30M", "P1D", "PT0S")]})
    assert sorted(one.object.value for one in store.triples(CAMERA)) == ["PT0S", "PT5400.0S", "PT86400.0S"]
    assert rows(store, f"SELECT ?d {{ ?s <{NAME.value}> ?d }} ORDER BY ?d")[0] == ("PT0S",)


def test_a_text_that_is_too_long_is_refused_as_data_and_no_outage(store: SparqlStore) -> None:
    with pytest.raises(ValueError, match="refuses"):
        store.replace({CAMERA: product(CAMERA, "x" * 70_000)})
    store.replace({CAMERA: [Triple(NamedNode(CAMERA), KIND, Literal("x" * 60_000))]})


def test_fewer_rows_than_there_are_are_no_answer(tmp_path: Path) -> None:
    server = VirtuosoServer(tmp_path, rows=10)
    try:
        store = open_store(Settings(data_dir=tmp_path, sparql_url=server.url))
        store.replace({CAMERA: many(9)})
        assert len(rows(store, "SELECT ?s { ?s ?p ?o }")) == len(store.triples(CAMERA)) == 9
        store.replace({CAMERA: many(11)})
        with pytest.raises(QueryLimitExceeded, match="more rows"):
            rows(store, "SELECT ?s { ?s ?p ?o }")
        assert len(store.triples(CAMERA)) == 11
    finally:
        server.stop()


def test_a_virtuoso_that_was_not_told_is_recognised(settings: Settings) -> None:
    store = open_store(replace(settings, sparql_url=settings.sparql_url.removeprefix("virtuoso+")))
    with pytest.raises(StoreUnavailable, match=r"virtuoso\+http:"):
        store.ping()
    with pytest.raises(StoreUnavailable, match=r"virtuoso\+http:"):
        store.query("ASK {}", results.JSON, timeout=5)


def test_a_server_that_was_killed_has_what_it_answered(tmp_path: Path) -> None:
    server = VirtuosoServer(tmp_path)
    try:
        store = open_store(Settings(data_dir=tmp_path, sparql_url=server.url))
        store.replace({CAMERA: product(CAMERA, "Camera")})
        server.stop(hard=True)
        with pytest.raises(StoreUnavailable):
            store.ping()
        server.start()
        assert set(store.triples(CAMERA)) == set(product(CAMERA, "Camera"))
        assert rows(store, f"SELECT ?n {{ ?s <{NAME.value}> ?n }}") == [("Camera",)]
    finally:
        server.stop()


def test_an_account_changes_what_nobody_else_may(tmp_path: Path) -> None:
    server = VirtuosoServer(tmp_path, said=ACCOUNT)
    try:
        locked = server.url.replace("/sparql", "/sparql-auth")

        def store(url: str) -> SparqlStore:
            return open_store(Settings(data_dir=tmp_path, sparql_url=url))

        ours = store(locked.replace("http://", "http://reservations:sesame@"))
        for number in range(3):
            ours.replace({CAMERA: product(CAMERA, f"Camera {number}"), SCALE: product(SCALE, "Scale")})
        assert rows(ours, f"SELECT ?n {{ ?s <{NAME.value}> ?n }}") == [("Camera 2",), ("Scale",)]
        for url in (locked, locked.replace("http://", "http://reservations:guess@"), server.url):
            with pytest.raises((StoreUnavailable, ValueError)):
                store(url).replace({CAMERA: []})
        assert set(ours.triples(CAMERA)) == set(product(CAMERA, "Camera 2"))
    finally:
        server.stop()
