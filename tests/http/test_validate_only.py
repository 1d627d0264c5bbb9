"""A request that only wants to know goes all the way, is answered, and leaves nothing behind."""

from typing import Any

import pytest
from pyoxigraph import parse

from ld_server.rdf.formats import FORMATS, Format
from tests import factories
from tests.http.conftest import BASE, ITEM_TYPES, LD_JSON, RESERVATIONS, Site, problem

WAYS: dict[str, dict[str, Any]] = {
    "the header": {"Prefer": "handling=validate-only"},
    "the header in quotes": {"Prefer": 'handling="validate-only"'},
    "the header among others": {"Prefer": "respond-async, wait=10, Handling = validate-only; x=y"},
    "the parameter": {"query": "validate=only"},
}


@pytest.mark.parametrize("way", WAYS)
def test_what_would_be_created_is_shown_and_nothing_is_written(either_site: Site, way: str) -> None:
    site = either_site
    item = site.item_type()
    before = site.written()
    answer = site.post(RESERVATIONS, factories.reservation(item, 2), **WAYS[way])
    assert answer.status_code == 200, answer.text
    assert answer.headers["preference-applied"] == "handling=validate-only"
    assert (answer.json["@type"], answer.json["requestedQuantity"], answer.json["status"]) == ("RentAction", 2, "pending")
    assert answer.json["object"]["name"] == "TimerNode v2"
    assert not {"location", "content-location", "etag"} & set(answer.headers)
    assert site.written() == before


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_it_is_shown_in_every_syntax(site: Site, form: Format) -> None:
    answer = site.post(ITEM_TYPES, factories.item_type(), query="validate=only", Accept=form.media_type)
    assert answer.status_code == 200
    assert form.json or list(parse(answer.content, form.rdf))


REFUSED = [
    (factories.reservation(requestedQuantity=0), "shape-violation", 422),
    (factories.reservation("itemType_99"), "unknown-reference", 422),
    (factories.reservation(prioritty="high"), "unknown-term", 422),
]


@pytest.mark.parametrize(("body", "slug", "status"), REFUSED, ids=[slug for _, slug, _ in REFUSED])
def test_what_would_be_refused_is_refused(site: Site, body: dict[str, Any], slug: str, status: int) -> None:
    site.item_type()
    problem(site.post(RESERVATIONS, body, query="validate=only"), slug, status)


def test_a_duplicate_would_be_refused(either_site: Site) -> None:
    either_site.item_type("A")
    problem(either_site.post(ITEM_TYPES, factories.item_type("A"), query="validate=only"), "duplicate", 409)


def test_many_at_once(either_site: Site) -> None:
    before = either_site.written()
    answer = either_site.post(ITEM_TYPES, [factories.item_type("A"), factories.item_type("B")], Prefer="handling=validate-only")
    assert (answer.status_code, answer.json["totalItems"]) == (200, 2)
    found = problem(either_site.post(ITEM_TYPES, [factories.item_type("A")] * 2, query="validate=only"), "resources-refused", 422)
    assert found["reports"][0]["otherIndex"] == 0
    assert either_site.written() == before


def test_no_idempotency_key_is_used_up(site: Site) -> None:
    assert site.post(ITEM_TYPES, factories.item_type(), Idempotency_Key="k-1", Prefer="handling=validate-only").status_code == 200
    assert site.post(ITEM_TYPES, factories.item_type(), Idempotency_Key="k-1").status_code == 201
    again = site.post(ITEM_TYPES, factories.item_type("B"), Idempotency_Key="k-1", Prefer="handling=validate-only")
    assert (again.status_code, "idempotency-replayed" in again.headers) == (200, False)


def test_a_patch_can_be_tried(site: Site) -> None:
    item = site.item_type(name="Old")
    path = f"{ITEM_TYPES}/{item}"
    answer = site.ask("PATCH", path, body={"name": "New"}, query="validate=only", Content_Type="application/merge-patch+json")
    assert (answer.status_code, answer.json["name"]) == (200, "New")
    assert answer.headers["preference-applied"] == "handling=validate-only"
    assert site.get(path).json["name"] == "Old"


def test_a_step_can_be_tried(site: Site) -> None:
    site.asset(site.item_type())
    path = f"{RESERVATIONS}/{site.reservation('itemType_1')}"
    before = site.written()
    answer = site.post(f"{path}/approve", Prefer="handling=validate-only")
    assert (answer.status_code, answer.json["status"], len(answer.json["allocations"])) == (200, "approved", 1)
    assert site.get(path).json["status"] == "pending"
    assert site.written() == before


def test_the_next_resource_can_be_made_as_if_nothing_had_been(either_site: Site) -> None:
    either_site.post(ITEM_TYPES, factories.item_type("A"), query="validate=only")
    made = either_site.post(ITEM_TYPES, factories.item_type("A"))
    assert made.status_code == 201
    assert made.headers["location"].startswith(f"{BASE}{ITEM_TYPES}/itemType_")


def test_another_value_of_the_parameter_is_refused(site: Site) -> None:
    before = site.written()
    problem(site.post(ITEM_TYPES, factories.item_type(), query="validate=true"), "invalid-parameter", 400)
    assert site.written() == before


@pytest.mark.parametrize("prefer", ["handling=strict", "handling=validate-only-please", "return=minimal", ""])
def test_another_preference_changes_nothing(site: Site, prefer: str) -> None:
    answer = site.post(ITEM_TYPES, factories.item_type(), Prefer=prefer, Accept=LD_JSON)
    assert answer.status_code == 201
    assert "preference-applied" not in answer.headers
