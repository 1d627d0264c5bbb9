"""Which queries are let through. What a store would really do with the refused ones is shown by a listener that must hear nothing."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import NamedNode, Quad, Store

from ld_server.domain.errors import InvalidParameter, QueryRefused
from ld_server.sparql import guard
from ld_server.sparql.guard import Form, QueryForm, check
from ld_server.sparql.port import Dataset
from tests.costs import LONG_WORK, within

REFUSED = {
    "plain": "SELECT * { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } }",
    "lower case, silent": "select * { service silent <http://127.0.0.1:{port}/> { ?s ?p ?o } }",
    "without any gap": "SELECT*{SERVICE<http://127.0.0.1:{port}/>{?s ?p ?o}}",
    "a variable": "SELECT * { VALUES ?x { <http://127.0.0.1:{port}/> } SERVICE ?x { ?s ?p ?o } }",
    "a prefixed name": "PREFIX x: <http://127.0.0.1:{port}/> SELECT * { SERVICE x:y { ?s ?p ?o } }",
    "the empty prefix": "PREFIX : <http://127.0.0.1:{port}/> SELECT * { SERVICE : { ?s ?p ?o } }",
    "a name outside the BMP": "PREFIX x: <http://127.0.0.1:{port}/> SELECT * { SERVICE x:𐀀 { ?s ?p ?o } }",
    "glued to its name": "PREFIX : <http://127.0.0.1:{port}/> SELECT * { service:x { ?s ?p ?o } }",
    "glued to silent and its name": "PREFIX : <http://127.0.0.1:{port}/> SELECT * { servicesilent:x { ?s ?p ?o } }",
    "glued to a boolean": "SELECT * { ?s ?p trueSERVICE<http://127.0.0.1:{port}/>{ ?s ?p ?o } }",
    "between a boolean and a name": "PREFIX : <http://127.0.0.1:{port}/> SELECT * { ?s :p true.service:x { ?s ?p ?o } }",
    "after a number": "SELECT * { ?s ?p 5.SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } }",
    "a comment inside": "SELECT * { SERVICE # to be sure\n <http://127.0.0.1:{port}/> #\n { ?s ?p ?o } }",
    "after a comment": "SELECT * { # '''\n SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } # '''\n }",
    "in a subquery": "SELECT * { { SELECT * { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } } } }",
    "in EXISTS": "SELECT * { ?s ?p ?o FILTER EXISTS { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } } }",
    "in NOT EXISTS in BIND": "SELECT * { BIND(NOT EXISTS { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } } AS ?x) }",
    "in a projection": "SELECT (EXISTS { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } } AS ?x) { }",
    "in OPTIONAL": "SELECT * { OPTIONAL { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } } }",
    "in MINUS": "SELECT * { ?s ?p ?o MINUS { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } } }",
    "in UNION in GRAPH": "SELECT * { GRAPH ?g { { } UNION { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } } } }",
    "in LATERAL": "SELECT * { ?s ?p ?o LATERAL { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } } }",
    "in ASK": "ASK { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } }",
    "in CONSTRUCT": "CONSTRUCT { ?s ?p ?o } WHERE { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } }",
    "in DESCRIBE": "DESCRIBE ?s { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } }",
    "in HAVING": "SELECT ?s { ?s ?p ?o } GROUP BY ?s HAVING (EXISTS { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } })",
    "in ORDER BY": "SELECT ?s { ?s ?p ?o } ORDER BY (EXISTS { SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } })",
    "escaped": "SELECT * { \\u0053ERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } }",
    "escaped in full": "SELECT * { \\U00000053ERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } }",
    "behind a string that escapes end": "SELECT * { ?s ?p \"\\u0022 SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } #\" }",
    "behind a comparison that looks like an IRI":
        "SELECT * { ?s ?p ?o FILTER(?s<?b)#> '''\nSERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } #'''\n}",
    "inside what looks like an IRI": "SELECT * { ?s ?p ?o FILTER(?s<?b)SERVICE#>\n<http://127.0.0.1:{port}/> { ?s ?p ?o } }",
    "behind quotes that look like a long string": "SELECT * { VALUES ?x { '''a' } SERVICE <http://127.0.0.1:{port}/> { ?s ?p ?o } #'''\n }",
    "said too often in one name": f"SELECT * {{ {'service' * 20}:x ?p ?o }}",
}  # fmt: skip

ALLOWED = {
    "a variable": "SELECT ?service ?x { ?service ?p ?x }",
    "variables before the pattern": "SELECT $service ?x { $service ?p ?x }",
    "a prefix": "PREFIX service: <urn:x:> SELECT * { ?s a service:Repair ; service:of ?o }",
    "a local name": "PREFIX x: <urn:x:> DESCRIBE x:service ?x { ?x a x:service }",
    "a blank node": "SELECT * { _:service ?p ?o }",
    "an IRI": "SELECT * { ?s a <http://schema.org/Service> { } }",
    "a relative IRI": "BASE <http://example.org/> SELECT * { ?s a <service> . ?x ?p ?o }",
    "a string": "SELECT * { ?s ?p 'SERVICE <http://127.0.0.1/> { ?s ?p ?o }' }",
    "a long string": 'SELECT * { ?s ?p """it\'s\nSERVICE <http://127.0.0.1/>""" }',
    "a comment": "SELECT * { ?s ?p ?o } # SERVICE <http://127.0.0.1/> { ?s ?p ?o }",
    "a comment with a quotation mark": "SELECT * { # don't\n ?s ?p ?o }",
    "paths": "SELECT * { ?s (<urn:x:a>|^<urn:x:b>)*/<urn:x:c>+/!(^<urn:x:d>|a)? [ <urn:x:e> ?y ] . (1 2 ?z) <urn:x:f> _:b }",
    "comparisons": "SELECT * { ?s ?p ?o FILTER(?o<5&&?o>3||?o<=1) }",
    "SPARQL 1.2": 'VERSION "1.2" SELECT * { << ?s ?p ?o >> ?a ?b . <<( ?s ?p ?o )>> ?c ?d . ?x ?y "a"@en--ltr }',
    "LATERAL": "SELECT * { ?s ?p ?o LATERAL { SELECT * { ?s ?q ?r } LIMIT 1 } }",
    "words of updates": "PREFIX delete: <urn:x:> SELECT ?insert { ?insert a delete:load ; delete:p 'DROP ALL' }",
}

