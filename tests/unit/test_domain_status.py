"""The life of a reservation is a table; every step that it does not have is refused."""

import pytest

from ld_server.domain.errors import TransitionRefused
from ld_server.domain.status import ACTION_STATUS, BLOCKING, TRANSITIONS, AllocationStatus, Status, Step, after

TAKEN = [(status, step, target) for status, steps in TRANSITIONS.items() for step, target in steps.items()]
REFUSED = [(status, step) for status in Status for step in Step if step not in TRANSITIONS[status]]


def test_every_status_has_its_steps_and_its_name_in_schema_org() -> None:
    assert set(TRANSITIONS) == set(ACTION_STATUS) == set(Status)


def test_every_step_can_be_taken_somewhere() -> None:
    assert {step for _, step, _ in TAKEN} == set(Step)


@pytest.mark.parametrize(("status", "step", "target"), TAKEN)
def test_a_step_of_the_table_leads_where_it_says(status: Status, step: Step, target: Status) -> None:
    assert after(status, step) is target


@pytest.mark.parametrize(("status", "step"), REFUSED)
def test_any_other_step_is_refused_with_what_is_allowed(status: Status, step: Step) -> None:
    with pytest.raises(TransitionRefused, match=f"that is {status} cannot take the step {step}") as refused:
        after(status, step)
    assert refused.value.members == {"status": status.value, "allowedSteps": [allowed.value for allowed in TRANSITIONS[status]]}
    assert all(type(allowed) is str for allowed in refused.value.members["allowedSteps"])


def test_the_life_of_a_reservation_is_the_contracts() -> None:
    """CONTRACT 2."""
    assert after(Status.DRAFT, Step.SUBMIT) is Status.PENDING
    assert after(Status.PENDING, Step.APPROVE) is Status.APPROVED
    assert after(Status.PENDING, Step.REJECT) is Status.REJECTED
    assert {status for status, step, _ in TAKEN if step is Step.CANCEL} == {Status.DRAFT, Status.PENDING, Status.APPROVED}


def test_what_is_back_or_called_off_keeps_nobody_away() -> None:
    assert set(AllocationStatus) - BLOCKING == {AllocationStatus.RETURNED, AllocationStatus.CANCELLED}
