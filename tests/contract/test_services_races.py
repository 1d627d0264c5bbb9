"""Races with real threads: whatever happens at once, a unit is promised once and the story stays whole."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from ld_server.domain.commands import CreateReservation, SwapAllocation
from ld_server.domain.errors import Refusal, Stale, TransitionRefused
from relational.unit_of_work import Ledger
from tests.contract.fleet import Fleet, reservation, tags

THREADS = 8
ROUNDS = 10


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


def at_once(actions: Sequence[Callable[[], object]]) -> list[object]:
    """What came of each action, a refusal included; all start together."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return action()
        except Refusal as refusal:
            return refusal

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def kinds(outcomes: Sequence[object]) -> list[str]:
    return sorted(type(outcome).__name__ for outcome in outcomes)


def test_the_last_unit_is_promised_once(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    for round_number in range(ROUNDS):
        day = (f"2027-03-{round_number + 1:02}T08:00:00Z", f"2027-03-{round_number + 1:02}T18:00:00Z")
        rivals = [fleet.reserve(timer, window=day) for _ in range(THREADS)]
        outcomes = at_once([partial(fleet.approve, rival) for rival in rivals])
        assert kinds(outcomes) == ["InsufficientAvailability"] * (THREADS - 1) + ["dict"]
        assert sum(len(fleet.allocations(rival)) for rival in rivals) == 1
        assert sorted(fleet.document(rival)["status"] for rival in rivals) == ["approved"] + ["pending"] * (THREADS - 1)


def test_several_units_are_handed_out_exactly(fleet: Fleet) -> None:
    timer = fleet.stocked(*(f"TN-{number}" for number in range(5)))
    rivals = [fleet.reserve(timer, 2) for _ in range(THREADS)]
    outcomes = at_once([partial(fleet.approve, rival, "allow_under_allocation") for rival in rivals])
    assert kinds(outcomes) == ["dict"] * THREADS
    promised = [tag for rival in rivals for tag in tags(fleet.document(rival))]
    assert sorted(promised) == [f"TN-{number}" for number in range(5)]


def test_reservations_that_name_the_same_items_in_another_order_do_not_block_each_other(fleet: Fleet) -> None:
    timer, mast = fleet.stocked("TN-1", "TN-2", "TN-3", "TN-4"), fleet.stocked("M-1", "M-2", "M-3", "M-4", code="MAST")
    orders = [[(timer, 1), (mast, 1)], [(mast, 1), (timer, 1)]] * (THREADS // 2)
    rivals = [fleet.do(CreateReservation(reservation(lines))).identifier for lines in orders]
    outcomes = at_once([partial(fleet.approve, rival) for rival in rivals])
    assert kinds(outcomes) == ["InsufficientAvailability"] * 4 + ["dict"] * 4


def test_one_reservation_is_approved_once_however_often_it_is_tried(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked(*(f"TN-{number}" for number in range(THREADS))))
    outcomes = at_once([partial(fleet.approve, booked)] * THREADS)
    assert kinds(outcomes) == ["TransitionRefused"] * (THREADS - 1) + ["dict"]
    assert len(fleet.allocations(booked)) == 1


def test_of_several_steps_on_the_same_revision_one_wins(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.stocked("TN-0001"))
    expected = frozenset({1})
    steps = [fleet.approve, fleet.reject, fleet.cancel]
    outcomes = at_once([partial(step, booked, expected=expected) for step in steps])
    assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 2


def test_cancelling_and_approving_at_once_never_promises_a_unit_twice(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    holder = fleet.reserve(timer)
    fleet.approve(holder)
    for _ in range(ROUNDS):
        heirs = [fleet.reserve(timer) for _ in range(3)]
        outcomes = at_once([partial(fleet.cancel, holder), *(partial(fleet.approve, heir) for heir in heirs)])
        assert not [outcome for outcome in outcomes if isinstance(outcome, TransitionRefused)]
        winners = [heir for heir in heirs if tags(fleet.document(heir))]
        assert len(winners) <= 1
        holder = winners[0] if winners else _approved(fleet, heirs[0])


def _approved(fleet: Fleet, identifier: str) -> str:
    fleet.approve(identifier)
    return identifier


def test_reservations_are_taken_in_while_others_are_approved(fleet: Fleet) -> None:
    """Taking in locks nothing that an approval holds, so nobody deadlocks and nobody is refused."""
    timer, mast = fleet.stocked("TN-1", "TN-2", "TN-3"), fleet.stocked("M-1", "M-2", "M-3", code="MAST")
    lines = [(timer, 1), (mast, 1)]
    pending = [fleet.do(CreateReservation(reservation(lines))).identifier for _ in range(3)]
    approvals = [partial(fleet.approve, one) for one in pending]
    creations = [partial(fleet.do, CreateReservation(reservation(lines[::-1])))] * 5
    outcomes = at_once([*approvals, *creations])
    assert not [outcome for outcome in outcomes if isinstance(outcome, Refusal)]


def test_kits_that_share_a_component_never_get_more_of_it_than_there_is(fleet: Fleet) -> None:
    """Their components in another order, so that they would wait for each other if they held them as they come."""
    timer, cable, mast = fleet.stocked("TN-1", "TN-2", "TN-3"), fleet.pooled(9), fleet.stocked("M-1", "M-2", code="MAST")
    kits = [fleet.kit("FINISH", (timer, 1), (cable, 4)), fleet.kit("START", (cable, 4), (mast, 1), (timer, 1))]
    for round_number in range(ROUNDS):
        day = (f"2027-03-{round_number + 1:02}T08:00:00Z", f"2027-03-{round_number + 1:02}T18:00:00Z")
        rivals = [fleet.reserve(kits[number % 2], window=day) for number in range(THREADS)]
        outcomes = at_once([partial(fleet.approve, rival) for rival in rivals])
        assert kinds(outcomes) == ["InsufficientAvailability"] * (THREADS - 2) + ["dict"] * 2
        held = [row for rival in rivals for row in fleet.allocations(rival)]
        assert sum(row.quantity for row in held if row.item_type == cable) == 8
        units = [row.asset for row in held if row.asset]
        assert len(units) == len(set(units))


def test_one_unit_is_swapped_in_once(fleet: Fleet) -> None:
    timer = fleet.stocked(*(f"TN-{number}" for number in range(THREADS)))
    rivals = [fleet.booked(timer) for _ in range(THREADS)]
    fleet.assets(timer, "TN-spare")
    outcomes = at_once([partial(fleet.do, SwapAllocation(rival, f"alloc_{number}")) for number, rival in enumerate(rivals, start=1)])
    promised = [tag for rival in rivals for tag in tags(fleet.document(rival))]
    assert len(set(promised)) == THREADS and "TN-spare" in promised
    assert "Head" in kinds(outcomes)


def test_a_unit_goes_out_or_is_swapped_and_the_one_that_goes_out_is_the_one_that_is_written_down(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-1", "TN-2")
    for _ in range(ROUNDS):
        booked = fleet.booked(timer)
        (promised,) = fleet.allocations(booked)
        swap = SwapAllocation(booked, f"alloc_{promised.number}")
        outcomes = at_once([partial(fleet.check_out, booked), partial(fleet.do, swap)])
        assert kinds(outcomes) in (["Head", "dict"], ["TransitionRefused", "dict"])
        (out,) = fleet.allocations(booked)
        written_down = [one["asset"]["identifier"] for one in fleet.document(booked)["allocations"] if one["status"] == "in_use"]
        assert (out.status, [out.asset]) == ("in_use", written_down)
        assert (out.asset != promised.asset) is ("Head" in kinds(outcomes))
        fleet.take_back(booked)
