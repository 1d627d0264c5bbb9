"""Allocations: what is free, what is in the way, and that a unit is never promised twice."""

import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from ld_server.domain.errors import StoreUnavailable
from ld_server.domain.window import Window
from relational.allocations import AllocationRow, Blocking, DoubleBooking, Peak
from relational.unit_of_work import Ledger, UnitOfWork, open_ledger
from relational.wire import VIOLATIONS
from tests.contract.rows import (
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    add_asset,
    add_item_type,
    add_pool,
    add_rent_action,
    allocation,
    stage,
)

MINUTE = timedelta(minutes=1)
NOW = MONDAY - MINUTE
BETWEEN_TUESDAY_AND_THURSDAY = [
    ("before", MONDAY, TUESDAY, True),
    ("after", THURSDAY, FRIDAY, True),
    ("the same", TUESDAY, THURSDAY, False),
    ("around", MONDAY, FRIDAY, False),
    ("within", TUESDAY + MINUTE, WEDNESDAY, False),
    ("into the start", MONDAY, TUESDAY + MINUTE, False),
    ("out of the end", THURSDAY - MINUTE, FRIDAY, False),
    ("a microsecond too late", THURSDAY - timedelta(microseconds=1), FRIDAY, False),
]
windows = pytest.mark.parametrize(
    ("start", "end", "fits"), [case[1:] for case in BETWEEN_TUESDAY_AND_THURSDAY], ids=[case[0] for case in BETWEEN_TUESDAY_AND_THURSDAY]
)


@windows
def test_a_unit_is_free_exactly_when_the_database_would_take_it(ledger: Ledger, start: datetime, end: datetime, fits: bool) -> None:
    stage(ledger)
    with ledger.write() as uow:
        uow.allocations.add([allocation(1, start=TUESDAY, end=THURSDAY)])
    with ledger.read() as uow:
        assert bool(uow.capacity.free_assets("itemType_1", Window(start, end), NOW, 5)) is fits
        assert uow.capacity.assets({"itemType_1": Window(start, end)}, NOW)["itemType_1"].busy == (not fits)
        assert bool(uow.allocations.in_the_way("itemType_1", start, end)) is not fits
    if fits:
        with ledger.write() as uow:
            uow.allocations.add([allocation(2, start=start, end=end)])
    else:
        with pytest.raises(DoubleBooking), ledger.write() as uow:
            uow.allocations.add([allocation(2, start=start, end=end)])


@pytest.mark.parametrize(("status", "blocks"), [("allocated", True), ("in_use", True), ("returned", False), ("cancelled", False)])
def test_only_allocations_that_stand_block(ledger: Ledger, status: str, blocks: bool) -> None:
    stage(ledger)
    with ledger.write() as uow:
        uow.allocations.add([allocation(1, status=status)])
        assert bool(uow.capacity.free_assets("itemType_1", Window(MONDAY, TUESDAY), NOW, 5)) is not blocks
        assert bool(uow.allocations.in_the_way("itemType_1", MONDAY, TUESDAY)) is blocks


def test_turnaround_blocks_too(ledger: Ledger) -> None:
    stage(ledger)
    with ledger.write() as uow:
        uow.allocations.add([allocation(1, start=TUESDAY, end=WEDNESDAY, blocked_from=TUESDAY - MINUTE, blocked_to=WEDNESDAY + MINUTE)])
        assert uow.capacity.free_assets("itemType_1", Window(MONDAY, TUESDAY), NOW, 5) == []
        assert uow.capacity.free_assets("itemType_1", Window(WEDNESDAY, THURSDAY), NOW, 5) == []
        assert len(uow.capacity.free_assets("itemType_1", Window(WEDNESDAY + MINUTE, THURSDAY), NOW, 5)) == 1


def test_what_is_in_the_way_is_named_latest_first(ledger: Ledger) -> None:
    stage(ledger, assets=2, rent_actions=2)
    with ledger.write() as uow:
        uow.allocations.add(
            [
                allocation(1, "asset_1", MONDAY, TUESDAY),
                allocation(2, "asset_2", TUESDAY, THURSDAY, rent_action="ra_2", blocked_to=FRIDAY),
                allocation(3, "asset_1", FRIDAY, FRIDAY + MINUTE),
            ]
        )
        assert uow.allocations.in_the_way("itemType_1", MONDAY, FRIDAY) == [
            Blocking("ra_2", "asset_2", TUESDAY, FRIDAY),
            Blocking("ra_1", "asset_1", MONDAY, TUESDAY),
        ]
        assert len(uow.allocations.in_the_way("itemType_1", MONDAY, FRIDAY, limit=1)) == 1


def test_allocations_come_back_as_they_were_written(ledger: Ledger) -> None:
    stage(ledger)
    rows = [allocation(2, start=TUESDAY, end=WEDNESDAY), allocation(1), allocation(3, None, quantity=40)]
    with ledger.write() as uow:
        uow.allocations.add(rows)
        uow.allocations.add([])
    with ledger.read() as uow:
        assert uow.allocations.of("ra_1") == sorted(rows, key=lambda row: row.number)
        assert uow.allocations.of("ra_2") == []


