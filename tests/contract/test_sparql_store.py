"""What every SPARQL store promises (ld_server.sparql.port), on every backend and on every way of the generic one."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from pyoxigraph import BlankNode, CanonicalizationAlgorithm, Dataset, Literal, NamedNode, Quad, Triple

from ld_server.domain.errors import InvalidParameter, QueryLimitExceeded, QueryRefused
from ld_server.settings import InvalidSetting, Settings
from ld_server.sparql import results
from ld_server.sparql.http import HttpStore
from ld_server.sparql.memory import MemoryStore
from ld_server.sparql.store import BACKENDS, Limits, SparqlStore, open_store
from tests.sparql_servers import OxigraphServer

LIMITS = Limits(rows=500, octets=200_000)
TIMEOUT = 1.0

CAMERA, SCALE, TIMER = (f"http://localhost:8000/v1/catalog/item-types/itemType_{number}" for number in (1, 2, 3))
NAME = NamedNode("http://schema.org/name")
KIND = NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
PRODUCT = NamedNode("http://schema.org/Product")
OFFER = NamedNode("http://schema.org/offers")


def product(iri: str, name: str) -> list[Triple]:
    return [Triple(NamedNode(iri), KIND, PRODUCT), Triple(NamedNode(iri), NAME, Literal(name))]


@pytest.fixture(scope="session")
def server() -> Iterator[OxigraphServer]:
    """A server that leaves its default graph alone."""
    started = OxigraphServer("--timeout-s", "1")
    yield started
    started.stop()


@pytest.fixture
def server_with_union() -> Iterator[OxigraphServer]:
    started = OxigraphServer("--union-default-graph")
    yield started
    started.stop()


def at(server: OxigraphServer, directory: Path) -> Settings:
    """Settings that name every URL of a server but the one for graphs."""
    return Settings(
        data_dir=directory,
        sparql_url=f"{server.url}/query",
        sparql_update_url=f"{server.url}/update",
        sparql_max_rows=LIMITS.rows,
        sparql_max_bytes=LIMITS.octets,
    )


def managed(server: OxigraphServer, directory: Path) -> Settings:
    """Settings for a server whose address the supervisor wrote down."""
    (directory / "run").mkdir()
    (directory / "run" / "sparql-url").write_text(f"{server.url}\n")
    return replace(at(server, directory), sparql_url="managed:", sparql_update_url="")


BACKENDS_AT: dict[str, Callable[[OxigraphServer, Path], Settings]] = {
    "memory": lambda server, directory: replace(at(server, directory), sparql_url="memory:"),
    "oxigraph": managed,
    "generic": at,
    "generic, graph store": lambda server, directory: replace(at(server, directory), sparql_graph_store_url=f"{server.url}/store"),
}


TRANSACTIONAL = [name for name in BACKENDS_AT if name != "generic, graph store"]
"""The Graph Store Protocol changes one graph at a time."""


@pytest.fixture(params=BACKENDS_AT)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(backend: str, server: OxigraphServer, tmp_path: Path) -> Iterator[SparqlStore]:
    opened = open_store(BACKENDS_AT[backend](server, tmp_path))
    opened.clear()
    yield opened
    opened.clear()
    opened.close()


def rows(store: SparqlStore, query: str, **dataset: list[str]) -> list[tuple[str, ...]]:
    """The values of a SELECT, in the order of the variables and sorted."""
    found = orjson.loads(store.query(query, results.JSON, timeout=TIMEOUT, **dataset).body)
    names = found["head"]["vars"]
    return sorted(tuple(row[name]["value"] if name in row else "" for name in names) for row in found["results"]["bindings"])


def holds(store: SparqlStore, query: str) -> bool:
    return results.truth(store.query(query, results.JSON, timeout=TIMEOUT).body)


def canonical(triples: list[Triple]) -> set[str]:
    dataset = Dataset(Quad(one.subject, one.predicate, one.object) for one in triples)
    dataset.canonicalize(CanonicalizationAlgorithm.UNSTABLE)
    return {str(quad) for quad in dataset}


def test_a_graph_is_what_was_put_there(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Finish camera")})
    assert set(store.triples(CAMERA)) == set(product(CAMERA, "Finish camera"))


def test_a_replacement_leaves_nothing_of_what_was_there(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera")})
    store.replace({CAMERA: product(CAMERA, "Finish camera")})
    assert rows(store, "SELECT ?n WHERE { ?s <http://schema.org/name> ?n }") == [("Finish camera",)]
    assert len(store.triples(CAMERA)) == 2


def test_replacing_again_changes_nothing(store: SparqlStore) -> None:
    for _ in range(2):
        store.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(SCALE, "Scale")})
    assert rows(store, "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }") == [("4",)]


def test_other_graphs_stay_as_they_are(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(SCALE, "Scale")})
    store.replace({CAMERA: []})
    assert set(store.triples(SCALE)) == set(product(SCALE, "Scale"))


def test_an_empty_graph_is_dropped(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(SCALE, "Scale")})
    store.replace({CAMERA: [], TIMER: []})
    assert list(store.graph_names()) == [SCALE]
    assert store.triples(CAMERA) == []
    assert rows(store, "SELECT ?s WHERE { ?s a <http://schema.org/Product> }") == [(SCALE,)]


def test_many_graphs_are_filled_as_they_are_replaced(store: SparqlStore) -> None:
    """New ones, one that was there, one with a blank node, an empty one and one that there never was, beside one that stays."""
    names = [f"http://graphs.example/{number}" for number in range(5)]
    store.replace({CAMERA: product(CAMERA, "Camera"), names[1]: product(names[1], "old"), names[3]: product(names[3], "gone")})
    crew = [Triple(NamedNode(names[2]), NamedNode("http://schema.org/member"), BlankNode("x"))]
    crew += [Triple(BlankNode("x"), NamedNode("http://schema.org/name"), Literal("Ann"))]
    given = {names[0]: product(names[0], "new"), names[1]: product(names[1], "newer"), names[2]: crew, names[3]: [], names[4]: []}
    for _ in range(2):
        store.fill(given)
        found = store.contents([*names, CAMERA])
        assert found.keys() == {CAMERA, *names[:3]}
        assert [canonical(found[name]) for name in names[:3]] == [canonical(given[name]) for name in names[:3]]
        assert sorted(store.graph_names()) == sorted(found)
        assert rows(store, "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }") == [(str(sum(map(len, found.values()))),)]


def test_what_is_filled_is_in_the_union_once_and_leaves_it_with_the_last(store: SparqlStore) -> None:
    shared = product(CAMERA, "Camera")
    store.fill({"http://graphs.example/1": shared, "http://graphs.example/2": shared})
    assert rows(store, "SELECT ?n WHERE { ?s <http://schema.org/name> ?n }") == [("Camera",)]
    store.replace({"http://graphs.example/1": []})
    assert holds(store, "ASK { ?s <http://schema.org/name> ?n }")
    store.replace({"http://graphs.example/2": []})
    assert not holds(store, "ASK { ?s <http://schema.org/name> ?n }")


def test_filling_with_nothing_and_asking_for_nothing_is_fine(store: SparqlStore) -> None:
    store.fill({})
    assert store.contents([]) == {}
    assert store.contents(["http://graphs.example/never"]) == {}


def test_replacing_nothing_is_no_change(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera")})
    store.replace({})
    assert list(store.graph_names()) == [CAMERA]


def test_the_default_graph_is_the_union(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(SCALE, "Scale")})
    assert rows(store, "SELECT ?n WHERE { ?s <http://schema.org/name> ?n }") == [("Camera",), ("Scale",)]
    assert rows(store, "SELECT ?g ?n WHERE { GRAPH ?g { ?s <http://schema.org/name> ?n } }") == [(CAMERA, "Camera"), (SCALE, "Scale")]


def test_a_pattern_may_join_across_graphs(store: SparqlStore) -> None:
    variant = Triple(NamedNode("http://localhost:8000/v1/catalog/assets/asset_1"), OFFER, NamedNode(CAMERA))
    store.replace({variant.subject.value: [variant], CAMERA: product(CAMERA, "Camera")})
    joined = "SELECT ?n WHERE { ?asset <http://schema.org/offers> ?type . ?type <http://schema.org/name> ?n }"
    assert rows(store, joined) == [("Camera",)]


def test_a_triple_in_two_graphs_is_one_in_the_union_and_leaves_it_with_the_last(store: SparqlStore) -> None:
    shared = product(CAMERA, "Camera")
    count = "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }"
    store.replace({CAMERA: shared, SCALE: [*shared, *product(SCALE, "Scale")]})
    assert rows(store, count) == [("4",)]
    store.replace({CAMERA: []})
    assert rows(store, count) == [("4",)]
    store.replace({SCALE: product(SCALE, "Scale")})
    assert rows(store, count) == [("2",)]


@pytest.mark.parametrize("query", ["SELECT ?n FROM <{0}> WHERE {{ ?s <http://schema.org/name> ?n }}",
                                   "BASE <http://localhost:8000/v1/catalog/> PREFIX t: <item-types/> "
                                   "SELECT ?n FROM t:itemType_1 {{ ?s <http://schema.org/name> ?n }}"])  # fmt: skip
def test_a_query_may_choose_its_default_graph(store: SparqlStore, query: str) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(SCALE, "Scale")})
    assert rows(store, query.format(CAMERA)) == [("Camera",)]


def test_a_query_may_choose_its_named_graphs(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(SCALE, "Scale")})
    assert rows(store, f"SELECT ?s FROM NAMED <{SCALE}> WHERE {{ GRAPH ?g {{ ?s a ?kind }} }}") == [(SCALE,)]
    assert rows(store, f"SELECT ?s FROM NAMED <{SCALE}> WHERE {{ ?s a ?kind }}") == []


def test_the_dataset_of_the_request_wins_over_that_of_the_query(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(SCALE, "Scale"), TIMER: product(TIMER, "Timer")})
    query = f"SELECT ?s FROM <{SCALE}> WHERE {{ ?s a ?kind }}"
    assert rows(store, query, default_graphs=[CAMERA, TIMER]) == [(CAMERA,), (TIMER,)]
    assert rows(store, "SELECT ?s WHERE { GRAPH ?g { ?s a ?kind } }", named_graphs=[TIMER]) == [(TIMER,)]
    assert rows(store, "SELECT ?s WHERE { GRAPH ?g { ?s a ?kind } }", default_graphs=[TIMER]) == []


@pytest.mark.parametrize("name", ["item-types/itemType_1", "", "http://localhost:8000/a b", "http://localhost/> { } #"])
def test_a_graph_of_a_dataset_has_an_absolute_name(store: SparqlStore, name: str) -> None:
    with pytest.raises(InvalidParameter):
        rows(store, "SELECT * WHERE { ?s ?p ?o }", default_graphs=[name])


def test_blank_nodes_stay_inside_their_graph(store: SparqlStore) -> None:
    node = BlankNode("b0")
    graph = [Triple(NamedNode(CAMERA), OFFER, node), Triple(node, NAME, Literal("Offer"))]
    store.replace({CAMERA: graph, SCALE: graph})
    store.replace({TIMER: graph})
    assert rows(store, "SELECT (COUNT(DISTINCT ?b) AS ?n) WHERE { ?b <http://schema.org/name> ?name }") == [("3",)]
    assert canonical(store.triples(TIMER)) == canonical(graph)


def test_a_blank_node_leaves_the_union_with_its_graph(store: SparqlStore) -> None:
    node = BlankNode("b0")
    store.replace({CAMERA: [Triple(NamedNode(CAMERA), OFFER, node), Triple(node, NAME, Literal("Offer"))]})
    store.replace({CAMERA: product(CAMERA, "Camera")})
    assert rows(store, "SELECT ?n WHERE { ?s <http://schema.org/name> ?n }") == [("Camera",)]


AWKWARD = [
    'say "hello"',
    "line\nbreak",
    "back\\slash",
    "tab\tand\rreturn",
    "} ; DROP ALL ; INSERT DATA {",
    "Bogenlänge",
    "😀",
    "\u0085",
    "",
]


def test_literals_come_back_as_they_went(store: SparqlStore) -> None:
    values = [*map(Literal, AWKWARD), Literal("Zielkamera", language="de"), Literal("2", datatype=NamedNode("urn:x:unit"))]
    triples = [Triple(NamedNode(CAMERA), NAME, value) for value in values]
    store.replace({CAMERA: triples})
    assert set(store.triples(CAMERA)) == set(triples)


@pytest.mark.parametrize("name", ["itemType_1", "", "http://localhost/> } ; DROP ALL #", "http://localhost:8000/a b"])
def test_a_graph_has_an_absolute_iri(store: SparqlStore, name: str) -> None:
    store.replace({SCALE: product(SCALE, "Scale")})
    with pytest.raises(ValueError, match=r"IRI"):
        store.replace({name: product(CAMERA, "Camera")})
    assert list(store.graph_names()) == [SCALE]


def test_clear_drops_everything(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(SCALE, "Scale")})
    store.clear()
    assert list(store.graph_names()) == []
    assert not holds(store, "ASK { ?s ?p ?o }")


def test_an_empty_store_answers(store: SparqlStore) -> None:
    store.ping()
    assert rows(store, "SELECT * WHERE { ?s ?p ?o }") == []
    assert not holds(store, "ASK { ?s ?p ?o }")
    assert store.query("CONSTRUCT WHERE { ?s ?p ?o }", results.N_TRIPLES, timeout=TIMEOUT).body == b""


TABLES = {
    results.JSON: b'{"head":{"vars":["n"]},"results":{"bindings":[{"n":{"type":"literal","value":"a, \\"b\\""}}]}}',
    results.XML: b'<?xml version="1.0"?><sparql xmlns="http://www.w3.org/2005/sparql-results#"><head><variable name="n"/></head>'
    b'<results><result><binding name="n"><literal>a, &quot;b&quot;</literal></binding></result></results></sparql>',
    results.CSV: b'n\r\n"a, ""b"""\r\n',
    results.TSV: b'?n\n"a, \\"b\\""\n',
}


