"""What came of attempts, written down in one transaction with everything that follows from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from ld_server.services.deliveries import disable_trigger, disable_webhook
from ld_server.services.dispatch import HOLDS_UP, Dispatch
from ld_server.services.parts import Parts
from relational.deliveries import Attempt, Delivery, Endpoint
from relational.unit_of_work import UnitOfWork
from workers.actions.job import Job, Outcome
from workers.backoff import next_attempt

OPEN_AFTER = 5
"""Failures in a row after which an endpoint is left alone for a while, without any attempt at its deliveries."""

SHORTEST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=5)
"""For how long: twice as long after each further failure."""

DISABLED_AFTER = timedelta(days=5)
"""A webhook that has failed for so long without a single success is disabled."""

LOST = "The worker was stopped while it was sending; the receiver may have got it."


@dataclass(frozen=True)
class Result:
    """An attempt that has ended."""

    job: Job
    started_at: datetime
    duration_ms: int
    outcome: Outcome

    @property
    def attempt(self) -> Attempt:
        """As it is written down."""
        done, outcome = self.job, self.outcome
        headers = orjson.dumps(dict(outcome.headers)).decode()
        return Attempt(
            done.delivery.identifier,
            done.attempt,
            self.started_at,
            self.duration_ms,
            outcome.status,
            headers,
            outcome.head,
            outcome.error,
        )


def record(uow: UnitOfWork, results: Sequence[Result], owner: str, now: datetime, parts: Parts, chance: Callable[[], float]) -> None:
    """Write down what came of attempts. Those whose delivery has been taken over by another worker are told to nobody."""
    delivered = [one for one in results if one.outcome.error is None]
    failed = [one for one in results if one.outcome.error is not None]
    held = _finish_delivered(uow, delivered, owner, now) | (uow.deliveries.held(_attempts(failed), owner) if failed else set())
    valid = [one for one in results if one.job.delivery.identifier in held]
    uow.deliveries.note(one.attempt for one in valid)
    for endpoint in sorted({one.job.delivery.endpoint for one in valid}):
        there = [one for one in valid if one.job.delivery.endpoint == endpoint]
        over = {one.job.delivery.subject_id for one in there if _settle(uow, one, now, chance)}
        uow.deliveries.let_follow(endpoint, over, now)
        _tell_endpoint(uow, endpoint, there, now, parts)


def note_lost(uow: UnitOfWork, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Write down the attempts of workers that did not come back: deliveries as they were before they were taken over."""
    uow.deliveries.note(Attempt(one.identifier, one.attempts, now, 0, None, "{}", None, LOST) for one in deliveries)


def _attempts(results: Sequence[Result]) -> dict[str, int]:
    return {one.job.delivery.identifier: one.job.attempt for one in results}


def _finish_delivered(uow: UnitOfWork, results: Sequence[Result], owner: str, now: datetime) -> set[str]:
    """The deliveries that were still held."""
    held = set[str]()
    for status in {one.outcome.status for one in results}:
        held |= uow.deliveries.finish_held(_attempts([one for one in results if one.outcome.status == status]), owner, now, status)
    return held


def _settle(uow: UnitOfWork, result: Result, now: datetime, chance: Callable[[], float]) -> bool:
    """What becomes of a delivery after an attempt; whether later ones of its subject were put off for it, and need not wait any more."""
    if result.outcome.error is None:
        _go_on(uow, result.job, now)
        return bool(result.job.delivery.failures or result.job.delivery.replayed_at)
    return not _is_tried_again(uow, result, now, chance)


def _go_on(uow: UnitOfWork, job: Job, now: datetime) -> None:
    """The actions behind this one in its trigger, if they waited for it."""
    delivery = job.delivery
    trigger = uow.triggers.find(delivery.trigger) if delivery.trigger and job.plan["type"] == HOLDS_UP else None
    if trigger is not None:
        dispatch = Dispatch(uow, now)
        dispatch.plan(job.event, trigger, after=delivery.action_index)
        dispatch.keep()


def _is_tried_again(uow: UnitOfWork, result: Result, now: datetime, chance: Callable[[], float]) -> bool:
    delivery, outcome = result.job.delivery, result.outcome
    if outcome.error == LOST:
        uow.deliveries.retry(delivery.identifier, delivery.failures, now, None, LOST)
        return True
    failures = delivery.failures + 1
    again = None if outcome.is_final else next_attempt(failures, now, chance(), outcome.wish)
    if again is None:
        uow.deliveries.finish([delivery.identifier], "dead", now, outcome.status, outcome.error)
    else:
        uow.deliveries.retry(delivery.identifier, failures, again, outcome.status, outcome.error)
    return again is not None


def _tell_endpoint(uow: UnitOfWork, endpoint: str, results: Sequence[Result], now: datetime, parts: Parts) -> None:
    """Note how an endpoint fares, and shut or disable it where it does badly. Nothing is written where all goes well."""
    if all(one.outcome.error is None and one.job.is_well for one in results):
        return
    outcomes = [one.outcome for one in results if one.outcome.error != LOST]
    state = uow.deliveries.endpoint(endpoint) if outcomes else Endpoint(endpoint)
    after = faring(state, outcomes, now)
    if after != state:
        uow.deliveries.set_endpoint(after)
    reason = _reason_to_disable(after, outcomes, now)
    for result in results if reason is not None else ():
        _disable(uow, result.job, reason or "", now, parts)


def _disable(uow: UnitOfWork, job: Job, reason: str, now: datetime, parts: Parts) -> None:
    """Once is enough; brokers and our own handlers are not given up."""
    if job.delivery.webhook is not None:
        disable_webhook(uow, job.delivery.webhook, reason, now, parts)
    elif job.plan["type"] == "webhook" and job.delivery.trigger is not None:
        disable_trigger(uow, job.delivery.trigger, job.delivery.endpoint, reason, now, parts)


def faring(state: Endpoint, outcomes: Sequence[Outcome], now: datetime) -> Endpoint:
    """An endpoint after some more attempts, of which one success makes up for everything."""
    if any(one.error is None for one in outcomes):
        return replace(state, failures=0, failing_since=None, open_until=None)
    if not outcomes:
        return state
    failures = state.failures + len(outcomes)
    wishes = [one.wish for one in outcomes if one.wish is not None]
    rest = [now + _rest(failures)] if failures >= OPEN_AFTER else []
    until = max([*wishes, *rest], default=None)
    shut = None if until is None else min(until, now + timedelta(days=1))
    return replace(state, failures=failures, failing_since=state.failing_since or now, open_until=shut)


def _rest(failures: int) -> timedelta:
    rest: timedelta = SHORTEST_REST * 2 ** min(failures - OPEN_AFTER, 10)
    return min(LONGEST_REST, rest)


def _reason_to_disable(state: Endpoint, outcomes: Sequence[Outcome], now: datetime) -> str | None:
    if any(one.is_gone for one in outcomes):
        return "The receiver answered 410: it wants nothing any more."
    if state.failing_since is not None and now - state.failing_since >= DISABLED_AFTER:
        return f"Every delivery has failed for {DISABLED_AFTER.days} days."
    return None
