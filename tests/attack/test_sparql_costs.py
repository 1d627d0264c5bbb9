"""
The worst that can be asked by SPARQL, of a real server that is kept as `ld-server up` keeps it: each is answered or refused in bounded
time, rows, bytes and memory, it has really ended then, and the next question is answered. Nobody writes into that server but us.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import psutil
import pytest
from falcon import testing
from pyoxigraph import Literal, NamedNode, Triple

from ld_server.bootstrap import build, prepare
from ld_server.settings import Settings
from ld_server.sparql import guard
from ld_server.supervisor.children import Patience
from ld_server.supervisor.household import roles
from ld_server.supervisor.watch import Watch
from tests.costs import LONG_WORK, within
from tests.http.conftest import Site, open_site, problem

TIMEOUT = 1.0
MEMORY = 256 * 1024**2
ROWS, OCTETS = 5000, 4 * 1024**2
LONGEST = 30.0
"""Seconds for what takes two or three on a machine that has nothing else to do."""

COUNT = 300
"""Resources, in a circle by two kinds of links; the first has a long text."""


@dataclass
class Kept:
    """A site, and the watch over its SPARQL server, which goes around in a thread of its own."""

    site: Site
    watch: Watch
    said: list[str]
    ended: threading.Event = field(default_factory=threading.Event)

    def go_around(self) -> None:
        while not self.ended.wait(0.05):
            self.watch.round()
        self.watch.stop()

    def ask(self, query: str, accept: str = "") -> testing.Result:
        return self.site.post("/v1/sparql", query.encode(), Content_Type="application/sparql-query", Accept=accept)

    def answers(self) -> bool:
        return self.ask("ASK { ?s ?p ?o }").text == '{"head":{},"boolean":true}'

    def rests(self) -> bool:
        """Whether there is a server that uses next to no processor time and has little memory."""
        try:
            server = psutil.Process(self.watch.children[0].pid or 0)
            before = sum(server.cpu_times()[:2])
            time.sleep(0.3)
            return sum(server.cpu_times()[:2]) - before < 0.03 and server.memory_info().rss < MEMORY
        except psutil.Error:
            return False


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    limits = {"sparql_timeout": TIMEOUT, "sparql_memory": MEMORY, "sparql_max_rows": ROWS, "sparql_max_bytes": OCTETS}
    settings = Settings(data_dir=tmp_path_factory.mktemp("kept"), **limits)  # type: ignore[arg-type]
    prepare(settings)
    parts, said = build(settings), list[str]()
    watch = Watch(roles(settings)[:1], Patience(first=0.2), say=said.append, vain=0.5)
    kept = Kept(open_site(parts), watch, said)
    around = threading.Thread(target=kept.go_around)
    around.start()
    eventually(lambda: watch.children[0].ready)
    parts.sparql.replace({"urn:x:circle": circle()})
    yield kept
    kept.ended.set()
    around.join()
    parts.close()


def circle() -> list[Triple]:
    names = [NamedNode(f"urn:x:{number}") for number in range(COUNT)]
    links = [(NamedNode("urn:x:next"), 1), (NamedNode("urn:x:other"), 7)]
    found = [Triple(one, link, names[(n * step + 1) % COUNT]) for n, one in enumerate(names) for link, step in links]
    texts = [Triple(one, NamedNode("http://schema.org/name"), Literal(f"item {n}")) for n, one in enumerate(names)]
    return [*found, *texts, Triple(names[0], NamedNode("urn:x:long"), Literal("a" * 30_000))]


THRICE = "?a ?b ?c . ?d ?e ?f . ?g ?h ?i"
ANY = "(<urn:x:p>|!<urn:x:p>)"
SIXFOLD = " ".join(f"BIND(CONCAT({', '.join([f'?y{n}'] * 6)}) AS ?y{n + 1})" for n in range(9))
COSTS = {
    "a product that is counted": f"SELECT (COUNT(*) AS ?n) {{ {THRICE} . ?j ?k ?l }}",
    "a product that is told": f"SELECT * {{ {THRICE} }}",
    "a product that is sorted": f"SELECT * {{ {THRICE} }} ORDER BY ?c ?f ?i LIMIT 1",
    "a product that is grouped": f"SELECT ?a ?d ?g (COUNT(*) AS ?n) {{ {THRICE} }} GROUP BY ?a ?d ?g",
    "a product that is constructed": f"CONSTRUCT {{ ?a <urn:x:p> ?f . _:x ?e ?i }} WHERE {{ {THRICE} }}",
    "everything is described": "DESCRIBE * { ?s ?p ?o . ?a ?b ?c }",
    "paths around the circle": f"SELECT (COUNT(*) AS ?n) {{ ?a {ANY}* ?b . ?b {ANY}* ?c . ?c ((({ANY}*)*)+)* ?d }}",
    "a long path": f"SELECT * {{ ?a <urn:x:next>{'/<urn:x:next>' * 600} ?b }}",
    "texts that are put together": f"SELECT (GROUP_CONCAT(?l) AS ?x) {{ ?s <urn:x:long> ?l . {THRICE} }}",
    "a text that grows": f"SELECT (STRLEN(?y9) AS ?n) {{ ?s <urn:x:long> ?y0 {SIXFOLD} }}",
    "a pattern that goes back": "SELECT (COUNT(*) AS ?n) { ?s <urn:x:long> ?l . ?a ?b ?c . ?d ?e ?f "
    "BIND(CONCAT('((a{1,90}){1,9})*b', STR(?a)) AS ?r) FILTER(REGEX(?l, ?r)) }",
    "many values": f"SELECT (COUNT(*) AS ?n) {{ VALUES ?x {{ {'1 ' * 60_000} }} VALUES ?y {{ {'1 ' * 60_000} }} }}",
    "what is not there": f"SELECT * {{ ?a ?b ?c . ?d ?e ?f FILTER NOT EXISTS {{ {THRICE.replace('?c', '?z')} FILTER(?i + ?z < ?c) }} }}",
}
"""What takes for ever, or more than there is, where nothing bounds it."""


@pytest.mark.parametrize("query", COSTS.values(), ids=COSTS)
def test_it_is_bounded_and_ended(kept: Kept, query: str) -> None:
    begin = time.monotonic()
    answer = kept.ask(query)
    assert time.monotonic() - begin < LONGEST
    if answer.status_code == 503:
        problem(answer, "store-unavailable", 503)
    elif answer.status_code == 400:
        problem(answer, "query-limit-exceeded", 400)
    else:
        assert answer.status_code == 200
        assert len(answer.content) <= OCTETS
    eventually(kept.rests)
    eventually(kept.answers)


def test_a_query_that_the_server_does_not_end_by_itself_is_ended_for_it(kept: Kept) -> None:
    """If this fails, Oxigraph has learned to look at the time while it counts, and the watch has less to do."""
    kept.said.clear()
    problem(kept.ask(COSTS["a product that is counted"]), "query-limit-exceeded", 400)
    eventually(lambda: any("hung up" in one for one in kept.said))
    eventually(kept.answers)


def test_a_query_that_takes_too_much_memory_is_ended_with_its_server(kept: Kept) -> None:
    kept.said.clear()
    assert kept.ask(COSTS["a text that grows"]).status_code in (400, 503)
    eventually(lambda: any(f"more than {MEMORY} bytes of memory" in one for one in kept.said))
    eventually(kept.answers)


# --- towers -----------------------------------------------------------------------------------------------------------


def towers(height: int) -> dict[str, str]:
    """Queries that stand upon themselves."""
    return {
        "braces": f"SELECT * {'{' * height}{'}' * height}",
        "parentheses": f"SELECT * {{ FILTER({'(' * height}1{')' * height}) }}",
        "brackets": f"SELECT * {{ ?s ?p {'[ ?p ' * height}1{']' * height} }}",
        "lists": f"SELECT * {{ ?s ?p {'( ' * height}1{')' * height} }}",
        "paths": f"SELECT * {{ ?s {'(' * height}<urn:x:p>{')*' * height} ?o }}",
        "queries": f"{'SELECT * { ' * height}{'}' * height}",
        "optional parts": f"SELECT * {{ {'OPTIONAL { ?s ?p ?o ' * height}{'}' * height} }}",
        "existence": f"SELECT * {{ {'FILTER EXISTS { ' * height}{'}' * height} }}",
    }


def chains(length: int) -> dict[str, str]:
    """Queries of which each piece stands upon all before it."""
    return {
        "negations": f"SELECT * {{ FILTER({'!' * length}1) }}",
        "sums": f"SELECT * {{ BIND(1{' + 1' * length} AS ?x) }}",
        "conditions": f"SELECT * {{ FILTER(1{'&&1' * length}) }}",
        "alternatives": f"SELECT * {{ ?s <urn:x:p>{'|<urn:x:p>' * length} ?o }}",
        "unions": f"SELECT * {{ {{}}{' UNION {}' * length} }}",
        "variables": f"SELECT (COUNT(*) AS ?n) {{ {' '.join(f'BIND(1 AS ?v{n})' for n in range(length))} }}",
    }


@pytest.mark.parametrize("name", towers(1))
def test_what_is_nested_too_deep_is_refused_and_what_is_not_stands(kept: Kept, name: str) -> None:
    before = kept.watch.children[0].pid
    problem(kept.ask(towers(2000)[name]), "query-limit-exceeded", 400)
    answer = kept.ask(towers(guard.DEEPEST - 2)[name])
    assert answer.status_code == 200 or "longer than this server allows" in answer.text
    assert kept.watch.children[0].pid == before or "longer" in answer.text
    eventually(kept.answers)


@pytest.mark.parametrize("name", chains(1))
def test_what_joins_too_much_is_refused_and_what_does_not_stands(kept: Kept, name: str) -> None:
    before = kept.watch.children[0].pid
    problem(kept.ask(chains(20_000)[name]), "query-limit-exceeded", 400)
    assert kept.ask(chains(guard.MOST_JOINED - 5)[name]).status_code == 200
    assert kept.watch.children[0].pid == before


def test_a_tower_is_found_in_what_may_be_read_as_a_text(kept: Kept) -> None:
    hidden = f"SELECT * {{ ?s ?p ?o FILTER(?s<?b)#> '''\n{'{' * 2000}{'}' * 2000} #'''\n }}"
    problem(kept.ask(hidden), "query-limit-exceeded", 400)


def test_the_longest_query_is_read_in_bounded_time(kept: Kept) -> None:
    pairs = "(1 2) " * 43_000
    with within(LONG_WORK):
        kept.ask(f"SELECT (COUNT(*) AS ?n) {{ VALUES (?x ?y) {{ {pairs} }} }}")
    problem(kept.ask(f"SELECT * {{ VALUES (?x ?y) {{ {pairs * 2} }} }}"), "query-limit-exceeded", 400)
    eventually(kept.answers)


# --- nobody else writes -----------------------------------------------------------------------------------------------


def test_the_server_listens_on_loopback_alone(kept: Kept) -> None:
    listening = [one for one in psutil.Process(kept.watch.children[0].pid or 0).net_connections() if one.status == psutil.CONN_LISTEN]
    assert [one.laddr.ip for one in listening] == ["127.0.0.1"]


EVIL = "INSERT DATA { GRAPH <urn:x:evil> { <urn:x:evil> <urn:x:evil> 1 } }"
FORM, QUERY, UPDATE = "application/x-www-form-urlencoded", "application/sparql-query", "application/sparql-update"
QUERIES = [
    EVIL, f"ASK {{}} ; {EVIL}", f"ASK {{}}\n{EVIL}", f"# ASK\n{EVIL}", f"\ufeff{EVIL}", f"PREFIX ask: <urn:x:> {EVIL}", f"ASK {{ {EVIL} }}",
    EVIL.replace("INSERT", "\\u0049NSERT"), f"ASK {{}}&update={EVIL}", f"ASK {{}}\r\n\r\nPOST /update HTTP/1.1\r\n\r\n{EVIL}",
    "CLEAR ALL", "DROP ALL",
]  # fmt: skip
PATHS = [
    "/update", "/store", "/v1/update", "/v1/sparql/update", "/v1/sparql/../update", "/v1/sparql%2f..%2fupdate", "/v1/sparql/",
    "/v1/sparql;update", "/v1/sparql/store", "//update", "/v1//sparql", "/v1/queries/update", "/v1/queries/..%2fupdate",
]  # fmt: skip


def test_no_way_leads_to_an_update(kept: Kept) -> None:
    kept.site.parts.sparql.replace({"urn:x:circle": circle()})
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        for parameters in ({"update": EVIL}, {"query": EVIL}, {"query": "ASK {}", "update": EVIL}, {"query": "ASK {}", "Update": EVIL}):
            form = urlencode(parameters)
            _changes_nothing(kept, method, "/v1/sparql", form, None, b"")
            for media_type in (FORM, QUERY, UPDATE, "text/plain"):
                _changes_nothing(kept, method, "/v1/sparql", "", media_type, form.encode())
                _changes_nothing(kept, method, "/v1/sparql", form, media_type, EVIL.encode())
        for path in PATHS:
            for media_type, body in ((UPDATE, EVIL), (FORM, urlencode({"update": EVIL})), ("text/turtle", "<urn:x:evil> <urn:x:evil> 1 .")):
                _changes_nothing(kept, method, path, urlencode({"graph": "urn:x:evil", "default": ""}), media_type, body.encode())
    for query in QUERIES:
        _changes_nothing(kept, "POST", "/v1/sparql", "", QUERY, query.encode())
        _changes_nothing(kept, "GET", "/v1/sparql", urlencode({"query": query}), None, b"")
    assert len(kept.site.parts.sparql.triples("urn:x:circle")) == len(circle())


def _changes_nothing(kept: Kept, method: str, path: str, query: str, media_type: str | None, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {kept.site.keys['admin']}", **({"Content-Type": media_type} if media_type else {})}
    answer = kept.site.client.simulate_request(method, path, query_string=query, headers=headers, body=body)
    assert answer.status_code < 500, answer.text
    assert "urn:x:evil" not in kept.site.parts.sparql.graph_names()
