"""The outbox: events are written with what they tell about, or not at all."""

from dataclasses import replace

import pytest

from relational.outbox import OutboxEntry, Positioned
from relational.projections import Backlog
from relational.unit_of_work import Ledger
from relational.wire import VIOLATIONS
from tests.contract.rows import MONDAY, TUESDAY, add_item_type


def event(number: int, subject: str = "ra_1") -> OutboxEntry:
    return OutboxEntry(f"evt_{number}", "rentAction.created", "RentAction", subject, MONDAY, "correlation-1", f'{{"id":"evt_{number}"}}')


def test_events_come_in_the_order_in_which_they_were_written(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.outbox.add(event(2), event(1))
        uow.outbox.add(event(3))
        uow.outbox.add()
    with ledger.read() as uow:
        found = uow.outbox.after(0, 10)
        assert [one.entry for one in found] == [event(2), event(1), event(3)]
        assert uow.outbox.after(found[0].position, 1) == [Positioned(found[1].position, event(1))]
        assert uow.outbox.after(found[-1].position, 10) == []


def test_how_many_events_are_beyond_a_sequence_and_since_when(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.outbox.backlog(0) == Backlog(0, None)
        uow.outbox.add(event(1), event(2))
        assert uow.outbox.backlog(0) == Backlog(2, MONDAY)
        uow.outbox.number()
        assert (uow.outbox.backlog(1), uow.outbox.backlog(2)) == (Backlog(1, MONDAY), Backlog(0, None))
        uow.outbox.add(replace(event(3), occurred_at=TUESDAY))
        assert uow.outbox.backlog(2) == Backlog(1, TUESDAY)


def test_a_subject_has_its_events(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.outbox.add(event(1), event(2, "asset_1"), event(3))
        assert [one.entry.id for one in uow.outbox.of_subject("ra_1")] == ["evt_1", "evt_3"]
        assert uow.outbox.of_subject("ra_2") == []


def test_a_rollback_takes_the_events_with_it(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.write() as uow:
        add_item_type(uow)
        uow.outbox.add(event(1))
        raise ZeroDivisionError
    with ledger.read() as uow:
        assert uow.outbox.after(0, 10) == []
        assert uow.documents.head("itemType_1") is None


def test_an_event_id_is_used_once(ledger: Ledger) -> None:
    with pytest.raises(VIOLATIONS, match=r"event_id_is_unique|outbox\.id"), ledger.write() as uow:
        uow.outbox.add(event(1), event(1))
