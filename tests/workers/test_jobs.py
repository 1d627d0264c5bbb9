"""What the clock and schedules set going: overdue and coming reservations are told of, each once, by however many workers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ld_server.bootstrap import build
from ld_server.domain.commands import ChangeReservation
from ld_server.domain.triggers import JOB_TYPES, read_trigger
from ld_server.services import triggers
from ld_server.services.deliveries import occasion_of_worker
from ld_server.services.parts import Parts
from ld_server.settings import Settings
from tests.contract.fleet import MORNING, NEXT_DAY, Fleet, document_of
from tests.contract.test_services_races import at_once
from workers.actions.internal import HANDLERS
from workers.app import TASKS
from workers.clock import TIMES
from workers.jobs import JOBS

START, END = datetime(2027, 3, 1, 8, tzinfo=UTC), datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOON = {"notifications.starts_soon_scan": ("rentAction.starts.soon", START), "notifications.ends_soon_scan": ("rentAction.ends.soon", END)}


@pytest.fixture
def parts(database_url: str, tmp_path: Path) -> Iterator[Parts]:
    parts = build(Settings(data_dir=tmp_path, database_url=database_url, sparql_url="memory:"))
    yield parts
    parts.close()


@pytest.fixture
def fleet(parts: Parts) -> Fleet:
    return Fleet(parts.ledger)


def told(fleet: Fleet, *events: str) -> list[tuple[str, str]]:
    return [(one["type"], one["subject"]["id"]) for one in fleet.events() if one["type"] in events]


def test_every_type_of_job_is_done_by_something() -> None:
    assert set(JOBS) == set(JOB_TYPES)


@pytest.mark.parametrize("job", SOON)
def test_coming_reservations_are_told_of_once_for_each_lead_time(job: str, parts: Parts, fleet: Fleet) -> None:
    event, moment = SOON[job]
    item = fleet.stocked("T-1", "T-2")
    near, _far, _pending = fleet.booked(item), fleet.booked(item, window=NEXT_DAY), fleet.reserve(item, 1, MORNING)
    run = JOBS[job]
    assert run(parts, {}, moment - 25 * HOUR) == {"told": 0}
    assert run(parts, {}, moment - 23 * HOUR) == {"told": 1}
    assert run(parts, {}, moment - 22 * HOUR) == {"told": 0}
    assert run(parts, {"within": "PT2H"}, moment - HOUR) == {"told": 1}
    assert run(parts, {"within": "PT2H"}, moment) == {"told": 0}
    assert told(fleet, event) == [(event, near)] * 2


@pytest.mark.parametrize("job", SOON)
def test_a_trigger_has_several_lead_times_and_tells_once_for_each(job: str, parts: Parts, fleet: Fleet) -> None:
    event, moment = SOON[job]
    identifier = fleet.booked(fleet.stocked("T-1"))
    arguments = {"within": ["PT2H", "P1D", "PT24H"]}
    scan = {"name": "Soon", "source": "schedule", "schedule": {"type": "cron", "expr": "0 * * * *"}, "jobType": job}
    action = {"type": "invoke_internal", "handler": job, "arguments": arguments}
    at = moment - 30 * HOUR
    with parts.ledger.write() as uow:
        triggers.create(uow, read_trigger({**scan, "actions": [action]}), occasion_of_worker(parts, at), parts.sealing)
    told_by: list[timedelta] = []
    while (at := at + HOUR) <= moment:
        before = len(told(fleet, event))
        TASKS["run_schedules"](replace(parts, now=lambda: at))
        told_by += [moment - at] * (len(told(fleet, event)) - before)
    assert told_by == [24 * HOUR, 2 * HOUR]
    assert told(fleet, event) == [(event, identifier)] * 2


def test_an_event_sets_a_scan_going(parts: Parts, fleet: Fleet) -> None:
    identifier = fleet.booked(fleet.stocked("T-1"))
    HANDLERS["notifications.starts_soon_scan"](replace(parts, now=lambda: START - HOUR), {"id": "evt_1"}, {"within": "PT2H"})
    assert told(fleet, "rentAction.starts.soon") == [("rentAction.starts.soon", identifier)]


def test_a_reservation_that_is_put_off_is_told_of_again_with_its_new_time(parts: Parts, fleet: Fleet) -> None:
    identifier = fleet.booked(fleet.stocked("T-1"))
    run = JOBS["notifications.starts_soon_scan"]
    assert run(parts, {}, START - HOUR) == {"told": 1}
    head = fleet.ledger.head(identifier)
    assert head is not None
    document = {**document_of(head), "startTime": "2027-03-01T09:00:00Z"}
    fleet.do(ChangeReservation(identifier, document, frozenset({head.revision})))
    assert [run(parts, {}, START - HOUR), run(parts, {}, START - HOUR)] == [{"told": 1}, {"told": 0}]
    starts = [one["data"]["startTime"] for one in fleet.events(identifier) if one["type"] == "rentAction.starts.soon"]
    assert starts == [MORNING[0], "2027-03-01T09:00:00Z"]


def test_more_reservations_than_one_look_takes_are_all_told_of(parts: Parts, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ld_server.services.reminders._AT_ONCE", 2)
    item = fleet.pooled(10)
    for _ in range(5):
        fleet.booked(item)
    assert JOBS["notifications.starts_soon_scan"](parts, {}, START - HOUR) == {"told": 5}


def test_a_lead_time_that_is_none_is_refused(parts: Parts) -> None:
    with pytest.raises(ValueError, match="duration"):
        JOBS["notifications.ends_soon_scan"](parts, {"within": "a while"}, START)


def late(fleet: Fleet) -> tuple[str, str]:
    """A reservation whose unit is out, and the next one of the unit."""
    item = fleet.stocked("T-1")
    first, second = fleet.booked(item), fleet.booked(item, window=NEXT_DAY)
    fleet.check_out(first, at=START)
    return first, second


def test_what_is_overdue_is_told_once_with_whom_it_endangers(parts: Parts, fleet: Fleet) -> None:
    first, second = late(fleet)
    run = JOBS["maintenance.overdue_scan"]
    assert run(parts, {}, START)["overdueReservations"] == 0
    assert run(parts, {}, END + HOUR) == {"overdueReservations": 1, "overdueWork": 0}
    assert run(parts, {}, END + 2 * HOUR)["overdueReservations"] == 1
    assert told(fleet, "rentAction.overdue", "rentAction.atRisk") == [("rentAction.overdue", first), ("rentAction.atRisk", second)]


def test_the_clock_scans_without_any_configuration_and_many_workers_scan_once(parts: Parts, fleet: Fleet) -> None:
    first, second = late(fleet)
    after = replace(parts, now=lambda: END + HOUR)
    assert "overdue_scan" in TIMES
    results = at_once([partial(TASKS["overdue_scan"], after)] * 4)
    assert sorted(results, key=str) == [None, None, None, {"overdueReservations": 1, "overdueWork": 0}]
    assert told(fleet, "rentAction.overdue", "rentAction.atRisk") == [("rentAction.overdue", first), ("rentAction.atRisk", second)]
    assert TASKS["overdue_scan"](replace(parts, now=lambda: END + 2 * HOUR)) == {"overdueReservations": 1, "overdueWork": 0}
