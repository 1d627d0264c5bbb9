"""Workers whose machines disagree about the time agree about leases: that of Postgres counts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ld_server.domain.errors import StoreUnavailable
from ld_server.domain.triggers import read_trigger
from ld_server.services import schedules, triggers
from relational.unit_of_work import Ledger, open_ledger
from tests.receivers import receiving
from tests.workers.posts import PostOffice, open_office
from workers.common_time import ASKED_EACH_SECONDS, CommonTime
from workers.projector import Projector

JOB = "maintenance.overdue_scan"
SECOND, HOURS = timedelta(seconds=1), timedelta(hours=3)
AHEAD, BEHIND = timedelta(minutes=5), timedelta(minutes=-5)


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Ledger]:
    ledger = open_ledger(postgres_url)
    yield ledger
    ledger.close()


@dataclass
class Machine:
    """A machine whose clock is wrong, and can be set."""

    wrong_by: timedelta = AHEAD
    passed: float = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.wrong_by

    def elapsed(self) -> float:
        return self.passed


def worker_of(office: PostOffice, wrong_by: timedelta) -> PostOffice:
    """The same deployment as a worker sees it on a machine whose clock is wrong."""
    return replace(office, parts=replace(office.parts, now=CommonTime(office.parts.ledger, Machine(wrong_by).now)))


@pytest.mark.parametrize(("first", "second"), [(AHEAD, BEHIND), (BEHIND, AHEAD)], ids=["ahead first", "behind first"])
def test_what_one_worker_sends_no_other_sends_whatever_its_clock_says(
    postgres_url: str, tmp_path: Path, first: timedelta, second: timedelta
) -> None:
    office = open_office(postgres_url, tmp_path)
    with receiving() as receiver:
        office.trigger(office.webhook(receiver.url))
        office.event()
        office.relay()
        begun = worker_of(office, first).deliverer("first")._turns.exchange([], 10, set())
        assert [job.attempt for job in begun] == [1]
        assert worker_of(office, second).deliverer("second")._turns.exchange([], 10, set()) == []
    office.parts.close()


def test_a_run_is_done_by_one_worker_whatever_their_clocks_say(postgres_url: str, tmp_path: Path) -> None:
    office = open_office(postgres_url, tmp_path)
    behind, ahead = worker_of(office, BEHIND).parts, worker_of(office, AHEAD).parts
    scan = {"name": "Nightly", "source": "schedule", "schedule": {"type": "cron", "expr": "0 2 1 1 *"}, "jobType": JOB}
    meanwhile: list[int] = []
    with office.parts.ledger.write() as uow:
        schedules.ask(uow, triggers.create(uow, read_trigger(scan), office.occasion(), office.parts.sealing).identifier, office.occasion())

    def job(*_: Any) -> dict[str, Any]:
        meanwhile.append(schedules.run_open(ahead, {JOB: lambda *_: {}}))
        return {}

    assert (schedules.run_open(behind, {JOB: job}), meanwhile) == (1, [0])
    office.parts.close()


def test_one_of_two_workers_leads_whatever_their_clocks_say(postgres_url: str, tmp_path: Path) -> None:
    office = open_office(postgres_url, tmp_path)
    ahead, behind = worker_of(office, AHEAD).parts, worker_of(office, BEHIND).parts
    for one, other in ((ahead, behind), (behind, ahead)):
        first, second = Projector(one, "first"), Projector(other, "second")
        first.run_once(one.now())
        second.run_once(other.now())
        assert (first._leading, second._leading) == (True, False)
        first.stop()
    office.parts.close()


def test_the_time_is_that_of_postgres_and_goes_on_by_a_clock_that_nobody_sets(postgres: Ledger) -> None:
    machine = Machine()
    now = CommonTime(postgres, machine.now, machine.elapsed)
    began = now()
    assert abs(began - datetime.now(UTC)) < 60 * SECOND
    machine.wrong_by, machine.passed = -HOURS, ASKED_EACH_SECONDS - 1
    assert now() - began == (ASKED_EACH_SECONDS - 1) * SECOND


def test_it_is_asked_again_after_a_while(postgres: Ledger) -> None:
    """A machine that slept for hours has counted nothing of them."""
    machine = Machine()
    now = CommonTime(postgres, machine.now, machine.elapsed)
    machine.passed = 0.0
    began = now()
    now._known = (began - HOURS, 0.0)
    machine.passed = ASKED_EACH_SECONDS
    assert abs(now() - datetime.now(UTC)) < 60 * SECOND


def test_while_the_ledger_is_away_the_time_goes_on_where_it_was_known(postgres: Ledger) -> None:
    machine = Machine()
    away = open_ledger("postgresql://127.0.0.1:1/nowhere")
    with pytest.raises(StoreUnavailable):
        CommonTime(away, machine.now, machine.elapsed)()
    now = CommonTime(postgres, machine.now, machine.elapsed)
    began = now()
    now._ledger = away
    machine.passed = 3 * ASKED_EACH_SECONDS
    assert now() - began == 3 * ASKED_EACH_SECONDS * SECOND


def test_with_sqlite_it_is_the_time_of_the_machine(sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url)
    machine = Machine()
    now = CommonTime(ledger, machine.now)
    assert AHEAD - SECOND < now() - datetime.now(UTC) <= AHEAD
    machine.wrong_by = BEHIND
    assert now() < datetime.now(UTC)
    ledger.close()
