"""What can be read without a key: the entry point, contexts, shapes, the vocabulary and the types of problems."""

import orjson
import pytest
from pyoxigraph import RdfFormat, parse

from ld_server.http.errors import TITLES
from ld_server.rdf import vocab
from ld_server.rdf.formats import FORMATS, Format
from ld_server.rdf.published import data_directory
from tests.http.conftest import BASE, LD_JSON, Site, problem

RDF_PAGES = ("/", "/contexts", "/shapes", "/shapes/rent-action", "/ns/reservations", "/problems", "/problems/duplicate")


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
        found[name] for name in ("vocabulary", "contexts", "shapes", "problems", "health")
    ]
    assert found["sparql"] == f"{BASE}/v1/sparql"
    for place in places:
        assert site.get(place.removeprefix(BASE)).status_code == 200, place


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
    assert found["available"] == ["application/ld+json", "application/json"]
