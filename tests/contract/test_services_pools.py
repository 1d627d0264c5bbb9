"""Units that nobody tells apart: promised from stock pools by quantity, never more than there are, whatever happens at once."""

import random
from collections import Counter
from functools import partial
from typing import Any

import pytest

from ld_server.domain.commands import CreateReservation
from ld_server.domain.errors import InsufficientAvailability, InUse, Refusal, ShapeViolation, UnknownReference
from ld_server.resources import KINDS
from ld_server.services import catalog, recording
from relational.unit_of_work import Ledger
from tests.contract.fleet import AFTERNOON, BASE, MIDDAY, MORNING, NAMING, Fleet, document_of, reservation
from tests.contract.test_services_races import at_once, kinds

THREADS = 8
ROUNDS = 6


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


def held(document: dict[str, Any], status: str = "allocated") -> list[tuple[str, int]]:
    """Pool and quantity of the allocations in this state."""
    return [(one["stockPool"]["identifier"], one["quantity"]) for one in document["allocations"] if one["status"] == status]


def changed(fleet: Fleet, identifier: str, **changes: Any) -> None:
    """What a PATCH does, from the lock to the write."""
    with fleet.ledger.write() as uow:
        head = uow.documents.locked(identifier)
        assert head is not None
        kind, before = KINDS[head.kind], document_of(head)
        after = {**before, **changes}
        catalog.check_change(uow, kind, before, after, fleet.occasion())
        recording.replace(uow, kind, head, before, after, [], fleet.occasion())


# --- one after the other ----------------------------------------------------------------------------------------------


def test_a_quantity_is_promised_from_the_pools_in_their_order(fleet: Fleet) -> None:
    booked = fleet.reserve(fleet.pooled(30, 20), 40)
    document = fleet.approve(booked)
    assert held(document) == [("pool_1", 30), ("pool_2", 10)]
    assert (document["allocatedQuantity"], document["lineItems"][0]["allocatedQuantity"]) == (40, 40)
    iri = f"{BASE}/v1/rent-actions/{booked}"
    assert document["allocations"][1] == {
        "@id": f"{iri}#alloc_2",
        "@type": "Allocation",
        "identifier": "alloc_2",
        "forLine": {"@id": f"{iri}#line-1"},
        "stockPool": {
            "@id": f"{BASE}/v1/catalog/stock-pools/pool_2",
            "@type": "SomeProducts",
            "identifier": "pool_2",
            "name": "Depot 2",
        },
        "quantity": 10,
        "status": "allocated",
        "allocatedFrom": MORNING[0],
        "allocatedTo": MORNING[1],
    }
    rows = fleet.allocations(booked)
    assert [(row.asset, row.stock_pool, row.quantity) for row in rows] == [(None, "pool_1", 30), (None, "pool_2", 10)]


def test_everything_that_overlaps_counts_whether_at_once_or_not(fleet: Fleet) -> None:
    """The overlap rule (seed 4.2.2): the afternoon's and the morning's cables both stand against one who wants some at midday."""
    cables = fleet.pooled(30)
    fleet.approve(fleet.reserve(cables, 20, MORNING))
    fleet.approve(fleet.reserve(cables, 10, AFTERNOON))
    with pytest.raises(InsufficientAvailability):
        fleet.approve(fleet.reserve(cables, 1, MIDDAY))
    fleet.approve(fleet.reserve(cables, 20, AFTERNOON))


def test_a_refusal_counts_units_and_names_who_has_them(fleet: Fleet) -> None:
    cables = fleet.pooled(30, 20)
    holder = fleet.reserve(cables, 35)
    fleet.approve(holder)
    with pytest.raises(InsufficientAvailability, match="16 of TimerNode CABLE asked for, 15 available") as refused:
        fleet.approve(fleet.reserve(cables, 16))
    (line,) = refused.value.members["lines"]
    assert (line["totalCapacity"], line["reservedCapacity"], line["availableCapacity"]) == (50, 35, 15)
    afterwards = {"startTime": MORNING[1], "endTime": "2027-03-01T16:00:00Z"}
    assert line["alternatives"] == {"largestQuantity": 15, "nextWindow": afterwards}
    assert [(one["identifier"], one["units"]) for one in line["reservationsInTheWay"]] == [(holder, 35)]


def test_what_there_is_may_be_taken_when_less_will_do(fleet: Fleet) -> None:
    document = fleet.approve(fleet.reserve(fleet.pooled(30), 40), "allow_under_allocation")
    assert (held(document), document["allocatedQuantity"]) == ([("pool_1", 30)], 30)


def test_nothing_is_promised_from_a_pool_that_is_empty_or_not_active(fleet: Fleet) -> None:
    cables = fleet.pooled(0)
    fleet.pool(cables, 30, isActive=False)
    with pytest.raises(InsufficientAvailability) as refused:
        fleet.approve(fleet.reserve(cables, 1))
    assert refused.value.members["lines"][0]["totalCapacity"] == 0


def test_what_is_cancelled_is_free_again(fleet: Fleet) -> None:
    cables = fleet.pooled(30)
    booked = fleet.reserve(cables, 30)
    fleet.approve(booked)
    document = fleet.cancel(booked)
    assert (held(document), held(document, "cancelled"), document["allocatedQuantity"]) == ([], [("pool_1", 30)], 0)
    assert held(fleet.approve(fleet.reserve(cables, 30))) == [("pool_1", 30)]


