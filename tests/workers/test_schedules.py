"""Schedules on both engines: one run for each time that is due, whatever the number of workers; told of, and acted on."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from ld_server.bootstrap import build
from ld_server.domain.triggers import read_trigger
from ld_server.services import schedules, triggers
from ld_server.services.deliveries import occasion_of_worker, replay_event
from ld_server.services.parts import Parts
from ld_server.settings import Settings
from relational.deliveries import Delivery
from relational.runs import RunRow
from tests.contract.test_services_races import at_once
from workers.app import TASKS
from workers.clock import TIMES
from workers.relay import Relay

MADE = datetime(2026, 11, 23, 12, tzinfo=UTC)
DUE = datetime(2026, 11, 24, 2, tzinfo=UTC)
NIGHTLY = {"name": "Nightly", "source": "schedule", "schedule": {"type": "cron", "expr": "0 2 * * *"}}
SCAN = {**NIGHTLY, "jobType": "maintenance.overdue_scan"}


@pytest.fixture
def parts(database_url: str, tmp_path: Path) -> Iterator[Parts]:
    parts = build(Settings(data_dir=tmp_path, database_url=database_url, sparql_url="memory:"))
    yield parts
    parts.close()


def made(parts: Parts, **said: Any) -> str:
    with parts.ledger.write() as uow:
        return triggers.create(uow, read_trigger({**SCAN, **said}), occasion_of_worker(parts, MADE), parts.sealing).identifier


def work(parts: Parts, now: datetime) -> object:
    return TASKS["run_schedules"](replace(parts, now=lambda: now))


def runs(parts: Parts, trigger: str) -> list[RunRow]:
    with parts.ledger.read() as uow:
        return uow.runs.newest(trigger, 100)


def planned(parts: Parts) -> list[Delivery]:
    """What the relay makes of what has happened."""
    relay = Relay(parts, "worker")
    while relay.run_once(parts.now()):
        pass
    relay.stop()
    with parts.ledger.read() as uow:
        return uow.deliveries.page(None, 100, {})


def events(parts: Parts) -> list[dict[str, Any]]:
    with parts.ledger.read() as uow:
        return [orjson.loads(one.entry.body) for one in uow.outbox.after(0, 1000)]


def test_a_schedule_runs_once_for_a_time_that_comes_again_when_the_clock_is_set_back(parts: Parts) -> None:
    trigger = made(parts)
    moments = [DUE, DUE - timedelta(hours=1), DUE - timedelta(seconds=1), DUE, DUE + timedelta(seconds=1)]
    assert [work(parts, moment) for moment in moments] == [1, 0, 0, 0, 0]
    assert [run.due_at for run in runs(parts, trigger)] == [DUE]


def test_a_schedule_that_a_leap_of_the_clock_has_passed_over_runs_once(parts: Parts) -> None:
    trigger = made(parts)
    assert [work(parts, DUE + timedelta(days=3, hours=1)), work(parts, DUE + timedelta(days=3, hours=2))] == [1, 0]
    assert len(runs(parts, trigger)) == 1


def test_a_schedule_runs_when_it_is_due_and_not_before(parts: Parts) -> None:
    trigger = made(parts)
    assert "run_schedules" in TIMES
    assert [work(parts, DUE - timedelta(seconds=1)), work(parts, DUE), work(parts, DUE + timedelta(minutes=1))] == [0, 1, 0]
    assert work(parts, DUE + timedelta(days=1)) == 1
    assert [(one.due_at, one.status, one.error) for one in runs(parts, trigger)] == [
        (DUE + timedelta(days=1), "completed", None),
        (DUE, "completed", None),
    ]


def test_what_was_missed_is_made_up_for_once(parts: Parts) -> None:
    trigger = made(parts)
    late = DUE + timedelta(days=5, hours=3)
    assert [work(parts, late), work(parts, late)] == [1, 0]
    assert [one.due_at for one in runs(parts, trigger)] == [DUE]


def test_many_workers_make_one_run_and_one_event(parts: Parts) -> None:
    trigger = made(parts)
    at_once([partial(work, parts, DUE)] * 6)
    assert [one.status for one in runs(parts, trigger)] == ["completed"]
    assert [one["type"] for one in events(parts)] == ["maintenance.overdue_scan.completed"]


def test_a_run_tells_its_summary_and_its_actions_get_the_event(parts: Parts) -> None:
    trigger = made(parts, actions=[{"type": "invoke_internal", "handler": "log"}])
    work(parts, DUE)
    (event,) = events(parts)
    assert (event["subject"], event["data"]["run"]["summary"]) == (
        {"type": "Trigger", "id": trigger},
        {"overdueReservations": 0, "overdueWork": 0},
    )
    (delivery,) = planned(parts)
    assert (delivery.event_id, delivery.trigger, delivery.sequence) == (event["id"], trigger, 1)


def test_a_disabled_schedule_that_is_asked_to_run_does_its_actions(parts: Parts) -> None:
    trigger = made(parts, enabled=False, actions=[{"type": "invoke_internal", "handler": "log"}])
    with parts.ledger.write() as uow:
        schedules.ask(uow, trigger, occasion_of_worker(parts, MADE))
    assert (work(parts, MADE), len(planned(parts))) == (1, 1)


def test_the_event_of_a_run_is_replayed_to_the_trigger_that_ran(parts: Parts) -> None:
    made(parts, actions=[{"type": "invoke_internal", "handler": "log"}])
    work(parts, DUE)
    (delivery,) = planned(parts)
    with parts.ledger.write() as uow:
        assert replay_event(uow, delivery.event_id, occasion_of_worker(parts, DUE)).deliveries == [delivery.identifier]


def test_the_filter_of_a_schedule_looks_at_the_event_of_its_run(parts: Parts) -> None:
    made(parts, actions=[{"type": "invoke_internal", "handler": "log"}], filter={"meta.tenant": "another"})
    work(parts, DUE)
    assert (len(events(parts)), planned(parts)) == (1, [])


def test_a_schedule_without_a_job_does_its_actions(parts: Parts) -> None:
    said = {**NIGHTLY, "actions": [{"type": "invoke_internal", "handler": "log"}]}
    with parts.ledger.write() as uow:
        triggers.create(uow, read_trigger(said), occasion_of_worker(parts, MADE), parts.sealing)
    assert work(parts, DUE) == 1
    assert [one["type"] for one in events(parts)] == ["schedule.due"]


def test_the_arguments_of_the_job_come_from_its_own_action(parts: Parts) -> None:
    job = "planning.shortfall_scan"
    arguments, given = {"horizon": "P9D", "createBuildRequests": True}, []
    made(parts, jobType=job, actions=[{"type": "invoke_internal", "handler": job, "arguments": arguments}])
    at = replace(parts, now=lambda: DUE)
    schedules.plan_due(at)
    assert schedules.run_open(at, {job: lambda _parts, config, _now: given.append(config) or {}}) == 1
    assert given == [arguments]


def test_a_job_that_fails_is_recorded_with_its_reason_and_nothing_is_told(parts: Parts) -> None:
    def job(*_arguments: Any) -> dict[str, Any]:
        raise ValueError("Not today.")

    trigger, at = made(parts), replace(parts, now=lambda: DUE)
    schedules.plan_due(at)
    schedules.run_open(at, {"maintenance.overdue_scan": job})
    assert [(one.status, one.error) for one in runs(parts, trigger)] == [("failed", "Not today.")]
    assert events(parts) == []


def test_a_job_that_takes_longer_than_the_lease_is_not_begun_a_second_time(parts: Parts) -> None:
    trigger = made(parts)
    brief = replace(parts, settings=replace(parts.settings, run_lease=0.5))
    begun, may_end = threading.Semaphore(0), threading.Event()

    def job(*_arguments: Any) -> dict[str, Any]:
        begun.release()
        assert may_end.wait(60)
        return {}

    jobs = {"maintenance.overdue_scan": job}
    with parts.ledger.write() as uow:
        schedules.ask(uow, trigger, occasion_of_worker(parts, MADE))
    worker = threading.Thread(target=schedules.run_open, args=(brief, jobs))
    worker.start()
    assert begun.acquire(timeout=60)
    (before,) = runs(parts, trigger)
    while parts.now() < before.lease_until + timedelta(seconds=1):
        assert schedules.run_open(brief, jobs) == 0
        may_end.wait(0.05)
    (after,) = runs(parts, trigger)
    may_end.set()
    worker.join()
    assert (after.lease_until > before.lease_until, after.revision) == (True, before.revision)
    assert ([one.status for one in runs(parts, trigger)], begun.acquire(blocking=False)) == (["completed"], False)


def test_a_worker_that_does_not_come_back_is_followed_by_another(parts: Parts) -> None:
    trigger, lease = made(parts), timedelta(seconds=parts.settings.run_lease)
    with parts.ledger.write() as uow:
        lost = schedules.ask(uow, trigger, occasion_of_worker(parts, MADE))
        uow.runs.replace(replace(lost, status="running", lease_until=MADE + lease, revision=2))
    assert work(parts, MADE) == 0
    assert work(parts, MADE + lease) == 1
    assert [(one.status, one.asked_by) for one in runs(parts, trigger)] == [("completed", "worker")]


def test_a_disabled_schedule_is_not_due(parts: Parts) -> None:
    made(parts, enabled=False)
    assert work(parts, DUE) == 0
