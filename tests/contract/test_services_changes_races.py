"""Races of changes with real threads: with each other, with approvals, with steps. No promise is broken and no change is lost."""

from functools import partial
from typing import Any

import pytest

from ld_server.domain.commands import ChangeCatalogEntry, ChangeReservation, Document
from ld_server.domain.errors import InsufficientAvailability, Stale, TransitionRefused
from relational.unit_of_work import Ledger
from tests.contract.fleet import AFTERNOON, MORNING, Fleet, document_of, tags
from tests.contract.test_services_races import at_once, kinds

THREADS = 8
ROUNDS = 6


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


def change(fleet: Fleet, identifier: str, **changes: Any) -> Document:
    """Applied to the state that is read now; whoever comes between makes it stale."""
    head = fleet.ledger.head(identifier)
    assert head is not None
    return document_of(fleet.do(ChangeReservation(identifier, {**document_of(head), **changes}, frozenset({head.revision}))))


def move(fleet: Fleet, identifier: str, window: tuple[str, str]) -> Document:
    return change(fleet, identifier, startTime=window[0], endTime=window[1])


def blocking(fleet: Fleet, *identifiers: str) -> int:
    return sum(len(tags(fleet.document(one))) for one in identifiers)


def test_of_several_changes_of_the_same_revision_one_wins(fleet: Fleet) -> None:
    timer = fleet.item_type()
    document, expected = fleet.document(timer), frozenset({1})
    changes = [ChangeCatalogEntry(timer, {**document, "name": f"TimerNode v{number}"}, expected) for number in range(THREADS)]
    outcomes = at_once([partial(fleet.do, one) for one in changes])
    assert kinds(outcomes) == ["Head"] + ["Stale"] * (THREADS - 1)
    head = fleet.ledger.head(timer)
    assert head is not None
    assert head.revision == 2
    assert fleet.event_types(timer).count("catalog.itemType.updated") == 1


def test_moving_into_a_window_and_approving_for_it_promise_the_last_unit_once(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    for _ in range(ROUNDS):
        booked = fleet.reserve(timer, window=MORNING)
        fleet.approve(booked)
        rivals = [fleet.reserve(timer, window=AFTERNOON) for _ in range(3)]
        outcomes = at_once([partial(move, fleet, booked, AFTERNOON), *(partial(fleet.approve, rival) for rival in rivals)])
        assert sum(isinstance(outcome, InsufficientAvailability) for outcome in outcomes) == 3
        assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1
        window = fleet.document(booked)["startTime"]
        assert blocking(fleet, booked) == 1
        assert blocking(fleet, *rivals) == (0 if window == AFTERNOON[0] else 1)
        for one in (booked, *rivals):
            fleet.cancel(one)


def test_two_that_change_places_never_hold_one_unit_together(fleet: Fleet) -> None:
    """Each frees what the other wants, at the same time: both may win or lose, and nobody waits for ever."""
    timer = fleet.stocked("TN-0001", "TN-0002")
    first, second = fleet.reserve(timer, 2, MORNING), fleet.reserve(timer, 2, AFTERNOON)
    fleet.approve(first)
    fleet.approve(second)
    outcomes = at_once([partial(move, fleet, first, AFTERNOON), partial(move, fleet, second, MORNING)])
    assert kinds(outcomes) == ["InsufficientAvailability"] * 2
    assert blocking(fleet, first, second) == 4


def test_several_that_want_more_share_what_there_is(fleet: Fleet) -> None:
    timer = fleet.stocked(*(f"TN-{number}" for number in range(6)))
    booked = [fleet.reserve(timer) for _ in range(4)]
    for one in booked:
        fleet.approve(one)

    def grow(identifier: str) -> Document:
        return change(fleet, identifier, lineItems=[{**fleet.document(identifier)["lineItems"][0], "requestedQuantity": 2}])

    outcomes = at_once([partial(grow, one) for one in booked])
    assert kinds(outcomes) == ["InsufficientAvailability"] * 2 + ["dict"] * 2
    assert blocking(fleet, *booked) == 6


def test_a_change_and_a_step_of_the_same_revision_do_not_both_win(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    for _ in range(ROUNDS):
        booked = fleet.reserve(timer)
        expected = frozenset({1})
        changed = {**fleet.document(booked), "startTime": AFTERNOON[0], "endTime": AFTERNOON[1]}
        outcomes = at_once(
            [partial(fleet.do, ChangeReservation(booked, changed, expected)), partial(fleet.approve, booked, expected=expected)]
        )
        assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 1
        if fleet.document(booked)["status"] == "approved":
            assert {row.allocated_from.isoformat() for row in fleet.allocations(booked)} == {"2027-03-01T08:00:00+00:00"}
        fleet.cancel(booked)


def test_a_cancelled_reservation_is_not_moved_back_to_life(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    for _ in range(ROUNDS):
        booked = fleet.reserve(timer)
        fleet.approve(booked)
        outcomes = at_once([partial(fleet.cancel, booked), partial(move, fleet, booked, AFTERNOON)])
        assert not [one for one in outcomes if isinstance(one, Exception) and not isinstance(one, TransitionRefused | Stale)]
        assert fleet.document(booked)["status"] == "cancelled"
        assert {row.status for row in fleet.allocations(booked)} == {"cancelled"}
