"""What one request may bring is bounded by settings: at the bound it is taken, beyond it it is refused and nothing is written."""

from dataclasses import replace
from typing import Any

import pytest
from falcon import testing

from ld_server.settings import InvalidSetting, Settings
from tests import factories
from tests.http.conftest import ITEM_TYPES, RESERVATIONS, Site, problem


def with_limit(site: Site, **limits: int) -> Site:
    return site.over(settings=replace(site.parts.settings, **limits))  # type: ignore[arg-type]


def nested(depth: int) -> dict[str, Any]:
    """Metadata that make a body so deep."""
    value: Any = 1
    for _ in range(depth - 1):
        value = {"a": value}
    return {"metadata": value}


BODIES = {
    "bytes": ("max_body_bytes", 400, {"description": "x" * 100}, {"description": "x" * 400}, "payload-too-large", 413),
    "depth": ("max_json_depth", 10, nested(10), nested(11), "malformed-body", 400),
    "statements": ("max_triples", 30, {}, {"keywords": [f"k{number}" for number in range(40)]}, "payload-too-large", 413),
}


@pytest.mark.parametrize(("setting", "limit", "taken", "refused", "slug", "status"), BODIES.values(), ids=BODIES)
def test_a_body_has_a_size(
    site: Site, setting: str, limit: int, taken: dict[str, Any], refused: dict[str, Any], slug: str, status: int
) -> None:
    narrow = with_limit(site, **{setting: limit})
    assert narrow.post(ITEM_TYPES, factories.item_type("A", **taken)).status_code == 201
    before = site.written()
    problem(narrow.post(ITEM_TYPES, factories.item_type("B", **refused)), slug, status)
    assert site.written() == before
    assert site.post(ITEM_TYPES, factories.item_type("B", **refused)).status_code == 201, "the limit alone was in the way"


# --- lines ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def narrow(site: Site) -> Site:
    """A site that takes two lines."""
    site.item_type()
    return with_limit(site, max_lines=2)


def lines(count: int) -> list[dict[str, Any]]:
    return [{"object": "itemType_1", "requestedQuantity": 1, "notes": f"line {number}"} for number in range(count)]


def with_lines(count: int) -> dict[str, Any]:
    rest = {key: value for key, value in factories.reservation("itemType_1").items() if key not in ("object", "requestedQuantity")}
    return {**rest, "lineItems": lines(count)}


def refused_for_its_lines(answer: testing.Result, pointer: str = "/lineItems") -> None:
    told = problem(answer, "shape-violation", 422)
    assert [(one["pointer"], one["message"]) for one in told["violations"]] == [
        (pointer, "a reservation has at most 2 lineItems here, not 3")
    ]


def test_a_reservation_has_so_many_lines(narrow: Site) -> None:
    assert narrow.post(RESERVATIONS, with_lines(2)).status_code == 201
    before = narrow.written()
    refused_for_its_lines(narrow.post(RESERVATIONS, with_lines(3)))
    refused_for_its_lines(narrow.post(RESERVATIONS, with_lines(3), query="validate=only"))
    assert narrow.written() == before


def test_the_place_of_what_is_too_much_is_told_as_it_was_sent(narrow: Site) -> None:
    renamed = {"@context": [{"parts": {"@id": "https://w3id.org/ld-reservations#lineItem"}}, "http://localhost:8000/contexts/v1.jsonld"]}
    body = {**renamed, "@type": "RentAction", **{("parts" if key == "lineItems" else key): value for key, value in with_lines(3).items()}}
    refused_for_its_lines(narrow.post(RESERVATIONS, body, Content_Type="application/ld+json"), "/parts")


def test_a_patch_can_bring_no_more_lines(narrow: Site) -> None:
    made = narrow.made(RESERVATIONS, with_lines(2))
    refused_for_its_lines(narrow.ask("PATCH", f"{RESERVATIONS}/{made}", body={"lineItems": lines(3)}))


def test_what_no_shape_takes_cannot_be_set() -> None:
    with pytest.raises(InvalidSetting, match="LD_MAX_LINES must be at most 500"):
        Settings(max_lines=501)
    with pytest.raises(InvalidSetting, match="LD_MAX_LINES must be greater than zero"):
        Settings(max_lines=0)


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [ITEM_TYPES, RESERVATIONS, "/v1/events", "/v1/planning/snapshots", "/v1/deliveries", "/v1/triggers", "/v1/webhooks"]
)
def test_a_page_has_at_most_a_thousand_members(site: Site, path: str) -> None:
    assert site.get(path, query="limit=1000").status_code == 200
    for limit in ("1001", "0", "-1", "1e3", "9" * 30):
        assert problem(site.get(path, query=f"limit={limit}"), "invalid-parameter", 400)["parameter"] == "limit"


def test_a_delivery_has_more_time_than_its_receiver_may_take() -> None:
    with pytest.raises(InvalidSetting, match="LD_DELIVERY_LEASE must be longer than LD_WEBHOOK_TIMEOUT"):
        Settings(webhook_timeout=60.0, delivery_lease=60.0)