@pytest.mark.parametrize("media_type", results.TABLES)
def test_a_table_comes_in_every_syntax(store: SparqlStore, media_type: str) -> None:
    store.replace({CAMERA: product(CAMERA, 'a, "b"')})
    answer = store.query("SELECT ?n WHERE { ?s <http://schema.org/name> ?n }", media_type, timeout=TIMEOUT)
    assert answer.media_type == media_type
    assert answer.body == TABLES[media_type]


@pytest.mark.parametrize("media_type", results.TABLES)
def test_a_boolean_comes_in_every_syntax(store: SparqlStore, media_type: str) -> None:
    assert b"true" in store.query("ASK {}", media_type, timeout=TIMEOUT).body


@pytest.mark.parametrize("query", ["CONSTRUCT WHERE { ?s ?p ?o }", f"DESCRIBE <{CAMERA}>"])
@pytest.mark.parametrize("media_type", results.GRAPHS)
def test_a_graph_comes_in_every_syntax(store: SparqlStore, media_type: str, query: str) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera")})
    answer = store.query(query, media_type, timeout=TIMEOUT)
    assert answer.media_type == media_type
    assert set(results.statements(answer.body, media_type)) == set(product(CAMERA, "Camera"))


def test_a_syntax_error_is_told_in_the_words_of_the_parser(store: SparqlStore) -> None:
    with pytest.raises(InvalidParameter, match=r"expected|syntax error") as refusal:
        store.query("SELECT ?n WHERE { ?s ?p ", results.JSON, timeout=TIMEOUT)
    assert refusal.value.members["parameter"] == "query"


