"""Who people are is told by SPARQL and in exports to the scope `personal` alone, on every backend and by every form of query."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ld_server.bootstrap import build
from ld_server.rdf.formats import FORMATS
from ld_server.rdf.personal import HIDDEN
from ld_server.services import keys
from ld_server.settings import Settings
from tests.http.conftest import RESERVATIONS, Site, open_site
from tests.sparql_servers import OxigraphServer
from workers.projector import Projector

EMAIL = "alicia.keyes@example.org"
NAME = 'Alicia "Ace" Kéyes\\'
PERSON = {"@type": "Person", "identifier": EMAIL, "name": NAME, "email": EMAIL}
SECRETS = ("alicia", "Alicia", "Kéyes", "K\\u00E9yes", "K\\u00e9yes", "keyes")


@pytest.fixture(scope="module")
def oxigraph() -> Iterator[OxigraphServer]:
    server = OxigraphServer("--union-default-graph")
    yield server
    server.stop()


@pytest.fixture(params=["memory", "oxigraph"])
def site(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Site]:
    """Two reservations of one person, and one of another; `insider` may see who they are."""
    if request.param == "oxigraph":
        url = request.getfixturevalue("oxigraph").url
        settings = replace(settings, sparql_url=f"{url}/query", sparql_update_url=f"{url}/update")
    site = open_site(build(settings))
    site.parts.sparql.clear()
    item = site.item_type()
    site.reservation(item, agent=PERSON, description=f"Write to {EMAIL}, please", metadata={"contact": EMAIL})
    site.reservation(item, agent=PERSON)
    site.reservation(item, agent={"@type": "Person", "@id": "mailto:bob@example.org"})
    site.keys["insider"] = keys.new_text()
    with site.parts.ledger.write() as uow:
        keys.add(uow, site.keys["insider"], "insider", ["analyst", "personal"], site.parts.now())
    Projector(site.parts, "test").run_once(site.parts.now())
    yield site
    site.parts.close()


PREFIXES = "PREFIX s: <http://schema.org/> "
ATTEMPTS = (
    "SELECT * WHERE { ?s ?p ?o }",
    "SELECT * WHERE { GRAPH ?g { ?s ?p ?o } }",
    "SELECT * FROM <http://localhost:8000/v1/rent-actions/ra_1> WHERE { ?s ?p ?o }",
    "SELECT * FROM NAMED <http://localhost:8000/v1/rent-actions/ra_1> WHERE { GRAPH ?g { ?s ?p ?o } }",
    "CONSTRUCT WHERE { ?s ?p ?o }",
    "CONSTRUCT { <urn:x> <urn:y> ?o } WHERE { GRAPH ?g { ?s ?p ?o } }",
    "DESCRIBE ?a WHERE { ?r s:agent ?a }",
    "DESCRIBE <http://localhost:8000/v1/rent-actions/ra_1#agent>",
    "SELECT ?x WHERE { ?r (!<urn:none>)* ?x }",
    "SELECT ?x WHERE { ?r s:agent/(s:name|s:email|s:identifier) ?x }",
    "SELECT (GROUP_CONCAT(?o; separator='') AS ?all) WHERE { ?s ?p ?o }",
    "SELECT (MIN(?e) AS ?first) (MAX(?e) AS ?last) (SAMPLE(?e) AS ?some) WHERE { ?a s:email ?e }",
    "SELECT (CONCAT('>', STR(?e), '<') AS ?x) (UCASE(?e) AS ?u) (SUBSTR(?e, 1, 6) AS ?b) WHERE { ?a s:email ?e }",
    "SELECT (STRAFTER(?d, 'Write to ') AS ?x) WHERE { ?r s:description ?d }",
    "SELECT (IRI(?e) AS ?x) (STRDT(?e, <urn:t>) AS ?y) (ENCODE_FOR_URI(?e) AS ?z) WHERE { ?a s:email ?e }",
    "SELECT ?a WHERE { ?r s:agent ?a } ORDER BY ?a",
)
GUESSES = (
    f"ASK {{ ?a s:email '{EMAIL}' }}",
    f"ASK {{ ?a s:email ?e FILTER(?e = '{EMAIL}') }}",
    "ASK { ?a s:email ?e FILTER(STRSTARTS(STR(?e), 'a')) }",
    "ASK { ?a s:email ?e FILTER(REGEX(STR(?e), 'example')) }",
    "ASK { ?a s:email ?e FILTER(CONTAINS(STR(?e), '@')) }",
    "ASK { ?a s:name ?n . ?r s:agent ?a FILTER(CONTAINS(?n, 'A') && STRLEN(?n) < 40) }",
    f"ASK {{ ?a s:email ?e FILTER(STRLEN(?e) = {len(EMAIL)}) }}",
    f"ASK {{ ?a s:email ?e FILTER(SHA256(STR(?e)) = SHA256('{EMAIL}')) }}",
    f"ASK {{ ?a s:email ?e FILTER(?e IN ('{EMAIL}')) }}",
    "ASK { ?a s:email ?e FILTER(?e > 'a' && ?e < 'b') }",
    "ASK { <mailto:bob@example.org> ?p ?o }",
    "ASK { ?r s:agent <mailto:bob@example.org> }",
)
TABLES = ("application/sparql-results+json", "application/sparql-results+xml", "text/csv", "text/tab-separated-values")


def asked(site: Site, query: str, key: str, accept: str) -> str:
    answer = site.get("/v1/sparql", query=urlencode({"query": PREFIXES + query}), key=key, Accept=accept)
    assert answer.status_code == 200, answer.text
    return answer.text


def accepted(query: str) -> tuple[str, ...]:
    return ("text/turtle", "application/n-triples", "application/ld+json") if query.startswith(("CONSTRUCT", "DESCRIBE")) else TABLES


@pytest.mark.parametrize("query", ATTEMPTS)
def test_no_form_of_query_tells_who_people_are(site: Site, query: str) -> None:
    for accept in accepted(query):
        found = asked(site, query, "analyst", accept)
        assert not [word for word in (*SECRETS, "bob@", "bob%40") if word in found], (query, accept)


@pytest.mark.parametrize("query", GUESSES)
def test_nothing_can_be_found_out_by_guessing(site: Site, query: str) -> None:
    assert '"boolean":false' in asked(site, query, "analyst", TABLES[0]).replace(" ", "")


@pytest.mark.parametrize("query", [ATTEMPTS[0], ATTEMPTS[4], ATTEMPTS[6]])
def test_the_scope_shows_them(site: Site, query: str) -> None:
    for accept in accepted(query):
        for key in ("insider", "admin"):
            found = asked(site, query, key, accept)
            assert EMAIL in found and "Ace" in found and not HIDDEN.search(found.encode())


def test_what_is_shown_is_what_was_said(site: Site) -> None:
    answer = site.get(
        "/v1/sparql", query=urlencode({"query": f"{PREFIXES} SELECT ?n ?d WHERE {{ ?r s:agent/s:name ?n ; s:description ?d }}"})
    )
    row = answer.json["results"]["bindings"][0]
    assert (row["n"]["value"], row["d"]["value"]) == (NAME, f"Write to {EMAIL}, please")


def test_reservations_are_still_counted_by_person(site: Site) -> None:
    query = f"{PREFIXES} SELECT ?e (COUNT(?r) AS ?n) WHERE {{ ?r s:agent/s:email ?e }} GROUP BY ?e"
    rows = site.get("/v1/sparql", query=urlencode({"query": query}), key="analyst").json["results"]["bindings"]
    assert [row["n"]["value"] for row in rows] == ["2"]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_an_export_has_them_for_the_scope_alone(site: Site, form: object) -> None:
    accept = form.media_type  # type: ignore[attr-defined]
    without, whole = (site.get("/v1/export", key=key, Accept=accept) for key in ("analyst", "insider"))
    assert without.status_code == whole.status_code == 200
    assert not [word for word in (*SECRETS, "bob@") if word in without.text]
    assert EMAIL in whole.text and "bob@example.org" in whole.text


def test_the_resource_itself_is_as_it_was(site: Site) -> None:
    assert site.get(f"{RESERVATIONS}/ra_1").json["agent"]["email"] == EMAIL


def test_pseudonyms_last_while_secrets_are_exchanged(settings: Settings, tmp_path: Path) -> None:
    old, new = "first-secret-of-sixteen", "second-secret-of-sixteen"
    before, during, after = (build(replace(settings, secret_key=text)).sealing for text in (old, f"{new},{old}", new))
    name = before.pseudonym("Alice")
    assert name == before.pseudonym("Alice") != during.pseudonym("Alice")
    assert (before.person(name), during.person(name), after.person(name), before.person(name + "A")) == ("Alice", "Alice", None, None)
    assert len({len(before.pseudonym("x" * length)) for length in range(32)}) == 1
