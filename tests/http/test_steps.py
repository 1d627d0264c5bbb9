"""The life of a reservation over HTTP: submitted, approved with concrete units, rejected, cancelled, and what stands in the way."""

import threading
from collections import Counter

import pytest
from pyoxigraph import RdfFormat, parse

from ld_server.rdf import vocab
from tests import factories
from tests.http.conftest import BASE, RESERVATIONS, Site, problem

UNIT_COUNT = 2


@pytest.fixture
def fleet(either_site: Site) -> Site:
    """An item type with two units, on each engine in turn."""
    site = either_site
    item = site.item_type()
    for number in range(UNIT_COUNT):
        site.asset(item, assetTag=f"T-{number + 1}", serialNumber=f"SN-{number + 1}")
    return site


def step(site: Site, identifier: str, name: str, **more):
    return site.post(f"{RESERVATIONS}/{identifier}/{name}", **more)


def test_a_reservation_is_approved_with_concrete_units(fleet: Site) -> None:
    made = fleet.reservation("itemType_1", 2)
    answer = step(fleet, made, "approve")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2-jsonld"')
    assert answer.headers["content-location"] == f"{BASE}{RESERVATIONS}/{made}"
    found = answer.json
    assert (found["status"], found["actionStatus"], found["allocatedQuantity"]) == ("approved", "ActiveActionStatus", 2)
    assert {one["asset"]["identifier"] for one in found["allocations"]} == {"asset_1", "asset_2"}
    assert found == fleet.get(f"{RESERVATIONS}/{made}").json


def test_a_step_answers_in_the_syntax_that_is_accepted(fleet: Site) -> None:
    made = fleet.reservation("itemType_1")
    answer = step(fleet, made, "approve", Accept="text/turtle")
    assert answer.headers["content-type"] == "text/turtle; charset=utf-8"
    approved = [quad for quad in parse(answer.content, RdfFormat.TURTLE) if quad.object == quad.object and "approved" in str(quad.object)]
    assert any(quad.predicate.value == vocab.STATUS for quad in approved)


def test_nothing_happens_when_the_answer_could_not_be_accepted(fleet: Site) -> None:
    made = fleet.reservation("itemType_1")
    before = fleet.written()
    found = problem(step(fleet, made, "approve", Accept="image/png"), "not-acceptable", 406)
    assert "text/turtle" in found["available"]
    problem(fleet.post(RESERVATIONS, factories.reservation(), Accept="image/png"), "not-acceptable", 406)
    assert fleet.written() == before
    assert fleet.get(f"{RESERVATIONS}/{made}").json["status"] == "pending"


def test_the_allocations_of_a_reservation_are_a_collection(fleet: Site) -> None:
    made = fleet.reservation("itemType_1", 2)
    path = f"{RESERVATIONS}/{made}/allocations"
    assert (fleet.get(path).json["totalItems"], fleet.get(path).json["member"]) == (0, [])
    step(fleet, made, "approve")
    found = fleet.get(path).json
    assert (found["@id"], found["totalItems"]) == (f"{BASE}{path}", 2)
    assert [one["asset"]["identifier"] for one in found["member"]] == ["asset_1", "asset_2"]
    assert {quad.object.value for quad in parse(fleet.get(path, Accept="text/turtle").content, RdfFormat.TURTLE)} >= {vocab.ALLOCATION}


def test_allocations_come_in_pages(fleet: Site) -> None:
    made = fleet.reservation("itemType_1", 2)
    step(fleet, made, "approve")
    path = f"{RESERVATIONS}/{made}/allocations"
    first = fleet.get(path, query="limit=1").json
    second = fleet.get(path, query=first["view"]["next"].partition("?")[2]).json
    assert [first["member"][0]["asset"]["identifier"], second["member"][0]["asset"]["identifier"]] == ["asset_1", "asset_2"]
    assert "next" not in second["view"]


def test_what_is_taken_cannot_be_promised_again(fleet: Site) -> None:
    first, second = (fleet.reservation("itemType_1", 2) for _ in range(2))
    step(fleet, first, "approve")
    before = fleet.written()
    found = problem(step(fleet, second, "approve"), "insufficient-availability", 409)
    assert (found["lines"][0]["requested"], found["lines"][0]["available"]) == (2, 0)
    assert first in str(found["lines"][0]["reservationsInTheWay"])
    assert fleet.written() == before
    assert fleet.get(f"{RESERVATIONS}/{second}").json["status"] == "pending"


def test_a_policy_in_the_body_approves_with_what_there_is(fleet: Site) -> None:
    made = fleet.reservation("itemType_1", 3)
    problem(step(fleet, made, "approve", body={"allocationPolicy": "hard_fail"}), "insufficient-availability", 409)
    answer = step(fleet, made, "approve", body={"allocationPolicy": "allow_under_allocation"})
    assert (answer.json["status"], answer.json["allocatedQuantity"], answer.json["requestedQuantity"]) == ("approved", 2, 3)


