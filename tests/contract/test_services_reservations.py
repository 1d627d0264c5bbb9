"""The life of a reservation, on both engines: documents, rows and events always tell the same story."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from ld_server.domain.commands import ApproveReservation, CreateAsset, CreateReservation, RejectReservation
from ld_server.domain.errors import InsufficientAvailability, InvalidParameter, NotFound, Stale, TransitionRefused, UnknownReference
from ld_server.services import handle
from ld_server.services.shortage import Unexplained
from relational.unit_of_work import Ledger
from tests.contract.fleet import AFTERNOON, BASE, CONTEXT, MIDDAY, MORNING, NOW, Fleet, asset, document_of, reservation, tags


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


# --- being asked for --------------------------------------------------------------------------------------------------


def test_a_reservation_is_stored_whole(fleet: Fleet) -> None:
    timer = fleet.item_type()
    head = fleet.do(CreateReservation(reservation([(timer, 2)], description="City marathon")))
    echo = {"@id": f"{BASE}/v1/catalog/item-types/{timer}", "@type": "Product", "identifier": timer, "name": "TimerNode TN-2"}
    iri = f"{BASE}/v1/rent-actions/ra_1"
    assert (head.identifier, head.kind, head.number, head.revision) == ("ra_1", "rentAction", 1, 1)
    assert document_of(head) == fleet.document("ra_1") == {
        "@context": CONTEXT,
        "@id": iri,
        "@type": "RentAction",
        "identifier": "ra_1",
        "status": "pending",
        "actionStatus": "PotentialActionStatus",
        "startTime": MORNING[0],
        "endTime": MORNING[1],
        "isAsap": False,
        "priority": "normal",
        "agent": {"@id": f"{iri}#agent", "@type": "Person", "identifier": "alice@example.org", "name": "Alice"},
        "object": echo,
        "requestedQuantity": 2,
        "allocatedQuantity": 0,
        "lineItems": [{"@id": f"{iri}#line-1", "@type": "LineItem", "object": echo, "requestedQuantity": 2, "allocatedQuantity": 0}],
        "allocations": [],
        "description": "City marathon",
        "createdBy": "dana",
        "createdAt": "2027-02-01T12:30:00Z",
        "updatedAt": "2027-02-01T12:30:00Z",
    }  # fmt: skip


def test_nothing_of_the_placeholder_stays(fleet: Fleet) -> None:
    posted = reservation([(fleet.item_type(), 1)])
    assert posted["@id"].rpartition("/")[2] not in fleet.do(CreateReservation(posted)).body


def test_several_lines_are_summed_and_each_object_named_once(fleet: Fleet) -> None:
    timer, mast = fleet.item_type("TN-2"), fleet.item_type("MAST")
    document = document_of(fleet.do(CreateReservation(reservation([(timer, 2), (mast, 1), (timer, 4)]))))
    assert [one["identifier"] for one in document["object"]] == [timer, mast]
    assert document["requestedQuantity"] == 7


def test_what_was_said_is_kept_over_the_defaults(fleet: Fleet) -> None:
    document = fleet.document(fleet.reserve(fleet.item_type(), priority="urgent", isAsap=True, status="draft"))
    assert (document["priority"], document["isAsap"], document["status"]) == ("urgent", True, "draft")


def test_a_reservation_can_be_found_by_its_columns(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.item_type(), externalRef="event-123")
    with fleet.ledger.read() as uow:
        found = uow.index.page("rent_actions", [("external_ref", "=", "event-123"), ("status", "=", "pending")], None, 10)
    assert [head.identifier for head in found] == [booked]


def test_a_reservation_of_nothing_is_refused_at_its_line(fleet: Fleet) -> None:
    timer = fleet.item_type()
    with pytest.raises(UnknownReference, match="itemType_99 does not exist") as refused:
        fleet.do(CreateReservation(reservation([(timer, 1), ("itemType_99", 1)])))
    assert refused.value.members == {"pointer": "/lineItems/1/object", "field": "object", "identifier": "itemType_99"}


def test_an_inactive_item_type_cannot_be_reserved(fleet: Fleet) -> None:
    with pytest.raises(UnknownReference, match="not active"):
        fleet.reserve(fleet.item_type(isActive=False))


def test_a_window_that_ends_before_it_starts_is_refused(fleet: Fleet) -> None:
    with pytest.raises(InvalidParameter, match="endTime must be later"):
        fleet.reserve(fleet.item_type(), window=(MORNING[1], MORNING[0]))


def test_asking_is_told(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.item_type())
    (event,) = fleet.events(booked)
    assert event["type"] == "rentAction.created"
    assert event["subject"] == {"type": "RentAction", "id": booked}
    assert event["data"] == fleet.document(booked)


# --- approval ---------------------------------------------------------------------------------------------------------


def test_an_approval_promises_concrete_units(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001", "TN-0002", "TN-0003"), 2)
    document = fleet.approve(booked)
    iri = f"{BASE}/v1/rent-actions/{booked}"
    assert (document["status"], document["actionStatus"]) == ("approved", "ActiveActionStatus")
    assert (document["approvedBy"], document["approvedAt"]) == ("dana", "2027-02-01T12:30:00Z")
    assert (document["allocatedQuantity"], document["lineItems"][0]["allocatedQuantity"]) == (2, 2)
    assert document["allocations"][0] == {
        "@id": f"{iri}#alloc_1",
        "@type": "Allocation",
        "identifier": "alloc_1",
        "forLine": {"@id": f"{iri}#line-1"},
        "asset": {
            "@id": f"{BASE}/v1/catalog/assets/asset_1",
            "@type": "IndividualProduct",
            "identifier": "asset_1",
            "name": "TN-0001",
        },
        "quantity": 1,
        "status": "allocated",
        "allocatedFrom": MORNING[0],
        "allocatedTo": MORNING[1],
    }
    assert tags(document) == ["TN-0001", "TN-0002"]
    assert document == fleet.document(booked)


def test_rows_and_document_agree_after_an_approval(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001", turnaroundBefore="PT30M", turnaroundAfter="PT2H"))
    fleet.approve(booked)
    (row,) = fleet.allocations(booked)
    assert (row.number, row.line, row.item_type, row.asset, row.quantity, row.status) == (
        1,
        "line-1",
        "itemType_1",
        "asset_1",
        1,
        "allocated",
    )
    assert (row.allocated_from, row.allocated_to) == (datetime(2027, 3, 1, 8, tzinfo=UTC), datetime(2027, 3, 1, 12, tzinfo=UTC))
    assert (row.blocked_from, row.blocked_to) == (datetime(2027, 3, 1, 7, 30, tzinfo=UTC), datetime(2027, 3, 1, 14, tzinfo=UTC))


def test_an_approval_is_told_with_the_reservation_as_it_is_then(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001"))
    document = fleet.approve(booked)
    assert fleet.event_types(booked) == [
        "rentAction.created",
        "rentAction.status.changed",
        "rentAction.approved",
        "rentAction.allocation.created",
    ]
    asked, *approved = fleet.events(booked)
    assert asked["data"]["status"] == "pending"
    assert all(event["data"] == document for event in approved)
    assert len({event["id"] for event in fleet.events()}) == len(fleet.events())


def test_every_state_remains_as_a_revision_with_its_author(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001"))
    fleet.approve(booked)
    with fleet.ledger.read() as uow:
        first, second = uow.documents.revisions(booked)
    assert [orjson.loads(one.body)["status"] for one in (first, second)] == ["pending", "approved"]
    assert (second.changed_by, second.changed_at, second.correlation_id) == ("dana", NOW, "order-77")


def test_a_unit_serves_back_to_back_windows_but_not_overlapping_ones(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    fleet.approve(fleet.reserve(timer, window=MORNING))
    assert tags(fleet.approve(fleet.reserve(timer, window=AFTERNOON))) == ["TN-0001"]
    with pytest.raises(InsufficientAvailability):
        fleet.approve(fleet.reserve(timer, window=MIDDAY))


@pytest.mark.parametrize("turnaround", ["turnaroundBefore", "turnaroundAfter"])
def test_a_turnaround_keeps_the_next_reservation_away(fleet: Fleet, turnaround: str) -> None:
    timer = fleet.stocked("TN-0001", **{turnaround: "PT1S"})
    fleet.approve(fleet.reserve(timer, window=MORNING))
    with pytest.raises(InsufficientAvailability):
        fleet.approve(fleet.reserve(timer, window=AFTERNOON))


def test_a_turnaround_at_the_end_of_the_calendar_is_cut_off(fleet: Fleet) -> None:
    forever = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
    booked = fleet.reserve(fleet.stocked("TN-0001", turnaroundBefore="P1D", turnaroundAfter="P1D"), window=forever)
    assert fleet.approve(booked)["status"] == "approved"


@pytest.mark.parametrize("status", ["maintenance", "hold", "retired", "lost"])
def test_only_available_units_are_promised(fleet: Fleet, status: str) -> None:
    timer = fleet.item_type()
    fleet.do(CreateAsset(asset(timer, status=status)))
    with pytest.raises(InsufficientAvailability):
        fleet.approve(fleet.reserve(timer))


def test_lines_of_one_item_type_never_get_the_same_unit(fleet: Fleet) -> None:
    timer, mast = fleet.stocked("TN-0001", "TN-0002", "TN-0003"), fleet.stocked("M-1", code="MAST")
    booked = fleet.do(CreateReservation(reservation([(timer, 1), (mast, 1), (timer, 2)]))).identifier
    document = fleet.approve(booked)
    lines = [one["forLine"]["@id"].rpartition("#")[2] for one in document["allocations"]]
    assert list(zip(lines, tags(document), strict=True)) == [
        ("line-1", "TN-0001"), ("line-2", "M-1"), ("line-3", "TN-0002"), ("line-3", "TN-0003"),
    ]  # fmt: skip
    assert [line["allocatedQuantity"] for line in document["lineItems"]] == [1, 1, 2]
    assert document["allocatedQuantity"] == 4


# --- when units are missing -------------------------------------------------------------------------------------------


def test_a_hard_failure_says_what_is_missing_and_who_is_in_the_way(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001", "TN-0002", turnaroundAfter="PT1H")
    rival = fleet.reserve(timer)
    fleet.approve(rival)
    booked = fleet.reserve(timer, 2, MIDDAY)
    with pytest.raises(InsufficientAvailability, match="2 of TimerNode TN-2 asked for, 1 available") as refused:
        fleet.approve(booked)
    assert refused.value.members["lines"] == [
        {
            "pointer": "/lineItems/0",
            "item": fleet.document(booked)["object"],
            "requested": 2,
            "available": 1,
            "totalCapacity": 2,
            "reservedCapacity": 1,
            "availableCapacity": 1,
            "reservationsInTheWay": [
                {
                    "@id": f"{BASE}/v1/rent-actions/{rival}",
                    "identifier": rival,
                    "units": 1,
                    "blockedFrom": "2027-03-01T08:00:00Z",
                    "blockedTo": "2027-03-01T13:00:00Z",
                }
            ],
            "alternatives": {
                "largestQuantity": 1,
                "nextWindow": {"startTime": "2027-03-01T13:00:00Z", "endTime": "2027-03-01T16:00:00Z"},
            },
        }
    ]


def test_a_hard_failure_writes_nothing(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001"), 2)
    before = (fleet.document(booked), fleet.events(booked))
    with pytest.raises(InsufficientAvailability):
        fleet.approve(booked)
    assert (fleet.document(booked), fleet.events(booked)) == before
    assert fleet.allocations(booked) == []


def test_only_the_lines_that_are_short_are_named(fleet: Fleet) -> None:
    timer, mast = fleet.stocked("TN-0001"), fleet.stocked("M-1", code="MAST")
    booked = fleet.do(CreateReservation(reservation([(timer, 1), (mast, 3)]))).identifier
    with pytest.raises(InsufficientAvailability) as refused:
        fleet.approve(booked)
    assert [(line["pointer"], line["requested"], line["available"]) for line in refused.value.members["lines"]] == [("/lineItems/1", 3, 1)]


def test_the_largest_quantity_that_is_offered_can_be_had(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001", "TN-0002", "TN-0003")
    fleet.approve(fleet.reserve(timer))
    with pytest.raises(InsufficientAvailability) as refused:
        fleet.approve(fleet.reserve(timer, 5))
    largest = refused.value.members["lines"][0]["alternatives"]["largestQuantity"]
    assert len(tags(fleet.approve(fleet.reserve(timer, largest)))) == largest == 2


def test_under_allocation_promises_what_there_is_and_tells_of_the_shortfall(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001"), 3)
    document = fleet.approve(booked, "allow_under_allocation")
    assert (document["status"], document["requestedQuantity"], document["allocatedQuantity"]) == ("approved", 3, 1)
    assert fleet.event_types(booked)[1:] == [
        "rentAction.status.changed",
        "rentAction.approved",
        "rentAction.allocation.created",
        "availability.shortfall.detected",
    ]


def test_under_allocation_with_nothing_to_give_tells_of_no_allocation(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.item_type())
    assert fleet.approve(booked, "allow_under_allocation")["allocations"] == []
    assert fleet.event_types(booked)[1:] == ["rentAction.status.changed", "rentAction.approved", "availability.shortfall.detected"]


def test_under_allocation_is_silent_when_nothing_is_missing(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001"))
    fleet.approve(booked, "allow_under_allocation")
    assert "availability.shortfall.detected" not in fleet.event_types(booked)


def test_many_small_reservations_in_the_way_are_each_named_once(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001", "TN-0002")
    rivals = [fleet.reserve(timer, 2, (f"2027-03-01T{hour:02}:00:00Z", f"2027-03-01T{hour + 1:02}:00:00Z")) for hour in range(3)]
    for rival in rivals:
        fleet.approve(rival)
    with pytest.raises(InsufficientAvailability) as refused:
        fleet.approve(fleet.reserve(timer, 1, ("2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z")))
    named = refused.value.members["lines"][0]["reservationsInTheWay"]
    assert [(one["identifier"], one["units"]) for one in named] == [(rival, 2) for rival in rivals]


# --- cancelling, rejecting, submitting --------------------------------------------------------------------------------


def test_cancelling_frees_the_units_for_others(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    first, second = fleet.reserve(timer), fleet.reserve(timer)
    fleet.approve(first)
    with pytest.raises(InsufficientAvailability):
        fleet.approve(second)
    document = fleet.cancel(first, reason="Rained off")
    assert (document["status"], document["actionStatus"], document["reason"]) == ("cancelled", "FailedActionStatus", "Rained off")
    assert (document["allocatedQuantity"], document["lineItems"][0]["allocatedQuantity"]) == (0, 0)
    assert (tags(document), tags(document, "cancelled")) == ([], ["TN-0001"])
    assert [row.status for row in fleet.allocations(first)] == ["cancelled"]
    assert tags(fleet.approve(second)) == ["TN-0001"]


def test_cancelling_is_told_with_a_release_only_if_something_was_held(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    held, asked = fleet.reserve(timer), fleet.reserve(timer)
    fleet.approve(held)
    fleet.cancel(held)
    fleet.cancel(asked)
    assert fleet.event_types(held)[-3:] == ["rentAction.status.changed", "rentAction.cancelled", "rentAction.allocation.released"]
    assert fleet.event_types(asked)[-2:] == ["rentAction.status.changed", "rentAction.cancelled"]


def test_cancelling_leaves_what_is_out_with_its_holder(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001", "TN-0002"), 2)
    fleet.approve(booked)
    _hand_out(fleet, booked, "TN-0001")
    document = fleet.cancel(booked)
    assert (tags(document, "in_use"), tags(document, "cancelled"), document["allocatedQuantity"]) == (["TN-0001"], ["TN-0002"], 1)
    assert [row.status for row in fleet.allocations(booked)] == ["in_use", "cancelled"]


def _hand_out(fleet: Fleet, identifier: str, tag: str) -> None:
    """What a check-out does to an allocation, in its row and in the document."""
    with fleet.ledger.write() as uow:
        head = uow.documents.locked(identifier)
        assert head is not None
        document = document_of(head)
        (allocation,) = [one for one in document["allocations"] if one["asset"]["name"] == tag]
        allocation["status"] = "in_use"
        uow.allocations.set_status([int(allocation["identifier"].removeprefix("alloc_"))], "in_use")
        next_head = type(head)(identifier, head.kind, head.number, head.revision + 1, orjson.dumps(document).decode())
        uow.documents.replace(next_head, fleet.occasion().authorship)


def test_a_rejection_keeps_its_reason(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.item_type())
    document = fleet.reject(booked, reason="No crew that day")
    assert (document["status"], document["actionStatus"], document["reason"]) == ("rejected", "FailedActionStatus", "No crew that day")
    assert document["rejectedAt"] == "2027-02-01T12:30:00Z"
    assert fleet.event_types(booked)[1:] == ["rentAction.status.changed", "rentAction.rejected"]


def test_a_draft_is_handed_in_before_it_is_approved(fleet: Fleet) -> None:
    draft = fleet.reserve(fleet.stocked("TN-0001"), status="draft")
    with pytest.raises(TransitionRefused) as refused:
        fleet.approve(draft)
    assert refused.value.members == {"status": "draft", "allowedSteps": ["submit", "cancel"]}
    assert fleet.submit(draft)["status"] == "pending"
    assert fleet.event_types(draft)[1:] == ["rentAction.status.changed", "rentAction.submitted"]
    assert fleet.approve(draft)["status"] == "approved"


def test_a_step_changes_when_the_reservation_was_updated_and_not_when_it_was_made(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.item_type())
    document = document_of(fleet.do(RejectReservation(booked), now=NOW + timedelta(minutes=5)))
    assert (document["createdAt"], document["updatedAt"]) == ("2027-02-01T12:30:00Z", "2027-02-01T12:35:00Z")


# --- what every step refuses ------------------------------------------------------------------------------------------

STEPS = ["submit", "approve", "reject", "cancel"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("identifier", ["ra_99", "itemType_1"])
def test_a_step_of_no_reservation_is_not_found(fleet: Fleet, step: str, identifier: str) -> None:
    fleet.item_type()
    with pytest.raises(NotFound, match=identifier):
        getattr(fleet, step)(identifier)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_on_what_has_changed_since_is_stale(fleet: Fleet, step: str) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001"), status="draft")
    fleet.submit(booked)
    with pytest.raises(Stale):
        getattr(fleet, step)(booked, expected=frozenset({1}))
    assert fleet.document(booked)["status"] == "pending"


def test_a_step_on_an_expected_revision_is_taken(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001"))
    assert fleet.approve(booked, expected=frozenset({1, 7}))["status"] == "approved"


def test_a_reservation_is_approved_once(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001", "TN-0002"))
    fleet.approve(booked)
    with pytest.raises(TransitionRefused, match="approved cannot take the step approve"):
        fleet.approve(booked)
    assert len(fleet.allocations(booked)) == 1


@pytest.mark.parametrize("end", ["reject", "cancel"])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_can_be_done_with_what_has_ended(fleet: Fleet, end: str, step: str) -> None:
    booked = fleet.reserve(fleet.item_type())
    getattr(fleet, end)(booked)
    with pytest.raises(TransitionRefused, match="it has ended"):
        getattr(fleet, step)(booked)


# --- one transaction --------------------------------------------------------------------------------------------------


def test_a_rollback_leaves_nothing_of_an_approval(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001"))
    before = (fleet.document(booked), fleet.events())
    with pytest.raises(_PowerCut), fleet.ledger.write() as uow:
        handle(uow, ApproveReservation(booked, None, "hard_fail"), fleet.occasion())
        raise _PowerCut
    assert (fleet.document(booked), fleet.events()) == before
    assert fleet.allocations(booked) == []
    with fleet.ledger.read() as uow:
        assert len(uow.documents.revisions(booked)) == 1


class _PowerCut(Exception):
    """Something that happens after everything was written and before it is committed."""


def test_a_refusal_is_explained_after_its_transaction(fleet: Fleet) -> None:
    """Nobody waits for the explanation: it is read when the item types are held no more, and says the same."""
    timer = fleet.stocked("TN-1")
    fleet.booked(timer)
    late = fleet.reserve(timer)
    with pytest.raises(Unexplained) as refused, fleet.ledger.write() as uow:
        handle(uow, ApproveReservation(late, None, "hard_fail"), fleet.occasion())
    assert refused.value.members == {}
    with fleet.ledger.read() as uow:
        told = refused.value.explain(uow)
    with pytest.raises(InsufficientAvailability) as whole:
        fleet.approve(late)
    assert type(whole.value) is InsufficientAvailability
    assert (told.detail, told.members) == (whole.value.detail, whole.value.members)