def test_a_cancelled_allocation_frees_its_unit_and_cannot_come_back_once_that_is_taken(ledger: Ledger) -> None:
    stage(ledger)
    with ledger.write() as uow:
        uow.allocations.add([allocation(1)])
        uow.allocations.set_status([1], "cancelled")
        uow.allocations.set_status([], "cancelled")
        uow.allocations.add([allocation(2)])
    with pytest.raises(DoubleBooking), ledger.write() as uow:
        uow.allocations.set_status([1], "in_use")
    with ledger.read() as uow:
        assert [(row.number, row.status) for row in uow.allocations.of("ra_1")] == [(1, "cancelled"), (2, "allocated")]


@pytest.mark.parametrize("column", ["asset_number", "blocked_from"])
def test_the_database_watches_every_column_of_the_rule(ledger: Ledger, column: str) -> None:
    stage(ledger, assets=2)
    with ledger.write() as uow:
        uow.allocations.add([allocation(1), allocation(2, "asset_2"), allocation(3, start=TUESDAY, end=WEDNESDAY)])
    change = {
        "asset_number": "UPDATE allocations SET asset = 'asset_1', asset_number = 1 WHERE number = 2",
        "blocked_from": "UPDATE allocations SET blocked_from = (SELECT blocked_from FROM allocations WHERE number = 1) WHERE number = 3",
    }[column]
    with pytest.raises(IntegrityError, match="never_promised_twice"), ledger.engine.begin() as connection:
        connection.exec_driver_sql(change)


def test_one_of_several_that_clashes_refuses_them_all(ledger: Ledger) -> None:
    stage(ledger, assets=2)
    with pytest.raises(DoubleBooking), ledger.write() as uow:
        uow.allocations.add([allocation(1, "asset_1"), allocation(2, "asset_2"), allocation(3, "asset_1")])
    with ledger.read() as uow:
        assert uow.allocations.of("ra_1") == []


IMPOSSIBLE = {
    "no quantity": {"quantity": 0},
    "two of one unit": {"quantity": 2},
    "unknown status": {"status": "eaten"},
    "end before start": {"allocated_to": NOW, "blocked_from": MONDAY - 2 * MINUTE},
    "blocks less than it takes": {"blocked_to": TUESDAY - MINUTE},
    "unknown reservation": {"rent_action": "ra_99"},
    "unknown unit": {"asset": "asset_99"},
}


@pytest.mark.parametrize("changes", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_impossible_allocations_are_refused_by_the_database(ledger: Ledger, changes: dict[str, object]) -> None:
    stage(ledger)
    with pytest.raises(VIOLATIONS), ledger.write() as uow:
        uow.allocations.add([allocation(1, **{"asset": "asset_1", **changes})])  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bookings=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 20), st.integers(1, 8)), max_size=12), start=st.integers(0, 24))
def test_free_means_no_stored_window_overlaps(ledger: Ledger, bookings: list[tuple[int, int, int]], start: int) -> None:
    """The probe looks at one row per unit; the definition looks at all of them. They must agree."""

    class Enough(Exception):
        pass

    taken: list[tuple[int, int, int]] = []
    with pytest.raises(Enough), ledger.write() as uow:
        add_item_type(uow)
        add_rent_action(uow, "ra_1")
        for number in (1, 2, 3):
            add_asset(uow, f"asset_{number}")
        for asset, begin, hours in bookings:
            if all(asset != other or begin + hours <= first or last <= begin for other, first, last in taken):
                taken.append((asset, begin, begin + hours))
        at = [MONDAY + timedelta(hours=hour) for hour in range(40)]
        uow.allocations.add([allocation(n, f"asset_{asset}", at[first], at[last]) for n, (asset, first, last) in enumerate(taken, 1)])
        free = uow.capacity.free_assets("itemType_1", Window(at[start], at[start + 4]), NOW, 9)
        overlapped = {asset for asset, first, last in taken if first < start + 4 and start < last}
        assert {unit.number for unit in free} == {1, 2, 3} - overlapped
        assert uow.capacity.assets({"itemType_1": Window(at[start], at[start + 4])}, NOW)["itemType_1"].busy == len(overlapped)
        raise Enough


