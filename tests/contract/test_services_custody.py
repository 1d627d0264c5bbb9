"""Units go out and come back, on both engines: documents, rows, counters of lines and events tell the same story."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from ld_server.domain.commands import ChangeReservation, FulfillReservation
from ld_server.domain.custody import Condition, Handover
from ld_server.domain.errors import InsufficientAvailability, Refusal, Stale, TransitionRefused, UnknownReference
from ld_server.domain.status import AllocationStatus
from relational.unit_of_work import Ledger
from tests.contract.fleet import AFTERNOON, MORNING, NEXT_DAY, NOW, Fleet, document_of, tags
from tests.contract.test_services_races import at_once, kinds

START, END = datetime(2027, 3, 1, 8, tzinfo=UTC), datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


def quantities(fleet: Fleet, identifier: str) -> list[tuple[str, str, int]]:
    """Identifier, status and quantity of each allocation; rows and document agree."""
    shown = [(one["identifier"], one["status"], one["quantity"]) for one in fleet.document(identifier)["allocations"]]
    rows = [(f"alloc_{row.number}", row.status, row.quantity) for row in fleet.allocations(identifier)]
    assert sorted(shown) == sorted(rows)
    return shown


def refused(action: partial[object]) -> TransitionRefused:
    with pytest.raises(TransitionRefused) as refusal:
        action()
    return refusal.value


# --- check-out --------------------------------------------------------------------------------------------------------


def test_everything_that_is_promised_is_handed_out(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2"), 2)
    document = fleet.check_out(booked, at=START)
    assert quantities(fleet, booked) == [("alloc_1", "in_use", 1), ("alloc_2", "in_use", 1)]
    assert {one["checkedOutAt"] for one in document["allocations"]} == {"2027-03-01T08:00:00Z"}
    assert (document["status"], document["allocatedQuantity"]) == ("approved", 2)
    assert fleet.event_types(booked)[-1:] == ["rentAction.checkedOut"]
    assert fleet.event_types(booked).count("rentAction.status.changed") == 1


def test_some_units_are_handed_out(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2"), 2)
    fleet.check_out(booked, Handover("alloc_2"), at=START)
    assert quantities(fleet, booked) == [("alloc_1", "allocated", 1), ("alloc_2", "in_use", 1)]
    fleet.check_out(booked, at=START)
    assert quantities(fleet, booked) == [("alloc_1", "in_use", 1), ("alloc_2", "in_use", 1)]


def test_a_part_of_a_quantity_goes_out_under_its_name_and_the_rest_gets_another(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.pooled(30), 10)
    fleet.check_out(booked, Handover("alloc_1", 4), at=START)
    assert quantities(fleet, booked) == [("alloc_1", "in_use", 4), ("alloc_2", "allocated", 6)]
    document = fleet.document(booked)
    assert document["allocations"][1]["@id"] == f"{document['@id']}#alloc_2"
    assert "checkedOutAt" not in document["allocations"][1]
    assert document["allocatedQuantity"] == document["lineItems"][0]["allocatedQuantity"] == 10


def test_several_parts_of_one_allocation_go_out_together(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.pooled(30), 10)
    fleet.check_out(booked, Handover("alloc_1", 4), Handover("alloc_1", 1), at=START)
    assert quantities(fleet, booked) == [("alloc_1", "in_use", 5), ("alloc_2", "allocated", 5)]


@pytest.mark.parametrize("status", ["draft", "pending", "rejected", "cancelled"])
def test_only_an_approved_reservation_is_handed_out(fleet: Fleet, status: str) -> None:
    item = fleet.stocked("TN-1")
    booked = fleet.reserve(item, **({"status": "draft"} if status == "draft" else {}))
    {"rejected": fleet.reject, "cancelled": fleet.cancel}.get(status, fleet.document)(booked)
    assert refused(partial(fleet.check_out, booked, at=START)).members["status"] == status


def test_what_is_not_promised_cannot_go_out(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.pooled(30), 10)
    fleet.check_out(booked, at=START)
    again = refused(partial(fleet.check_out, booked, Handover("alloc_1"), at=START))
    assert again.members["allocations"] == [{"identifier": "alloc_1", "status": "in_use", "quantity": 0}]
    nothing = refused(partial(fleet.check_out, booked, at=START))
    assert "nothing that is promised" in nothing.detail
    assert nothing.members["allowedSteps"] == ["return", "allocate", "release-allocations", "swap", "fulfill", "cancel"]


def test_more_than_is_promised_cannot_go_out(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.pooled(30), 10)
    too_much = refused(partial(fleet.check_out, booked, Handover("alloc_1", 11), at=START))
    assert too_much.members["allocations"] == [{"identifier": "alloc_1", "status": "allocated", "quantity": 10}]
    assert too_much.detail.startswith("Only 10 of the 11 units of alloc_1 are")


def test_an_allocation_of_another_reservation_is_unknown(fleet: Fleet) -> None:
    item = fleet.stocked("TN-1", "TN-2")
    booked, other = fleet.booked(item), fleet.booked(item)
    theirs = fleet.document(other)["allocations"][0]["identifier"]
    with pytest.raises(UnknownReference) as refusal:
        fleet.check_out(booked, Handover("alloc_1"), Handover(theirs), at=START)
    assert refusal.value.members == {"pointer": "/allocations/1/id", "field": "id", "identifier": theirs}


def test_a_step_on_another_revision_is_stale(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1"))
    with pytest.raises(Stale):
        fleet.check_out(booked, at=START, expected=frozenset({1}))


# --- fit to go out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["maintenance", "hold", "retired", "lost"])
def test_a_unit_that_is_out_of_service_stays_in_the_house(fleet: Fleet, status: str) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2"), 2)
    fleet.change("asset_2", status=status)
    told = refused(partial(fleet.check_out, booked, at=START)).members["allocations"]
    assert [(one["identifier"], one["reasonCode"], one["explanation"]) for one in told] == [
        ("alloc_2", "out_of_service", f"The status of asset_2 is {status}.")
    ]
    assert told[0]["proposal"] == {"step": "swap", "href": f"{fleet.document(booked)['@id']}/allocations/alloc_2/swap"}
    assert quantities(fleet, booked) == [("alloc_1", "allocated", 1), ("alloc_2", "allocated", 1)]
    fleet.check_out(booked, Handover("alloc_1"), at=START)


def test_a_unit_that_is_still_out_with_somebody_else_cannot_go_out(fleet: Fleet) -> None:
    item = fleet.stocked("TN-1")
    first, second = fleet.booked(item, window=MORNING), fleet.booked(item, window=AFTERNOON)
    fleet.check_out(first, at=START)
    refusal = refused(partial(fleet.check_out, second, at=END))
    assert [(one["reasonCode"], one["heldBy"][0]["identifier"]) for one in refusal.members["allocations"]] == [("overdue", first)]
    assert "the unit asset_1 is still out with ra_1" in refusal.detail
    fleet.take_back(first, at=END + HOUR)
    assert tags(fleet.check_out(second, at=END + HOUR), "in_use") == ["TN-1"]


def test_nothing_goes_out_when_the_time_is_over(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1"))
    refusal = refused(partial(fleet.check_out, booked, at=END))
    assert [one["reasonCode"] for one in refusal.members["allocations"]] == ["window_over"]
    assert "Put off the end" in refusal.detail
    fleet.check_out(booked, at=END - timedelta(seconds=1))


def test_units_go_out_early_where_nobody_has_them_until_then(fleet: Fleet) -> None:
    item = fleet.stocked("TN-1")
    booked = fleet.booked(item)
    document = fleet.check_out(booked, at=NOW)
    assert document["allocations"][0]["allocatedFrom"] == "2027-02-01T12:30:00Z"
    row = fleet.allocations(booked)[0]
    assert (row.allocated_from, row.blocked_from, row.allocated_to) == (NOW, NOW, END)
    with pytest.raises(InsufficientAvailability):
        fleet.approve(fleet.reserve(item, window=("2027-02-10T08:00:00Z", "2027-02-11T08:00:00Z")))


def test_units_do_not_go_out_early_while_somebody_else_is_to_have_them(fleet: Fleet) -> None:
    item = fleet.stocked("TN-1")
    first, second = fleet.booked(item, window=MORNING), fleet.booked(item, window=NEXT_DAY)
    refusal = refused(partial(fleet.check_out, second, at=NOW))
    assert [(one["reasonCode"], one["heldBy"][0]["identifier"], one["until"]) for one in refusal.members["allocations"]] == [
        ("promised", first, "2027-03-01T12:00:00Z")
    ]
    assert fleet.check_out(second, at=END)["allocations"][0]["allocatedFrom"] == "2027-03-01T12:00:00Z"


def test_within_the_turnaround_a_unit_goes_out_without_being_blocked_for_longer(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", turnaroundBefore="PT2H"))
    fleet.check_out(booked, at=START - HOUR)
    row = fleet.allocations(booked)[0]
    assert (row.allocated_from, row.blocked_from) == (START - HOUR, START - 2 * HOUR)


def test_a_late_start_leaves_the_window_as_it_is(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1"))
    assert fleet.check_out(booked, at=START + HOUR)["allocations"][0]["allocatedFrom"] == "2027-03-01T08:00:00Z"


def test_a_quantity_goes_out_early_as_far_as_the_pool_has_it_until_then(fleet: Fleet) -> None:
    item = fleet.pooled(10)
    fleet.booked(item, 7, MORNING)
    later = fleet.booked(item, 5, NEXT_DAY)
    [allocation] = [one["identifier"] for one in fleet.document(later)["allocations"]]
    refusal = refused(partial(fleet.check_out, later, Handover(allocation, 4), at=NOW))
    assert [(one["reasonCode"], one["until"]) for one in refusal.members["allocations"]] == [("promised", "2027-03-02T08:00:00Z")]
    fleet.check_out(later, Handover(allocation, 3), at=NOW)
    assert [one["allocatedFrom"] for one in fleet.document(later)["allocations"]] == ["2027-02-01T12:30:00Z", "2027-03-02T08:00:00Z"]


def test_what_is_not_in_the_house_cannot_be_handed_out(fleet: Fleet) -> None:
    item = fleet.pooled(10)
    first, second = fleet.booked(item, 7, MORNING), fleet.booked(item, 7, AFTERNOON)
    fleet.check_out(first, at=START)
    refusal = refused(partial(fleet.check_out, second, at=END))
    assert [one["reasonCode"] for one in refusal.members["allocations"]] == ["over_promised"]
    [allocation] = [one["identifier"] for one in fleet.document(second)["allocations"]]
    fleet.check_out(second, Handover(allocation, 3), at=END)


# --- return -----------------------------------------------------------------------------------------------------------


def test_a_fulfilled_reservation_got_what_went_out_and_no_more(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2", "TN-3"), 3)
    fleet.check_out(booked, Handover("alloc_1"), Handover("alloc_2"), at=START)
    fleet.take_back(booked, at=END)
    done = document_of(fleet.do(FulfillReservation(booked, None)))
    quantities = [(one["requestedQuantity"], one["allocatedQuantity"]) for one in (done, *done["lineItems"])]
    assert (done["status"], quantities) == ("fulfilled", [(3, 2), (3, 2)])


def test_what_has_come_back_does_not_make_more_than_is_asked_for(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.pooled(9), 6)
    fleet.check_out(booked, Handover("alloc_1", 4), at=START)
    fleet.take_back(booked, Handover("alloc_1", 4), at=START + HOUR)
    before = fleet.document(booked)
    less = {**before, "lineItems": [{**before["lineItems"][0], "requestedQuantity": 3}]}
    after = document_of(fleet.do(ChangeReservation(booked, less, None), now=START + HOUR))
    assert (before["allocatedQuantity"], after["requestedQuantity"], after["allocatedQuantity"]) == (6, 3, 3)


def test_with_the_last_unit_the_reservation_is_fulfilled(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2"), 2)
    fleet.check_out(booked, at=START)
    first = fleet.take_back(booked, Handover("alloc_1"), at=START + HOUR)
    assert (first["status"], first["allocatedQuantity"]) == ("approved", 2)
    assert fleet.event_types(booked)[-1:] == ["rentAction.returned"]
    last = fleet.take_back(booked, at=END)
    assert (last["status"], last["actionStatus"], last["allocatedQuantity"]) == ("fulfilled", "CompletedActionStatus", 2)
    assert [(one["status"], one["condition"], one["returnedAt"]) for one in last["allocations"]] == [
        ("returned", "good", "2027-03-01T09:00:00Z"),
        ("returned", "good", "2027-03-01T12:00:00Z"),
    ]
    assert sorted(fleet.event_types(booked)[-3:]) == ["rentAction.fulfilled", "rentAction.returned", "rentAction.status.changed"]


def test_units_that_were_never_handed_out_stay_promised(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2"), 2)
    fleet.check_out(booked, Handover("alloc_1"), at=START)
    assert fleet.take_back(booked, at=END - HOUR)["status"] == "approved"
    assert quantities(fleet, booked) == [("alloc_1", "returned", 1), ("alloc_2", "allocated", 1)]


def test_what_came_back_is_free_at_once(fleet: Fleet) -> None:
    item = fleet.stocked("TN-1", turnaroundAfter="P1D")
    booked = fleet.booked(item)
    fleet.check_out(booked, at=START)
    fleet.take_back(booked, at=START + HOUR)
    assert fleet.booked(item, window=("2027-03-01T09:00:00Z", "2027-03-01T10:00:00Z"))


def test_a_part_that_comes_back_gets_a_name_and_the_rest_keeps_its_own(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.pooled(30), 10)
    fleet.check_out(booked, at=START)
    fleet.take_back(booked, Handover("alloc_1", 4, Condition.DAMAGED, "Chewed by a dog."), at=START)
    assert quantities(fleet, booked) == [("alloc_1", "in_use", 6), ("alloc_2", "returned", 4)]
    back = fleet.document(booked)["allocations"][1]
    assert (back["condition"], back["notes"], back["checkedOutAt"]) == ("damaged", "Chewed by a dog.", "2027-03-01T08:00:00Z")
    assert "condition" not in fleet.document(booked)["allocations"][0]


def test_one_allocation_comes_back_in_several_conditions(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.pooled(30), 10)
    fleet.check_out(booked, at=START)
    fleet.take_back(booked, Handover("alloc_1", 7), Handover("alloc_1", 2, Condition.DAMAGED), Handover("alloc_1", 1, Condition.LOST))
    found = [(one["quantity"], one["condition"]) for one in fleet.document(booked)["allocations"]]
    assert sorted(found) == [(1, "lost"), (2, "damaged"), (7, "good")]
    assert fleet.document(booked)["status"] == "fulfilled"


def test_what_is_not_out_cannot_come_back(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2"), 2)
    fleet.check_out(booked, Handover("alloc_1"), at=START)
    refusal = refused(partial(fleet.take_back, booked, Handover("alloc_2"), at=START))
    assert refusal.members["allocations"] == [{"identifier": "alloc_2", "status": "allocated", "quantity": 0}]
    fleet.take_back(booked, at=START)
    again = refused(partial(fleet.take_back, booked, Handover("alloc_1"), at=START))
    assert again.members["allocations"] == [{"identifier": "alloc_1", "status": "returned", "quantity": 0}]
    assert "alloc_1 is not out" in again.detail.lower()


def test_units_of_a_cancelled_reservation_come_back(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2"), 2)
    fleet.check_out(booked, Handover("alloc_1"), at=START)
    fleet.cancel(booked)
    assert quantities(fleet, booked) == [("alloc_1", "in_use", 1), ("alloc_2", "cancelled", 1)]
    document = fleet.take_back(booked, at=END)
    assert (document["status"], document["actionStatus"]) == ("cancelled", "FailedActionStatus")
    assert quantities(fleet, booked) == [("alloc_1", "returned", 1), ("alloc_2", "cancelled", 1)]
    assert "rentAction.fulfilled" not in fleet.event_types(booked)


# --- broken and lost --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("condition", "status"), [(Condition.DAMAGED, "maintenance"), (Condition.LOST, "lost")])
def test_a_unit_that_comes_back_broken_or_not_at_all_is_marked(fleet: Fleet, condition: Condition, status: str) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2"), 2)
    fleet.check_out(booked, at=START)
    fleet.take_back(booked, Handover("alloc_1", condition=condition), Handover("alloc_2"), at=END)
    assert [fleet.document(asset)["status"] for asset in ("asset_1", "asset_2")] == [status, "available"]
    assert fleet.event_types("asset_1") == ["catalog.asset.created", "catalog.asset.updated"]
    assert fleet.event_types("asset_2") == ["catalog.asset.created"]
    assert fleet.events("asset_1")[-1]["data"]["status"] == status
    assert len({event["meta"]["correlationId"] for event in fleet.events()}) == 1
    assert fleet.ledger.head("asset_1").revision == 2  # type: ignore[union-attr]


def test_a_retired_unit_stays_retired(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1"))
    fleet.check_out(booked, at=START)
    fleet.change("asset_1", status="retired")
    fleet.take_back(booked, Handover("alloc_1", condition=Condition.DAMAGED), at=END)
    assert fleet.document("asset_1")["status"] == "retired"
    assert fleet.ledger.head("asset_1").revision == 2  # type: ignore[union-attr]


def test_a_pool_has_fewer_units_when_some_are_lost_and_as_many_when_they_are_damaged(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.pooled(30), 10)
    fleet.check_out(booked, at=START)
    fleet.take_back(booked, Handover("alloc_1", 2, Condition.DAMAGED), at=END)
    assert fleet.document("pool_1")["quantityTotal"] == 30
    fleet.take_back(booked, Handover("alloc_1", 3, Condition.LOST), at=END)
    assert fleet.document("pool_1")["quantityTotal"] == 27
    assert fleet.event_types("pool_1") == ["catalog.stockPool.updated"] * 2


def test_a_return_that_is_refused_marks_nothing(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.stocked("TN-1", "TN-2"), 2)
    fleet.check_out(booked, Handover("alloc_1"), at=START)
    before = len(fleet.events())
    refused(partial(fleet.take_back, booked, Handover("alloc_1", condition=Condition.LOST), Handover("alloc_2"), at=START))
    assert fleet.document("asset_1")["status"] == "available"
    assert len(fleet.events()) == before


# --- races ------------------------------------------------------------------------------------------------------------


def test_of_several_returns_at_once_one_takes_the_unit_back(fleet: Fleet) -> None:
    item = fleet.stocked("TN-1")
    for day in range(1, 6):
        booked = fleet.booked(item, window=(f"2027-03-{day:02}T08:00:00Z", f"2027-03-{day:02}T12:00:00Z"))
        fleet.check_out(booked, at=START.replace(day=day))
        allocation = fleet.document(booked)["allocations"][0]["identifier"]
        outcomes = at_once([partial(fleet.take_back, booked, Handover(allocation), at=END.replace(day=day))] * 4)
        assert kinds(outcomes) == ["TransitionRefused"] * 3 + ["dict"]
        assert fleet.event_types(booked).count("rentAction.returned") == 1
        assert fleet.event_types(booked).count("rentAction.fulfilled") == 1


def test_several_that_bring_back_parts_of_a_quantity_bring_back_all_of_it(fleet: Fleet) -> None:
    booked = fleet.booked(fleet.pooled(30), 8)
    fleet.check_out(booked, at=START)
    outcomes = at_once([partial(fleet.take_back, booked, Handover("alloc_1", 2), at=END)] * 5)
    assert kinds(outcomes) == ["TransitionRefused"] + ["dict"] * 4
    assert sum(quantity for _, status, quantity in quantities(fleet, booked) if status == "returned") == 8
    assert fleet.document(booked)["status"] == "fulfilled"


def test_a_unit_is_handed_out_or_freed_and_never_both(fleet: Fleet) -> None:
    item = fleet.stocked("TN-1")
    for day in range(1, 6):
        booked = fleet.booked(item, window=(f"2027-03-{day:02}T08:00:00Z", f"2027-03-{day:02}T12:00:00Z"))
        at_once([partial(fleet.check_out, booked, at=START.replace(day=day)), partial(fleet.cancel, booked)])
        [(_, status, _)] = quantities(fleet, booked)
        assert fleet.document(booked)["status"] == "cancelled"
        assert status in ("in_use", "cancelled")
        assert (status == "in_use") == ("rentAction.checkedOut" in fleet.event_types(booked))
        if status == "in_use":
            fleet.take_back(booked, at=END.replace(day=day))


def test_two_early_birds_do_not_get_the_same_quantity(fleet: Fleet) -> None:
    item = fleet.pooled(10)
    first, second = fleet.booked(item, 6, MORNING), fleet.booked(item, 6, NEXT_DAY)
    outcomes = at_once([partial(fleet.check_out, one, at=NOW) for one in (first, second)])
    assert kinds(outcomes) == ["TransitionRefused", "dict"]


def test_units_that_break_and_are_changed_at_once_keep_nobody_waiting_for_ever(fleet: Fleet) -> None:
    item = fleet.stocked("TN-1", "TN-2", "TN-3")
    for day in range(1, 6):
        booked = fleet.booked(item, 2, window=(f"2027-03-{day:02}T08:00:00Z", f"2027-03-{day:02}T12:00:00Z"))
        fleet.check_out(booked, at=START.replace(day=day))
        out = [one for one in fleet.document(booked)["allocations"] if one["status"] == AllocationStatus.IN_USE]
        broken = [Handover(one["identifier"], condition=Condition.DAMAGED) for one in out]
        assets = [one["asset"]["identifier"] for one in out]
        others = [partial(fleet.change, asset, assignedTo=f"day {day}") for asset in assets]
        outcomes = at_once([partial(fleet.take_back, booked, *broken, at=END.replace(day=day)), *others])
        assert not [one for one in outcomes if isinstance(one, Refusal) and not isinstance(one, Stale)]
        for asset in assets:
            assert fleet.document(asset)["status"] == "maintenance"
            fleet.change(asset, status="available")