FORMS = {
    "SELECT * {}": QueryForm(Form.SELECT),
    "ask {}": QueryForm(Form.ASK),
    "# a comment\nPREFIX select: <urn:x:>\nConstruct WHERE { ?s ?p ?o }": QueryForm(Form.CONSTRUCT),
    "BASE <http://example.org/> DESCRIBE <x>": QueryForm(Form.DESCRIBE),
    "SELECT * FROM <urn:x:a> FROM <urn:x:b> FROM NAMED <urn:x:c> {}": QueryForm(Form.SELECT, Dataset(("urn:x:a", "urn:x:b"), ("urn:x:c",))),
    "SELECT*FROM<urn:x:a>{}": QueryForm(Form.SELECT, Dataset(("urn:x:a",), ())),
    "ASK from named <urn:x:c> {}": QueryForm(Form.ASK, Dataset((), ("urn:x:c",))),
    "PREFIX x: <urn:x:> DESCRIBE x:s FROM x:g": QueryForm(Form.DESCRIBE, Dataset(("urn:x:g",), ())),
    "PREFIX : <urn:x:> SELECT * FROM :g {}": QueryForm(Form.SELECT, Dataset(("urn:x:g",), ())),
    "BASE <http://e.org/a/> PREFIX x: <b/> SELECT * FROM x:c FROM <../d> {}": QueryForm(
        Form.SELECT, Dataset(("http://e.org/a/b/c", "http://e.org/d"), ())
    ),
    "SELECT ?from { ?from ?named 'FROM <urn:x:a>' } # FROM <urn:x:b>": QueryForm(Form.SELECT),
}


