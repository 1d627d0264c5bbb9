"""
Schedules are run: each time that is due makes one run, however many workers there are; what was missed while nobody worked makes one.

A run is taken, its job is done, and what came of it is written in one transaction with the event that tells of it, on which the actions
of its trigger follow as on any other. Whoever works keeps the run by extending its lease. Who dies in between is followed by another
worker; only one of them writes, and jobs do nothing twice.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from ld_server.domain.errors import NotFound, ShapeViolation, Stale, StoreUnavailable
from ld_server.domain.events import envelope
from ld_server.domain.triggers import RUN_EVENTS, Trigger
from ld_server.resources.kind import written
from ld_server.services.deliveries import occasion_of_worker
from ld_server.services.dispatch import read_row
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from ld_server.services.triggers import next_run
from relational.outbox import OutboxEntry
from relational.runs import RunRow
from relational.triggers import TriggerRow
from relational.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

RENEWALS = 3
"""A lease is extended when this part of its time is over: two extensions may fail before it is lost."""

AT_ONCE = 100

Jobs = Mapping[str, Callable[[Parts, Mapping[str, Any], datetime], dict[str, Any]]]


def ask(uow: UnitOfWork, identifier: str, occasion: Occasion) -> RunRow:
    """Have a scheduled trigger run now, be it enabled or not. Raises NotFound, and ShapeViolation for one that waits for events."""
    row = uow.triggers.find(identifier)
    if row is None:
        raise NotFound(f"There is no trigger {identifier!r}.")
    if row.source != "schedule":
        raise ShapeViolation(f"{identifier} waits for events: there is nothing to run.", [])
    return _add(uow, row, None, occasion.principal, occasion.now)


def plan_due(parts: Parts) -> int:
    """Write down a run for each trigger that is due; how many those are. The time after the next comes from now: nothing is made up for."""
    now = parts.now()
    with parts.ledger.read() as uow:
        due = uow.triggers.due(now, AT_ONCE)
    return sum(_plan(parts, one, now) for one in due)


def _plan(parts: Parts, identifier: str, now: datetime) -> bool:
    with parts.ledger.write() as uow:
        row = uow.triggers.locked(identifier)
        if row is None or not row.enabled or row.next_run_at is None or row.next_run_at > now:
            return False
        _add(uow, row, row.next_run_at, None, now)
        uow.triggers.set_next_run(identifier, next_run(read_row(row), row.created_at, now))
    return True


def _add(uow: UnitOfWork, row: TriggerRow, due_at: datetime | None, asked_by: str | None, now: datetime) -> RunRow:
    number = uow.documents.next_number("run")
    job = read_row(row).job_type
    nothing = {"started_at": None, "lease_until": None, "finished_at": None, "summary": None, "error": None, "event_id": None}
    run = RunRow(f"run_{number}", number, row.identifier, job, due_at, asked_by, "waiting", now, revision=1, **nothing)
    uow.runs.add(run)
    return run


def run_open(parts: Parts, jobs: Jobs) -> int:
    """Do the runs that wait; how many were done here."""
    with parts.ledger.read() as uow:
        found = uow.runs.open(parts.now(), AT_ONCE)
    return sum(_run(parts, one, jobs) for one in found)


def _run(parts: Parts, run: RunRow, jobs: Jobs) -> bool:
    now = parts.now()
    taken = replace(run, status="running", started_at=now, lease_until=_lease(parts), revision=run.revision + 1)
    try:
        with parts.ledger.write() as uow:
            uow.runs.replace(taken)
            row = uow.triggers.find(run.trigger)
        with _kept(parts, taken):
            done = _done(parts, taken, row, jobs)
        _finish(parts, taken, row, *done)
    except Stale:
        return False
    return True


def _lease(parts: Parts) -> datetime:
    """When another worker may take over what is taken now."""
    return parts.now() + timedelta(seconds=parts.settings.run_lease)


@contextmanager
def _kept(parts: Parts, run: RunRow) -> Iterator[None]:
    """Extends the lease of a run until the block ends: nobody takes over from a worker that lives, however long its job takes."""
    is_over = threading.Event()

    def extend() -> None:
        while not is_over.wait(parts.settings.run_lease / RENEWALS):
            with suppress(StoreUnavailable), parts.ledger.write() as uow:
                uow.runs.extend(run, _lease(parts))

    thread = threading.Thread(target=extend, name=f"lease of {run.identifier}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _done(parts: Parts, run: RunRow, row: TriggerRow | None, jobs: Jobs) -> tuple[dict[str, Any], str | None]:
    """The summary of the job, and what went wrong."""
    if row is None:
        return {}, "The trigger was taken away."
    try:
        return (jobs[run.job_type](parts, _arguments(read_row(row)), parts.now()) if run.job_type else {}), None
    except Exception as error:
        log.warning("%s of %s failed", run.identifier, run.trigger, exc_info=error)
        return {}, str(error) if isinstance(error, ValueError) else f"{run.job_type} failed: {type(error).__name__}."


def _arguments(trigger: Trigger) -> Mapping[str, Any]:
    """What an `invoke_internal` of the job itself says: it is the run, and not another one after it."""
    of_job = (one.config for one in trigger.actions if one.type == "invoke_internal" and one.config["handler"] == trigger.job_type)
    return next((one.get("arguments", {}) for one in of_job), {})


def _finish(parts: Parts, run: RunRow, row: TriggerRow | None, summary: Mapping[str, Any], error: str | None) -> None:
    occasion = occasion_of_worker(parts, parts.now())
    after = replace(run, finished_at=occasion.now, lease_until=None, revision=run.revision + 1)
    with parts.ledger.write() as uow:
        if row is None or error is not None:
            uow.runs.replace(replace(after, status="failed", error=error))
            return
        completed = replace(after, status="completed", summary=orjson.dumps(summary).decode(), event_id=occasion.new_event_id())
        uow.runs.replace(completed)
        _tell(uow, completed, row, occasion)


def _tell(uow: UnitOfWork, run: RunRow, row: TriggerRow, occasion: Occasion) -> None:
    """The event about a run. The relay brings it to those who wait for it, and to the trigger itself."""
    event_type = RUN_EVENTS[run.job_type]
    content = envelope(
        event_id=str(run.event_id),
        event_type=event_type,
        occurred_at=occasion.moment,
        subject_type="Trigger",
        subject_id=row.identifier,
        data={"@context": occasion.context, "identifier": row.identifier, "name": row.name, "run": document(run)},
        tenant=occasion.tenant,
        correlation_id=occasion.correlation_id,
    )
    body = orjson.dumps(content).decode()
    entry = OutboxEntry(str(run.event_id), event_type, "Trigger", row.identifier, occasion.now, occasion.correlation_id, body)
    uow.outbox.add(entry)


def document(run: RunRow) -> dict[str, Any]:
    """A run as it is shown."""
    times = {"dueAt": run.due_at, "createdAt": run.created_at, "startedAt": run.started_at, "finishedAt": run.finished_at}
    return {
        "@type": "Run",
        "identifier": run.identifier,
        "trigger": run.trigger,
        "jobType": run.job_type,
        "status": run.status,
        "askedBy": run.asked_by,
        **{name: None if at is None else written(at) for name, at in times.items()},
        "summary": None if run.summary is None else orjson.loads(run.summary),
        "error": run.error,
        "event": run.event_id,
    }