def test_cancelling_frees_the_units(fleet: Site) -> None:
    first, second = (fleet.reservation("itemType_1", 2) for _ in range(2))
    step(fleet, first, "approve")
    assert step(fleet, first, "cancel", body={"reason": "rained off"}).json["status"] == "cancelled"
    assert step(fleet, second, "approve").json["allocatedQuantity"] == 2


def test_a_rejection_keeps_its_reason(fleet: Site) -> None:
    made = fleet.reservation("itemType_1")
    found = step(fleet, made, "reject", body={"reason": "too late"}).json
    assert (found["status"], found["actionStatus"], found["reason"]) == ("rejected", "FailedActionStatus", "too late")
    assert fleet.get(f"{RESERVATIONS}/{made}", Accept="text/turtle").status_code == 200


def test_a_draft_is_submitted_first(fleet: Site) -> None:
    made = fleet.reservation("itemType_1", status="draft")
    found = problem(step(fleet, made, "approve"), "transition-refused", 409)
    assert set(found["allowedSteps"]) == {"submit", "cancel"}
    assert step(fleet, made, "submit").json["status"] == "pending"
    assert step(fleet, made, "approve").json["status"] == "approved"


def test_a_step_is_taken_once(fleet: Site) -> None:
    made = fleet.reservation("itemType_1")
    step(fleet, made, "approve")
    problem(step(fleet, made, "approve"), "transition-refused", 409)
    problem(step(fleet, made, "reject"), "transition-refused", 409)


@pytest.mark.parametrize("tag", ['"1-jsonld"', '"1-turtle"', '"7-json", "1-json"', "*"])
def test_if_match_lets_a_step_through_that_knows_the_revision(fleet: Site, tag: str) -> None:
    assert step(fleet, fleet.reservation("itemType_1"), "approve", If_Match=tag).status_code == 200


@pytest.mark.parametrize("tag", ['"2-jsonld"', 'W/"1-jsonld"', '"elsewhere"'])
def test_if_match_keeps_a_step_back_that_does_not(fleet: Site, tag: str) -> None:
    made = fleet.reservation("itemType_1")
    before = fleet.written()
    problem(step(fleet, made, "approve", If_Match=tag), "precondition-failed", 412)
    assert fleet.written() == before


def test_of_two_who_read_the_same_revision_one_is_told(fleet: Site) -> None:
    made = fleet.reservation("itemType_1", status="draft")
    tag = fleet.get(f"{RESERVATIONS}/{made}").headers["etag"]
    assert step(fleet, made, "submit", If_Match=tag).status_code == 200
    problem(step(fleet, made, "cancel", If_Match=tag), "precondition-failed", 412)


@pytest.mark.parametrize(
    ("name", "body", "slug", "status"),
    [
        ("approve", b"{", "malformed-body", 400),
        ("approve", b"[]", "malformed-body", 400),
        ("approve", {"allocationPolcy": "hard_fail"}, "unknown-term", 422),
        ("approve", {"allocationPolicy": "whatever"}, "shape-violation", 422),
        ("approve", {"allocationPolicy": None}, "shape-violation", 422),
        ("approve", {"reason": "none of its business"}, "unknown-term", 422),
        ("submit", {"reason": "x"}, "unknown-term", 422),
        ("reject", {"reason": 7}, "shape-violation", 422),
        ("cancel", {"reason": "x" * 10_001}, "shape-violation", 422),
        ("approve", b"\xff\xfe", "malformed-body", 400),
    ],
)
def test_a_step_refuses_what_it_does_not_know(fleet: Site, name: str, body: object, slug: str, status: int) -> None:
    made = fleet.reservation("itemType_1", status="draft")
    before = fleet.written()
    headers = {"Content_Type": "application/json"} if isinstance(body, bytes) else {}
    problem(step(fleet, made, name, body=body, **headers), slug, status)
    assert fleet.written() == before


def test_a_step_needs_no_content_type_without_a_body_and_one_with(fleet: Site) -> None:
    made = fleet.reservation("itemType_1")
    answer = step(fleet, made, "approve", body=b"{}")
    problem(answer, "unsupported-media-type", 415)
    assert answer.headers["accept-post"] == "application/json, application/ld+json"
    assert step(fleet, made, "approve", Content_Type="text/plain").status_code == 200


def test_many_at_once_never_get_the_same_unit(fleet: Site) -> None:
    waiting = [fleet.reservation("itemType_1") for _ in range(6)]
    barrier, statuses = threading.Barrier(len(waiting)), Counter[int]()

    def approve(identifier: str) -> None:
        barrier.wait()
        statuses[step(fleet, identifier, "approve").status_code] += 1

    threads = [threading.Thread(target=approve, args=(identifier,)) for identifier in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {200: UNIT_COUNT, 409: len(waiting) - UNIT_COUNT}
