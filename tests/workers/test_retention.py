"""What is old is forgotten, with everything that was made of it; what is still to be delivered is not."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ld_server.domain.triggers import LONGEST_LEAD_TIME
from ld_server.services import deliveries, retention
from relational import tables
from relational.outbox import FORGOTTEN
from tests.receivers import Receiver, Reply, receiving
from tests.workers.posts import PostOffice, open_office
from workers.app import TASKS
from workers.clock import TIMES
from workers.deliver import FORGOTTEN as GIVEN_UP

YEAR = 365


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[PostOffice]:
    office = open_office(database_url, tmp_path, event_days=YEAR, run_days=30)
    yield office
    office.parts.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def counts(office: PostOffice) -> dict[str, int]:
    of = (tables.outbox, tables.deliveries, tables.attempts, tables.replays)
    with office.parts.ledger.engine.connect() as connection:
        return {one.name: connection.execute(select(func.count()).select_from(one)).scalar_one() for one in of}


def sweep(office: PostOffice) -> object:
    return TASKS["sweep_ledger"](office.parts)


def test_it_is_swept_every_hour() -> None:
    assert {"sweep_ledger", "sweep_idempotency"} <= set(TIMES)


def test_old_events_are_forgotten_with_their_deliveries_attempts_and_replays(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    office.event("ra_1")
    office.run()
    with office.parts.ledger.write() as uow:
        deliveries.redeliver(uow, "dlv_1", office.occasion())
    office.run()
    assert counts(office) == {"outbox": 1, "deliveries": 1, "attempts": 2, "replays": 1}
    office.clock.forward(days=YEAR)
    office.event("ra_2")
    office.run()
    assert sweep(office) == 0
    office.clock.forward(seconds=1)
    assert (sweep(office), sweep(office)) == (1, 0)
    assert counts(office) == {"outbox": 1, "deliveries": 1, "attempts": 1, "replays": 0}
    with office.parts.ledger.read() as uow:
        assert uow.facts.get(FORGOTTEN) == "1"


def test_what_is_not_delivered_yet_or_was_delivered_lately_is_kept_however_old(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    receiver.answer = lambda got: Reply(200 if got.json["subject"]["id"] == "ra_2" else 500)
    waiting, _delivered = office.event("ra_1"), office.event("ra_2")
    office.run()
    office.clock.forward(days=2 * YEAR)
    office.event("itemType_1", "catalog.itemType.created")
    office.relay()
    assert sweep(office) == 1
    assert [one.event_id for one in office.all()] == [waiting]
    receiver.answer = lambda _got: Reply()
    office.run()
    assert (office.statuses(), sweep(office)) == (["delivered"], 0)
    office.clock.forward(days=YEAR, seconds=1)
    assert (sweep(office), counts(office)["deliveries"]) == (1, 0)


def test_what_no_trigger_has_seen_yet_is_kept(office: PostOffice) -> None:
    office.event("ra_1")
    office.event("ra_2")
    office.clock.forward(days=2 * YEAR)
    assert sweep(office) == 0
    office.relay()
    assert sweep(office) == 1


def test_the_newest_event_is_kept_so_that_no_sequence_is_given_twice(office: PostOffice) -> None:
    for subject in ("ra_1", "ra_2"):
        office.event(subject)
    office.relay()
    office.clock.forward(days=2 * YEAR)
    assert (sweep(office), sweep(office)) == (1, 0)
    office.event("ra_3")
    office.relay()
    with office.parts.ledger.read() as uow:
        assert [one.sequence for one in uow.outbox.since(0, 9)] == [2, 3]


def test_much_is_forgotten_in_small_transactions(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    for number in range(8):
        office.event(f"ra_{number}")
    office.relay()
    office.clock.forward(days=2 * YEAR)
    monkeypatch.setattr(retention, "SECONDS", 0.0)
    assert sweep(office) == 0
    monkeypatch.setattr(retention, "SECONDS", 60.0)
    assert (sweep(office), counts(office)["outbox"]) == (7, 1)


def test_zero_days_keep_everything_for_ever(office: PostOffice) -> None:
    keeping = replace(office, parts=replace(office.parts, settings=replace(office.parts.settings, event_days=0, run_days=0)))
    for subject in ("ra_1", "ra_2"):
        office.event(subject)
    office.relay()
    office.clock.forward(days=30 * YEAR)
    assert (sweep(keeping), sweep(office)) == (0, 1)


def test_a_delivery_whose_event_is_forgotten_meanwhile_is_given_up_and_holds_up_no_other(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    lost, other = office.event("ra_1"), office.event("ra_2")
    office.relay()
    with office.parts.ledger.write() as uow:
        uow.outbox.forget([lost])
    office.deliver()
    assert ([(one.status, one.last_error) for one in office.all()], receiver.ids) == ([("dead", GIVEN_UP), ("delivered", None)], [other])


def test_old_runs_and_what_was_told_of_times_long_past_are_forgotten(office: PostOffice) -> None:
    schedule = {"source": "schedule", "schedule": {"type": "cron", "expr": "0 * * * *"}, "jobType": "maintenance.overdue_scan"}
    trigger = office.trigger(types=(), **schedule)
    office.clock.forward(hours=1)
    TASKS["run_schedules"](office.parts)
    with office.parts.ledger.write() as uow:
        for event in ("rentAction.starts.soon", "rentAction.overdue"):
            uow.told.once(event, [("ra_1", "2027")], office.clock())
    office.clock.forward(days=31)
    TASKS["run_schedules"](office.parts)
    assert sweep(office) == 1
    office.clock.now += LONGEST_LEAD_TIME - timedelta(days=30)
    with office.parts.ledger.read() as uow:
        assert len(uow.runs.newest(trigger, 9)) == 1
    sweep(office)
    with office.parts.ledger.read() as uow:
        assert (uow.told.about("rentAction.starts.soon"), len(uow.told.about("rentAction.overdue"))) == (set(), 1)