def test_a_turnaround_blocks_units_of_a_pool_too(fleet: Fleet) -> None:
    cables = fleet.pooled(30, turnaroundAfter="PT1S")
    fleet.approve(fleet.reserve(cables, 20, MORNING))
    with pytest.raises(InsufficientAvailability):
        fleet.approve(fleet.reserve(cables, 11, AFTERNOON))


def test_lines_of_one_reservation_share_a_pool(fleet: Fleet) -> None:
    cables, timer = fleet.pooled(30), fleet.stocked("TN-1")
    lines = [(cables, 20), (timer, 1), (cables, 10)]
    document = fleet.approve(fleet.do(CreateReservation(reservation(lines))).identifier)
    assert [line["allocatedQuantity"] for line in document["lineItems"]] == [20, 1, 10]
    with pytest.raises(InsufficientAvailability):
        fleet.approve(fleet.do(CreateReservation(reservation([(cables, 1)]))).identifier)


@pytest.mark.parametrize("seed", range(3))
def test_a_pool_is_never_overdrawn_whatever_comes_and_goes(fleet: Fleet, seed: int) -> None:
    chance = random.Random(seed)
    cables, standing = fleet.pooled(7, 5), list[str]()
    for _ in range(30):
        if standing and chance.random() < 0.3:
            fleet.cancel(standing.pop(chance.randrange(len(standing))))
            continue
        booked = fleet.reserve(cables, chance.randint(1, 6), chance.choice([MORNING, MIDDAY, AFTERNOON]))
        overlapping = [one for one in standing if _overlap(fleet.document(one), fleet.document(booked))]
        free = 12 - sum(fleet.document(one)["allocatedQuantity"] for one in overlapping)
        if fleet.document(booked)["requestedQuantity"] <= free:
            fleet.approve(booked)
            standing.append(booked)
        else:
            with pytest.raises(InsufficientAvailability):
                fleet.approve(booked)


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["startTime"] < other["endTime"] and other["startTime"] < one["endTime"])


# --- at the same time -------------------------------------------------------------------------------------------------


def test_the_last_units_of_a_pool_are_promised_once(fleet: Fleet) -> None:
    cables = fleet.pooled(10)
    for number in range(ROUNDS):
        day = (f"2027-03-{number + 1:02}T08:00:00Z", f"2027-03-{number + 1:02}T18:00:00Z")
        rivals = [fleet.reserve(cables, 6, day) for _ in range(THREADS)]
        outcomes = at_once([partial(fleet.approve, rival) for rival in rivals])
        assert kinds(outcomes) == ["InsufficientAvailability"] * (THREADS - 1) + ["dict"]


def test_a_pool_is_emptied_exactly(fleet: Fleet) -> None:
    cables = fleet.pooled(5, 4)
    rivals = [fleet.reserve(cables, 2) for _ in range(THREADS)]
    outcomes = at_once([partial(fleet.approve, rival, "allow_under_allocation") for rival in rivals])
    assert kinds(outcomes) == ["dict"] * THREADS
    drawn: Counter[str] = Counter()
    for rival in rivals:
        drawn.update(dict(held(fleet.document(rival))))
    assert drawn == {"pool_1": 5, "pool_2": 4}


def test_a_pool_is_not_lowered_while_its_units_are_being_promised(fleet: Fleet) -> None:
    cables = fleet.pooled(10)
    for number in range(ROUNDS):
        day = (f"2027-04-{number + 1:02}T08:00:00Z", f"2027-04-{number + 1:02}T18:00:00Z")
        booked = fleet.reserve(cables, 10, day)
        outcomes = at_once([partial(fleet.approve, booked), partial(changed, fleet, "pool_1", quantityTotal=5)])
        promised, there = fleet.document(booked)["allocatedQuantity"], fleet.document("pool_1")["quantityTotal"]
        assert promised <= there
        assert kinds(outcomes).count("InsufficientAvailability") == 1
        if promised:
            fleet.cancel(booked)
        changed(fleet, "pool_1", quantityTotal=10)


def test_two_kits_put_into_each_other_at_once_do_not_close_a_circle(fleet: Fleet) -> None:
    timer = fleet.item_type()
    for number in range(ROUNDS):
        kits = [fleet.kit(f"KIT-{number}-{letter}", (timer, 1)) for letter in "ab"]
        crossed = [(one, [{**_component(one), "itemType": _kit(other)}]) for one, other in (kits, kits[::-1])]
        outcomes = at_once([partial(changed, fleet, one, kitComponents=inside) for one, inside in crossed])
        assert [type(one) for one in outcomes if isinstance(one, Refusal)] == [ShapeViolation]


def _component(kit: str) -> dict[str, Any]:
    return {"@id": f"{NAMING.iri(kit)}#component-1", "@type": "KitComponent", "quantityPerKit": 1}


def _kit(identifier: str) -> dict[str, Any]:
    return {"@id": NAMING.iri(identifier), "@type": ["Product", "KitTemplate"], "identifier": identifier, "name": identifier}


def test_an_item_type_does_not_change_its_kind_under_a_unit_that_is_being_added(fleet: Fleet) -> None:
    for number in range(ROUNDS):
        timer = fleet.item_type(f"TN-{number}")
        outcomes = at_once([partial(fleet.assets, timer, f"TAG-{number}"), partial(changed, fleet, timer, kind="fungible")])
        refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        assert len(refused) == 1
        assert isinstance(refused[0], InUse | UnknownReference)
