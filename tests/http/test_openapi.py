"""The description of the interface: complete, valid, and true of what the server answers."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from ld_server.domain.scopes import MEANINGS, Scope
from ld_server.domain.status import Status, Step
from ld_server.http.app import ROUTES
from ld_server.http.authentication import ANY
from ld_server.http.body import PATCHABLE, READABLE, STEP_READABLE
from ld_server.http.endpoints.reservations import STEPS
from ld_server.http.errors import TITLES
from ld_server.http.negotiation import COLLECTION_OFFERS, READ_OFFERS
from ld_server.http.requesters import is_open
from ld_server.http.route import PUBLIC
from ld_server.http.schemas import LEFT_OUT
from ld_server.rdf import vocab
from ld_server.rdf.published import data_directory
from ld_server.rdf.shapes import Shapes
from ld_server.resources import KINDS, POSTED
from ld_server.resources.kind import Kind
from tests import factories
from tests.http.conftest import Site, problem
from tests.http.described import Description

NOBODY_RAISES = {"not-found", "method-not-allowed", "rate-limited", "malformed-request"}
"""Problems of addresses and methods that are not there, and those that the web server itself tells."""

ADDRESSES = {Step.SWAP: "/v1/rent-actions/{identifier}/allocations/{allocation}/swap"}
"""Where a step is taken that does not stand right below its reservation."""

every_kind = pytest.mark.parametrize("kind", POSTED.values(), ids=lambda kind: kind.name)


@pytest.fixture
def description(site: Site) -> Description:
    return Description(site.get("/openapi.json", key=None).json)


def test_it_is_a_valid_document(description: Description) -> None:
    assert description.document["openapi"].startswith("3.1.")
    validate(description.document)


def test_it_has_every_route_with_every_method_and_nothing_else(description: Description) -> None:
    assert set(description.operations) == {(method, route.template) for route in ROUTES for method in route.methods}


def test_names_of_operations_are_unique(description: Description) -> None:
    names = [one["operationId"] for one in description.operations.values()]
    assert len(names) == len(set(names))


def test_every_operation_says_whose_key_it_asks_for(description: Description) -> None:
    for route in ROUTES:
        for method, needed in route.needs.items():
            security = description.operations[method, route.template]["security"]
            roles = {role for scheme in security for each in scheme.values() for role in each}
            assert bool(security) is (needed is not PUBLIC), route.template
            besides = {"requester"} if is_open(route.template, method) else set()
            assert roles == (set() if needed in (PUBLIC, ANY) else {str(needed)} | besides)
            assert (any("basic" in scheme for scheme in security)) is (method == "GET" and needed is not PUBLIC)


def test_every_scope_is_explained(description: Description) -> None:
    text = description.document["info"]["description"]
    assert all(f"`{scope}`: {MEANINGS[scope]}" in text for scope in Scope)


@every_kind
def test_every_filter_and_every_order_is_a_parameter(description: Description, kind: Kind) -> None:
    found = {one["name"]: one for one in _parameters(description, "GET", kind.path) if one["in"] == "query"}
    assert set(found) == {*kind.filters, "sort", "limit", "after", "format"}
    for name, one in kind.filters.items():
        assert found[name]["schema"].get("enum", []) == list(one.allowed)
        assert found[name]["description"] == one.description


def test_every_parameter_in_a_path_is_described(description: Description) -> None:
    for (method, template), _ in description.operations.items():
        in_path = {one["name"] for one in _parameters(description, method, template) if one["in"] == "path"}
        assert in_path == {part.strip("{}") for part in template.split("/") if part.startswith("{")}, template


ALSO = {"demandSignal": ("text/csv",)}
"""Kind → the other media types in which it may be posted."""


@every_kind
def test_bodies_are_described_in_every_media_type(description: Description, kind: Kind) -> None:
    bodies = {("POST", kind.path): (*READABLE, *ALSO.get(kind.name, ())), ("PATCH", f"{kind.path}/{{identifier}}"): PATCHABLE}
    for place, media_types in bodies.items():
        assert set(description.operations[place]["requestBody"]["content"]) == set(media_types)


@every_kind
def test_answers_are_described_in_every_media_type(description: Description, kind: Kind) -> None:
    for template, offers in ((kind.path, COLLECTION_OFFERS), (f"{kind.path}/{{identifier}}", READ_OFFERS)):
        content = description.operations["GET", template]["responses"]["200"]["content"]
        assert {_essence(name) for name in content} == {_essence(offer.content_type) for offer in offers.values()}


def test_patterns_name_what_is_left_out_and_mean_the_same(description: Description) -> None:
    every = "".join(map(chr, range(0x110000)))
    for named, left_out in LEFT_OUT.items():
        assert re.sub(named, "", every) == re.sub(left_out, "", every)
    assert "\U0010ffff" not in str(description.document)


@every_kind
def test_a_parameter_without_a_value_counts_as_not_given(description: Description, kind: Kind, site: Site) -> None:
    parameters = [description.resolved(one) for one in description.operations["GET", kind.path]["parameters"]]
    asked = [one["name"] for one in parameters if one["in"] == "query"]
    assert site.get(kind.path, query="&".join(f"{name}=" for name in asked)).status_code == 200


def test_every_problem_stands_at_some_operation(description: Description) -> None:
    told = {slug for name in description.document["components"]["responses"] for slug in name.split(".")}
    assert told <= set(TITLES)
    assert set(TITLES) - told <= NOBODY_RAISES


def test_options_of_steps_are_those_that_steps_take(description: Description) -> None:
    for step, command in STEPS.items():
        content = description.operations["POST", ADDRESSES.get(step, f"/v1/rent-actions/{{identifier}}/{step}")]["requestBody"]["content"]
        assert set(content) == set(STEP_READABLE)
        assert set(content["application/json"]["schema"]["properties"]) - {"@context"} == set(command.options)


@every_kind
def test_schemas_say_what_the_shape_says(description: Description, kind: Kind, site: Site) -> None:
    shape = Shapes(data_directory("shapes")).shape(kind.frame.shape)
    schemas = description.document["components"]["schemas"]
    schema, request = schemas[_schema_name(kind)], schemas[f"New{_schema_name(kind)}"]
    for one in shape.properties:
        key = site.parts.contexts.key(one.path)
        if one.path in kind.frame.properties:
            assert key in request["properties"] and key in schema["properties"]
            assert not one.is_required or key in schema["required"]
        if one.path in kind.frame.managed:
            assert key not in request["properties"]
            assert schema["properties"][key]["readOnly"]


def test_schemas_carry_the_numbers_of_the_shape(description: Description) -> None:
    schemas = description.document["components"]["schemas"]
    tag, quantity = schemas["NewAsset"]["properties"]["assetTag"], schemas["NewReservation"]["properties"]["requestedQuantity"]
    assert (tag["type"], tag["maxLength"], tag["pattern"][:2]) == ("string", 128, "^ ")
    assert (quantity["type"], quantity["minimum"], quantity["maximum"]) == ("integer", 1, 1_000_000_000)
    assert schemas["Asset"]["properties"]["status"]["enum"] == ["available", "maintenance", "hold", "retired", "lost"]
    assert schemas["ItemType"]["properties"]["turnaroundBefore"]["format"] == "duration"


@pytest.mark.parametrize("name", ["required", "everything", "short"])
@every_kind
def test_every_example_can_be_posted(description: Description, site: Site, kind: Kind, name: str) -> None:
    body = description.operations["POST", kind.path]["requestBody"]["content"]["application/json"]
    if name not in body["examples"]:
        return
    example = body["examples"][name]["value"]
    description.validate(body["schema"], example)
    _make_what_it_refers_to(site, kind)
    answer = site.post(kind.path, example)
    assert answer.status_code == 201, answer.text
    description.check("POST", kind.path, answer)


def test_every_example_of_a_step_can_be_posted(description: Description, site: Site) -> None:
    item_type = site.item_type()
    for _ in range(9):
        site.asset(item_type)
    for year, step in enumerate(STEPS, start=2030):
        template = ADDRESSES.get(step, f"/v1/rent-actions/{{identifier}}/{step}")
        example = description.operations["POST", template]["requestBody"]["content"]["application/json"]["examples"]["everything"]["value"]
        made, allocation = _ready_for(site, item_type, step, example, year)
        answer = site.post(template.format(identifier=made, allocation=allocation), example)
        assert answer.status_code == 200, answer.text


def _ready_for(site: Site, item_type: str, step: Step, example: dict[str, Any], year: int) -> tuple[str, str]:
    """A reservation that can take the step, and its allocation, to which the example is changed where it names one."""
    when = {"startTime": f"{year}-03-01T08:00:00Z", "endTime": f"{year}-03-02T08:00:00Z"}
    made = site.reservation(item_type, 2 if step is Step.ALLOCATE else 1, status="draft" if step is Step.SUBMIT else "pending", **when)
    if step in (Step.ALLOCATE, Step.RELEASE, Step.SWAP, Step.FULFILL):
        allocations = site.post(f"/v1/rent-actions/{made}/approve").json["allocations"]
        if step is Step.RELEASE:
            example["allocations"] = [allocations[0]["identifier"]]
        return made, allocations[0]["identifier"]
    return made, ""


def test_an_example_lacks_nothing_that_a_client_can_say(description: Description, site: Site) -> None:
    for kind in POSTED.values():
        body = description.operations["POST", kind.path]["requestBody"]["content"]["application/json"]
        said = set(body["examples"]["everything"]["value"])
        schema = description.document["components"]["schemas"][f"New{_schema_name(kind)}"]
        repeated = {"object", "requestedQuantity"} if kind.name == "rentAction" else set()
        instead = {"duration"} if kind.name == "rentAction" else set()
        flat = {site.parts.contexts.key(one) for one in kind.frame.flat}
        assert set(schema["properties"]) - {"@context"} - repeated - instead - flat == said


@every_kind
def test_what_lacks_something_required_is_refused_by_schema_and_server_alike(description: Description, site: Site, kind: Kind) -> None:
    body = description.operations["POST", kind.path]["requestBody"]["content"]["application/json"]
    example = body["examples"]["required"]["value"]
    _make_what_it_refers_to(site, kind)
    for key in example:
        lacking = {name: value for name, value in example.items() if name != key}
        with pytest.raises(AssertionError):
            description.validate(body["schema"], lacking)
        assert site.post(kind.path, lacking).status_code in (400, 422), key


def test_a_new_reservation_may_be_what_schema_and_server_say_alike(description: Description, site: Site) -> None:
    kind = KINDS["rentAction"]
    body = description.operations["POST", kind.path]["requestBody"]["content"]["application/json"]
    _make_what_it_refers_to(site, kind)
    for status in Status:
        example = {**body["examples"]["required"]["value"], "status": status}
        answer = site.post(kind.path, example)
        assert answer.status_code == (201 if status in kind.at_first["status"] else 422)
        if answer.status_code == 201:
            description.validate(body["schema"], example)
        else:
            with pytest.raises(AssertionError):
                description.validate(body["schema"], example)


def test_it_is_small_enough_and_the_same_each_time(site: Site) -> None:
    first, again = site.get("/openapi.json", key=None), site.over().get("/openapi.json", key=None)
    assert first.content == again.content
    assert len(first.content) < 1_000_000
    assert site.get("/openapi.json", key=None, If_None_Match=first.headers["etag"]).status_code == 304


def test_the_page_for_people_has_every_operation_and_nothing_from_elsewhere(site: Site, description: Description) -> None:
    answer = site.get("/docs", key=None)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for (method, template), operation in description.operations.items():
        if method not in ("HEAD", "OPTIONS"):
            assert f'id="{operation["operationId"]}"' in answer.text, (method, template)
    assert all(f'id="{name}"' in answer.text for name in description.document["components"]["schemas"])
    assert "<script" not in answer.text
    problem(site.get("/docs", key=None, Accept="application/json"), "not-acceptable", 406)


def test_references_lead_somewhere(description: Description) -> None:
    for reference in _references(description.document):
        place: Any = description.document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_a_refusal_that_is_not_described_would_be_noticed(description: Description, site: Site) -> None:
    answer = site.get("/v1/rent-actions/ra_1")
    description.check("GET", "/v1/rent-actions/ra_1", answer)
    with pytest.raises(AssertionError):
        description.check("GET", "/v1/rent-actions", answer)


def _parameters(description: Description, method: str, template: str) -> Iterator[Any]:
    return (description.resolved(one) for one in description.operations[method, template]["parameters"])


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0]


def _schema_name(kind: Kind) -> str:
    return kind.frame.name.title().replace(" ", "")


def _make_what_it_refers_to(site: Site, kind: Kind) -> None:
    """Item type 1, as examples call it."""
    if kind.frame.references:
        site.item_type("Referred-to", kind="fungible" if kind.name == "stockPool" else "serialized")
    if vocab.DEMAND_SIGNAL in kind.frame.references:
        site.made("/v1/planning/demand-signals", factories.demand_signal())


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (each for key, one in value.items() for each in ([one] if key == "$ref" else _references(one)))
    elif isinstance(value, list):
        yield from (each for one in value for each in _references(one))
