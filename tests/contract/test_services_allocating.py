"""Kits, places and times that are to be found; what is missing tried again, released, swapped and prolonged: on both engines."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ld_server.domain.commands import (
    AllocateUnits,
    ApproveReservation,
    ChangeReservation,
    CreateReservation,
    Document,
    FulfillReservation,
    NamedUnit,
    ReleaseAllocations,
    SwapAllocation,
)
from ld_server.domain.custody import Handover
from ld_server.domain.errors import InsufficientAvailability, NotFound, TransitionRefused, UnknownReference
from ld_server.resources.kind import instant
from ld_server.services import index
from relational.unit_of_work import Ledger
from tests.contract.fleet import AFTERNOON, MIDDAY, MORNING, NEXT_DAY, Fleet, document_of, reservation, tags


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


@pytest.fixture
def finish_line(fleet: Fleet) -> str:
    """A kit of one timer and four cables; there are three timers and ten cables."""
    timer, cable = fleet.stocked("TN-1", "TN-2", "TN-3"), fleet.pooled(10)
    return fleet.kit("FINISH", (timer, 1), (cable, 4))


def asked(fleet: Fleet, *lines: tuple[str, int], window: tuple[str, str] = MORNING, **changes: Any) -> str:
    return fleet.do(CreateReservation(reservation(lines, window, **changes))).identifier


def as_soon_as_possible(fleet: Fleet, item: str, quantity: int = 1, **changes: Any) -> str:
    document = {**reservation([(item, quantity)]), "isAsap": True, "duration": "PT4H", **changes}
    del document["endTime"]
    if "startTime" not in changes:
        del document["startTime"]
    return fleet.do(CreateReservation(document)).identifier


def allocate(fleet: Fleet, identifier: str, *named: str, policy: str = "hard_fail", line: str | None = None) -> Document:
    units = tuple(NamedUnit(asset, f"/assets/{position}", line) for position, asset in enumerate(named))
    return document_of(fleet.do(AllocateUnits(identifier, None, policy, units)))


def release(fleet: Fleet, identifier: str, *allocations: str) -> Document:
    return document_of(fleet.do(ReleaseAllocations(identifier, None, allocations or None)))


def swap(fleet: Fleet, identifier: str, allocation: str, asset: str | None = None) -> Document:
    return document_of(fleet.do(SwapAllocation(identifier, allocation, None, asset)))


def change(fleet: Fleet, identifier: str, **changes: Any) -> Document:
    before = fleet.document(identifier)
    revision = fleet.ledger.head(identifier)
    assert revision is not None
    return document_of(fleet.do(ChangeReservation(identifier, {**before, **changes}, frozenset({revision.revision}))))


def units(document: Mapping[str, Any]) -> dict[str, int]:
    """Item type → units that the reservation holds."""
    held: Counter[str] = Counter()
    for one in document["allocations"]:
        if one["status"] in ("allocated", "in_use"):
            held[one["itemType"]["identifier"]] += one["quantity"]
    return dict(held)


# --- kits ---------------------------------------------------------------------------------------------------------------


def test_an_approval_promises_what_kits_are_made_of(fleet: Fleet, finish_line: str) -> None:
    document = fleet.approve(asked(fleet, (finish_line, 2)))
    assert units(document) == {"itemType_1": 2, "itemType_2": 8}
    (line,) = document["lineItems"]
    assert (line["requestedQuantity"], line["allocatedQuantity"], document["allocatedQuantity"]) == (2, 2, 2)
    assert [(one["itemType"]["identifier"], one["quantityPerKit"]) for one in line["madeOf"]] == [("itemType_1", 1), ("itemType_2", 4)]
    assert {row.item_type for row in fleet.allocations(document["identifier"])} == {"itemType_1", "itemType_2"}


def test_kits_in_kits_are_taken_apart_and_multiplied(fleet: Fleet, finish_line: str) -> None:
    course = fleet.kit("COURSE", (finish_line, 2), ("itemType_1", 1))
    document = fleet.approve(asked(fleet, (course, 1)))
    assert units(document) == {"itemType_1": 3, "itemType_2": 8}


def test_kits_and_units_share_what_they_have_in_common(fleet: Fleet, finish_line: str) -> None:
    booked = asked(fleet, (finish_line, 2), ("itemType_2", 3))
    with pytest.raises(InsufficientAvailability, match="3 of TimerNode CABLE asked for, 2 available"):
        fleet.approve(booked)
    document = fleet.approve(booked, "allow_under_allocation")
    assert [line["allocatedQuantity"] for line in document["lineItems"]] == [2, 2]
    assert "availability.shortfall.detected" in fleet.event_types(booked)


def test_no_kit_is_promised_in_part(fleet: Fleet, finish_line: str) -> None:
    document = fleet.approve(asked(fleet, (finish_line, 3)), "allow_under_allocation")
    assert (document["allocatedQuantity"], units(document)) == (2, {"itemType_1": 2, "itemType_2": 8})


def test_the_refusal_of_a_kit_names_what_limits_it(fleet: Fleet, finish_line: str) -> None:
    with pytest.raises(InsufficientAvailability, match="3 of Kit FINISH asked for, 2 available for want of TimerNode CABLE") as refused:
        fleet.approve(asked(fleet, (finish_line, 3)))
    (line,) = refused.value.members["lines"]
    (limit,) = line["limitingComponents"]
    assert (limit["itemType"]["identifier"], limit["availableUnits"], limit["quantityPerKit"], limit["kitsSupported"]) == (
        "itemType_2",
        10,
        4,
        2,
    )
    assert line["alternatives"] == {"largestQuantity": 2, "nextWindow": None}


def test_a_kit_stays_what_it_was_when_it_was_promised(fleet: Fleet, finish_line: str) -> None:
    booked = asked(fleet, (finish_line, 1))
    fleet.approve(booked)
    document = change(fleet, booked, startTime=AFTERNOON[0], endTime=AFTERNOON[1])
    assert units(document) == {"itemType_1": 1, "itemType_2": 4}
    assert document["lineItems"][0]["madeOf"][1]["quantityPerKit"] == 4


def test_a_kit_with_something_inactive_in_it_cannot_be_asked_for(fleet: Fleet) -> None:
    kit = fleet.kit("FINISH", (fleet.item_type(isActive=False), 1))
    with pytest.raises(UnknownReference, match="kit_1 needs itemType_1, which is not active"):
        asked(fleet, (kit, 1))


def test_reservations_are_found_by_what_is_in_their_kits(fleet: Fleet, finish_line: str) -> None:
    course = fleet.kit("COURSE", (finish_line, 2))
    booked, other = asked(fleet, (course, 1)), asked(fleet, ("itemType_1", 1))
    found = {}
    with fleet.ledger.read() as uow:
        for item in ("itemType_1", "itemType_2", finish_line, course):
            found[item] = [one.identifier for one in uow.index.page("rent_actions", [("identifier", "has a line for", item)], None, 10)]
    assert found == {"itemType_1": [booked, other], "itemType_2": [booked], finish_line: [booked], course: [booked]}
    index.rebuild(fleet.ledger)


# --- places and times ---------------------------------------------------------------------------------------------------


def test_only_units_at_the_place_that_is_asked_for_are_promised(fleet: Fleet) -> None:
    cables = fleet.pooled(5, 20)
    booked = asked(fleet, (cables, 6), location="Depot 1")
    with pytest.raises(InsufficientAvailability) as refused:
        fleet.approve(booked)
    (line,) = refused.value.members["lines"]
    assert (line["available"], line["alternatives"]["otherLocations"]) == (5, [{"location": "Depot 2", "available": 6}])
    document = change(fleet, booked, location="Depot 2")
    assert [one["stockPool"]["identifier"] for one in fleet.approve(document["identifier"])["allocations"]] == ["pool_2"]


def test_one_place_that_has_everything_goes_before_two(fleet: Fleet) -> None:
    document = fleet.approve(asked(fleet, (fleet.pooled(5, 20), 6)))
    assert [one["stockPool"]["identifier"] for one in document["allocations"]] == ["pool_2"]


def test_what_is_to_begin_soon_begins_now(fleet: Fleet) -> None:
    booked = as_soon_as_possible(fleet, fleet.stocked("TN-1"))
    assert {"startTime", "endTime"}.isdisjoint(fleet.document(booked))
    document = fleet.approve(booked)
    assert (document["startTime"], document["endTime"]) == ("2027-02-01T12:30:00Z", "2027-02-01T16:30:00Z")
    assert "duration" not in document and document["isAsap"] is True


@pytest.mark.parametrize(("second", "microsecond"), [(0, 1), (59, 999_999)])
def test_what_is_to_begin_soon_begins_on_a_full_minute(fleet: Fleet, second: int, microsecond: int) -> None:
    booked = as_soon_as_possible(fleet, fleet.stocked("TN-1"))
    now = datetime(2027, 2, 1, 12, 59, second, microsecond, UTC)
    document = document_of(fleet.do(ApproveReservation(booked, None, "hard_fail"), now=now))
    assert (document["startTime"], document["endTime"]) == ("2027-02-01T13:00:00Z", "2027-02-01T17:00:00Z")


def test_what_is_to_begin_soon_waits_for_its_start_and_for_others(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1", turnaroundAfter="PT1H")
    fleet.approve(fleet.reserve(timer))
    document = fleet.approve(as_soon_as_possible(fleet, timer, startTime=MORNING[0]))
    assert (document["startTime"], document["endTime"]) == ("2027-03-01T13:00:00Z", "2027-03-01T17:00:00Z")


def test_what_fits_nowhere_is_refused_and_stays_as_it_is(fleet: Fleet) -> None:
    booked = as_soon_as_possible(fleet, fleet.stocked("TN-1"), 2)
    with pytest.raises(InsufficientAvailability, match="Nothing fits within the next"):
        fleet.approve(booked, "allow_under_allocation")
    assert fleet.document(booked)["duration"] == "PT4H"
    assert fleet.allocations(booked) == []


# --- by hand ------------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_tried_again(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1")
    booked = asked(fleet, (timer, 2))
    fleet.approve(booked, "allow_under_allocation")
    with pytest.raises(InsufficientAvailability, match="2 of TimerNode TN-2 asked for, 1 available"):
        allocate(fleet, booked)
    told = len(fleet.events(booked))
    assert allocate(fleet, booked, policy="allow_under_allocation") == fleet.document(booked)
    assert len(fleet.events(booked)) == told
    fleet.assets(timer, "TN-2")
    assert tags(allocate(fleet, booked)) == ["TN-1", "TN-2"]
    assert fleet.event_types(booked)[told:] == ["rentAction.allocation.created"]
    assert allocate(fleet, booked)["allocatedQuantity"] == 2


def test_units_that_are_named_take_the_place_of_others(fleet: Fleet) -> None:
    booked = asked(fleet, (fleet.stocked("TN-1", "TN-2", "TN-3"), 2))
    fleet.approve(booked)
    document = allocate(fleet, booked, "asset_3")
    assert sorted(tags(document)) == ["TN-1", "TN-3"]
    assert tags(document, "cancelled") == ["TN-2"]
    assert fleet.event_types(booked)[-2:] == ["rentAction.allocation.created", "rentAction.allocation.released"]


def test_a_named_unit_that_cannot_be_had_changes_nothing(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1", "TN-2")
    fleet.stocked("M-1", code="MAST")
    rival, booked = asked(fleet, (timer, 1), window=MIDDAY), asked(fleet, (timer, 1))
    fleet.approve(rival)
    before = fleet.approve(booked)
    with pytest.raises(InsufficientAvailability, match=f"TN-1 .asset_1. cannot be had in this window: it is promised to {rival}"):
        allocate(fleet, booked, "asset_1")
    with pytest.raises(UnknownReference, match="asset_3 is a unit of itemType_2; no line asks for that"):
        allocate(fleet, booked, "asset_3")
    with pytest.raises(UnknownReference, match="asset_9 does not exist"):
        allocate(fleet, booked, "asset_9")
    assert fleet.document(booked) == before


def test_what_is_released_is_free_and_missed(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1", "TN-2")
    booked = asked(fleet, (timer, 2))
    fleet.approve(booked)
    document = release(fleet, booked, "alloc_1")
    assert (document["status"], document["allocatedQuantity"], tags(document)) == ("approved", 1, ["TN-2"])
    assert fleet.event_types(booked)[-1] == "rentAction.allocation.released"
    fleet.approve(asked(fleet, (timer, 1)))
    with pytest.raises(TransitionRefused, match="alloc_1 is cancelled"):
        release(fleet, booked, "alloc_1")
    with pytest.raises(UnknownReference, match="no allocation alloc_9"):
        release(fleet, booked, "alloc_9")
    assert release(fleet, booked)["allocatedQuantity"] == 0
    assert release(fleet, booked) == fleet.document(booked)


def test_a_swapped_unit_is_free_at_once(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1", "TN-2")
    booked = asked(fleet, (timer, 1))
    fleet.approve(booked)
    document = swap(fleet, booked, "alloc_1")
    assert [(one["identifier"], one["asset"]["name"]) for one in document["allocations"]] == [("alloc_1", "TN-2")]
    assert [row.asset for row in fleet.allocations(booked)] == ["asset_2"]
    assert fleet.event_types(booked)[-1] == "rentAction.allocation.changed"
    assert tags(fleet.approve(asked(fleet, (timer, 1)))) == ["TN-1"]
    with pytest.raises(InsufficientAvailability, match="no other unit"):
        swap(fleet, booked, "alloc_1")
    with pytest.raises(InsufficientAvailability, match="promised to"):
        swap(fleet, booked, "alloc_1", "asset_1")
    with pytest.raises(NotFound, match="no allocation alloc_9"):
        swap(fleet, booked, "alloc_9")


def test_a_component_of_a_kit_can_be_swapped_and_a_quantity_cannot(fleet: Fleet, finish_line: str) -> None:
    booked = asked(fleet, (finish_line, 1))
    document = fleet.approve(booked)
    timer, cables = document["allocations"]
    assert swap(fleet, booked, timer["identifier"], "asset_3")["allocations"][0]["asset"]["name"] == "TN-3"
    with pytest.raises(TransitionRefused, match="stock pool"):
        swap(fleet, booked, cables["identifier"])


def test_a_reservation_of_which_nothing_is_out_can_be_fulfilled(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1")
    booked = asked(fleet, (timer, 1))
    fleet.approve(booked)
    document = document_of(fleet.do(FulfillReservation(booked)))
    assert (document["status"], document["actionStatus"], tags(document, "cancelled")) == ("fulfilled", "CompletedActionStatus", ["TN-1"])
    told = ["rentAction.status.changed", "rentAction.fulfilled", "rentAction.allocation.released"]
    assert fleet.event_types(booked)[-3:] == told
    fleet.approve(asked(fleet, (timer, 1)))


# --- what is out --------------------------------------------------------------------------------------------------------


def handed_out(fleet: Fleet, *lines: tuple[str, int], window: tuple[str, str] = MORNING) -> str:
    booked = asked(fleet, *lines, window=window)
    fleet.approve(booked)
    fleet.check_out(booked, at=instant(window[0]))
    return booked


def test_what_is_out_is_kept_to_the_new_end(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1", "TN-2", turnaroundAfter="PT1H")
    booked = handed_out(fleet, (timer, 1))
    document = change(fleet, booked, endTime="2027-03-01T16:00:00Z")
    assert [(one["identifier"], one["status"], one["allocatedTo"]) for one in document["allocations"]] == [
        ("alloc_1", "in_use", "2027-03-01T16:00:00Z")
    ]
    (row,) = fleet.allocations(booked)
    assert (row.allocated_to, row.blocked_to) == (instant("2027-03-01T16:00:00Z"), instant("2027-03-01T17:00:00Z"))
    more = change(fleet, booked, lineItems=[{**document["lineItems"][0], "requestedQuantity": 2}])
    assert [(one["asset"]["name"], one["status"]) for one in more["allocations"]] == [("TN-1", "in_use"), ("TN-2", "allocated")]


def test_what_is_out_is_not_kept_while_it_is_promised_to_others(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1")
    booked = handed_out(fleet, (timer, 1))
    rival = asked(fleet, (timer, 1), window=AFTERNOON)
    fleet.approve(rival)
    before = fleet.document(booked)
    with pytest.raises(InsufficientAvailability, match=f"alloc_1 is out and cannot be kept until .*: it is promised to {rival}"):
        change(fleet, booked, endTime="2027-03-01T13:00:00Z")
    assert fleet.document(booked) == before
    assert change(fleet, booked, endTime="2027-03-01T11:00:00Z")["allocations"][0]["allocatedTo"] == "2027-03-01T11:00:00Z"


def test_a_pool_keeps_to_others_what_it_has_promised_them(fleet: Fleet) -> None:
    cables = fleet.pooled(10)
    booked = handed_out(fleet, (cables, 6))
    fleet.approve(asked(fleet, (cables, 5), window=AFTERNOON))
    with pytest.raises(InsufficientAvailability, match="pool_1 has promised too many"):
        change(fleet, booked, endTime="2027-03-01T13:00:00Z")
    assert change(fleet, booked, endTime="2027-03-01T11:30:00Z")["allocatedQuantity"] == 6


def test_a_reservation_cannot_ask_for_less_than_is_out(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1", "TN-2")
    booked = handed_out(fleet, (timer, 2))
    line = fleet.document(booked)["lineItems"][0]
    with pytest.raises(TransitionRefused, match="Units are out for line-1"):
        change(fleet, booked, lineItems=[{**line, "requestedQuantity": 1}])
    with pytest.raises(TransitionRefused, match="are out"):
        fleet.do(FulfillReservation(booked))
    with pytest.raises(TransitionRefused, match="alloc_1 is in_use"):
        swap(fleet, booked, "alloc_1")
    cancelled = fleet.cancel(booked)
    assert [one["status"] for one in cancelled["allocations"]] == ["in_use", "in_use"]


def test_what_came_back_is_not_missing(fleet: Fleet) -> None:
    booked = handed_out(fleet, (fleet.stocked("TN-1", "TN-2", "TN-3"), 2), window=NEXT_DAY)
    fleet.take_back(booked, Handover("alloc_1"), at=instant(NEXT_DAY[0]))
    assert allocate(fleet, booked) == fleet.document(booked)