@pytest.mark.parametrize(
    "query", ["SELECT * WHERE { SERVICE <http://localhost:1/> { ?s ?p ?o } }", "DELETE WHERE { ?s ?p ?o }", "CLEAR ALL"]
)
def test_what_is_not_allowed_never_reaches_the_store(store: SparqlStore, query: str) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera")})
    with pytest.raises(QueryRefused):
        store.query(query, results.JSON, timeout=TIMEOUT)
    assert list(store.graph_names()) == [CAMERA]


def many(count: int) -> list[Triple]:
    return [Triple(NamedNode(f"urn:x:{number}"), NAME, Literal(number)) for number in range(count)]


@pytest.mark.parametrize("media_type", results.TABLES)
def test_as_many_rows_as_allowed_and_not_one_more(store: SparqlStore, media_type: str) -> None:
    store.replace({CAMERA: many(LIMITS.rows + 1)})
    query = "SELECT ?s WHERE { ?s ?p ?o }"
    assert store.query(f"{query} LIMIT {LIMITS.rows}", media_type, timeout=TIMEOUT)
    with pytest.raises(QueryLimitExceeded, match=f"more than {LIMITS.rows} rows"):
        store.query(query, media_type, timeout=TIMEOUT)


@pytest.mark.parametrize("media_type", [results.N_TRIPLES, "text/turtle"])
def test_as_many_triples_as_allowed_and_not_one_more(store: SparqlStore, media_type: str) -> None:
    store.replace({CAMERA: many(LIMITS.rows + 1)})
    query = "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }"
    assert store.query(f"{query} LIMIT {LIMITS.rows}", media_type, timeout=TIMEOUT)
    with pytest.raises(QueryLimitExceeded, match=f"more than {LIMITS.rows} rows"):
        store.query(query, media_type, timeout=TIMEOUT)


