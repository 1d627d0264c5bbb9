"""Events have the types and the envelope of the specification (seed 6.1, 6.2; CONTRACT 6)."""

import pytest

from ld_server.domain.events import EVENTS, envelope
from ld_server.domain.triggers import JOB_TYPES

SEED = [
    "catalog.itemType.created", "catalog.itemType.updated", "catalog.asset.created", "catalog.asset.updated",
    "catalog.stockPool.updated", "catalog.kitTemplate.updated", "rentAction.created", "rentAction.updated",
    "rentAction.status.changed", "rentAction.approved", "rentAction.rejected", "rentAction.cancelled",
    "rentAction.allocation.created", "rentAction.allocation.released", "rentAction.allocation.changed", "rentAction.starts.soon",
    "rentAction.ends.soon", "rentAction.overdue", "availability.shortfall.detected", "buildRequest.requested",
    "buildRequest.submitted", "buildRequest.failed", "buildRequest.fulfilled", "maintenanceLog.created", "attachment.created",
]  # fmt: skip
CONTRACT = ["rentAction.submitted", "rentAction.checkedOut", "rentAction.returned", "rentAction.fulfilled", "rentAction.atRisk"]
OURS = [
    "webhook.disabled", "webhook.test", "attachment.deleted", "maintenance.overdue",
    "demandSignal.created", "demandSignal.updated", "demandSignal.superseded", "demandSignal.cancelled",
    "buildRequest.updated", "buildRequest.accepted", "buildRequest.rejected", "buildRequest.cancelled",
]  # fmt: skip

TOLD = {
    "event_id": "evt_1",
    "event_type": "rentAction.approved",
    "occurred_at": "2026-02-03T12:34:56Z",
    "subject_type": "RentAction",
    "subject_id": "ra_123",
    "data": {"identifier": "ra_123"},
    "tenant": "default",
    "correlation_id": "order-77",
}


def test_the_types_are_those_of_the_specification() -> None:
    assert set(EVENTS) == {*SEED, *CONTRACT, *OURS, *(f"{job}.completed" for job in JOB_TYPES), "schedule.due"}


@pytest.mark.parametrize("sentence", EVENTS.values(), ids=EVENTS)
def test_every_type_says_in_a_sentence_what_has_happened(sentence: str) -> None:
    assert sentence[0].isupper()
    assert sentence.endswith(".")


def test_the_envelope_is_the_seeds_to_the_letter() -> None:
    assert envelope(**TOLD) == {
        "id": "evt_1",
        "type": "rentAction.approved",
        "occurredAt": "2026-02-03T12:34:56Z",
        "subject": {"type": "RentAction", "id": "ra_123"},
        "data": {"identifier": "ra_123"},
        "meta": {"tenant": "default", "correlationId": "order-77", "version": 1},
    }


def test_an_event_of_no_known_type_cannot_be_told() -> None:
    with pytest.raises(KeyError):
        envelope(**{**TOLD, "event_type": "rentAction.aproved"})
