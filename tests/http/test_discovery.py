"""What can be read without a key: the entry point, contexts, shapes, the vocabulary and the types of problems."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from falcon import testing
from pyoxigraph import NamedNode, RdfFormat, parse

from ld_server.http.errors import TITLES
from ld_server.http.hydra import class_of
from ld_server.rdf import vocab
from ld_server.rdf.formats import FORMATS, Format
from ld_server.rdf.published import data_directory
from ld_server.resources import KINDS, POSTED
from tests.http.conftest import BASE, LD_JSON, Site, problem

RDF_PAGES = (
    "/", "/contexts", "/shapes", "/shapes/rent-action", "/ns/reservations", "/problems", "/problems/duplicate", "/.well-known/void",
    "/v1/api-documentation",
)  # fmt: skip
PUBLISHED = (*RDF_PAGES, "/contexts/v1.jsonld", "/contexts/schema.org.jsonld", "/openapi.json")


@pytest.mark.parametrize("path", RDF_PAGES)
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_every_page_is_rdf_in_every_syntax(site: Site, path: str, form: Format) -> None:
    answer = site.get(path, key=None, Accept=form.media_type)
    assert answer.headers["content-type"].split(";")[0] == form.media_type
    assert (answer.headers["vary"], answer.headers["cache-control"]) == ("Accept", "public, max-age=300")
    assert len(list(parse(answer.content, form.rdf, base_iri=BASE))) > 3


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_a_page_says_the_same_in_every_syntax(site: Site, form: Format) -> None:
    native = {str(quad.object) for quad in parse(site.get("/problems/duplicate").content, RdfFormat.JSON_LD)}
    answer = site.get("/problems/duplicate", Accept=form.media_type)
    assert {str(quad.object) for quad in parse(answer.content, form.rdf)} == native


def test_everything_that_the_entry_point_names_is_there(site: Site) -> None:
    found = site.get("/", key=None).json
    places = [one["@id"] for one in found["collection"]] + [
        found[name] for name in ("vocabulary", "contexts", "shapes", "problems", "openapi", "docs", "apiDocumentation", "void", "health")
    ]
    assert found["sparql"] == f"{BASE}/v1/sparql"
    for place in places:
        assert site.get(place.removeprefix(BASE)).status_code == 200, place
    assert {place.removeprefix(BASE) for place in places} >= {kind.path for kind in KINDS.values()}


@pytest.mark.parametrize("path", ["/contexts", "/shapes", "/problems"])
def test_every_member_of_a_list_is_there(site: Site, path: str) -> None:
    found = site.get(path, key=None).json
    assert found["totalItems"] == len(found["member"]) > 1
    for member in found["member"]:
        assert site.get(member["@id"].removeprefix(BASE), key=None).status_code == 200


@pytest.mark.parametrize("name", ["v1.jsonld", "v1", "schema.org.jsonld", "schema.org"])
@pytest.mark.parametrize("accept", [None, LD_JSON, "application/json"])
def test_a_context_is_served_as_it_is(site: Site, name: str, accept: str | None) -> None:
    answer = site.get(f"/contexts/{name}", key=None, **({"Accept": accept} if accept else {}))
    file = data_directory("contexts") / (name if name.endswith(".jsonld") else name + ".jsonld")
    assert (answer.status_code, answer.content) == (200, file.read_bytes())
    assert answer.headers["content-type"] == (accept or LD_JSON)


def test_the_context_that_documents_name_is_there(site: Site) -> None:
    site.item_type()
    _, own = site.get("/v1/catalog/item-types/itemType_1").json["@context"]
    assert "@context" in orjson.loads(site.get(own.removeprefix(BASE), key=None).content)


@pytest.mark.parametrize("name", ["item-type", "asset.ttl", "rent-action"])
def test_a_shape_is_served_as_it_is_written(site: Site, name: str) -> None:
    answer = site.get(f"/shapes/{name}", key=None)
    assert answer.headers["content-type"] == "text/turtle; charset=utf-8"
    assert answer.content == (data_directory("shapes") / f"{name.removesuffix('.ttl')}.ttl").read_bytes()


@pytest.mark.parametrize(
    "path", ["/shapes/assets", "/shapes/..%2Fpyproject", "/contexts/v2", "/contexts/%2e%2e", "/problems/dupe", "/shapes/vocabulary"]
)
def test_what_is_not_published_is_not_found(site: Site, path: str) -> None:
    problem(site.get(path, key=None), "not-found", 404)


def test_a_near_name_is_suggested(site: Site) -> None:
    assert "Did you mean asset?" in problem(site.get("/shapes/assets", key=None), "not-found", 404)["detail"]


def test_the_type_of_every_problem_can_be_looked_up(site: Site) -> None:
    assert {one["@id"].rpartition("/")[2] for one in site.get("/problems").json["member"]} == set(TITLES)
    refusal = site.get("/nowhere").json
    page = site.get(refusal["type"].removeprefix(BASE), key=None).json
    assert (page["title"], page["status"]) == (refusal["title"], 404)


def test_every_term_of_the_vocabulary_is_there(site: Site) -> None:
    subjects = {
        quad.subject.value
        for quad in parse(site.get("/ns/reservations", key=None).content, RdfFormat.TURTLE)
        if hasattr(quad.subject, "value")
    }
    own = {value for value in vars(vocab).values() if isinstance(value, str) and value.startswith(vocab.RSV) and value != vocab.RSV}
    assert own <= subjects, own - subjects


def test_contexts_are_not_turtle(site: Site) -> None:
    found = problem(site.get("/contexts/v1", key=None, Accept="text/turtle"), "not-acceptable", 406)
    assert found["available"] == ["application/ld+json", "application/json", "text/html"]


# --- read from anywhere -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PUBLISHED)
def test_a_page_from_anywhere_may_load_what_is_published(site: Site, path: str) -> None:
    answer = site.get(path, key=None, Origin="https://json-ld.org")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    again = site.get(path, key=None, Origin="https://json-ld.org", If_None_Match=answer.headers["etag"])
    assert (again.status_code, again.headers["access-control-allow-origin"]) == (304, "*")


@pytest.mark.parametrize("path", PUBLISHED)
def test_a_page_from_anywhere_may_ask_for_a_profile(site: Site, path: str) -> None:
    """`Accept` with a profile has letters for which a browser asks beforehand."""
    asked = {"Origin": "https://json-ld.org", "Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "accept"}
    answer = site.ask("OPTIONS", path, key=None, **asked)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert "Accept" in answer.headers["access-control-allow-headers"]


def test_a_refusal_of_what_is_published_can_be_read_from_anywhere(site: Site) -> None:
    refused = site.get("/contexts/v1", key=None, Accept="text/turtle")
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (406, "*")


@pytest.mark.parametrize("path", ["/v1/rent-actions", "/v1/rent-actions/ra_1", "/v1/sparql", "/health/ready", "/docs"])
def test_nothing_else_is_open_to_pages_from_elsewhere(site: Site, path: str) -> None:
    for method in ("GET", "OPTIONS"):
        assert "access-control-allow-origin" not in site.ask(method, path, Origin="https://elsewhere.example").headers


# --- the dataset ------------------------------------------------------------------------------------------------------


def void(site: Site) -> Any:
    return site.get("/.well-known/void", key=None).json["topic"]


def test_the_dataset_says_where_it_can_be_queried_and_what_it_speaks(site: Site) -> None:
    found = void(site)
    assert (found["sparqlEndpoint"], found["rootResource"], found["uriSpace"]) == (f"{BASE}/v1/sparql", f"{BASE}/", f"{BASE}/v1/")
    assert found["vocabulary"] == [vocab.SCHEMA, vocab.RSV]
    assert len(found["feature"]) == len([form for form in FORMATS if form.key != "json"])


def test_the_dataset_names_every_class_and_tells_nobody_how_much_there_is(site: Site) -> None:
    before = site.get("/.well-known/void", key=None)
    site.asset(site.item_type())
    assert {one["class"] for one in void(site)["classPartition"]} == {class_of(kind) for kind in KINDS.values()}
    for key in (None, "admin"):
        assert site.get("/.well-known/void", key=key).content == before.content


def test_no_description_for_everybody_changes_with_what_there_is(site: Site) -> None:
    before = [site.get(path, key=None).content for path in PUBLISHED]
    site.reservation(site.item_type())
    assert [site.get(path, key=None).content for path in PUBLISHED] == before


# --- the vocabulary ---------------------------------------------------------------------------------------------------


def test_every_term_of_ours_is_described(site: Site) -> None:
    described = _vocabulary(site)
    for term, said in described.items():
        assert {vocab.RDFS + "label", vocab.RDFS + "comment", vocab.RDFS + "isDefinedBy"} <= said.keys(), term
        if vocab.RDF + "Property" in said[vocab.TYPE]:
            assert {vocab.RDFS + "domain", vocab.RDFS + "range"} <= said.keys(), term


def test_every_term_in_a_real_answer_is_described_somewhere(site: Site) -> None:
    described = set(_vocabulary(site))
    terms = {term for answer in _answers_of_every_sort(site) for term in _terms(answer)}
    ours = {term for term in terms if term.startswith(vocab.RSV)}
    assert len(ours) > 20
    assert ours <= described, ours - described
    assert {term for term in terms if not term.startswith(KNOWN_VOCABULARIES)} == set()


def test_every_term_of_the_shapes_is_described(site: Site) -> None:
    described = set(_vocabulary(site))
    for file in data_directory("shapes").glob("*.ttl"):
        ours = {one.value for quad in parse(file.read_bytes(), RdfFormat.TURTLE) for one in quad if _is_ours(one)}
        assert ours <= described, (file.name, ours - described)


def test_every_key_of_the_context_that_is_ours_is_described(site: Site) -> None:
    described = set(_vocabulary(site))
    assert {iri for iri in site.parts.contexts.keys if iri.startswith(vocab.RSV) and iri != vocab.RSV} <= described


KNOWN_VOCABULARIES = (
    vocab.SCHEMA, vocab.RSV, vocab.RDF, vocab.RDFS, vocab.OWL, vocab.SH, vocab.HYDRA, vocab.SD, vocab.VOID, vocab.DCTERMS, vocab.FOAF,
    vocab.SKOS,
)  # fmt: skip


def _answers_of_every_sort(site: Site) -> Iterator[testing.Result]:
    """Resources of every kind, collections, pages, revisions, a step, refusals and everything that is published, as RDF."""
    examples = _examples(site)
    site.item_type("Fungible", kind="fungible")
    for path, body in examples.items():
        made = site.post(path, {**body, **({"isVariantOf": "itemType_1"} if "isVariantOf" in body else {})})
        assert made.status_code in (201, 409, 422), made.text
    item = site.item_type("Serialized")
    site.asset(item)
    made = site.reservation(item)
    paths = [f"/v1/rent-actions/{made}", f"/v1/rent-actions/{made}/allocations", f"/v1/rent-actions/{made}/revisions", "/v1/sparql"]
    yield site.post(f"/v1/rent-actions/{made}/approve", Accept="application/n-triples")
    yield site.post("/v1/rent-actions", {"agent": "alice"}, Accept="application/n-triples")
    for path in (*paths, *(kind.path for kind in KINDS.values()), *RDF_PAGES):
        yield site.get(path, Accept="application/n-triples")


def _examples(site: Site) -> dict[str, Any]:
    paths = site.get("/openapi.json", key=None).json["paths"]
    contents = {kind.path: paths[kind.path]["post"]["requestBody"]["content"] for kind in POSTED.values()}
    return {path: content["application/json"]["examples"]["everything"]["value"] for path, content in contents.items()}


def _terms(answer: testing.Result) -> set[str]:
    """The properties and classes in an answer, and the words of ours that are values."""
    assert answer.headers["content-type"] == "application/n-triples", answer.text
    quads = list(parse(answer.content, RdfFormat.N_TRIPLES))
    classes = {quad.object.value for quad in quads if quad.predicate.value == vocab.TYPE}
    return {quad.predicate.value for quad in quads} | classes | {quad.object.value for quad in quads if _is_ours(quad.object)}


def _is_ours(term: Any) -> bool:
    return isinstance(term, NamedNode) and term.value.startswith(vocab.RSV) and term.value != vocab.RSV


def _vocabulary(site: Site) -> dict[str, dict[str, set[str]]]:
    """Term → property → values."""
    found: dict[str, dict[str, set[str]]] = {}
    for quad in parse(site.get("/ns/reservations", key=None).content, RdfFormat.TURTLE):
        if _is_ours(quad.subject):
            found.setdefault(quad.subject.value, {}).setdefault(quad.predicate.value, set()).add(quad.object.value)
    return found
