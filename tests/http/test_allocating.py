"""Allocating by hand, kits, and reservations without a window, as a client sees them."""

from typing import Any

import pytest

from tests.http.conftest import Site, problem

STEPS = ("allocate", "release-allocations", "fulfill", "allocations/alloc_1/swap")


@pytest.fixture
def approved(site: Site) -> str:
    """A reservation of two units, approved; a third unit is free."""
    item_type = site.item_type()
    for _ in range(3):
        site.asset(item_type)
    made = site.reservation(item_type, 2)
    assert site.post(f"/v1/rent-actions/{made}/approve").status_code == 200
    return made


def held(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["asset"]["identifier"] for one in answer.json["allocations"] if one["status"] == "allocated"]


@pytest.mark.parametrize("step", STEPS)
def test_only_an_allocator_may(site: Site, approved: str, step: str) -> None:
    for key in ("planner", "approver", "reader"):
        problem(site.post(f"/v1/rent-actions/{approved}/{step}", key=key), "forbidden", 403)
    assert site.post(f"/v1/rent-actions/{approved}/{step}", key="allocator").status_code == 200


@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_done_to_what_has_changed_or_was_only_to_be_checked(site: Site, approved: str, step: str) -> None:
    path, before = f"/v1/rent-actions/{approved}/{step}", site.written()
    problem(site.post(path, If_Match='"1-jsonld"'), "precondition-failed", 412)
    assert site.post(path, query="validate=only").status_code == 200
    assert site.written() == before


def test_a_repeated_swap_is_done_once(site: Site, approved: str) -> None:
    path = f"/v1/rent-actions/{approved}/allocations/alloc_1/swap"
    first, again = (site.post(path, Idempotency_Key="swap-1") for _ in range(2))
    assert held(first) == held(again) == ["asset_3", "asset_2"]


@pytest.mark.parametrize("named", ["asset_3", "http://localhost:8000/v1/catalog/assets/asset_3"])
def test_units_are_named_by_identifier_or_address(site: Site, approved: str, named: str) -> None:
    path = f"/v1/rent-actions/{approved}/allocate"
    assert "asset_3" in held(site.post(path, {"allocations": [{"asset": named, "lineItem": "line-1"}]}))