def test_no_more_bytes_than_allowed(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "x" * LIMITS.octets)})
    with pytest.raises(QueryLimitExceeded, match=f"more than {LIMITS.octets} bytes"):
        store.query("SELECT * WHERE { ?s ?p ?o }", results.JSON, timeout=TIMEOUT)
    assert rows(store, "SELECT ?s WHERE { ?s a ?kind }") == [(CAMERA,)]


def test_what_the_service_reads_for_itself_has_no_limit(store: SparqlStore) -> None:
    store.replace({f"urn:x:graph:{number}": many(2) for number in range(LIMITS.rows + 1)})
    assert len(list(store.graph_names())) == LIMITS.rows + 1
    store.replace({CAMERA: many(LIMITS.rows + 1)})
    assert len(store.triples(CAMERA)) == LIMITS.rows + 1


ENDLESS = "{ ?a ?p ?x . ?b ?q ?y . ?c ?r ?z . ?d ?s ?w . FILTER(?x + ?y + ?z + ?w < 0) }"


@pytest.mark.parametrize(
    ("query", "media_type"),
    [
        (f"SELECT (COUNT(*) AS ?n) WHERE {ENDLESS}", results.JSON),
        (f"SELECT * WHERE {ENDLESS}", results.CSV),
        (f"ASK {ENDLESS}", results.XML),
        (f"CONSTRUCT {{ ?a ?p ?b }} WHERE {ENDLESS}", "text/turtle"),
    ],
)
def test_a_query_ends_when_its_time_is_over(store: SparqlStore, query: str, media_type: str) -> None:
    store.replace({CAMERA: many(45)})
    with pytest.raises(QueryLimitExceeded, match="longer"):
        store.query(query, media_type, timeout=0.3)
    assert holds(store, "ASK { ?s ?p ?o }")


