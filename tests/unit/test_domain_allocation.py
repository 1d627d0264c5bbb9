"""Dealing out units: never one twice, never one left behind while a line misses it."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ld_server.domain.allocation import Demand, LinePlan, Policy, Supply, plan, replan, wanted

TIMERS, MASTS = "itemType_1", "itemType_2"

item_types = st.sampled_from([TIMERS, MASTS, "itemType_3"])
quantities = st.integers(min_value=1, max_value=12)
demands = st.lists(st.tuples(item_types, quantities), max_size=6).map(
    lambda lines: [Demand(f"line-{number}", *line) for number, line in enumerate(lines, start=1)]
)
supplies = st.dictionaries(item_types, st.lists(quantities, max_size=6)).map(
    lambda stock: {item: [Supply(f"{item}/{n}", f"{n}", quantity) for n, quantity in enumerate(amounts)] for item, amounts in stock.items()}
)


def units(*labels: str) -> list[Supply]:
    return [Supply(f"asset_{number}", label) for number, label in enumerate(labels, start=1)]


def labels(line: LinePlan) -> list[str]:
    return [claim.label for claim in line.claims]


def test_a_line_gets_units_in_the_order_of_the_supply() -> None:
    (line,) = plan([Demand("line-1", TIMERS, 2)], {TIMERS: units("TN-1", "TN-2", "TN-3")})
    assert labels(line) == ["TN-1", "TN-2"]
    assert (line.allocated, line.missing) == (2, 0)


def test_lines_that_share_an_item_type_share_its_units_first_line_first() -> None:
    first, second = plan([Demand("line-1", TIMERS, 2), Demand("line-2", TIMERS, 2)], {TIMERS: units("TN-1", "TN-2", "TN-3")})
    assert labels(first) == ["TN-1", "TN-2"]
    assert labels(second) == ["TN-3"]
    assert second.missing == 1


def test_a_line_without_supply_misses_everything() -> None:
    (line,) = plan([Demand("line-1", MASTS, 4)], {})
    assert (line.allocated, line.missing) == (0, 4)


def test_a_source_of_several_units_is_split_between_lines() -> None:
    first, second = plan([Demand("line-1", MASTS, 3), Demand("line-2", MASTS, 4)], {MASTS: [Supply("pool_1", "Depot", 5)]})
    assert first.claims == (Supply("pool_1", "Depot", 3),)
    assert second.claims == (Supply("pool_1", "Depot", 2),)


@given(demands, supplies)
def test_no_unit_is_dealt_out_twice(lines: list[Demand], free: dict[str, list[Supply]]) -> None:
    dealt: Counter[str] = Counter()
    for line in plan(lines, free):
        dealt.update({claim.source: claim.quantity for claim in line.claims})
    assert all(dealt[supply.source] <= supply.quantity for stock in free.values() for supply in stock)


@given(demands, supplies)
def test_no_unit_stays_behind_while_a_line_misses_one(lines: list[Demand], free: dict[str, list[Supply]]) -> None:
    dealt: Counter[str] = Counter()
    for line in plan(lines, free):
        dealt[line.demand.item_type] += line.allocated
    stock = {item_type: sum(supply.quantity for supply in supplies) for item_type, supplies in free.items()}
    assert dict(dealt) == {item_type: min(asked, stock.get(item_type, 0)) for item_type, asked in wanted(lines).items()}


@given(demands, supplies)
def test_every_line_has_its_plan_and_gets_only_what_it_asked_for(lines: list[Demand], free: dict[str, list[Supply]]) -> None:
    plans = plan(lines, free)
    assert [line.demand for line in plans] == lines
    assert all(0 <= line.missing <= line.demand.quantity for line in plans)
    own = {item_type: {supply.source for supply in stock} for item_type, stock in free.items()}
    assert all(claim.source in own[line.demand.item_type] for line in plans for claim in line.claims)


def test_what_is_wanted_is_summed_per_item_type() -> None:
    lines = [Demand("line-1", TIMERS, 2), Demand("line-2", MASTS, 1), Demand("line-3", TIMERS, 3)]
    assert wanted(lines) == {TIMERS: 5, MASTS: 1}


def test_the_policies_are_the_contracts() -> None:
    assert [str(policy) for policy in Policy] == ["hard_fail", "allow_under_allocation"]


# --- planned anew -----------------------------------------------------------------------------------------------------


def test_a_line_keeps_what_it_has_although_others_stand_before_it() -> None:
    free = units("TN-1", "TN-2", "TN-3")
    (line,) = replan([Demand("line-1", TIMERS, 2)], {"line-1": [free[2]]}, {TIMERS: free})
    assert labels(line) == ["TN-3", "TN-1"]


def test_what_one_line_keeps_is_not_dealt_out_to_another() -> None:
    free = units("TN-1", "TN-2")
    first, second = replan([Demand("line-1", TIMERS, 1), Demand("line-2", TIMERS, 1)], {"line-2": [free[0]]}, {TIMERS: free})
    assert (labels(first), labels(second)) == (["TN-2"], ["TN-1"])


def test_what_cannot_be_had_any_more_is_replaced() -> None:
    (line,) = replan([Demand("line-1", TIMERS, 1)], {"line-1": [Supply("asset_9", "TN-9")]}, {TIMERS: units("TN-1")})
    assert labels(line) == ["TN-1"]


def test_a_source_of_several_units_makes_one_claim() -> None:
    pool = Supply("pool_1", "Depot A", 10)
    (line,) = replan([Demand("line-1", MASTS, 7)], {"line-1": [Supply("pool_1", "", 4)]}, {MASTS: [pool]})
    assert line.claims == (Supply("pool_1", "Depot A", 7),)


@given(demands, supplies, st.data())
def test_a_new_plan_deals_out_as_much_as_any_and_moves_as_little_as_it_can(
    asked: list[Demand], free: dict[str, list[Supply]], data
) -> None:
    everything = [supply for supplies in free.values() for supply in supplies] + [Supply("gone", "gone", 3)]
    held = {one.line: data.draw(st.lists(st.sampled_from(everything), max_size=3, unique_by=lambda supply: supply.source)) for one in asked}
    plans = replan(asked, held, free)
    assert [line.demand for line in plans] == asked
    assert sum(line.allocated for line in plans) == sum(line.allocated for line in plan(asked, free))
    taken = Counter[str]()
    for line in plans:
        assert len({claim.source for claim in line.claims}) == len(line.claims)
        assert all(claim.source in {supply.source for supply in free.get(line.demand.item_type, [])} for claim in line.claims)
        taken.update({claim.source: claim.quantity for claim in line.claims})
    assert all(taken[supply.source] <= supply.quantity for supplies in free.values() for supply in supplies)


@given(demands, supplies)
def test_a_plan_that_still_fits_stays_as_it_is(asked: list[Demand], free: dict[str, list[Supply]]) -> None:
    old = plan(asked, free)
    assert replan(asked, {line.demand.line: line.claims for line in old}, free) == old
