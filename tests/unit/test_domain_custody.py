"""Units change hands: each handover takes from what is left, and nothing changes hands twice."""

import pytest

from ld_server.domain.custody import AFTERWARDS, Condition, Handover, NotThere, merged, portions
from ld_server.domain.status import AssetStatus


def taken(held: dict[str, int], *handovers: Handover) -> list[tuple[str, int, int]]:
    return [(one.handover.allocation, one.quantity, one.rest) for one in portions(held, handovers)]


def test_without_a_quantity_everything_that_is_left_changes_hands() -> None:
    assert taken({"alloc_1": 10}, Handover("alloc_1")) == [("alloc_1", 10, 0)]
    assert taken({"alloc_1": 10}, Handover("alloc_1", 4), Handover("alloc_1")) == [("alloc_1", 4, 6), ("alloc_1", 6, 0)]


def test_a_part_leaves_the_rest() -> None:
    assert taken({"alloc_1": 10, "alloc_2": 3}, Handover("alloc_2", 1), Handover("alloc_1", 4)) == [("alloc_2", 1, 2), ("alloc_1", 4, 6)]


@pytest.mark.parametrize(
    ("handovers", "left"),
    [
        ([Handover("alloc_1", 11)], 10),
        ([Handover("alloc_1", 0)], 10),
        ([Handover("alloc_1", 6), Handover("alloc_1", 5)], 4),
        ([Handover("alloc_1"), Handover("alloc_1")], 0),
        ([Handover("alloc_9")], 0),
    ],
)
def test_what_is_not_there_cannot_change_hands(handovers: list[Handover], left: int) -> None:
    with pytest.raises(NotThere) as missing:
        taken({"alloc_1": 10}, *handovers)
    assert (missing.value.handover, missing.value.left) == (handovers[-1], left)


def test_what_goes_out_of_one_allocation_goes_out_together() -> None:
    several = [Handover("alloc_1", 2), Handover("alloc_2"), Handover("alloc_1", 3)]
    assert merged(several) == [Handover("alloc_1", 5), Handover("alloc_2")]
    assert merged([Handover("alloc_1", 2), Handover("alloc_1")]) == merged([Handover("alloc_1"), Handover("alloc_1", 2)])
    assert merged([Handover("alloc_1", 2), Handover("alloc_1")]) == [Handover("alloc_1")]


def test_every_condition_that_is_not_good_changes_the_unit() -> None:
    assert set(AFTERWARDS) == set(Condition) - {Condition.GOOD}
    assert AssetStatus.AVAILABLE not in AFTERWARDS.values()
