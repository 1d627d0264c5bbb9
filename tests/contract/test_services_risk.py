"""Reservations at risk, on both engines: told of once, listed as long as it lasts, and not a moment longer."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from ld_server.domain.custody import Condition, Handover
from ld_server.domain.risk import Danger
from ld_server.services import conflicts, risk
from relational.allocations import AllocationRow
from relational.dangers import AT_RISK
from relational.unit_of_work import Ledger
from tests.contract.fleet import AFTERNOON, MORNING, NEXT_DAY, NOW, Fleet
from tests.contract.rows import MONDAY, add_item_type, add_pool, add_rent_action, allocation
from tests.contract.test_services_races import at_once

START, END = datetime(2027, 3, 1, 8, tzinfo=UTC), datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = ("2027-03-03T08:00:00Z", "2027-03-03T12:00:00Z")


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


def told(fleet: Fleet, event: str = AT_RISK) -> list[str]:
    """Whom this event was told about, each time."""
    return [one["subject"]["id"] for one in fleet.events() if one["type"] == event]


def listed(fleet: Fleet, operator: str = "is at risk", at: datetime = NOW) -> list[str]:
    """The reservations that the filter finds; the others are those that its opposite finds."""
    with fleet.ledger.read() as uow:
        found, others = ([one.identifier for one in uow.index.page("rent_actions", [("identifier", operator, (is_wanted, at))], None, 100)]
                         for is_wanted in (True, False))  # fmt: skip
        assert uow.index.count("rent_actions", [("identifier", operator, (True, at))]) == len(found)
        assert not set(found) & set(others)
        assert len(found) + len(others) == uow.documents.count("rentAction")
    return found


def dangers(fleet: Fleet, identifier: str, at: datetime = NOW) -> list[Danger]:
    with fleet.ledger.read() as uow:
        found = uow.risks.of(identifier, at)
        assert found == [one for one in uow.risks.every(at) if one.rent_action == identifier]
    return found


def conflicts_of(fleet: Fleet, identifier: str, at: datetime) -> list[dict[str, Any]]:
    with fleet.ledger.rehearse() as uow:
        return conflicts.of(uow, fleet.document(identifier), fleet.occasion(now=at))


def scan(fleet: Fleet, at: datetime) -> int:
    with fleet.ledger.write() as uow:
        return risk.overdue_scan(uow, fleet.occasion(now=at))


def period(start: str, end: str | None = None, number: int = 1, **more: str) -> dict[str, Any]:
    named = {"@id": f"https://fleet.example/v1/catalog/assets/asset_1#unavailability-{number}", "@type": "Unavailability"}
    return {**named, "startTime": start, **({"endTime": end} if end else {}), **more}


def two_in_turn(fleet: Fleet) -> tuple[str, str]:
    """One unit, promised for the morning and for the next day."""
    item = fleet.stocked("TN-1")
    return fleet.booked(item, window=MORNING), fleet.booked(item, window=NEXT_DAY)


# --- what endangers ---------------------------------------------------------------------------------------------------


def test_nothing_is_at_risk_while_all_goes_well(fleet: Fleet) -> None:
    first, second = two_in_turn(fleet)
    fleet.check_out(first, at=START)
    assert (listed(fleet, at=START), dangers(fleet, second, START), scan(fleet, START)) == ([], [], 0)
    fleet.take_back(first, at=END)
    assert told(fleet) == []


def test_a_damaged_return_endangers_whoever_is_to_have_the_unit_next(fleet: Fleet) -> None:
    first, second = two_in_turn(fleet)
    other = fleet.booked(fleet.stocked("M-1", code="MAST"))
    fleet.check_out(first, at=START)
    fleet.take_back(first, Handover("alloc_1", condition=Condition.DAMAGED), at=END)
    assert (told(fleet), listed(fleet, at=END)) == ([second], [second])
    assert [(one.reason, one.said, one.source) for one in dangers(fleet, second, END)] == [("out_of_service", "maintenance", "asset_1")]
    assert dangers(fleet, other, END) == []
    assert {one["occurredAt"] for one in fleet.events() if one["type"] in (AT_RISK, "rentAction.returned")} == {"2027-03-01T12:00:00Z"}


@pytest.mark.parametrize("status", ["maintenance", "hold", "retired", "lost"])
def test_a_unit_that_is_taken_out_of_service_endangers_its_reservations(fleet: Fleet, status: str) -> None:
    both = list(two_in_turn(fleet))
    fleet.change("asset_1", status=status)
    assert (told(fleet), listed(fleet)) == (both, both)


def test_a_danger_is_told_once_and_again_when_it_was_over(fleet: Fleet) -> None:
    both = list(two_in_turn(fleet))
    fleet.change("asset_1", status="maintenance")
    fleet.change("asset_1", status="hold")
    assert scan(fleet, NOW) == 0
    assert told(fleet) == both
    fleet.change("asset_1", status="available")
    assert listed(fleet) == []
    assert told(fleet) == both
    fleet.change("asset_1", status="maintenance")
    assert told(fleet) == both * 2


def test_a_change_that_is_none_of_the_reservations_business_is_not_told(fleet: Fleet) -> None:
    two_in_turn(fleet)
    fleet.change("asset_1", assignedTo="Bob", location="Depot B")
    assert told(fleet) == []


def test_a_period_endangers_those_whom_it_meets(fleet: Fleet) -> None:
    first, second = two_in_turn(fleet)
    fleet.change("asset_1", unavailable=[period("2027-03-01T12:00:00Z", "2027-03-02T08:00:00Z", reason="inspection")])
    assert (told(fleet), listed(fleet)) == ([], [])
    fleet.change("asset_1", unavailable=[period("2027-03-01T12:00:00Z", "2027-03-02T08:00:01Z", reason="inspection")])
    assert (told(fleet), listed(fleet)) == ([second], [second])
    assert [(one.reason, one.said, one.until) for one in dangers(fleet, second)] == [
        ("unavailability", "inspection", datetime(2027, 3, 2, 8, 0, 1, tzinfo=UTC))
    ]
    fleet.change("asset_1", unavailable=[period("2027-03-01T09:00:00Z")])
    assert (told(fleet), listed(fleet)) == ([second, first], [first, second])
    fleet.change("asset_1", unavailable=None)
    assert listed(fleet) == []


def test_a_period_that_is_over_endangers_nobody(fleet: Fleet) -> None:
    first, _ = two_in_turn(fleet)
    fleet.change("asset_1", unavailable=[period("2027-03-01T08:00:00Z", "2027-03-01T09:00:00Z")])
    assert (listed(fleet, at=START), listed(fleet, at=START + HOUR)) == ([first], [])


def test_what_is_out_or_over_is_not_at_risk(fleet: Fleet) -> None:
    first, second = two_in_turn(fleet)
    fleet.check_out(first, at=START)
    fleet.change("asset_1", status="maintenance", at=START)
    assert listed(fleet, at=START) == [second]
    assert listed(fleet, at=datetime(2027, 3, 2, 12, tzinfo=UTC)) == []


def test_who_is_cancelled_is_not_at_risk(fleet: Fleet) -> None:
    first, second = two_in_turn(fleet)
    fleet.change("asset_1", status="hold")
    fleet.cancel(first)
    assert listed(fleet) == [second]


def test_who_is_approved_while_the_unit_breaks_gets_another_or_is_told_of(fleet: Fleet) -> None:
    item = fleet.stocked("TN-1", "TN-2")
    for day in range(1, 9):
        windows = [(f"2027-03-{day:02}T{hour:02}:00:00Z", f"2027-03-{day:02}T{hour + 2:02}:00:00Z") for hour in (8, 12, 16)]
        waiting = [fleet.reserve(item, window=window) for window in windows]
        at_once([*(partial(fleet.approve, one) for one in waiting), partial(fleet.change, "asset_1", status="maintenance")])
        broken = {one for one in waiting for held in fleet.document(one)["allocations"] if held["asset"]["identifier"] == "asset_1"}
        assert broken == set(told(fleet)) & set(waiting)
        assert {"asset_1", "asset_2"} >= {held["asset"]["identifier"] for one in waiting for held in fleet.document(one)["allocations"]}
        fleet.change("asset_1", status="available")


# --- overdue ----------------------------------------------------------------------------------------------------------


def test_who_does_not_bring_back_what_is_out_is_overdue_and_told_of_once(fleet: Fleet) -> None:
    first, second = two_in_turn(fleet)
    fleet.check_out(first, at=START)
    before = END - timedelta(microseconds=1)
    assert (scan(fleet, before), listed(fleet, "is overdue", before), listed(fleet, at=before)) == (0, [], [])
    assert (scan(fleet, END), scan(fleet, END), scan(fleet, END + HOUR)) == (1, 1, 1)
    assert (told(fleet, risk.OVERDUE), told(fleet)) == ([first], [second])
    assert (listed(fleet, "is overdue", END), listed(fleet, at=END)) == ([first], [second])
    assert [(one.reason, one.holder, one.since, one.until) for one in dangers(fleet, second, END)] == [("overdue", first, END, None)]
    fleet.take_back(first, at=END + HOUR)
    assert (listed(fleet, "is overdue", END + HOUR), listed(fleet, at=END + HOUR), scan(fleet, END + HOUR)) == ([], [], 0)


def test_two_workers_tell_of_an_overdue_reservation_once(fleet: Fleet) -> None:
    first, second = two_in_turn(fleet)
    fleet.check_out(first, at=START)
    assert at_once([partial(scan, fleet, END)] * 4) == [1] * 4
    assert (told(fleet, risk.OVERDUE), told(fleet)) == ([first], [second])


def test_a_scan_and_a_return_at_once_leave_no_danger_behind(fleet: Fleet) -> None:
    """Told or not: once the unit is back nothing of it is remembered, and the next time is told again."""
    item = fleet.stocked("TN-1")
    last = fleet.booked(item, window=("2027-04-01T08:00:00Z", "2027-04-01T12:00:00Z"))
    for day in range(1, 6):
        booked = fleet.booked(item, window=(f"2027-03-{day:02}T08:00:00Z", f"2027-03-{day:02}T12:00:00Z"))
        fleet.check_out(booked, at=START.replace(day=day))
        at_once([partial(scan, fleet, END.replace(day=day)), partial(fleet.take_back, booked, at=END.replace(day=day))])
        with fleet.ledger.read() as uow:
            assert uow.told.about(AT_RISK) == set()
    assert set(told(fleet)) <= {last}


def test_a_cancelled_reservation_can_be_overdue(fleet: Fleet) -> None:
    first, second = two_in_turn(fleet)
    fleet.check_out(first, at=START)
    fleet.cancel(first)
    assert scan(fleet, END) == 1
    assert (listed(fleet, "is overdue", END), told(fleet)) == ([first], [second])


# --- pools ------------------------------------------------------------------------------------------------------------


def test_a_late_quantity_endangers_whoever_finds_too_few_left(fleet: Fleet) -> None:
    item = fleet.pooled(10)
    first = fleet.booked(item, 6, MORNING)
    fleet.check_out(first, at=START)
    many, few = fleet.booked(item, 8, AFTERNOON), fleet.booked(item, 2, NEXT_DAY)
    assert scan(fleet, END) == 1
    assert (told(fleet), listed(fleet, at=END)) == ([many], [many])
    assert [(one.reason, one.source, one.since) for one in dangers(fleet, many, END)] == [("over_promised", "pool_1", END)]
    assert dangers(fleet, few, END) == []
    fleet.take_back(first, at=END)
    assert listed(fleet, at=END) == []


def test_lost_units_endanger_whoever_finds_too_few_left(fleet: Fleet) -> None:
    item = fleet.pooled(10)
    first, many, few = fleet.booked(item, 6, MORNING), fleet.booked(item, 10, NEXT_DAY), fleet.booked(item, 9, LATER)
    fleet.check_out(first, at=START)
    fleet.take_back(first, Handover("alloc_1", 1, Condition.LOST), at=START)
    assert (told(fleet), listed(fleet, at=START)) == ([many], [many])
    assert [one["reasonCode"] for one in conflicts_of(fleet, many, START)] == ["over_promised"]
    fleet.take_back(first, Handover("alloc_1", 5, Condition.LOST), at=START)
    assert (told(fleet), listed(fleet, at=START)) == ([many, few], [many, few])
    fleet.change("pool_1", quantityTotal=10, at=START)
    assert listed(fleet, at=START) == []


def test_a_reservation_that_is_endangered_twice_by_one_pool_is_told_of_once(fleet: Fleet) -> None:
    item = fleet.pooled(10)
    first, second, third = fleet.booked(item, 3, MORNING), fleet.booked(item, 3, MORNING), fleet.booked(item, 8, NEXT_DAY)
    for one in (first, second):
        fleet.check_out(one, at=START)
    assert scan(fleet, END) == 2
    assert (sorted(told(fleet, risk.OVERDUE)), told(fleet)) == ([first, second], [third])
    fleet.take_back(first, at=END)
    assert listed(fleet, at=END) == [third]
    assert [one["heldBy"] for one in conflicts_of(fleet, third, END)] == [
        [{"@id": f"https://fleet.example/v1/rent-actions/{second}", "@type": "RentAction", "identifier": second}]
    ]


def test_times_of_excess_are_those_that_counting_finds(ledger: Ledger) -> None:
    """Many small pools with promises at random, of which some are late: who is in danger is what counting instant by instant says."""
    dice = random.Random(20270301)
    now, pools, rows = MONDAY + 24 * HOUR, range(1, 16), []
    with ledger.write() as uow:
        add_item_type(uow, kind="fungible")
        for pool in pools:
            add_pool(uow, f"pool_{pool}", quantity=6)
        for number in range(1, 121):
            start = MONDAY + dice.randrange(48) * HOUR
            end = start + dice.randrange(1, 12) * HOUR
            status = dice.choice(["allocated", "allocated", "allocated", "in_use", "returned", "cancelled"])
            add_rent_action(uow, f"ra_{number}", start_time=start, end_time=end)
            changes = {"rent_action": f"ra_{number}", "stock_pool": f"pool_{dice.choice(pools)}", "quantity": dice.randrange(1, 4)}
            rows.append(allocation(number, None, start, end, status=status, blocked_to=end + dice.randrange(3) * HOUR, **changes))
        uow.allocations.add(rows)
    late = {row.stock_pool for row in rows if _is_late(row, now)}
    endangered = {row.rent_action: row.stock_pool for row in rows if _is_endangered(row, rows, now, 6)}
    with ledger.read() as uow:
        assert {one.rent_action for pool in pools for one in uow.risks.through([f"pool_{pool}"], now)} == set(endangered)
        assert {one for one in (row.rent_action for row in rows) if uow.risks.of(one, now)} == set(endangered)
        assert {one.rent_action for one in uow.risks.every(now)} == {one for one, pool in endangered.items() if pool in late}
    assert 10 < len(endangered) < 60
    assert len(late) < len(pools)


def _is_endangered(row: AllocationRow, rows: Sequence[AllocationRow], now: datetime, total: int) -> bool:
    if row.status != "allocated" or row.allocated_to <= now:
        return False
    instants = {max(row.blocked_from, now), *(one.blocked_from for one in rows)}
    same = [one for one in rows if one.stock_pool == row.stock_pool and one.status in ("allocated", "in_use")]
    counted = (
        sum(one.quantity for one in same if one.blocked_from <= at and (at < one.blocked_to or _is_late(one, now)))
        for at in instants
        if max(row.blocked_from, now) <= at < row.blocked_to
    )
    return max(counted) > total


def _is_late(row: AllocationRow, now: datetime) -> bool:
    return row.status == "in_use" and row.allocated_to <= now
