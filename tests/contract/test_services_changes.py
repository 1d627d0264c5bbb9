"""Changes, on both engines: a new revision with its event, and for an approved reservation a new plan in the same transaction."""

from datetime import datetime
from typing import Any

import orjson
import pytest

from ld_server.domain.commands import ChangeCatalogEntry, ChangeReservation, Document
from ld_server.domain.errors import (
    Duplicate,
    InsufficientAvailability,
    InUse,
    InvalidParameter,
    NotFound,
    ShapeViolation,
    Stale,
    TransitionRefused,
    UnknownReference,
)
from ld_server.domain.status import Status
from ld_server.services import handle
from ld_server.services.shortage import Unexplained
from relational.documents import Head
from relational.unit_of_work import Ledger
from tests.contract.fleet import AFTERNOON, BASE, MIDDAY, MORNING, Fleet, document_of, tags

EVENING = ("2027-03-01T19:00:00Z", "2027-03-01T22:00:00Z")


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


def change(fleet: Fleet, identifier: str, expected: frozenset[int] | None = None, **changes: Any) -> Head:
    """Some keys of a resource get other values; None takes them out."""
    head = fleet.ledger.head(identifier)
    assert head is not None
    changed = {key: value for key, value in {**document_of(head), **changes}.items() if value is not None}
    command = ChangeReservation if identifier.startswith("ra_") else ChangeCatalogEntry
    return fleet.do(command(identifier, changed, expected or frozenset({head.revision})), principal="erin", correlation_id="order-78")


def moved(fleet: Fleet, identifier: str, window: tuple[str, str]) -> Document:
    return document_of(change(fleet, identifier, startTime=window[0], endTime=window[1]))


def with_lines(fleet: Fleet, identifier: str, *lines: tuple[str, str, int]) -> Document:
    """The reservation with lines of these names, item types and quantities instead of its own."""
    iri = f"{BASE}/v1/rent-actions/{identifier}"
    written = [
        {"@id": f"{iri}#{name}", "@type": "LineItem", "object": _reference(item), "requestedQuantity": quantity}
        for name, item, quantity in lines
    ]
    return document_of(change(fleet, identifier, lineItems=written))


def _reference(identifier: str) -> Document:
    return {"@id": f"{BASE}/v1/catalog/item-types/{identifier}", "@type": "Product", "identifier": identifier}


def held(document: Document) -> dict[str, list[str]]:
    """Line → the names of what it has."""
    found: dict[str, list[str]] = {}
    for one in document["allocations"]:
        if one["status"] == "allocated":
            found.setdefault(one["forLine"]["@id"].rpartition("#")[2], []).append((one.get("asset") or one["stockPool"])["name"])
    return found


def rows_agree(fleet: Fleet, identifier: str) -> bool:
    """Whether the rows of the allocations say what the document says."""
    rows = {(f"alloc_{row.number}", row.status, row.line, row.quantity) for row in fleet.allocations(identifier)}
    document = fleet.document(identifier)
    return rows == {
        (one["identifier"], one["status"], one["forLine"]["@id"].rpartition("#")[2], one["quantity"]) for one in document["allocations"]
    }


# --- the catalog ------------------------------------------------------------------------------------------------------


def test_a_change_makes_a_revision_and_an_event(fleet: Fleet) -> None:
    timer = fleet.item_type("TN-2")
    before = fleet.document(timer)
    head = change(fleet, timer, name="TimerNode v3", description="Longer range")
    assert (head.revision, document_of(head)) == (2, fleet.document(timer))
    assert document_of(head) == {**before, "name": "TimerNode v3", "description": "Longer range"}
    assert fleet.event_types(timer) == ["catalog.itemType.created", "catalog.itemType.updated"]
    assert fleet.events(timer)[-1]["data"] == fleet.document(timer)
    assert fleet.events(timer)[-1]["meta"]["correlationId"] == "order-78"
    with fleet.ledger.read() as uow:
        revision = uow.documents.revision(timer, 2)
        found = uow.index.page("item_types", [("name", "=", "TimerNode v3")], None, 10)
    assert revision is not None
    assert (revision.changed_by, revision.correlation_id) == ("erin", "order-78")
    assert [one.identifier for one in found] == [timer]