class Ear:
    """Something on loopback that a query might call. It hangs up at once and counts."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = str(self._socket.getsockname()[1])
        self.calls = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.calls += 1
                connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def ear() -> Iterator[Ear]:
    opened = Ear()
    yield opened
    opened.close()


def evaluate(query: str) -> None:
    """What an Oxigraph without any guard does. It has a triple, so that a join does not end before it begins."""
    store = Store()
    store.add(Quad(NamedNode("urn:x:s"), NamedNode("urn:x:p"), NamedNode("urn:x:o")))
    with suppress(SyntaxError, OSError, RuntimeError, ValueError, TypeError):  # ASK gives nothing to iterate
        list(store.query(query))  # type: ignore[arg-type]


@pytest.mark.parametrize("query", REFUSED.values(), ids=REFUSED)
def test_service_is_found_wherever_it_stands(query: str) -> None:
    with pytest.raises(QueryRefused, match="SERVICE"):
        check(query.replace("{port}", "9"))


@pytest.mark.parametrize("query", ALLOWED.values(), ids=ALLOWED)
def test_the_word_alone_is_no_call(query: str) -> None:
    check(query)
    with suppress(OSError):
        Store().query(query)  # it is valid SPARQL


@pytest.mark.parametrize("query", [REFUSED[name] for name in ("plain", "behind a comparison that looks like an IRI", "glued to its name")])
def test_a_store_without_the_guard_would_call(ear: Ear, query: str) -> None:
    """If this fails, pyoxigraph has learned not to, and the guard may become simpler."""
    before = ear.calls
    evaluate(query.replace("{port}", ear.port))
    assert ear.calls > before


PIECES = [
    "SERVICE", "service", "SILENT", "service:x", "<http://127.0.0.1:{port}/>", "?x", ":y", "{", "}", "{ ?s ?p ?o }", "?s ?p ?o", "a", "_:b",
    "'", '"', "'''", '"""', "#", "\n", " ", "<", ">", "(", ")", ".", ";", ",", "\\", "\\u0027", "@en", "true", "5",
    "FILTER(?a<?b)", "VALUES ?x { 1 }", "OPTIONAL", "GRAPH ?g", "UNION",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_nothing_that_passes_makes_a_store_call(ear: Ear, pieces: list[str]) -> None:
    before = ear.calls
    query = f"PREFIX : <http://127.0.0.1:{{port}}/> SELECT * {{ {' '.join(pieces)} }}".replace("{port}", ear.port)
    with suppress(QueryRefused, InvalidParameter):
        check(query)
        evaluate(query)
    assert ear.calls == before, query


@pytest.mark.parametrize("query", FORMS)
def test_the_form_and_the_dataset_of_a_query(query: str) -> None:
    assert check(query) == FORMS[query]


UPDATES = ["INSERT DATA", "DELETE WHERE", "LOAD <urn:x:>", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH <urn:x:g>"]


@pytest.mark.parametrize("word", UPDATES)
def test_updates_are_refused(word: str) -> None:
    with pytest.raises(QueryRefused, match="only reads"):
        check(f"PREFIX x: <urn:x:> {word} {{ ?s ?p ?o }}")


NO_QUERIES = ["", " ", "# nothing", "PREFIX x: <urn:x:>", "hello", "DEFINE get:soft 'x' SELECT * {}", "<urn:x>", "{}", "PREFIX", "BASE"]


@pytest.mark.parametrize("text", NO_QUERIES)
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="SELECT, ASK, CONSTRUCT or DESCRIBE"):
        check(text)


@pytest.mark.parametrize("clause", ["FROM <g>", "FROM x:g", "FROM NAMED <g>", "FROM", "FROM NAMED"])
def test_a_dataset_clause_needs_an_absolute_name(clause: str) -> None:
    with pytest.raises(InvalidParameter, match="absolute IRI"):
        check(f"SELECT * {clause}")


LONG = {
    "IRIs": "<http://example.org/service/1> " * 8_000,
    "words": "service " * 30_000,
    "openings": "<" * 250_000,
    "quotation marks": "'" * 250_001,
    "names": "service.a:b " * 8_000,
    "comments": "service #\n" * 25_000,
    "one comment": "service #" + "a" * 250_000,
    "dots": "a." * 100_000,
    "half calls": "service <a" * 25_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_the_time_grows_with_the_length_and_not_faster(text: str) -> None:
    with within(LONG_WORK), suppress(QueryRefused):
        check(f"SELECT * {{ {text} }}")


def test_a_query_is_read_once_and_remembered() -> None:
    query = "SELECT * { ?s ?p 'remember me' }"
    check(query)
    hits = guard._remembered.cache_info().hits
    check(query)
    assert guard._remembered.cache_info().hits == hits + 1
