"""Hydra: what a client finds that knows nothing but the entry point, and the links that lead it on."""

import re
from typing import Any

import pytest
from falcon import testing
from pyoxigraph import RdfFormat, parse

from ld_server.http.app import ROUTES
from ld_server.http.hydra import class_of
from ld_server.rdf import vocab
from ld_server.rdf.formats import FORMATS, Format
from ld_server.resources import KINDS, POSTED
from ld_server.resources.kind import Kind
from tests.http.conftest import BASE, RESERVATIONS, Site

DOCUMENTATION = "/v1/api-documentation"
API_DOCUMENTATION = vocab.HYDRA + "apiDocumentation"

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)


def links(answer: testing.Result) -> dict[str, list[str]]:
    """Relation → targets."""
    found: dict[str, list[str]] = {}
    for target, relation in re.findall(r'<([^>]*)>; rel="?([^",;]+)"?', answer.headers.get("link", "")):
        found.setdefault(relation, []).append(target)
    return found


@pytest.fixture
def classes(site: Site) -> dict[str, Any]:
    return {one["@id"]: one for one in site.get(DOCUMENTATION, key=None).json["supportedClass"]}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_it_is_rdf_in_every_syntax(site: Site, form: Format) -> None:
    answer = site.get(DOCUMENTATION, key=None, Accept=form.media_type)
    statements = set(parse(answer.content, form.rdf))
    native = set(parse(site.get(DOCUMENTATION, key=None).content, RdfFormat.JSON_LD))
    assert len(statements) == len(native) > 1000
    assert any(str(one.object) == f"<{vocab.HYDRA}ApiDocumentation>" for one in statements)


def test_every_term_is_one_of_hydra(site: Site) -> None:
    said = {quad.predicate.value for quad in parse(site.get(DOCUMENTATION, key=None).content, RdfFormat.JSON_LD)}
    assert {one for one in said if not one.startswith(vocab.HYDRA)} == {vocab.TYPE, vocab.RDFS + "subClassOf"}
    assert {one.removeprefix(vocab.HYDRA) for one in said if one.startswith(vocab.HYDRA)} <= HYDRA_PROPERTIES


HYDRA_PROPERTIES = {
    "apiDocumentation", "collection", "description", "entrypoint", "expects", "expectsHeader", "mapping", "member", "memberAssertion",
    "method", "object", "possibleStatus", "property", "readable", "required", "returns", "search", "statusCode", "supportedClass",
    "supportedOperation", "supportedProperty", "template", "title", "totalItems", "variable", "variableRepresentation", "writeable",
}  # fmt: skip
"""Of the Hydra core vocabulary (W3C Community Group), the properties that may stand here."""


@every_kind
def test_every_kind_is_a_class_with_what_can_be_done(classes: dict[str, Any], kind: Kind) -> None:
    found = classes[class_of(kind)]
    item, collection = f"{kind.path}/{{identifier}}", f"{BASE}{DOCUMENTATION}#{kind.name}Collection"
    assert found["title"] == kind.frame.name
    assert methods(found) == methods_of(item)
    assert methods(classes[collection]) == methods_of(kind.path)
    assert classes[collection]["memberAssertion"] == [{"property": vocab.TYPE, "object": class_of(kind)}]
    (search,) = classes[collection]["search"]
    assert {one["variable"] for one in search["mapping"]} >= {*kind.filters, "limit", "after"}


@every_kind
def test_properties_say_whether_they_can_be_written(classes: dict[str, Any], kind: Kind) -> None:
    found = {one["property"]: one for one in classes[class_of(kind)]["supportedProperty"] if isinstance(one["property"], str)}
    assert all(found[path]["writeable"] is False for path in kind.frame.managed & set(found))
    assert kind.frame.properties <= set(found)
    assert {vocab.IDENTIFIER, vocab.DATE_CREATED} <= set(found)


def test_what_lies_below_a_resource_can_be_found(classes: dict[str, Any]) -> None:
    for kind in KINDS.values():
        item = f"{kind.path}/{{identifier}}/"
        below = {route.template.removeprefix(item) for route in ROUTES if route.template.startswith(item)}
        linked = {
            one["title"]: one["property"] for one in classes[class_of(kind)]["supportedProperty"] if isinstance(one["property"], dict)
        }
        assert set(linked) == below
        assert all(methods(linked[name]) == methods_of(item + name) for name in below)