def entries(fleet: Fleet) -> list[tuple[str, str, Document]]:
    """Something of every kind, the event that tells of its change, and a change."""
    timer = fleet.stocked("TN-0001")
    cable = fleet.pooled(40)
    kit = fleet.kit("FINISH", (timer, 2), (cable, 5))
    return [
        (timer, "catalog.itemType.updated", {"name": "TimerNode v3"}),
        ("asset_1", "catalog.asset.updated", {"location": "Depot B"}),
        ("pool_1", "catalog.stockPool.updated", {"quantityTotal": 60}),
        (kit, "catalog.kitTemplate.updated", {"name": "Finish line, small"}),
    ]


def test_every_kind_of_entry_can_be_changed(fleet: Fleet) -> None:
    for identifier, event, changes in entries(fleet):
        head = change(fleet, identifier, **changes)
        assert head.revision == 2
        assert fleet.event_types(identifier)[-1] == event
        assert fleet.document(identifier).items() >= changes.items()


def test_a_change_that_says_nothing_new_is_none(fleet: Fleet) -> None:
    for identifier, _, _ in entries(fleet):
        told = fleet.event_types(identifier)
        assert change(fleet, identifier).revision == 1
        assert fleet.event_types(identifier) == told


def test_what_goes_without_saying_is_said_again(fleet: Fleet) -> None:
    """To take `isActive` out is to set it to what it is when nothing is said."""
    timer = fleet.item_type(isActive=False)
    assert document_of(change(fleet, timer, isActive=None))["isActive"] is True
    assert change(fleet, timer, isActive=None).revision == 2
    fleet.assets(timer, "TN-1")
    change(fleet, "asset_1", status="hold")
    assert document_of(change(fleet, "asset_1", status=None))["status"] == "available"


def test_references_are_echoed_with_the_name_that_they_have_now(fleet: Fleet) -> None:
    fleet.stocked("TN-0001")
    change(fleet, "itemType_1", name="TimerNode v3")
    assert change(fleet, "asset_1").revision == 1, "a name beside a reference is no change of its own"
    assert document_of(change(fleet, "asset_1", location="Depot B"))["isVariantOf"]["name"] == "TimerNode v3"


def test_a_unit_can_be_given_to_another_item_type(fleet: Fleet) -> None:
    fleet.stocked("TN-0001")
    mast = fleet.item_type("MAST")
    assert document_of(change(fleet, "asset_1", isVariantOf=_reference(mast)))["isVariantOf"]["name"] == "TimerNode MAST"
    with fleet.ledger.read() as uow:
        assert [one.identifier for one in uow.index.page("assets", [("item_type", "=", mast)], None, 10)] == ["asset_1"]