@pytest.mark.parametrize(
    ("step", "body", "pointer"),
    [
        ("allocate", {"assets": []}, "/assets"),
        ("allocate", {"assets": ["pool_1"]}, "/assets/0"),
        ("allocate", {"allocations": [{"lineItem": "line-1"}]}, "/allocations/0"),
        ("allocate", {"allocations": [{"asset": "asset_3", "lineItem": 1}]}, "/allocations/0/lineItem"),
        ("allocate", {"allocationPolicy": "maybe"}, "/allocationPolicy"),
        ("release-allocations", {"allocations": "alloc_1"}, "/allocations"),
        ("release-allocations", {"allocations": [{"id": 1}]}, "/allocations/0/id"),
        ("allocations/alloc_1/swap", {"asset": None}, "/asset"),
    ],
)
def test_a_wrong_option_is_refused_where_it_stands(site: Site, approved: str, step: str, body: Any, pointer: str) -> None:
    found = problem(site.post(f"/v1/rent-actions/{approved}/{step}", body), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == [pointer]


def test_what_is_not_there_is_told_apart_from_what_cannot_be(site: Site, approved: str) -> None:
    path = f"/v1/rent-actions/{approved}"
    problem(site.post(f"{path}/allocations/alloc_9/swap"), "not-found", 404)
    assert (
        problem(site.post(f"{path}/release-allocations", {"allocations": ["alloc_9"]}), "unknown-reference", 422)["pointer"]
        == "/allocations/0"
    )
    assert problem(site.post(f"{path}/allocate", {"assets": ["asset_9"]}), "unknown-reference", 422)["pointer"] == "/assets/0"
    site.post(f"{path}/release-allocations", {"allocations": [{"id": "alloc_1"}]})
    problem(site.post(f"{path}/allocations/alloc_1/swap"), "transition-refused", 409)


# --- what can be asked for ----------------------------------------------------------------------------------------------


def reservation(**changes: Any) -> dict[str, Any]:
    return {"itemTypeId": "itemType_1", "requestedQuantity": 1, "agent": "alice", **changes}


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"isAsap": True}, ["/startTime", "/endTime"]),
        ({"isAsap": True, "startTime": "2027-03-01T08:00:00Z"}, ["/endTime"]),
        ({"duration": "P1D"}, ["/duration"]),
        ({"isAsap": False, "duration": "P1D"}, ["/duration"]),
        ({"isAsap": True, "duration": "P1D", "endTime": "2027-03-01T08:00:00Z"}, ["/duration"]),
        ({"isAsap": True, "duration": "PT0S"}, ["/duration"]),
        ({"isAsap": True, "duration": "P1M"}, ["/duration"]),
    ],
)
def test_a_time_that_is_not_told_is_refused_where_it_is_missing(site: Site, changes: Any, pointers: list[str]) -> None:
    site.item_type()
    found = problem(site.post("/v1/rent-actions", reservation(**changes)), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == pointers


@pytest.mark.parametrize(
    "changes",
    [
        {"isAsap": True, "duration": "P1D"},
        {"isAsap": True, "duration": "P1D", "startTime": "2027-03-01T08:00:00Z"},
        {"isAsap": True, "startTime": "2027-03-01T08:00:00Z", "endTime": "2027-03-02T08:00:00Z"},
    ],
)
def test_a_time_is_told_or_to_be_found(site: Site, changes: Any) -> None:
    site.asset(site.item_type())
    made = site.made("/v1/rent-actions", reservation(**changes))
    path = f"/v1/rent-actions/{made}"
    for accept in ("text/turtle", "text/html", "application/n-quads"):
        assert site.get(path, Accept=accept).status_code == 200
    answer = site.post(f"{path}/approve")
    assert {"startTime", "endTime"} <= answer.json.keys() and "duration" not in answer.json
    turtle = site.get("/v1/rent-actions", Accept="text/csv")
    assert turtle.status_code == 200
    if "endTime" not in changes:
        patch = {"startTime": None, "endTime": None, "duration": "P2D"}
        found = problem(site.ask("PATCH", path, body=patch, Content_Type="application/merge-patch+json"), "shape-violation", 422)
        assert found["violations"][0]["pointer"] == "/duration"


def test_kits_are_asked_for_in_any_spelling_and_found_by_what_is_in_them(site: Site) -> None:
    site.asset(site.item_type())
    parts = [{"itemTypeId": "itemType_1", "quantityPerKit": 1}]
    kit = site.made("/v1/catalog/kit-templates", {"code": "FL", "name": "Finish line", "kitComponents": parts})
    times = {"startTime": "2027-03-01T08:00:00Z", "endTime": "2027-03-02T08:00:00Z", "agent": "alice", "requestedQuantity": 1}
    spellings = [
        {"kitTemplateId": kit},
        {"object": kit},
        {"object": {"identifier": kit}},
        {"lineItems": [{"kitTemplateId": kit, "requestedQuantity": 1}]},
    ]
    made = [site.post("/v1/rent-actions", {**times, **spelling}) for spelling in spellings]
    assert [one.json["object"]["@type"] for one in made] == [["Product", "KitTemplate"]] * 4
    for query in ("itemTypeId=itemType_1", f"kitTemplateId={kit}"):
        assert site.get("/v1/rent-actions", query=query).json["totalItems"] == 4
    approved = site.post("/v1/rent-actions/ra_1/approve").json
    patch = site.ask(
        "PATCH", "/v1/rent-actions/ra_1", body={"lineItems": approved["lineItems"]}, Content_Type="application/merge-patch+json"
    )
    assert patch.json["lineItems"] == approved["lineItems"]
    wrong = [{**approved["lineItems"][0], "madeOf": []}]
    found = problem(site.ask("PATCH", "/v1/rent-actions/ra_1", body={"lineItems": wrong}), "shape-violation", 422)
    assert found["violations"][0]["pointer"] == "/lineItems/0/madeOf"
