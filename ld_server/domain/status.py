"""The life of a reservation as a table, and the states of everything else that has states."""

from collections.abc import Mapping
from enum import StrEnum

from ld_server.domain.errors import TransitionRefused


class Status(StrEnum):
    """Where a reservation stands (seed 3.6)."""

    DRAFT = "draft"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    FULFILLED = "fulfilled"


class Step(StrEnum):
    """What can be done with a reservation; also the last segment of the step's address."""

    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"
    CHECK_OUT = "check-out"
    RETURN = "return"
    ALLOCATE = "allocate"
    RELEASE = "release-allocations"
    SWAP = "swap"
    FULFILL = "fulfill"


TRANSITIONS: Mapping[Status, Mapping[Step, Status]] = {
    Status.DRAFT: {Step.SUBMIT: Status.PENDING, Step.CANCEL: Status.CANCELLED},
    Status.PENDING: {Step.APPROVE: Status.APPROVED, Step.REJECT: Status.REJECTED, Step.CANCEL: Status.CANCELLED},
    Status.APPROVED: {
        Step.CHECK_OUT: Status.APPROVED,
        Step.RETURN: Status.APPROVED,
        Step.ALLOCATE: Status.APPROVED,
        Step.RELEASE: Status.APPROVED,
        Step.SWAP: Status.APPROVED,
        Step.FULFILL: Status.FULFILLED,
        Step.CANCEL: Status.CANCELLED,
    },
    Status.REJECTED: {},
    Status.CANCELLED: {Step.RETURN: Status.CANCELLED},
    Status.FULFILLED: {},
}

ENDED = frozenset({Status.REJECTED, Status.CANCELLED, Status.FULFILLED})
"""What is asked for does not change any more. Units of a cancelled reservation may still be out, and come back."""

ACTION_STATUS: Mapping[Status, str] = {
    Status.DRAFT: "PotentialActionStatus",
    Status.PENDING: "PotentialActionStatus",
    Status.APPROVED: "ActiveActionStatus",
    Status.FULFILLED: "CompletedActionStatus",
    Status.REJECTED: "FailedActionStatus",
    Status.CANCELLED: "FailedActionStatus",
}
"""What schema.org calls the states."""


def after(status: Status, step: Step) -> Status:
    """The state that the step leads to. Raises TransitionRefused, which says what can be done instead."""
    steps = TRANSITIONS[status]
    if step not in steps:
        raise TransitionRefused(_why(status, step), status=str(status), allowedSteps=[str(allowed) for allowed in steps])
    return steps[step]


def _why(status: Status, step: Step) -> str:
    allowed = f"{', '.join(TRANSITIONS[status]) or 'nothing'}{', it has ended' if status in ENDED else ''}"
    return f"A reservation that is {status} cannot take the step {step}. What it can still take: {allowed}."


class Priority(StrEnum):
    """How urgent a reservation is (seed 3.6)."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class ItemKind(StrEnum):
    """How the units of an item type are told apart (seed 3.2)."""

    SERIALIZED = "serialized"
    FUNGIBLE = "fungible"
    KIT = "kit"


class AssetStatus(StrEnum):
    """What state a unit is in (seed 3.3). Only an available one can be reserved."""

    AVAILABLE = "available"
    MAINTENANCE = "maintenance"
    HOLD = "hold"
    RETIRED = "retired"
    LOST = "lost"


class AllocationStatus(StrEnum):
    """What has become of a promised unit (seed 3.8)."""

    ALLOCATED = "allocated"
    IN_USE = "in_use"
    RETURNED = "returned"
    CANCELLED = "cancelled"


BLOCKING = frozenset({AllocationStatus.ALLOCATED, AllocationStatus.IN_USE})
"""The states in which an allocation keeps its unit from others."""

GOT = BLOCKING | {AllocationStatus.RETURNED}
"""The states of an allocation that count as what its reservation got: what has come back was had, and what was called off was not."""
