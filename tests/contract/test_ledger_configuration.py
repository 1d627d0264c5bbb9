"""Triggers and webhooks are kept as rows that one writer changes at a time."""

import dataclasses

import pytest

from ld_server.domain.errors import Stale
from relational.triggers import TriggerRow
from relational.unit_of_work import Ledger
from relational.webhooks import WebhookRow
from tests.contract.rows import MONDAY, TUESDAY

TELL_LMT = TriggerRow("trig_1", 1, "tell LMT", True, "event", 0, "{}", 1, MONDAY, MONDAY)
NIGHTLY = TriggerRow("trig_10", 10, "nightly scan", True, "schedule", 0, "{}", 1, MONDAY, MONDAY)
LMT = WebhookRow("hook_1", 1, "LMT", "https://lmt.example/", "sealed", None, None, True, None, 8, 10, 60, "{}", 1, MONDAY, MONDAY)


@pytest.fixture
def configured(ledger: Ledger) -> Ledger:
    with ledger.write() as uow:
        uow.triggers.add(NIGHTLY)
        uow.triggers.add(TELL_LMT)
        uow.triggers.add(dataclasses.replace(TELL_LMT, identifier="trig_2", number=2, enabled=False))
        uow.webhooks.add(LMT)
    return ledger


def test_rows_are_found_by_identifier_and_listed_by_number(configured: Ledger) -> None:
    with configured.write() as uow:
        assert uow.triggers.find("trig_1") == uow.triggers.locked("trig_1") == TELL_LMT
        assert uow.triggers.find("trig_3") is None
        assert [one.number for one in uow.triggers.page(0, 9)] == [1, 2, 10]
        assert [one.number for one in uow.triggers.page(1, 1)] == [2]
        assert [one.number for one in uow.triggers.page(0, 9, source="event", enabled=False)] == [2]
        assert uow.triggers.count() == 3
        assert uow.triggers.count(enabled=True) == 2
        assert uow.webhooks.find("hook_1") == LMT


def test_enabled_triggers_of_events_listen(configured: Ledger) -> None:
    with configured.read() as uow:
        assert uow.triggers.listening() == [TELL_LMT]


def test_a_row_is_changed_by_whoever_knows_its_state(configured: Ledger) -> None:
    changed = dataclasses.replace(LMT, revision=2, secret_previous="sealed", secret_current="anew", previous_until=TUESDAY)
    with configured.write() as uow:
        uow.webhooks.replace(changed)
    with configured.write() as uow, pytest.raises(Stale):
        uow.webhooks.replace(changed)
    with configured.read() as uow:
        assert uow.webhooks.find("hook_1") == changed


def test_a_row_that_is_removed_is_gone(configured: Ledger) -> None:
    with configured.write() as uow:
        assert uow.triggers.remove("trig_1")
        assert not uow.triggers.remove("trig_1")
        assert uow.triggers.find("trig_1") is None
        assert uow.triggers.count() == 2