UNEQUAL = "{ ?s ?p ?o FILTER NOT EXISTS { GRAPH ?g { ?s ?p ?o } } } UNION { GRAPH ?g { ?s ?p ?o } FILTER NOT EXISTS { ?s ?p ?o } }"
"""What is in the default graph alone, or in some named graph alone."""


@pytest.mark.parametrize("backend", TRANSACTIONAL, indirect=True)
def test_writers_beside_one_another_keep_the_union_right(store: SparqlStore) -> None:
    """A triple must not leave the union because one writer drops it from its graph just when another puts it into another graph."""
    names = [CAMERA, SCALE, TIMER]
    shared = [product(CAMERA, "Camera"), product(SCALE, "Scale"), []]

    def write(seed: int, start: threading.Barrier) -> None:
        chance = random.Random(seed)
        start.wait()
        for _ in range(3):
            store.replace({name: chance.choice(shared) for name in chance.sample(names, 2)})

    for number in range(12):
        barrier = threading.Barrier(4)
        writers = [threading.Thread(target=write, args=(4 * number + one, barrier)) for one in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert not holds(store, f"ASK {{ {UNEQUAL} }}")


@pytest.mark.parametrize("backend", TRANSACTIONAL, indirect=True)
def test_a_reader_sees_a_replacement_whole_or_not_at_all(store: SparqlStore) -> None:
    states = [{name: product(name, f"{name} {state}") for name in (CAMERA, SCALE)} for state in ("old", "new")]
    store.replace(states[0])
    ended = threading.Event()

    def write() -> None:
        for number in range(40):
            store.replace(states[number % 2])
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not ended.is_set():
        seen.append(rows(store, "SELECT ?n WHERE { ?s <http://schema.org/name> ?n }"))
    writer.join()
    assert {tuple(name.rsplit(" ", 1)[1] for (name,) in found) for found in seen} <= {("old", "old"), ("new", "new")}


def test_threads_share_a_store(store: SparqlStore) -> None:
    store.replace({CAMERA: product(CAMERA, "Camera")})
    found: list[list[tuple[str, ...]]] = []
    query = "SELECT ?n WHERE { ?s <http://schema.org/name> ?n }"
    threads = [threading.Thread(target=lambda: found.extend(rows(store, query) for _ in range(10))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[("Camera",)]] * 80


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory:", MemoryStore),
        ("managed:", HttpStore),
        ("https://sparql.example.org/q", HttpStore),
        ("virtuoso+https://sparql.example.org/sparql", HttpStore),
    ],
)
def test_the_scheme_of_the_url_chooses_the_backend(tmp_path: Path, url: str, kind: type) -> None:
    assert isinstance(open_store(Settings(data_dir=tmp_path, sparql_url=url)), kind)


def test_an_unknown_scheme_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=re.escape(", ".join(f"{scheme}:" for scheme in BACKENDS))):
        open_store(Settings(data_dir=tmp_path, sparql_url="bolt://localhost"))


def test_a_server_with_its_own_union_answers_from_it_and_is_warned_about(
    server_with_union: OxigraphServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(at(server_with_union, tmp_path))
    store.replace({CAMERA: product(CAMERA, "Camera"), SCALE: product(CAMERA, "Camera")})
    assert rows(store, "SELECT DISTINCT ?n WHERE { ?s <http://schema.org/name> ?n }") == [("Camera",)]
    assert rows(store, "SELECT ?g WHERE { GRAPH ?g { } }") == [(CAMERA,), (SCALE,)]
    assert "repeats a triple" in caplog.text
    store.close()