def test_the_entry_point_leads_to_every_collection(site: Site, classes: dict[str, Any]) -> None:
    documentation = site.get(DOCUMENTATION, key=None).json
    entry = site.get(documentation["entrypoint"].removeprefix(BASE), key=None).json
    assert {one["@id"] for one in entry["collection"]} == {BASE + kind.path for kind in KINDS.values()}
    assert entry["apiDocumentation"] == documentation["@id"]
    assert len(classes[vocab.ENTRY_POINT]["supportedProperty"]) == len(KINDS)


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [("/", None, 200), ("/health/live", None, 200), ("/nowhere", None, 404), (RESERVATIONS, None, 401), (RESERVATIONS, "reader", 200),
     ("/v1/sparql", "analyst", 200), ("/docs", None, 200), (f"{RESERVATIONS}/ra_7", "reader", 404)],
)  # fmt: skip
def test_every_answer_links_to_it(site: Site, path: str, key: str | None, status: int) -> None:
    answer = site.get(path, key=key)
    assert answer.status_code == status
    assert links(answer)[API_DOCUMENTATION] == [BASE + DOCUMENTATION]


@pytest.mark.parametrize("kind", POSTED.values(), ids=lambda kind: kind.name)
def test_a_resource_links_to_its_shape_its_collection_and_its_classes(site: Site, kind: Kind) -> None:
    body = site.get("/openapi.json").json["paths"][kind.path]["post"]["requestBody"]["content"]["application/json"]["examples"]["required"]
    if kind.frame.references:
        site.item_type("Referred-to", kind="fungible" if kind.name == "stockPool" else "serialized")
    made = site.post(kind.path, body["value"])
    path = made.headers["location"].removeprefix(BASE)
    read, not_modified = site.get(path), site.get(path, If_None_Match=site.get(path).headers["etag"])
    patched = site.ask("PATCH", path, body={"description": "Another one."})
    assert not_modified.status_code == 304 and patched.status_code == 200
    for answer in (made, read, not_modified, patched):
        found = links(answer)
        assert found["collection"] == [BASE + kind.path]
        assert found["type"] == list(kind.frame.types)
        assert found[API_DOCUMENTATION] == [BASE + DOCUMENTATION]
        shape = site.get(found["describedby"][0].removeprefix(BASE), key=None, Accept="text/turtle")
        assert any(str(quad.subject) == f"<{kind.frame.shape}>" for quad in parse(shape.content, RdfFormat.TURTLE))


def test_a_step_links_like_a_reading(site: Site) -> None:
    site.asset(site.item_type())
    made = site.reservation("itemType_1")
    taken, read = links(site.post(f"{RESERVATIONS}/{made}/approve")), links(site.get(f"{RESERVATIONS}/{made}"))
    assert {relation: read[relation] for relation in ("describedby", "collection", "type", API_DOCUMENTATION)}.items() <= taken.items()


def test_a_page_links_to_the_first_and_to_the_next(site: Site) -> None:
    for number in range(3):
        site.item_type(f"code-{number}")
    first = site.get("/v1/catalog/item-types", query="limit=2&kind=serialized")
    found = links(first)
    assert found["type"] == [vocab.HYDRA + "Collection"]
    assert found["next"] == [first.json["view"]["next"]]
    assert found["first"] == [f"{BASE}/v1/catalog/item-types?kind=serialized&limit=2"]
    last = site.get(found["next"][0].removeprefix(BASE).partition("?")[0], query=found["next"][0].partition("?")[2])
    assert links(last)["first"] == found["first"]
    assert "next" not in links(last)


def test_the_entry_point_links_to_the_descriptions(site: Site) -> None:
    found = links(site.get("/", key=None))
    assert (found["service-desc"], found["service-doc"]) == ([f"{BASE}/openapi.json"], [f"{BASE}/docs"])


def methods(described: Any) -> set[str]:
    return {one["method"] for one in described["supportedOperation"]}


def methods_of(template: str) -> set[str]:
    return {method for route in ROUTES if route.template == template for method in route.needs}
