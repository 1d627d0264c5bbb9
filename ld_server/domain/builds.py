"""The life of a demand signal and of a build request, as tables (seed 3.9.1 and 3.9.3)."""

from collections.abc import Mapping
from enum import StrEnum

from ld_server.domain.errors import TransitionRefused


class DemandStatus(StrEnum):
    """Whether a demand signal counts. `superseded`: its source has told of the demand anew."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


DEMAND_STEPS: Mapping[str, frozenset[str]] = {
    DemandStatus.ACTIVE: frozenset({DemandStatus.SUPERSEDED, DemandStatus.CANCELLED}),
    DemandStatus.SUPERSEDED: frozenset({DemandStatus.CANCELLED}),
    DemandStatus.CANCELLED: frozenset({DemandStatus.ACTIVE}),
}
"""State → the states that it may become."""


class BuildStatus(StrEnum):
    """Where a build request stands."""

    REQUESTED = "requested"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    FAILED = "failed"


BUILD_STEPS: Mapping[str, frozenset[str]] = {
    BuildStatus.REQUESTED: frozenset(set(BuildStatus) - {BuildStatus.REQUESTED}),
    BuildStatus.SUBMITTED: frozenset(set(BuildStatus) - {BuildStatus.REQUESTED, BuildStatus.SUBMITTED}),
    BuildStatus.ACCEPTED: frozenset({BuildStatus.FULFILLED, BuildStatus.REJECTED, BuildStatus.CANCELLED, BuildStatus.FAILED}),
    BuildStatus.FAILED: frozenset({BuildStatus.REQUESTED, BuildStatus.SUBMITTED, BuildStatus.CANCELLED}),
    BuildStatus.REJECTED: frozenset(),
    BuildStatus.FULFILLED: frozenset(),
    BuildStatus.CANCELLED: frozenset(),
}
"""State → the states that it may become. What has failed may be tried again; units that are there are there."""

OPEN = (BuildStatus.REQUESTED, BuildStatus.SUBMITTED, BuildStatus.ACCEPTED)
"""The states in which the units are still expected."""


def refuse_step(steps: Mapping[str, frozenset[str]], what: str, before: str, after: str) -> None:
    """Raises TransitionRefused unless the state stays as it is or may become the other one."""
    if after != before and after not in steps[before]:
        allowed = sorted(str(one) for one in steps[before])
        detail = f"A {what} that is {before} cannot become {after}. What it can become: {', '.join(allowed) or 'nothing, it has ended'}."
        raise TransitionRefused(detail, status=str(before), allowedSteps=allowed)
