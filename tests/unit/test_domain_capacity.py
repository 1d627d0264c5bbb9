"""What a window leaves: of units, of pools, of kits."""

import pytest

from ld_server.domain import capacity
from ld_server.domain.capacity import Capacity, Rule, Stock
from ld_server.domain.kits import BEYOND_COUNTING, Component, EndlessKit, expanded, kits_supported, limiting, summed

OVERLAP, PEAK = Rule.OVERLAP, Rule.PEAK


@pytest.mark.parametrize(("total", "busy", "available"), [(3, 1, 2), (3, 3, 0), (2, 3, 0), (0, 0, 0)])
def test_units_that_are_not_busy_are_available_whatever_the_rule(total: int, busy: int, available: int) -> None:
    assert [capacity.of_units(total, busy, rule).available for rule in Rule] == [available, available]


POOLS = {
    "one after the other counts twice under overlap": ([Stock(10, 12, 6)], 0, 4),
    "at once counts the same": ([Stock(10, 6, 6)], 4, 4),
    "each pool gives what it has": ([Stock(10, 4, 4), Stock(5, 0, 0)], 11, 11),
    "what one promised too much is not taken from another": ([Stock(3, 7, 7), Stock(5, 1, 1)], 4, 4),
    "no pool": ([], 0, 0),
}


@pytest.mark.parametrize(("stocks", "by_overlap", "by_peak"), POOLS.values(), ids=POOLS)
def test_what_pools_have_left(stocks: list[Stock], by_overlap: int, by_peak: int) -> None:
    found = {rule: capacity.of_stocks(stocks, rule) for rule in Rule}
    assert (found[OVERLAP].available, found[PEAK].available) == (by_overlap, by_peak)
    assert all(one.reserved == sum(stock.reserved for stock in stocks) for one in found.values())
    assert all(one.peak == sum(stock.peak for stock in stocks) for one in found.values())


def test_the_numbers_of_both_rules_are_kept() -> None:
    assert capacity.of_stocks([Stock(10, 12, 6)], PEAK) == Capacity(10, 12, 6, PEAK, 4)


# --- kits -------------------------------------------------------------------------------------------------------------

FINISH_LINE = {"kit_1": {"itemType_1": 2, "itemType_2": 1}}
RALLY = {**FINISH_LINE, "kit_2": {"kit_1": 3, "itemType_2": 4}, "kit_3": {"kit_1": 1, "kit_2": 2}}

EXPANSIONS = {
    "an item type is itself": ("itemType_9", RALLY, {"itemType_9": 1}),
    "a kit is its parts": ("kit_1", RALLY, {"itemType_1": 2, "itemType_2": 1}),
    "kits in kits multiply, and the same part adds up": ("kit_2", RALLY, {"itemType_1": 6, "itemType_2": 7}),
    "a kit that is reached in two ways": ("kit_3", RALLY, {"itemType_1": 14, "itemType_2": 15}),
}


@pytest.mark.parametrize(("item", "composition", "parts"), EXPANSIONS.values(), ids=EXPANSIONS)
def test_kits_are_taken_apart(item: str, composition: dict[str, dict[str, int]], parts: dict[str, int]) -> None:
    assert expanded(item, composition) == parts


def test_deep_and_wide_kits_take_no_longer_than_they_are_long() -> None:
    diamonds = {f"kit_{number}": {f"kit_{number + 1}": 2, f"kit_{number + 2}": 3} for number in range(1, 3000)}
    assert expanded("kit_1", diamonds) == {"kit_3000": BEYOND_COUNTING, "kit_3001": BEYOND_COUNTING}


@pytest.mark.parametrize("composition", [{"kit_1": {"kit_1": 1}}, {"kit_1": {"kit_2": 1}, "kit_2": {"kit_3": 1}, "kit_3": {"kit_1": 1}}])
def test_a_kit_in_itself_is_told(composition: dict[str, dict[str, int]]) -> None:
    with pytest.raises(EndlessKit, match="kit_1"):
        expanded("kit_1", composition)


def test_needs_of_several_items_are_summed() -> None:
    parts = {item: expanded(item, RALLY) for item in ("kit_1", "kit_2", "itemType_2")}
    assert summed({"kit_1": 2, "kit_2": 1, "itemType_2": 5}, parts) == {"itemType_1": 10, "itemType_2": 14}


def test_the_scarcest_component_decides() -> None:
    timers, cables, masts = Component("itemType_1", 2, 7), Component("itemType_2", 10, 35), Component("itemType_3", 1, 9)
    assert [one.kits_supported for one in (timers, cables, masts)] == [3, 3, 9]
    assert kits_supported([timers, cables, masts]) == 3
    assert limiting([timers, cables, masts]) == (timers, cables)
