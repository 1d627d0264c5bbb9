"""Commands refuse to exist with values that no handler could use; scopes say who may give them."""

import pytest

from ld_server.domain.allocation import Policy
from ld_server.domain.commands import LONGEST_REASON, ApproveReservation, CancelReservation, RejectReservation
from ld_server.domain.errors import InvalidParameter
from ld_server.domain.scopes import MEANINGS, Scope, allows


@pytest.mark.parametrize("policy", Policy)
def test_an_approval_follows_a_known_policy(policy: Policy) -> None:
    assert ApproveReservation("ra_1", None, str(policy)).policy == policy


@pytest.mark.parametrize("policy", ["", "soft_fail", "HARD_FAIL"])
def test_an_unknown_policy_is_refused_with_those_that_are_known(policy: str) -> None:
    with pytest.raises(InvalidParameter, match="hard_fail or allow_under_allocation") as refused:
        ApproveReservation("ra_1", None, policy)
    assert refused.value.members == {"parameter": "allocationPolicy"}


@pytest.mark.parametrize("command", [RejectReservation, CancelReservation])
@pytest.mark.parametrize("reason", ["bell \a", "nothing \0", "\x7f", "half \ud800", "x" * (LONGEST_REASON + 1)])
def test_a_reason_that_nobody_can_read_is_refused(command: type[RejectReservation], reason: str) -> None:
    with pytest.raises(InvalidParameter, match="reason"):
        command("ra_1", None, reason)


@pytest.mark.parametrize("reason", [None, "", "Zu spät 👨‍👩‍👧", "two\nlines\tand a tab", "x" * LONGEST_REASON])
def test_any_readable_reason_is_taken(reason: str | None) -> None:
    assert RejectReservation("ra_1", None, reason).reason == reason


def test_every_scope_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Scope)


MAY = {
    "the scope itself": ({Scope.PLANNER}, Scope.PLANNER, True),
    "another scope": ({Scope.PLANNER, Scope.ANALYST}, Scope.APPROVER, False),
    "the admin everything": ({Scope.ADMIN}, Scope.TECHNICIAN, True),
    "nothing": (set(), Scope.ANALYST, False),
    "any key what needs no scope": (set(), None, True),
}


@pytest.mark.parametrize(("held", "needed", "expected"), MAY.values(), ids=MAY)
def test_a_key_may_do_what_its_scopes_allow(held: set[Scope], needed: Scope | None, expected: bool) -> None:
    assert allows(frozenset(held), needed) is expected
