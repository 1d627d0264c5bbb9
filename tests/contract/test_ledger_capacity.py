"""Capacity: what of pools and units is promised in a window, what is free, and what blocks; held against a definition by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ld_server.domain.window import Window
from relational.allocations import AllocationRow, AssetUnit, DoubleBooking
from relational.capacity import AssetsState, Block, Change, PoolState
from relational.unit_of_work import Ledger, UnitOfWork
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

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LONG_AGO = MONDAY - timedelta(days=400)


class Enough(Exception):
    """Raised at the end of a transaction whose outcome is not wanted."""


def drawn(number: int, quantity: int, start: datetime, end: datetime, pool: str = "pool_1", **changes: Any) -> AllocationRow:
    return allocation(number, None, start, end, stock_pool=pool, quantity=quantity, **changes)


def pool_in(uow: UnitOfWork, window: Window, now: datetime = LONG_AGO) -> tuple[int, int]:
    [state] = uow.capacity.pools({"itemType_1": window}, now)["itemType_1"]
    return state.reserved, state.peak


def test_pools_tell_what_is_promised_somewhere_and_what_at_once(ledger: Ledger) -> None:
    stage(ledger, assets=0)
    with ledger.write() as uow:
        add_pool(uow, "pool_1", 30, name="Drums", location="Oslo")
        uow.allocations.add([drawn(1, 10, MONDAY, TUESDAY), drawn(2, 4, TUESDAY, THURSDAY), drawn(3, 2, WEDNESDAY, FRIDAY)])
        uow.allocations.add([drawn(4, 9, MONDAY, FRIDAY, status="returned"), drawn(5, 9, MONDAY, FRIDAY, status="cancelled")])
        assert uow.capacity.pools({"itemType_1": Window(MONDAY, FRIDAY)}, LONG_AGO) == {
            "itemType_1": [PoolState("pool_1", 1, "Oslo", "Drums", 30, 16, 10)]
        }
        assert pool_in(uow, Window(TUESDAY, FRIDAY)) == (6, 6)
        assert pool_in(uow, Window(TUESDAY, WEDNESDAY)) == (4, 4)
        assert pool_in(uow, Window(FRIDAY, FRIDAY + DAY)) == (0, 0)


def test_several_item_types_are_asked_about_at_once_each_in_its_window(ledger: Ledger) -> None:
    with ledger.write() as uow:
        for number in (1, 2, 3):
            add_item_type(uow, f"itemType_{number}")
        add_rent_action(uow, "ra_1")
        add_pool(uow, "pool_10", 5, location="Ghent")
        add_pool(uow, "pool_2", 7, location="Oslo")
        add_pool(uow, "pool_3", 7, is_active=False)
        add_pool(uow, "pool_4", 8, item_type="itemType_2", location="Oslo")
        add_asset(uow, "asset_1", item_type="itemType_3", location="Oslo")
        uow.allocations.add([drawn(1, 3, MONDAY, TUESDAY, "pool_2"), drawn(2, 1, TUESDAY, WEDNESDAY, "pool_4", item_type="itemType_2")])
        asked = {"itemType_1": Window(MONDAY, TUESDAY), "itemType_2": Window(TUESDAY, FRIDAY), "itemType_3": Window(MONDAY, FRIDAY)}
        found = uow.capacity.pools(asked, LONG_AGO)
        assert {item: [(one.identifier, one.reserved) for one in pools] for item, pools in found.items()} == {
            "itemType_1": [("pool_2", 3), ("pool_10", 0)],
            "itemType_2": [("pool_4", 1)],
            "itemType_3": [],
        }
        assert [one.identifier for one in uow.capacity.pools(asked, LONG_AGO, "Ghent")["itemType_1"]] == ["pool_10"]
        assert uow.capacity.assets(asked, LONG_AGO) == {
            "itemType_1": AssetsState(0, 0),
            "itemType_2": AssetsState(0, 0),
            "itemType_3": AssetsState(1, 0),
        }
        assert uow.capacity.locations("itemType_1") == ["Ghent", "Oslo"]
        assert uow.capacity.locations("itemType_3") == ["Oslo"]
        assert uow.capacity.pools({}, LONG_AGO) == uow.capacity.assets({}, LONG_AGO) == {}


def test_units_that_are_out_past_their_end_block_until_they_are_back(ledger: Ledger) -> None:
    stage(ledger, assets=3)
    with ledger.write() as uow:
        add_item_type(uow, "itemType_2")
        add_pool(uow, "pool_1", 10, item_type="itemType_2")
        late = [allocation(1, "asset_1", status="in_use"), drawn(2, 4, MONDAY, TUESDAY, status="in_use", item_type="itemType_2")]
        uow.allocations.add([*late, allocation(3, "asset_2"), allocation(4, "asset_1", THURSDAY, FRIDAY)])
        asked = {"itemType_1": Window(WEDNESDAY, THURSDAY), "itemType_2": Window(WEDNESDAY, THURSDAY)}
        for now, busy, reserved in ((TUESDAY - HOUR, 0, 0), (TUESDAY, 1, 4), (FRIDAY + DAY, 1, 4)):
            assert uow.capacity.assets(asked, now)["itemType_1"] == AssetsState(3, busy)
            [pool] = uow.capacity.pools(asked, now)["itemType_2"]
            assert (pool.reserved, pool.peak) == (reserved, reserved)
        assert [row.number for row in uow.allocations.overdue(TUESDAY, 9)] == [1, 2]
        assert [row.number for row in uow.allocations.overdue(TUESDAY, 1)] == [1]
        assert uow.allocations.overdue(TUESDAY - HOUR, 9) == []
        uow.allocations.change([replace(row, status="returned") for row in late])
        assert uow.capacity.assets(asked, FRIDAY)["itemType_1"] == AssetsState(3, 0)
        assert uow.capacity.pools(asked, FRIDAY)["itemType_2"][0].reserved == 0


def out_of_service(asset: str, start: datetime, end: datetime | None, part: str = "unavailable-1", **changes: Any) -> dict[str, Any]:
    row = {"part": part, "asset": asset, "item_type": "itemType_1", "unavailable_from": start, "unavailable_to": end}
    return {**row, **changes}


def test_a_unit_that_cannot_be_had_is_not_free(ledger: Ledger) -> None:
    stage(ledger, assets=3)
    with ledger.write() as uow:
        uow.index.put_unavailabilities("asset_1", [out_of_service("asset_1", TUESDAY, WEDNESDAY, reason="Belt")])
        uow.index.put_unavailabilities("asset_2", [out_of_service("asset_2", THURSDAY, None)])
        free = {
            name: [unit.number for unit in uow.capacity.free_assets("itemType_1", Window(*window), LONG_AGO, 9)]
            for name, window in {
                "Mo": (MONDAY, TUESDAY),
                "Tu": (TUESDAY, THURSDAY),
                "We": (WEDNESDAY, THURSDAY),
                "Fr": (FRIDAY, FRIDAY + DAY),
            }.items()
        }
        assert free == {"Mo": [1, 2, 3], "Tu": [2, 3], "We": [1, 2, 3], "Fr": [1, 3]}
        assert uow.capacity.assets({"itemType_1": Window(TUESDAY, FRIDAY)}, LONG_AGO) == {"itemType_1": AssetsState(3, 2)}
        assert uow.capacity.blocks("itemType_1", Window(MONDAY, FRIDAY), LONG_AGO) == [
            Block("asset_1", TUESDAY, WEDNESDAY, None, "Belt"),
            Block("asset_2", THURSDAY, None, None, None),
        ]
        uow.index.put_unavailabilities("asset_1", [])
        assert uow.capacity.assets({"itemType_1": Window(TUESDAY, FRIDAY)}, LONG_AGO) == {"itemType_1": AssetsState(3, 1)}
        uow.index.put_unavailabilities("asset_2", [])


def test_the_unit_whose_gap_fits_best_comes_first(ledger: Ledger) -> None:
    stage(ledger, assets=5)
    with ledger.write() as uow:
        add_asset(uow, "asset_6", status="hold")
        uow.allocations.add(
            [
                allocation(1, "asset_2", MONDAY, TUESDAY),
                allocation(2, "asset_3", MONDAY, TUESDAY),
                allocation(3, "asset_3", WEDNESDAY, FRIDAY),
                allocation(4, "asset_4", MONDAY, TUESDAY - HOUR),
                allocation(5, "asset_4", WEDNESDAY + HOUR, FRIDAY),
                allocation(6, "asset_5", TUESDAY, WEDNESDAY),
            ]
        )
        window = Window(TUESDAY, WEDNESDAY)
        free = uow.capacity.free_assets("itemType_1", window, LONG_AGO, 9)
        assert free == [AssetUnit(f"asset_{number}", number, None, f"asset_{number}") for number in (3, 4, 2, 1)]
        assert uow.capacity.free_assets("itemType_1", window, LONG_AGO, 2) == free[:2]
        assert uow.capacity.free_among(["asset_1", "asset_5", "asset_4", "asset_6"], "itemType_1", window, LONG_AGO) == [free[1], free[3]]
        assert uow.capacity.free_among([], "itemType_1", window, LONG_AGO) == []
        pages = [uow.capacity.free_page("itemType_1", window, LONG_AGO, offset, 3) for offset in (0, 3, 6)]
        assert pages == [(4, free[:3]), (4, free[3:]), (4, [])]
        assert uow.capacity.free_page("itemType_2", window, LONG_AGO, 0, 3) == (0, [])
        assert uow.capacity.free_among(["asset_1"], "itemType_2", window, LONG_AGO) == []


def test_what_blocks_is_told_by_unit_and_by_start(ledger: Ledger) -> None:
    stage(ledger, assets=2, rent_actions=2)
    with ledger.write() as uow:
        uow.allocations.add(
            [
                allocation(1, "asset_2", MONDAY, TUESDAY, status="in_use"),
                allocation(2, "asset_1", WEDNESDAY, THURSDAY, rent_action="ra_2"),
                allocation(3, "asset_1", MONDAY, TUESDAY, blocked_to=WEDNESDAY),
                allocation(4, "asset_2", THURSDAY, FRIDAY),
            ]
        )
        window = Window(TUESDAY, THURSDAY)
        of_the_first = [Block("asset_1", MONDAY, WEDNESDAY, "ra_1", None), Block("asset_1", WEDNESDAY, THURSDAY, "ra_2", None)]
        assert uow.capacity.blocks("itemType_1", window, MONDAY) == of_the_first
        assert uow.capacity.blocks("itemType_1", window, TUESDAY) == [*of_the_first, Block("asset_2", MONDAY, None, "ra_1", None)]
        assert uow.capacity.blocks("itemType_1", window, TUESDAY, asset="asset_1") == of_the_first
        assert uow.capacity.blocks("itemType_1", window, TUESDAY, location="Oslo") == []


def test_changes_of_a_pool_are_told_once_per_instant(ledger: Ledger) -> None:
    stage(ledger, assets=0)
    with ledger.write() as uow:
        add_pool(uow, "pool_1")
        rows = [drawn(1, 10, MONDAY, WEDNESDAY), drawn(2, 4, WEDNESDAY, FRIDAY), drawn(3, 1, TUESDAY, FRIDAY, status="in_use")]
        uow.allocations.add(rows)
        read = uow.capacity.pool_changes
        assert read("pool_1", Window(MONDAY, FRIDAY), LONG_AGO) == (10, [Change(TUESDAY, 1, 1, 0), Change(WEDNESDAY, -6, 4, 10)])
        assert read("pool_1", Window(TUESDAY, FRIDAY + DAY), LONG_AGO) == (11, [Change(WEDNESDAY, -6, 4, 10), Change(FRIDAY, -5, 0, 5)])
        assert read("pool_1", Window(TUESDAY, FRIDAY + DAY), FRIDAY) == (11, [Change(WEDNESDAY, -6, 4, 10), Change(FRIDAY, -4, 0, 4)])
        assert read("pool_2", Window(TUESDAY, FRIDAY), LONG_AGO) == (0, [])


def test_days_of_a_pool_begin_at_midnight(ledger: Ledger) -> None:
    stage(ledger, assets=0)
    midnight = datetime(2027, 3, 2, tzinfo=UTC)
    with ledger.write() as uow:
        add_pool(uow, "pool_1")
        rows = [drawn(1, 10, MONDAY, midnight), drawn(2, 4, midnight, THURSDAY), drawn(3, 3, TUESDAY, TUESDAY + HOUR)]
        uow.allocations.add([*rows, drawn(4, 1, MONDAY, THURSDAY, status="in_use")])
        days = uow.capacity.pool_days("pool_1", date(2027, 2, 28), date(2027, 3, 5), LONG_AGO)
        late = uow.capacity.pool_days("pool_1", date(2027, 3, 4), date(2027, 3, 5), FRIDAY)
    assert [(day.start.day, day.level, day.peak, day.low, day.started, day.ended) for day in days] == [
        (28, 0, 0, 0, 0, 0),
        (1, 0, 11, 0, 11, 0),
        (2, 5, 8, 5, 7, 13),
        (3, 5, 5, 5, 0, 0),
        (4, 5, 5, 0, 0, 5),
        (5, 0, 0, 0, 0, 0),
    ]
    assert [(day.level, day.low, day.ended) for day in late] == [(5, 1, 4), (1, 1, 0)]


def test_a_change_counts_by_its_outcome(ledger: Ledger) -> None:
    stage(ledger, assets=2)
    with ledger.write() as uow:
        uow.allocations.add([allocation(1, "asset_1"), allocation(2, "asset_2")])
        uow.allocations.change([allocation(1, "asset_2"), allocation(2, "asset_1"), allocation(3, "asset_1", TUESDAY, WEDNESDAY)])
        assert [(row.number, row.asset) for row in uow.allocations.of("ra_1")] == [(1, "asset_2"), (2, "asset_1"), (3, "asset_1")]
        uow.allocations.change([allocation(1, "asset_2", MONDAY - HOUR, WEDNESDAY)])
        assert uow.allocations.of("ra_1")[0].blocked_to == WEDNESDAY
        uow.allocations.change([])
    for clash in ([allocation(1, "asset_1")], [allocation(1, "asset_1"), allocation(2, "asset_1", TUESDAY - HOUR, WEDNESDAY)]):
        with pytest.raises(DoubleBooking), ledger.write() as uow:
            uow.allocations.change(clash)
    with ledger.read() as uow:
        assert uow.allocations.of("ra_1")[0].asset == "asset_2"
