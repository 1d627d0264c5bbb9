"""Units go out and come back over HTTP: bodies, refusals, who may, and the conflicts of a reservation in every syntax."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pyoxigraph import RdfFormat, parse

from ld_server.domain.scopes import Scope
from ld_server.http.app import ROUTES
from ld_server.rdf import vocab
from ld_server.resources.kind import written
from tests import factories
from tests.http.conftest import ASSETS, BASE, RESERVATIONS, Site, problem

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)
POOLS = "/v1/catalog/stock-pools"


@pytest.fixture
def fleet(either_site: Site) -> Iterator[Site]:
    """On the first of March 2027 at nine: itemType_1 with two units, itemType_2 with a pool of forty, on each engine in turn."""
    site = either_site.over(now=lambda: NOW)
    item = site.item_type()
    for number in (1, 2):
        site.asset(item, assetTag=f"T-{number}", serialNumber=f"SN-{number}")
    site.made(POOLS, factories.stock_pool(site.item_type("CABLE", kind="fungible")))
    return site


def step(site: Site, identifier: str, name: str, **more):
    return site.post(f"{RESERVATIONS}/{identifier}/{name}", **more)


def booked(site: Site, item: str = "itemType_1", quantity: int = 1, start: datetime = NOW - timedelta(hours=1), **changes: object) -> str:
    """A reservation of one day that is approved."""
    made = site.reservation(item, quantity, startTime=written(start), endTime=written(start + DAY), **changes)
    assert step(site, made, "approve").status_code == 200
    return made


def states(site: Site, identifier: str) -> list[tuple[str, str, int]]:
    found = site.get(f"{RESERVATIONS}/{identifier}").json["allocations"]
    return [(one["identifier"], one["status"], one["quantity"]) for one in found]


def test_metadata_is_kept_with_the_allocation_until_it_is_said_anew(fleet: Site) -> None:
    made = booked(fleet, "itemType_2", quantity=4)
    out = step(fleet, made, "check-out", body={"allocations": [{"id": "alloc_1", "metadata": {"van": "B-RX 4711"}}]}).json
    assert out["allocations"][0]["metadata"] == {"van": "B-RX 4711"}
    back = step(fleet, made, "return", body={"allocations": [{"id": "alloc_1", "quantity": 1, "metadata": ["bay 7"]}]}).json
    assert [one["metadata"] for one in back["allocations"]] == [{"van": "B-RX 4711"}, ["bay 7"]]


def test_units_go_out_and_come_back(fleet: Site) -> None:
    made = booked(fleet, quantity=2)
    out = step(fleet, made, "check-out")
    assert (out.status_code, out.headers["etag"], out.json["status"]) == (200, '"3-jsonld"', "approved")
    assert [(one["status"], one["checkedOutAt"]) for one in out.json["allocations"]] == [("in_use", "2027-03-01T09:00:00Z")] * 2
    body = {"allocations": [{"id": "alloc_1", "condition": "damaged", "notes": "A wheel is missing."}]}
    some = step(fleet, made, "return", body=body).json
    back = some["allocations"][0]
    assert (some["status"], back["status"], back["condition"], back["notes"]) == ("approved", "returned", "damaged", "A wheel is missing.")
    assert fleet.get(f"{ASSETS}/asset_1").json["status"] == "maintenance"
    assert step(fleet, made, "return").json["status"] == "fulfilled"


def test_an_allocation_is_named_by_identifier_or_iri(fleet: Site) -> None:
    made = booked(fleet, quantity=2)
    step(fleet, made, "check-out", body={"allocations": [{"id": f"{BASE}{RESERVATIONS}/{made}#alloc_2"}]})
    assert states(fleet, made) == [("alloc_1", "allocated", 1), ("alloc_2", "in_use", 1)]
    step(fleet, made, "check-out", body={"allocations": ["alloc_1"]})
    assert states(fleet, made) == [("alloc_1", "in_use", 1), ("alloc_2", "in_use", 1)]


def test_a_part_of_a_quantity_goes_out_and_comes_back(fleet: Site) -> None:
    made = booked(fleet, "itemType_2", 10)
    step(fleet, made, "check-out", body={"allocations": [{"id": "alloc_1", "quantity": 4}]})
    assert states(fleet, made) == [("alloc_1", "in_use", 4), ("alloc_2", "allocated", 6)]
    step(fleet, made, "return", body={"allocations": [{"id": "alloc_1", "quantity": 1, "condition": "lost"}]})
    assert states(fleet, made) == [("alloc_1", "in_use", 3), ("alloc_2", "allocated", 6), ("alloc_3", "returned", 1)]
    assert fleet.get(f"{POOLS}/pool_1").json["quantityTotal"] == 39


def test_the_answer_and_the_graph_say_what_happened(fleet: Site) -> None:
    made = booked(fleet)
    step(fleet, made, "check-out")
    answer = step(fleet, made, "return", Accept="text/turtle")
    said = {(quad.predicate.value, quad.object.value) for quad in parse(answer.content, RdfFormat.TURTLE)}
    assert (vocab.CONDITION, vocab.RSV + "good") in said
    assert {vocab.CHECKED_OUT_AT, vocab.RETURNED_AT} <= {predicate for predicate, _ in said}


@pytest.mark.parametrize(
    ("name", "body", "slug", "status", "pointer"),
    [
        ("check-out", b"{", "malformed-body", 400, None),
        ("check-out", b"[]", "malformed-body", 400, None),
        ("check-out", {"allocation": []}, "unknown-term", 422, "/allocation"),
        ("check-out", {"allocations": []}, "shape-violation", 422, "/allocations"),
        ("check-out", {"allocations": "alloc_1"}, "shape-violation", 422, "/allocations"),
        ("check-out", {"allocations": [7]}, "shape-violation", 422, "/allocations/0"),
        ("check-out", {"allocations": [{}]}, "shape-violation", 422, "/allocations/0/id"),
        ("check-out", {"allocations": [{"id": "alloc_1", "quantity": 0}]}, "shape-violation", 422, "/allocations/0/quantity"),
        ("check-out", {"allocations": [{"id": "alloc_1", "quantity": True}]}, "shape-violation", 422, "/allocations/0/quantity"),
        ("check-out", {"allocations": [{"id": "alloc_1", "quantity": 1.5}]}, "shape-violation", 422, "/allocations/0/quantity"),
        ("check-out", {"allocations": [{"id": "alloc_1", "condition": "good"}]}, "unknown-term", 422, "/allocations/0/condition"),
        ("return", {"allocations": [{"id": "alloc_1", "condition": "dirty"}]}, "shape-violation", 422, "/allocations/0/condition"),
        ("return", {"allocations": [{"id": "alloc_1", "condition": []}]}, "shape-violation", 422, "/allocations/0/condition"),
        ("check-out", {"allocations": [{"id": "alloc_1", "metadata": None}]}, "shape-violation", 422, "/allocations/0/metadata"),
        ("return", {"allocations": [{"id": "alloc_1", "notes": "\x07"}]}, "shape-violation", 422, "/allocations/0/notes"),
        ("return", {"allocations": [{"id": "alloc_1", "notes": "x" * 2001}]}, "shape-violation", 422, "/allocations/0/notes"),
        ("check-out", {"allocations": ["alloc_1", "alloc_9"]}, "unknown-reference", 422, "/allocations/1/id"),
        ("check-out", {"allocations": [f"{BASE}{RESERVATIONS}/ra_9#alloc_1"]}, "unknown-reference", 422, "/allocations/0/id"),
        ("return", {"allocations": ["alloc_1"]}, "transition-refused", 409, None),
        ("return", {}, "transition-refused", 409, None),
        ("check-out", {"allocations": [{"id": "alloc_1", "quantity": 2}]}, "transition-refused", 409, None),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    fleet: Site, name: str, body: object, slug: str, status: int, pointer: str | None
) -> None:
    made = booked(fleet)
    before = fleet.written()
    headers = {"Content_Type": "application/json"} if isinstance(body, bytes) else {}
    found = problem(step(fleet, made, name, body=body, **headers), slug, status)
    places = [found.get("pointer"), *(one["pointer"] for one in found.get("violations", ()))]
    assert pointer is None or pointer in places
    assert fleet.written() == before


def test_what_is_not_out_is_named(fleet: Site) -> None:
    made = booked(fleet)
    found = problem(step(fleet, made, "return", body={"allocations": ["alloc_1"]}), "transition-refused", 409)
    assert found["allocations"] == [{"identifier": "alloc_1", "status": "allocated", "quantity": 0}]
    assert "check-out" in found["allowedSteps"]


def test_a_unit_that_cannot_go_out_is_told_with_the_way_to_another(fleet: Site) -> None:
    made = booked(fleet)
    fleet.ask("PATCH", f"{ASSETS}/asset_1", body={"status": "hold"})
    found = problem(step(fleet, made, "check-out"), "transition-refused", 409)
    [told] = found["allocations"]
    assert (told["identifier"], told["reasonCode"], told["asset"]["identifier"]) == ("alloc_1", "out_of_service", "asset_1")
    assert told["proposal"]["href"] == f"{BASE}{RESERVATIONS}/{made}/allocations/alloc_1/swap"


@pytest.mark.parametrize("name", ["check-out", "return"])
@pytest.mark.parametrize("scope", [*Scope, "reader"])
def test_who_may_hand_units_over(site: Site, name: str, scope: str) -> None:
    status = step(site, "ra_9", name, key=str(scope)).status_code
    assert status == (404 if scope in (Scope.ALLOCATOR, Scope.ADMIN) else 403)


def test_any_key_reads_conflicts(site: Site) -> None:
    route = next(one for one in ROUTES if one.template.endswith("/conflicts"))
    assert site.get(f"{RESERVATIONS}/ra_9/conflicts", key="reader").status_code == 404
    assert list(route.needs) == ["GET"]


def test_preconditions_hold(fleet: Site) -> None:
    made = booked(fleet)
    problem(step(fleet, made, "check-out", If_Match='"1-jsonld"'), "precondition-failed", 412)
    assert step(fleet, made, "check-out", If_Match='"2-turtle"').status_code == 200


def test_what_is_repeated_under_its_key_happens_once(fleet: Site) -> None:
    made = booked(fleet, "itemType_2", 10)
    step(fleet, made, "check-out")
    body = {"allocations": [{"id": "alloc_1", "quantity": 4}]}
    answers = [step(fleet, made, "return", body=body, Idempotency_Key="back-1") for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert states(fleet, made) == [("alloc_1", "in_use", 6), ("alloc_2", "returned", 4)]


def test_a_step_can_be_tried_without_being_taken(fleet: Site) -> None:
    made = booked(fleet)
    before = fleet.written()
    answer = step(fleet, made, "check-out", query="validate=only")
    assert (answer.status_code, answer.json["allocations"][0]["status"]) == (200, "in_use")
    assert fleet.written() == before
    assert states(fleet, made) == [("alloc_1", "allocated", 1)]


# --- at risk ----------------------------------------------------------------------------------------------------------


def listed(site: Site, query: str) -> list[str]:
    return [one["identifier"] for one in site.get(RESERVATIONS, query=query).json["member"]]


def test_who_is_overdue_and_who_is_at_risk_is_listed(fleet: Site) -> None:
    late, next_one = booked(fleet, quantity=2), booked(fleet, start=NOW + DAY)
    step(fleet, late, "check-out")
    assert (listed(fleet, "overdue=true"), listed(fleet, "atRisk=true")) == ([], [])
    morrow = fleet.over(now=lambda: NOW + DAY)
    assert (listed(morrow, "overdue=true"), listed(morrow, "atRisk=true")) == ([late], [next_one])
    assert (listed(morrow, "overdue=false"), listed(morrow, "atRisk=false&status=approved")) == ([next_one], [late])
    assert morrow.get(RESERVATIONS, query="atRisk=true").json["totalItems"] == 1
    assert next_one in morrow.get(RESERVATIONS, query="atRisk=true", Accept="text/csv").text
    problem(fleet.get(RESERVATIONS, query="atRisk=maybe"), "invalid-parameter", 400)


def test_conflicts_say_which_unit_why_and_who_has_it(fleet: Site) -> None:
    late, next_one = booked(fleet, quantity=2), booked(fleet, start=NOW + DAY)
    path = f"{RESERVATIONS}/{next_one}/conflicts"
    assert (fleet.get(path).json["totalItems"], fleet.get(path).json["member"]) == (0, [])
    step(fleet, late, "check-out")
    morrow = fleet.over(now=lambda: NOW + DAY)
    [found] = morrow.get(path, key="reader").json["member"]
    assert found["@id"] == f"{BASE}{path}#conflict-1"
    assert (found["@type"], found["reasonCode"], found["since"]) == ("Conflict", "overdue", "2027-03-02T08:00:00Z")
    assert (found["asset"]["name"], found["heldBy"][0]["identifier"], "until" in found) == ("T-1", late, False)
    assert found["explanation"] == f"The unit asset_1 is still out with {late}."
    assert found["forLine"]["@id"].endswith(f"{next_one}#line-1")


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/ld+json", "text/turtle", "application/rdf+xml", "text/html", "text/csv"]
)
def test_conflicts_come_in_every_syntax(fleet: Site, media_type: str) -> None:
    made = booked(fleet)
    fleet.ask("PATCH", f"{ASSETS}/asset_1", body={"status": "hold"})
    waiting = fleet.reservation("itemType_1", 9)
    for identifier in (made, waiting):
        answer = fleet.get(f"{RESERVATIONS}/{identifier}/conflicts", Accept=media_type)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, media_type)


def test_conflicts_are_a_graph(fleet: Site) -> None:
    made = booked(fleet)
    fleet.ask("PATCH", f"{ASSETS}/asset_1", body={"status": "hold"})
    answer = fleet.get(f"{RESERVATIONS}/{made}/conflicts", Accept="text/turtle")
    said = {(quad.predicate.value, quad.object.value) for quad in parse(answer.content, RdfFormat.TURTLE)}
    iri = f"{BASE}{RESERVATIONS}/{made}"
    assert {
        (vocab.TYPE, vocab.CONFLICT),
        (vocab.REASON_CODE, vocab.RSV + "out_of_service"),
        (vocab.OF_ALLOCATION, f"{iri}#alloc_1"),
    } <= said
    assert (vocab.ASSET, f"{BASE}{ASSETS}/asset_1") in said


def test_what_a_fulfilled_reservation_got_is_told_in_turtle_too(fleet: Site) -> None:
    made = booked(fleet, quantity=2)
    step(fleet, made, "check-out")
    assert (done := step(fleet, made, "return").json)["status"] == "fulfilled"
    answer = fleet.get(f"{RESERVATIONS}/{made}", Accept="text/turtle")
    said = [quad.object.value for quad in parse(answer.content, RdfFormat.TURTLE) if quad.predicate.value == vocab.ALLOCATED_QUANTITY]
    assert (done["allocatedQuantity"], said) == (2, ["2", "2"])


def test_conflicts_wait_for_nobody(fleet: Site) -> None:
    booked(fleet, quantity=2)
    waiting = fleet.reservation("itemType_1", 1, startTime=written(NOW), endTime=written(NOW + DAY))
    with fleet.parts.ledger.write() as uow:
        uow.allocations.hold(["itemType_1"])
        answer = fleet.get(f"{RESERVATIONS}/{waiting}/conflicts")
    assert [one["reasonCode"] for one in answer.json["member"]] == ["missing"]


def test_what_an_approval_would_miss_is_told_before(fleet: Site) -> None:
    holder = booked(fleet, quantity=2)
    waiting = fleet.reservation("itemType_1", 2, startTime=written(NOW), endTime=written(NOW + DAY))
    before = fleet.written()
    [found] = fleet.get(f"{RESERVATIONS}/{waiting}/conflicts").json["member"]
    assert (found["reasonCode"], found["object"]["identifier"], found["heldBy"][0]["identifier"]) == ("missing", "itemType_1", holder)
    refusal = problem(step(fleet, waiting, "approve"), "insufficient-availability", 409)
    assert found["shortage"] == refusal["lines"][0]
    assert fleet.written() == before
    step(fleet, holder, "cancel")
    assert fleet.get(f"{RESERVATIONS}/{waiting}/conflicts").json["member"] == []


def test_conflicts_come_in_pages(fleet: Site) -> None:
    made = booked(fleet, quantity=2)
    for number in (1, 2):
        fleet.ask("PATCH", f"{ASSETS}/asset_{number}", body={"status": "hold"})
    path = f"{RESERVATIONS}/{made}/conflicts"
    first = fleet.get(path, query="limit=1").json
    second = fleet.get(path, query=first["view"]["next"].partition("?")[2]).json
    assert [one["member"][0]["asset"]["identifier"] for one in (first, second)] == ["asset_1", "asset_2"]
    assert (first["totalItems"], "next" in second["view"]) == (2, False)


def test_what_has_ended_has_no_conflicts(fleet: Site) -> None:
    made = booked(fleet)
    fleet.ask("PATCH", f"{ASSETS}/asset_1", body={"status": "hold"})
    step(fleet, made, "cancel")
    assert fleet.get(f"{RESERVATIONS}/{made}/conflicts").json["totalItems"] == 0
