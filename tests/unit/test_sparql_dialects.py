"""What is sent to a Virtuoso, and how its answers are read; tests/virtuoso asks a real one."""

import pytest
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, Store

from ld_server.domain.errors import QueryLimitExceeded, QueryRefused, StoreUnavailable
from ld_server.sparql import results
from ld_server.sparql.dialects import STANDARD, UNION, VIRTUOSO, Reply, graph_store_beside
from ld_server.sparql.guard import check, without_graphs
from ld_server.sparql.port import Dataset

HEAD = (
    b'<sparql xmlns="http://www.w3.org/2005/sparql-results#">\n <head>\n  <variable name="__ASK_RETVAL"/>\n </head>\n'
    b' <results distinct="false" ordered="true">\n'
)
VALUE = b'<literal datatype="http://www.w3.org/2001/XMLSchema#integer">1</literal>'
ROW = b'  <result>\n   <binding name="__ASK_RETVAL">' + VALUE + b"</binding>\n  </result>\n"


def reply(body: bytes, media_type: str = results.XML, **headers: str) -> Reply:
    return Reply(200, media_type, body, headers)


@pytest.mark.parametrize(("rows", "truth"), [(ROW, b"true"), (b"", b"false")])
def test_a_table_of_one_value_is_a_boolean(rows: bytes, truth: bytes) -> None:
    body = VIRTUOSO.understood(reply(HEAD + rows + b" </results>\n</sparql>")).body
    assert results.finished(body, results.XML, results.JSON, results.Limits(9, 999)).body == b'{"head":{},"boolean":' + truth + b"}"


def test_what_is_not_whole_is_no_answer() -> None:
    for header in ("x-sql-state", "x-sparql-maxrows"):
        with pytest.raises(QueryLimitExceeded):
            VIRTUOSO.understood(reply(HEAD, **{header: "S1TAT"}))


def test_who_asks_a_virtuoso_as_any_other_is_told() -> None:
    with pytest.raises(StoreUnavailable, match=r"virtuoso\+http"):
        STANDARD.understood(reply(HEAD, server="Virtuoso/07.20.3229 (Linux)"))


@pytest.mark.parametrize("text", [b'<urn:s> <urn:p> "\\"7\\"^^<http://www.w3.org/2001/XMLSchema#duration>" .\n'])
def test_a_text_is_left_as_it_is(text: bytes) -> None:
    assert VIRTUOSO.understood(reply(text, results.N_TRIPLES)).body == text


def sent(query: str, dataset: Dataset | None = None) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for name, value in VIRTUOSO.asked(query, dataset, check(query).graphs, 1.5):
        told.setdefault(name, []).append(value)
    return told


def test_a_query_is_asked_over_the_union_and_the_graphs_that_it_names() -> None:
    assert sent("ASK {}") == {"query": ["ASK {}"], "default-graph-uri": [UNION.value], "timeout": ["1500"]}
    assert sent("PREFIX x: <urn:x:> ASK { GRAPH x:a { } GRAPH <urn:b> { } }")["named-graph-uri"] == ["urn:x:a", "urn:b"]
    assert sent("ASK {}", Dataset((), ("urn:b",)))["default-graph-uri"] == ["urn:ld-reservations:nothing"]


def test_what_it_would_answer_wrongly_is_refused() -> None:
    with pytest.raises(QueryRefused):
        sent("ASK { GRAPH <urn:a> {} GRAPH ?g {} }")
    with pytest.raises(QueryRefused):
        VIRTUOSO.refuse("ASK {}", is_told_twice=True)


QUERIES = [
    "SELECT ?g { GRAPH ?g { ?s ?p ?o } }",
    "SELECT ?g { GRAPH ?g { ?s ?p ?o . { ?s ?q ?r } FILTER(?o != '}') } . } # GRAPH ?g {",
    "SELECT ?g ?s { ?x <urn:p> ?y OPTIONAL { graph $g { ?x ?p ?o { } } } }",
    "SELECT (COUNT(*) AS ?n) { { GRAPH ?g { ?s ?p ?o } } UNION { GRAPH ?h{ ?s ?p ?o FILTER EXISTS { GRAPH ?g { ?s ?p ?o } } } } }",
]


@pytest.mark.parametrize("query", QUERIES)
def test_hidden_graphs_are_as_if_they_were_not_there(query: str) -> None:
    node, other = NamedNode("urn:a"), NamedNode("urn:b")
    shown = [Quad(one, NamedNode("urn:p"), Literal("1"), graph) for one in (node, other) for graph in (one, DefaultGraph())]
    seen, whole = Store(), Store()
    seen.extend(shown)
    whole.extend([*shown, Quad(node, NamedNode("urn:p"), Literal("1"), NamedNode("urn:hidden"))])

    def answers(store: Store, text: str) -> list[str]:
        return sorted(map(str, store.query(text)))  # type: ignore[arg-type]

    assert answers(whole, without_graphs(query, ["urn:hidden"])) == answers(seen, query) != answers(whole, query)


def test_graphs_are_kept_beside_the_endpoint() -> None:
    assert graph_store_beside("http://u:p@host:8890/sparql-auth?a=b") == "http://u:p@host:8890/sparql-graph-crud-auth"
