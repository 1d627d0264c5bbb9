"""Dealing out units: never one twice, no kit with a part missing, and nothing left behind that a line could still take."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ld_server.domain.allocation import Claim, Demand, LinePlan, Policy, Supply, plan, replan, wanted

TIMERS, MASTS, CABLES = "itemType_1", "itemType_2", "itemType_3"
FINISH_LINE = {TIMERS: 1, CABLES: 4}

Free = Mapping[str, Sequence[Supply]]

item_types = st.sampled_from([TIMERS, MASTS, CABLES])
quantities = st.integers(min_value=1, max_value=12)
kits = st.dictionaries(item_types, st.integers(1, 4), min_size=1, max_size=3)


def of(line: str, item: str, quantity: int, parts: Mapping[str, int] | None = None, **more: Any) -> Demand:
    return Demand(line, item, quantity, parts or {item: 1}, **more)


def _numbered(lines: Iterable[tuple[Mapping[str, int], int, Mapping[str, int]]]) -> list[Demand]:
    return [Demand(f"line-{number}", "kit_1", quantity, parts, has) for number, (parts, quantity, has) in enumerate(lines, start=1)]


had = st.one_of(st.just({}), st.dictionaries(item_types, st.integers(1, 5)))
demands = st.lists(st.tuples(kits, quantities, had), max_size=6).map(_numbered)
places = st.sampled_from([None, "Depot A", "Depot B"])
stocks = st.dictionaries(item_types, st.lists(st.tuples(quantities, places), max_size=6))
supplies = stocks.map(
    lambda stock: {
        item: [Supply(f"{item}/{n}", f"{n}", quantity, place) for n, (quantity, place) in enumerate(amounts)]
        for item, amounts in stock.items()
    }
)


def units(*labels: str) -> list[Supply]:
    return [Supply(f"asset_{number}", label) for number, label in enumerate(labels, start=1)]


def labels(line: LinePlan) -> list[str]:
    return [claim.label for claim in line.claims]


def _dealt(plans: Iterable[LinePlan]) -> Counter[str]:
    """Source → units that are dealt out of it."""
    dealt: Counter[str] = Counter()
    for line in plans:
        dealt.update({claim.source: claim.quantity for claim in line.claims})
    return dealt


def _left(plans: Iterable[LinePlan], free: Free) -> Counter[str]:
    """Item type → units that stay behind."""
    dealt = _dealt(plans)
    return Counter({item: sum(one.quantity - dealt[one.source] for one in stock) for item, stock in free.items()})


def _check(plans: Sequence[LinePlan], asked: list[Demand], free: Free) -> None:
    """What every plan promises."""
    assert [line.demand for line in plans] == asked
    dealt, left = _dealt(plans), _left(plans, free)
    sources = {one.source: (item, one) for item, stock in free.items() for one in stock}
    for line in plans:
        assert 0 <= line.missing <= line.demand.quantity
        assert all(sources[claim.source][0] == claim.item_type for claim in line.claims)
        for part, each in line.demand.parts.items():
            assert line.units.get(part, 0) == max(0, line.allocated * each - line.demand.has.get(part, 0)), "a kit is broken"
    assert all(dealt[source] <= one.quantity for source, (_, one) in sources.items()), "a unit is dealt out twice"
    for line in plans:
        more = {part: line.units.get(part, 0) + left[part] for part in line.demand.parts}
        assert line.demand.whole(more) == line.allocated, "something stays behind that a line could take"


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_line_gets_units_in_the_order_of_the_supply() -> None:
    (line,) = plan([of("line-1", TIMERS, 2)], {TIMERS: units("TN-1", "TN-2", "TN-3")})
    assert labels(line) == ["TN-1", "TN-2"]
    assert (line.allocated, line.missing) == (2, 0)


def test_lines_that_share_an_item_type_share_its_units_first_line_first() -> None:
    first, second = plan([of("line-1", TIMERS, 2), of("line-2", TIMERS, 2)], {TIMERS: units("TN-1", "TN-2", "TN-3")})
    assert labels(first) == ["TN-1", "TN-2"]
    assert labels(second) == ["TN-3"]
    assert second.missing == 1


def test_a_line_without_supply_misses_everything() -> None:
    (line,) = plan([of("line-1", MASTS, 4)], {})
    assert (line.allocated, line.missing) == (0, 4)


def test_a_source_of_several_units_is_split_between_lines() -> None:
    first, second = plan([of("line-1", MASTS, 3), of("line-2", MASTS, 4)], {MASTS: [Supply("pool_1", "Depot", 5)]})
    assert first.claims == (Claim(MASTS, "pool_1", "Depot", 3),)
    assert second.claims == (Claim(MASTS, "pool_1", "Depot", 2),)


def test_a_kit_gets_all_of_its_parts() -> None:
    free = {TIMERS: units("TN-1", "TN-2"), CABLES: [Supply("pool_1", "Depot", 20)]}
    (line,) = plan([of("line-1", "kit_1", 2, FINISH_LINE)], free)
    assert line.units == {TIMERS: 2, CABLES: 8}
    assert (line.allocated, line.missing) == (2, 0)


def test_a_kit_that_would_lack_a_part_is_not_begun() -> None:
    free = {TIMERS: units("TN-1", "TN-2"), CABLES: [Supply("pool_1", "Depot", 7)]}
    (line,) = plan([of("line-1", "kit_1", 2, FINISH_LINE)], free)
    assert line.units == {TIMERS: 1, CABLES: 4}
    assert (line.allocated, line.missing) == (1, 1)


def test_kits_and_single_units_share_a_part_first_line_first() -> None:
    free = {TIMERS: units("TN-1", "TN-2", "TN-3"), CABLES: [Supply("pool_1", "Depot", 9)]}
    kit, cables = plan([of("line-1", "kit_1", 2, FINISH_LINE), of("line-2", CABLES, 5)], free)
    assert (kit.allocated, cables.allocated) == (2, 1)
    cables, kit = plan([of("line-1", CABLES, 5), of("line-2", "kit_1", 2, FINISH_LINE)], free)
    assert (cables.allocated, kit.allocated) == (5, 1)


def test_units_that_a_line_has_for_good_are_not_planned_again() -> None:
    free = {TIMERS: units("TN-1", "TN-2"), CABLES: [Supply("pool_1", "Depot", 20)]}
    (line,) = plan([of("line-1", "kit_1", 2, FINISH_LINE, has={TIMERS: 1, CABLES: 6})], free)
    assert line.units == {TIMERS: 1, CABLES: 2}
    assert line.missing == 0


def test_one_place_that_has_everything_is_better_than_two() -> None:
    free = {CABLES: [Supply("pool_1", "A", 3, "Depot A"), Supply("pool_2", "B", 8, "Depot B")]}
    assert plan([of("line-1", CABLES, 5)], free)[0].claims == (Claim(CABLES, "pool_2", "B", 5),)
    assert plan([of("line-1", CABLES, 2)], free)[0].claims == (Claim(CABLES, "pool_1", "A", 2),)


def test_as_few_places_as_possible_are_used() -> None:
    amounts = {"Depot A": 2, "Depot B": 4, "Depot C": 3}
    free = {CABLES: [Supply(f"pool_{place}", place, quantity, place) for place, quantity in amounts.items()]}
    assert labels(plan([of("line-1", CABLES, 7)], free)[0]) == ["Depot B", "Depot C"]


def test_the_parts_of_a_kit_come_from_one_place_where_it_has_them_all() -> None:
    timers = [Supply("asset_1", "TN-1", 1, "Depot A"), Supply("asset_2", "TN-2", 1, "Depot B")]
    cables = [Supply("pool_1", "A", 3, "Depot A"), Supply("pool_2", "B", 9, "Depot B")]
    (line,) = plan([of("line-1", "kit_1", 1, FINISH_LINE)], {TIMERS: timers, CABLES: cables})
    assert labels(line) == ["TN-2", "B"]


@given(demands, supplies)
def test_a_plan_keeps_its_promises(asked: list[Demand], free: Free) -> None:
    _check(plan(asked, free), asked, free)


@given(demands, supplies)
def test_the_same_supply_makes_the_same_plan(asked: list[Demand], free: Free) -> None:
    assert plan(asked, free) == plan(asked, {item: free[item] for item in reversed(free)})


@given(demands, supplies)
def test_no_line_waits_for_one_behind_it(asked: list[Demand], free: Free) -> None:
    assert plan(asked, free)[:3] == plan(asked[:3], free)


def test_what_is_wanted_is_summed_per_item_type() -> None:
    lines = [of("line-1", TIMERS, 2), of("line-2", MASTS, 1), of("line-3", "kit_1", 3, FINISH_LINE, has={CABLES: 2})]
    assert wanted(lines) == {TIMERS: 5, MASTS: 1, CABLES: 10}


def test_the_policies_are_the_contracts() -> None:
    assert [str(policy) for policy in Policy] == ["hard_fail", "allow_under_allocation"]


# --- planned anew -----------------------------------------------------------------------------------------------------


def test_a_line_keeps_what_it_has_although_others_stand_before_it() -> None:
    free = units("TN-1", "TN-2", "TN-3")
    (line,) = replan([of("line-1", TIMERS, 2)], {"line-1": [free[2]]}, {TIMERS: free})
    assert labels(line) == ["TN-3", "TN-1"]


def test_what_one_line_keeps_is_not_dealt_out_to_another() -> None:
    free = units("TN-1", "TN-2")
    first, second = replan([of("line-1", TIMERS, 1), of("line-2", TIMERS, 1)], {"line-2": [free[0]]}, {TIMERS: free})
    assert (labels(first), labels(second)) == (["TN-2"], ["TN-1"])


def test_what_cannot_be_had_any_more_is_replaced() -> None:
    (line,) = replan([of("line-1", TIMERS, 1)], {"line-1": [Supply("asset_9", "TN-9")]}, {TIMERS: units("TN-1")})
    assert labels(line) == ["TN-1"]


def test_a_source_of_several_units_makes_one_claim() -> None:
    pool = Supply("pool_1", "Depot A", 10)
    (line,) = replan([of("line-1", MASTS, 7)], {"line-1": [Supply("pool_1", "", 4)]}, {MASTS: [pool]})
    assert line.claims == (Claim(MASTS, "pool_1", "Depot A", 7),)


def test_what_is_added_comes_from_where_the_rest_is() -> None:
    free = [Supply("asset_1", "TN-1", 1, "Depot A"), Supply("asset_2", "TN-2", 1, "Depot B"), Supply("asset_3", "TN-3", 1, "Depot B")]
    (line,) = replan([of("line-1", TIMERS, 2)], {"line-1": [free[1]]}, {TIMERS: free})
    assert labels(line) == ["TN-2", "TN-3"]


def test_a_kit_that_is_not_whole_any_more_gives_its_parts_back() -> None:
    timer, cables = Supply("asset_1", "TN-1"), Supply("pool_1", "Depot", 3)
    kit, plain = replan(
        [of("line-1", "kit_1", 1, FINISH_LINE), of("line-2", TIMERS, 1)], {"line-1": [timer, cables]}, {TIMERS: [timer], CABLES: [cables]}
    )
    assert (kit.claims, labels(plain)) == ((), ["TN-1"])


@given(demands, supplies, st.data())
def test_a_new_plan_keeps_the_promises_of_a_plan(asked: list[Demand], free: Free, data: st.DataObject) -> None:
    everything = [supply for stock in free.values() for supply in stock] + [Supply("gone", "gone", 3)]
    held = {one.line: data.draw(st.lists(st.sampled_from(everything), max_size=3, unique_by=lambda supply: supply.source)) for one in asked}
    plans = replan(asked, held, free)
    _check(plans, asked, free)
    assert all(len({claim.source for claim in line.claims}) == len(line.claims) for line in plans)


@given(demands, supplies)
def test_a_plan_that_still_fits_stays_as_it_is(asked: list[Demand], free: Free) -> None:
    old = plan(asked, free)
    held = {line.demand.line: [Supply(one.source, one.label, one.quantity) for one in line.claims] for line in old}
    assert [Counter(line.claims) for line in replan(asked, held, free)] == [Counter(line.claims) for line in old]