def race(ledger: Ledger, threads: int, number: int, hold: bool) -> Counter[str]:
    """Every thread tries to book the only unit for the same window, in a transaction of its own; how many came to which end."""
    barrier, ends = threading.Barrier(threads), Counter[str]()

    def run(mine: int) -> None:
        barrier.wait()
        try:
            with ledger.write() as uow:
                if hold:
                    uow.allocations.hold(["itemType_1"])
                free = uow.capacity.free_assets("itemType_1", Window(window, window + MINUTE), NOW, 1)
                uow.allocations.add([allocation(mine, unit.identifier, window, window + MINUTE) for unit in free])
            ends["booked" if free else "nothing free"] += 1
        except DoubleBooking:
            ends["refused by the database"] += 1
        except StoreUnavailable:
            ends["gave way in a deadlock"] += 1

    window = MONDAY + number * MINUTE
    running = [threading.Thread(target=run, args=(number * threads + mine,)) for mine in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return ends


def test_two_writers_never_hand_out_the_last_unit_twice(ledger: Ledger) -> None:
    stage(ledger)
    for number in range(20):
        assert race(ledger, 8, number, hold=True) == {"booked": 1, "nothing free": 7}


def test_without_a_hold_the_database_still_refuses_the_second(ledger: Ledger) -> None:
    """Two that insert at once wait for each other's end: Postgres may find the clash, or a deadlock, and lets one of them live."""
    stage(ledger)
    refused = 0
    for number in range(20):
        ends = race(ledger, 8, number, hold=False)
        assert ends["booked"] == 1
        assert sum(ends.values()) == 8
        refused += ends["refused by the database"] + ends["gave way in a deadlock"]
    if ledger.engine.dialect.name == "postgresql":
        assert refused > 0


def test_holding_the_same_item_types_in_another_order_is_no_deadlock(ledger: Ledger) -> None:
    with ledger.write() as uow:
        for number in range(1, 6):
            add_item_type(uow, f"itemType_{number}")
    everything = [f"itemType_{number}" for number in range(1, 6)]
    failures: list[Exception] = []

    def run(order: list[str]) -> None:
        try:
            for _ in range(20):
                with ledger.write() as uow:
                    uow.allocations.hold(order)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(order,)) for order in (everything, everything[::-1], everything[2:], everything[:3])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# --- stock pools ------------------------------------------------------------------------------------------------------


def drawn(number: int, quantity: int, start: datetime, end: datetime, pool: str = "pool_1", **changes: Any) -> AllocationRow:
    return allocation(number, None, start, end, stock_pool=pool, quantity=quantity, **changes)


def test_what_takes_from_a_pool_is_in_the_way_too(ledger: Ledger) -> None:
    stage(ledger, assets=0)
    with ledger.write() as uow:
        add_pool(uow, "pool_1", 30, name="Drums", location="Oslo")
        uow.allocations.add(
            [drawn(1, 10, MONDAY, TUESDAY), drawn(2, 4, TUESDAY, WEDNESDAY), drawn(3, 9, MONDAY, FRIDAY, status="returned")]
        )
        assert uow.allocations.in_the_way("itemType_1", TUESDAY, WEDNESDAY, 1) == [Blocking("ra_1", None, TUESDAY, WEDNESDAY, 4)]


def test_the_peak_is_the_most_that_is_promised_at_one_instant(ledger: Ledger) -> None:
    stage(ledger, assets=0)
    with ledger.write() as uow:
        add_pool(uow, "pool_1")
        assert uow.allocations.peak("pool_1", MONDAY) == Peak(0, None)
        uow.allocations.add([drawn(1, 10, MONDAY, TUESDAY), drawn(2, 12, TUESDAY, THURSDAY), drawn(3, 5, WEDNESDAY, FRIDAY)])
        assert uow.allocations.peak("pool_1", MONDAY) == Peak(17, WEDNESDAY)
        assert uow.allocations.peak("pool_1", THURSDAY) == Peak(5, WEDNESDAY)
        assert uow.allocations.peak("pool_1", FRIDAY) == Peak(0, None)
        at_the_peak = uow.allocations.blocking_pool("pool_1", MONDAY, WEDNESDAY)
        assert [one.quantity for one in at_the_peak] == [5, 12]


def test_units_that_are_out_past_their_end_count_until_they_are_back(ledger: Ledger) -> None:
    stage(ledger, assets=0)
    with ledger.write() as uow:
        add_pool(uow, "pool_1")
        uow.allocations.add([drawn(1, 10, MONDAY, TUESDAY, status="in_use"), drawn(2, 3, MONDAY, TUESDAY), drawn(3, 5, THURSDAY, FRIDAY)])
        assert uow.allocations.peak("pool_1", WEDNESDAY) == Peak(15, THURSDAY)
        assert [one.quantity for one in uow.allocations.blocking_pool("pool_1", WEDNESDAY, THURSDAY)] == [5, 10]
        uow.allocations.set_status([1], "returned")
        assert uow.allocations.peak("pool_1", WEDNESDAY) == Peak(5, THURSDAY)


def test_statements_are_planned_once_while_item_types_are_held(postgres_url: str) -> None:
    """And only then: the plan of a list depends on what is asked for."""
    ledger = open_ledger(postgres_url, pool_size=1)
    with ledger.write() as uow:
        add_item_type(uow)
    with ledger.engine.begin() as connection:
        UnitOfWork(connection).allocations.hold(["itemType_1"])
        assert connection.exec_driver_sql("SHOW plan_cache_mode").scalar_one() == "force_generic_plan"
    with ledger.engine.begin() as connection:
        assert connection.exec_driver_sql("SHOW plan_cache_mode").scalar_one() == "auto"
    ledger.close()