def test_what_the_catalog_does_not_allow_is_refused(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001", "TN-0002")
    fleet.item_type("MAST")
    with pytest.raises(Duplicate, match="itemType_2"):
        change(fleet, timer, code="MAST")
    with pytest.raises(Duplicate, match="asset_2"):
        change(fleet, "asset_1", assetTag="TN-0002")
    with pytest.raises(UnknownReference, match="itemType_99"):
        change(fleet, "asset_1", isVariantOf=_reference("itemType_99"))
    with pytest.raises(InUse):
        change(fleet, timer, kind="fungible")
    with pytest.raises(ShapeViolation, match="turnaroundAfter"):
        change(fleet, timer, turnaroundAfter="P1Y")
    assert {fleet.ledger.head(one).revision for one in (timer, "asset_1")} == {1}  # type: ignore[union-attr]


def test_a_pool_cannot_go_below_what_is_promised(fleet: Fleet) -> None:
    cable = fleet.pooled(40)
    booked = fleet.reserve(cable, 30)
    fleet.approve(booked)
    with pytest.raises(InsufficientAvailability, match="30") as refused:
        change(fleet, "pool_1", quantityTotal=29)
    assert [one["identifier"] for one in refused.value.members["reservationsInTheWay"]] == [booked]
    assert change(fleet, "pool_1", quantityTotal=30).revision == 2


def test_the_expected_revision_is_compared_inside_the_transaction(fleet: Fleet) -> None:
    timer = fleet.item_type()
    change(fleet, timer, frozenset({1}), name="TimerNode v3")
    with pytest.raises(Stale, match="revision 2"):
        change(fleet, timer, frozenset({1}), name="TimerNode v4")


@pytest.mark.parametrize("identifier", ["itemType_9", "ra_1", "asset_1"])
def test_what_is_not_there_cannot_be_changed(fleet: Fleet, identifier: str) -> None:
    fleet.reserve(fleet.item_type())
    with pytest.raises(NotFound, match=identifier):
        fleet.do(ChangeCatalogEntry(identifier, {}, frozenset({1})))
    with pytest.raises(NotFound, match="itemType_1"):
        fleet.do(ChangeReservation("itemType_1", {}, frozenset({1})))


# --- reservations that nothing is promised to yet ---------------------------------------------------------------------


@pytest.mark.parametrize("status", ["draft", "pending"])
def test_a_reservation_that_is_not_approved_can_be_changed(fleet: Fleet, status: str) -> None:
    timer, mast = fleet.item_type("TN-2"), fleet.item_type("MAST")
    booked = fleet.reserve(timer, status=status)
    document = with_lines(fleet, booked, ("line-1", timer, 2), ("line-2", mast, 3))
    assert (document["status"], document["requestedQuantity"], document["allocatedQuantity"]) == (status, 5, 0)
    assert [one["name"] for one in document["object"]] == ["TimerNode TN-2", "TimerNode MAST"]
    assert moved(fleet, booked, AFTERNOON)["startTime"] == AFTERNOON[0]
    assert fleet.event_types(booked) == ["rentAction.created", "rentAction.updated", "rentAction.updated"]
    with fleet.ledger.read() as uow:
        assert uow.index.page("rent_actions", [("start_time", "=", _instant(AFTERNOON[0]))], None, 10)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_who_made_it_and_where_it_stands_stay(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-1"))
    fleet.approve(booked)
    before = fleet.document(booked)
    document = document_of(change(fleet, booked, description="City marathon", priority="urgent"))
    assert document == {**before, "description": "City marathon", "priority": "urgent"}
    assert fleet.event_types(booked)[-1] == "rentAction.updated"


def test_a_reservation_that_says_nothing_new_stays_as_it_is(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.item_type())
    change(fleet, "itemType_1", name="TimerNode v3")
    assert change(fleet, booked).revision == 1
    assert change(fleet, booked, priority=None, isAsap=None).revision == 1


def test_a_reservation_that_has_ended_cannot_be_changed(fleet: Fleet) -> None:
    timer = fleet.item_type()
    cancelled, rejected = fleet.reserve(timer), fleet.reserve(timer)
    fleet.cancel(cancelled)
    fleet.reject(rejected)
    for booked, status in ((cancelled, "cancelled"), (rejected, "rejected")):
        with pytest.raises(TransitionRefused, match=status) as refused:
            change(fleet, booked, description="too late")
        assert refused.value.members == {"status": status, "allowedSteps": []}


def test_only_what_is_new_has_to_be_active(fleet: Fleet) -> None:
    timer, mast = fleet.item_type("TN-2"), fleet.item_type("MAST")
    booked = fleet.reserve(timer)
    change(fleet, timer, isActive=False)
    change(fleet, mast, isActive=False)
    assert change(fleet, booked, description="City marathon").revision == 2
    with pytest.raises(UnknownReference, match="not active") as refused:
        with_lines(fleet, booked, ("line-1", timer, 1), ("line-2", mast, 1))
    assert refused.value.members["pointer"] == "/lineItems/1/object"


def test_a_window_that_is_none_is_refused(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-1"))
    with pytest.raises(InvalidParameter):
        change(fleet, booked, endTime=MORNING[0])


# --- reservations that units are promised to --------------------------------------------------------------------------


@pytest.fixture
def timer(fleet: Fleet) -> str:
    return fleet.stocked("TN-1", "TN-2", "TN-3")


def approved(fleet: Fleet, item_type: str, quantity: int = 1, window: tuple[str, str] = MORNING) -> str:
    booked = fleet.reserve(item_type, quantity, window)
    fleet.approve(booked)
    return booked


def test_a_reservation_that_moves_keeps_its_units(fleet: Fleet, timer: str) -> None:
    """Also into a window that overlaps with the old one: nothing is in its own way."""
    approved(fleet, timer)
    booked = approved(fleet, timer)
    document = moved(fleet, booked, MIDDAY)
    assert tags(document) == ["TN-2"]
    assert [(one["identifier"], one["status"]) for one in document["allocations"]] == [("alloc_2", "cancelled"), ("alloc_3", "allocated")]
    assert (document["allocations"][1]["allocatedFrom"], document["allocations"][1]["allocatedTo"]) == MIDDAY
    assert fleet.event_types(booked)[-2:] == ["rentAction.updated", "rentAction.allocation.changed"]
    row = fleet.allocations(booked)[-1]
    assert (row.blocked_from, row.blocked_to) == tuple(map(_instant, MIDDAY))
    assert rows_agree(fleet, booked)


def test_a_reservation_that_moves_gets_other_units_where_its_own_are_taken(fleet: Fleet, timer: str) -> None:
    booked = approved(fleet, timer)
    rival = approved(fleet, timer, window=EVENING)
    assert tags(fleet.document(rival)) == ["TN-1"]
    assert tags(moved(fleet, booked, EVENING)) == ["TN-2"]
    assert rows_agree(fleet, booked)


def test_what_it_leaves_is_free_for_others(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1")
    booked, rival = approved(fleet, timer), fleet.reserve(timer)
    with pytest.raises(InsufficientAvailability):
        fleet.approve(rival)
    moved(fleet, booked, EVENING)
    assert tags(fleet.approve(rival)) == ["TN-1"]


def test_a_change_that_does_not_fit_leaves_the_old_plan(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1")
    booked, rival = approved(fleet, timer), approved(fleet, timer, window=AFTERNOON)
    before, rows, told = fleet.document(booked), fleet.allocations(booked), fleet.events(booked)
    with pytest.raises(InsufficientAvailability, match="1 of TimerNode TN-2 asked for, 0 available") as refused:
        moved(fleet, booked, AFTERNOON)
    line = refused.value.members["lines"][0]
    assert (line["requested"], line["available"], line["reservedCapacity"]) == (1, 0, 1)
    assert [one["identifier"] for one in line["reservationsInTheWay"]] == [rival]
    assert (fleet.document(booked), fleet.allocations(booked), fleet.events(booked)) == (before, rows, told)


def test_its_own_units_count_as_available_in_the_refusal(fleet: Fleet, timer: str) -> None:
    booked = approved(fleet, timer, 2)
    with pytest.raises(InsufficientAvailability) as refused:
        with_lines(fleet, booked, ("line-1", timer, 4))
    line = refused.value.members["lines"][0]
    assert (line["requested"], line["available"], line["totalCapacity"], line["reservedCapacity"]) == (4, 3, 3, 0)
    assert line["reservationsInTheWay"] == []
    assert line["alternatives"] == {"largestQuantity": 3, "nextWindow": None}


@pytest.mark.parametrize("rule", ["overlap", "peak"])
def test_its_own_quantity_counts_as_available_in_the_refusal(fleet: Fleet, rule: str) -> None:
    cable = fleet.pooled(10, capacityRule=rule)
    booked, rival = approved(fleet, cable, 6), approved(fleet, cable, 3)
    with pytest.raises(InsufficientAvailability) as refused:
        with_lines(fleet, booked, ("line-1", cable, 8))
    line = refused.value.members["lines"][0]
    assert (line["available"], line["reservedCapacity"], line["availableCapacity"]) == (7, 3, 7)
    assert [one["identifier"] for one in line["reservationsInTheWay"]] == [rival]
    assert line["alternatives"]["nextWindow"] == {"startTime": "2027-03-01T12:00:00Z", "endTime": "2027-03-01T16:00:00Z"}


def test_a_refused_change_is_explained_after_its_transaction(fleet: Fleet, timer: str) -> None:
    booked = approved(fleet, timer)
    changed = {**fleet.document(booked), "lineItems": [{**fleet.document(booked)["lineItems"][0], "requestedQuantity": 4}]}
    with pytest.raises(Unexplained) as refused, fleet.ledger.write() as uow:
        handle(uow, ChangeReservation(booked, changed, None), fleet.occasion())
    assert "lines" not in refused.value.members


def test_more_units_are_added_to_those_it_has(fleet: Fleet, timer: str) -> None:
    booked = approved(fleet, timer, 1)
    document = with_lines(fleet, booked, ("line-1", timer, 3))
    assert [(one["identifier"], one["status"], one["asset"]["name"]) for one in document["allocations"]] == [
        ("alloc_1", "allocated", "TN-1"),
        ("alloc_2", "allocated", "TN-2"),
        ("alloc_3", "allocated", "TN-3"),
    ]
    assert (document["requestedQuantity"], document["allocatedQuantity"]) == (3, 3)
    assert rows_agree(fleet, booked)


def test_fewer_units_are_let_go(fleet: Fleet, timer: str) -> None:
    booked = approved(fleet, timer, 3)
    document = with_lines(fleet, booked, ("line-1", timer, 1))
    assert (tags(document), tags(document, "cancelled")) == (["TN-1"], ["TN-2", "TN-3"])
    assert document["allocatedQuantity"] == 1
    assert tags(fleet.approve(fleet.reserve(timer, 2))) == ["TN-2", "TN-3"]


def test_each_line_keeps_its_own(fleet: Fleet, timer: str) -> None:
    """The second line does not get what the first one lets go, although it would be free."""
    booked = fleet.reserve(timer, 1)
    with_lines(fleet, booked, ("line-1", timer, 2), ("line-2", timer, 1))
    fleet.approve(booked)
    document = with_lines(fleet, booked, ("line-1", timer, 1), ("line-2", timer, 1))
    assert held(document) == {"line-1": ["TN-1"], "line-2": ["TN-3"]}
    assert tags(document, "cancelled") == ["TN-2"]


def test_a_line_that_goes_gives_its_units_to_others(fleet: Fleet, timer: str) -> None:
    mast = fleet.stocked("M-1", code="MAST")
    booked = fleet.reserve(timer, 1)
    with_lines(fleet, booked, ("line-1", timer, 2), ("line-2", mast, 1))
    fleet.approve(booked)
    document = with_lines(fleet, booked, ("line-2", mast, 1), ("line-3", timer, 3))
    assert held(document) == {"line-2": ["M-1"], "line-3": ["TN-1", "TN-2", "TN-3"]}
    assert rows_agree(fleet, booked)


def test_another_item_type_gets_other_units(fleet: Fleet, timer: str) -> None:
    mast = fleet.stocked("M-1", code="MAST")
    booked = approved(fleet, timer)
    assert held(with_lines(fleet, booked, ("line-1", mast, 1))) == {"line-1": ["M-1"]}
    assert tags(fleet.approve(fleet.reserve(timer, 3))) == ["TN-1", "TN-2", "TN-3"]


def test_lines_that_only_change_places_or_notes_keep_everything(fleet: Fleet, timer: str) -> None:
    booked = fleet.reserve(timer)
    with_lines(fleet, booked, ("line-1", timer, 1), ("line-2", timer, 2))
    fleet.approve(booked)
    first, second = fleet.document(booked)["lineItems"]
    rows = fleet.allocations(booked)
    change(fleet, booked, lineItems=[{**second, "notes": "with cases"}, first])
    assert fleet.allocations(booked) == rows
    assert fleet.event_types(booked)[-1] == "rentAction.updated"


def test_quantities_from_a_pool_are_planned_anew(fleet: Fleet) -> None:
    cable = fleet.pooled(10, 10)
    booked = approved(fleet, cable, 12)
    assert [(one["stockPool"]["identifier"], one["quantity"]) for one in fleet.document(booked)["allocations"]] == [
        ("pool_1", 10),
        ("pool_2", 2),
    ]
    document = with_lines(fleet, booked, ("line-1", cable, 15))
    still = [
        (one["identifier"], one["stockPool"]["identifier"], one["quantity"])
        for one in document["allocations"]
        if one["status"] == "allocated"
    ]
    assert still == [("alloc_1", "pool_1", 10), ("alloc_3", "pool_2", 5)]
    assert (document["allocatedQuantity"], rows_agree(fleet, booked)) == (15, True)
    with pytest.raises(InsufficientAvailability, match=r"21 of .* asked for, 20 available"):
        with_lines(fleet, booked, ("line-1", cable, 21))


def test_a_new_turnaround_counts_from_the_next_plan_on(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1", "TN-2")
    booked = approved(fleet, timer)
    change(fleet, timer, turnaroundAfter="PT2H")
    with_lines(fleet, booked, ("line-1", timer, 2))
    assert {row.blocked_to for row in fleet.allocations(booked) if row.status == "allocated"} == {_instant("2027-03-01T14:00:00Z")}


def test_a_unit_that_is_out_of_service_is_exchanged(fleet: Fleet, timer: str) -> None:
    booked = approved(fleet, timer, 1)
    change(fleet, "asset_1", status="maintenance")
    assert tags(moved(fleet, booked, MIDDAY)) == ["TN-2"]


def test_who_was_approved_with_less_may_go_on_with_as_little(fleet: Fleet, timer: str) -> None:
    booked = fleet.reserve(timer, 5)
    fleet.approve(booked, "allow_under_allocation")
    assert moved(fleet, booked, MIDDAY)["allocatedQuantity"] == 3
    assert with_lines(fleet, booked, ("line-1", timer, 4))["allocatedQuantity"] == 3
    with pytest.raises(InsufficientAvailability):
        with_lines(fleet, booked, ("line-1", timer, 5))


def test_a_reservation_that_was_fulfilled_is_history(fleet: Fleet, timer: str) -> None:
    booked = approved(fleet, timer)
    become(fleet, booked, status=str(Status.FULFILLED))
    with pytest.raises(TransitionRefused, match="fulfilled"):
        change(fleet, booked, description="too late")


def become(fleet: Fleet, identifier: str, **changes: Any) -> None:
    """What no command leads to yet."""
    with fleet.ledger.write() as uow:
        head = uow.documents.locked(identifier)
        assert head is not None
        body = orjson.dumps({**document_of(head), **changes}).decode()
        uow.documents.replace(Head(identifier, head.kind, head.number, head.revision + 1, body), fleet.occasion().authorship)


def test_what_was_moved_is_found_by_the_next_approval(fleet: Fleet, timer: str) -> None:
    booked = approved(fleet, timer, 3)
    moved(fleet, booked, AFTERNOON)
    assert tags(fleet.approve(fleet.reserve(timer, 3, MORNING))) == ["TN-1", "TN-2", "TN-3"]
    with pytest.raises(InsufficientAvailability):
        fleet.approve(fleet.reserve(timer, 1, AFTERNOON))
