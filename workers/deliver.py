"""
Brings deliveries where they are to go.

What is due is claimed in the ledger under a lease, sent with many under way at once, and what came of it is written down in one transaction
with what follows from it. A worker that dies leaves its deliveries to whoever looks after the lease; what was sent may be sent again then
(at least once), but never do two workers send the same attempt. Endpoints take turns, so that none of them waits for another.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from time import monotonic

from ld_server.domain.errors import StoreUnavailable
from ld_server.services.addresses import Resolve, allowed_by, system_resolver
from ld_server.services.correlation import correlation
from ld_server.services.messages import TransformFailed
from ld_server.services.meters import ATTEMPT_SECONDS, ATTEMPTS
from ld_server.services.parts import Parts
from relational.deliveries import Candidate, Delivery, Endpoint
from relational.unit_of_work import UnitOfWork
from relational.webhooks import WebhookRow
from workers.actions import ACTIONS
from workers.actions.job import Job, Means, Outcome
from workers.actions.webhook import open_session
from workers.results import LOST, OPEN_AFTER, Result, note_lost, record

log = logging.getLogger(__name__)

AT_ONE_ENDPOINT = 8
"""Most deliveries under way at a place that has no configuration of its own."""

WINDOW = 100
"""How many deliveries of an endpoint are looked at for some that can go."""

THREADS = 32
"""For what blocks: name services, brokers, our own handlers."""

GRACE = 5.0
"""Seconds that what is under way is given when the worker stops. The rest is handed back."""

LONGEST_PAUSE = 2.0

FindWebhook = Callable[[str], WebhookRow | None]
"""A webhook by its identifier; each is asked for once in a transaction."""

SOON = timedelta(seconds=0.5)
"""How long nobody looks at what waits for an attempt of another worker."""


class Deliverer:
    """
    One of a deployment's deliverers. `owner` is a name for leases that no other process has; `resolve` looks names up.

    `run_once` is the work; `start` and `stop` run it in a thread of its own. `nudge` says that there is something new.
    """

    def __init__(self, parts: Parts, owner: str, resolve: Resolve = system_resolver) -> None:
        self._parts = parts
        self._owner = owner
        self._resolve = resolve
        self._turns = Turns(parts, owner)
        self._results: list[Result] = []
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failures = 0
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awake: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def run_once(self) -> int:
        """Sends what is due now, and waits for what comes of it; how many attempts that were. Raises StoreUnavailable."""
        return asyncio.run(self._once())

    def start(self) -> None:
        """Delivers in a thread until `stop`."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="deliverer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finishes what is under way, or hands it back when that takes too long."""
        self._stopping.set()
        self.nudge()
        if self._thread is not None:
            self._thread.join()

    def nudge(self) -> None:
        """Look at once whether something is due. Any thread may call it."""
        loop, awake = self._loop, self._awake
        if loop is not None and awake is not None and not loop.is_closed():
            loop.call_soon_threadsafe(awake.set)

    async def _once(self) -> int:
        async with _Open(self._parts, self._resolve) as (means, ledger_thread):
            jobs = await self._exchange(ledger_thread)
            await asyncio.gather(*(self._send(job, means) for job in jobs))
            await self._write_down(ledger_thread)
            return len(jobs)

    async def _serve(self) -> None:
        self._loop, self._awake = asyncio.get_running_loop(), asyncio.Event()
        async with _Open(self._parts, self._resolve) as (means, ledger_thread):
            while not self._stopping.is_set():
                self._awake.clear()
                await self._step(means, ledger_thread)
            await self._hand_back(ledger_thread)

    async def _step(self, means: Means, ledger_thread: ThreadPoolExecutor) -> None:
        """
        Exchanges results for jobs, whatever happens, and waits until there is something to do: a result, a nudge, or the next look.

        What comes in while the ledger is busy is written down together the next time.
        """
        try:
            jobs = await self._exchange(ledger_thread)
            self._failures = 0
        except Exception as error:
            await self._wait(self._pause_after(error))
            return
        for job in jobs:
            self._under_way[job.delivery.identifier] = asyncio.create_task(self._send(job, means))
        if not self._results:
            await self._wait(self._parts.settings.delivery_interval)

    async def _wait(self, seconds: float) -> None:
        assert self._awake is not None
        try:
            await asyncio.wait_for(self._awake.wait(), seconds)
        except TimeoutError:
            return

    async def _exchange(self, ledger_thread: ThreadPoolExecutor) -> Sequence[Job]:
        """Writes results down and claims what is due, in one transaction. Results that could not be written are kept."""
        results, self._results = self._results, []
        room = self._parts.settings.deliveries_at_once - len(self._under_way)
        busy = set(self._under_way)
        try:
            return await asyncio.get_running_loop().run_in_executor(ledger_thread, self._turns.exchange, results, room, busy)
        except BaseException:
            self._results = results + self._results
            raise

    async def _write_down(self, ledger_thread: ThreadPoolExecutor) -> None:
        results, self._results = self._results, []
        await asyncio.get_running_loop().run_in_executor(ledger_thread, self._turns.exchange, results, 0, set())

    async def _send(self, job: Job, means: Means) -> None:
        """Carries a job out, whatever happens, and leaves the result to be written down."""
        correlation.set(job.event.entry.correlation_id)
        started_at, started = self._parts.now(), monotonic()
        try:
            if started_at + timedelta(seconds=means.patience) >= job.until:
                return
            outcome = await _outcome(job, means)
            self._results.append(Result(job, started_at, round((monotonic() - started) * 1000), outcome))
            self._count(job, outcome, monotonic() - started)
        finally:
            self._under_way.pop(job.delivery.identifier, None)
            if self._awake is not None:
                self._awake.set()

    def _count(self, job: Job, outcome: Outcome, seconds: float) -> None:
        action = str(job.plan["type"])
        self._parts.meters.count(ATTEMPTS, action, "delivered" if outcome.error is None else "failed")
        self._parts.meters.observe(ATTEMPT_SECONDS, seconds, action)

    async def _hand_back(self, ledger_thread: ThreadPoolExecutor) -> None:
        """Waits a moment for what is under way, cuts off the rest, and writes down what came of it."""
        tasks = list(self._under_way.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        try:
            await self._write_down(ledger_thread)
        except StoreUnavailable as error:
            log.warning("what was under way is left to the lease: %s", error)

    def _pause_after(self, error: Exception) -> float:
        """Twice as long after every failure. An outage is told once, a mistake of ours every time, with its traceback."""
        self._failures += 1
        if not isinstance(error, StoreUnavailable):
            log.error("deliveries cannot be exchanged with the ledger", exc_info=error)
        elif self._failures == 1:
            log.warning("deliveries wait: %s", error)
        return float(min(LONGEST_PAUSE, self._parts.settings.delivery_interval * 2**self._failures))


class _Open:
    """What is open while deliveries are made: connections and threads, one of which is for the ledger alone."""

    def __init__(self, parts: Parts, resolve: Resolve) -> None:
        self._parts = parts
        self._resolve = resolve

    async def __aenter__(self) -> tuple[Means, ThreadPoolExecutor]:
        allowed = allowed_by(self._parts.settings)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="delivery")
        self._ledger_thread = ThreadPoolExecutor(1, thread_name_prefix="deliverer-ledger")
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="resolve"))
        session = open_session(allowed, self._resolve, self._parts.settings.webhook_timeout)
        self._means = Means(self._parts, session, self._threads, allowed, self._resolve)
        return self._means, self._ledger_thread

    async def __aexit__(self, *_error: object) -> None:
        await self._means.session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._ledger_thread.shutdown()


async def _outcome(job: Job, means: Means) -> Outcome:
    """What comes of a job; a mistake of ours is a failed attempt, too."""
    try:
        return await ACTIONS[job.plan["type"]](job, means)
    except TransformFailed as error:
        return Outcome(error=str(error), is_final=True)
    except StoreUnavailable as error:
        return Outcome(error=error.detail)
    except asyncio.CancelledError:
        return Outcome(error=LOST)
    except Exception as error:
        log.error("%s failed", job.delivery.identifier, exc_info=error)
        return Outcome(error="The delivery failed here; the log of the worker says why.")


@dataclass
class Turns:
    """Who is next: what is claimed from the ledger, endpoint by endpoint. Runs in one thread."""

    parts: Parts
    owner: str
    _last_served: str = ""

    def exchange(self, results: Sequence[Result], room: int, busy: set[str]) -> Sequence[Job]:
        """Writes results down and claims up to `room` deliveries that are due, none of the `busy` ones. Raises StoreUnavailable."""
        now = self.parts.now()
        if not results and (room <= 0 or not self._is_due(now)):
            return []
        with self.parts.ledger.write() as uow:
            record(uow, results, self.owner, now, self.parts, random.random)
            return self._claimed(uow, room, busy, now) if room > 0 else []

    def _is_due(self, now: datetime) -> bool:
        with self.parts.ledger.read() as uow:
            return uow.deliveries.is_due(now)

    def _claimed(self, uow: UnitOfWork, room: int, busy: set[str], now: datetime) -> list[Job]:
        under_way, webhook = uow.deliveries.hold_endpoints(now), cache(uow.webhooks.find)
        states = self._in_turn(under_way)
        chosen = self._chosen(uow, states, under_way, room, busy, now, webhook) if states else []
        until = now + timedelta(seconds=self.parts.settings.delivery_lease)
        found = uow.deliveries.claim(chosen, self.owner, now, until)
        note_lost(uow, [one for one in found if one.status == "sending"], now)
        well = {one.endpoint for one in states if one.failures == 0}
        return _jobs(uow, found, until, well, now, webhook) if found else []

    def _chosen(
        self,
        uow: UnitOfWork,
        states: Sequence[Endpoint],
        under_way: Mapping[Endpoint, int],
        room: int,
        busy: set[str],
        now: datetime,
        webhook: FindWebhook,
    ) -> list[str]:
        """The deliveries to take, an equal share from each endpoint. The next time another endpoint is the first."""
        share = max(1, room // len(states))
        chosen: list[str] = []
        for state in states:
            limits = _limits(state, webhook)
            places = min(limits.concurrency - under_way[state], limits.burst, share, room - len(chosen))
            taken = _first_in_line(uow, state.endpoint, max(0, places), busy, now)
            chosen += taken
            if limits is SHUT or (taken and limits.interval):
                uow.deliveries.set_endpoint(limits.after(state, max(1, len(taken)), now))
            self._last_served = state.endpoint if taken else self._last_served
        return chosen

    def _in_turn(self, states: Iterable[Endpoint]) -> list[Endpoint]:
        return sorted(states, key=lambda one: (one.endpoint <= self._last_served, one.endpoint))


@dataclass(frozen=True)
class Limits:
    """How many may be under way at an endpoint, how many may begin together, and how far apart those begin, one by one."""

    concurrency: int
    burst: int
    interval: timedelta | None

    def after(self, state: Endpoint, begun: int, now: datetime) -> Endpoint:
        """The endpoint when so many have begun."""
        return Endpoint(state.endpoint, state.failures, state.failing_since, state.open_until, now + begun * (self.interval or timedelta()))


SHUT = Limits(0, 0, timedelta(seconds=5))
"""A disabled webhook: what waits for it goes on waiting. It is looked at again after a while."""


def limits_of(state: Endpoint, concurrency: int, rate_limit: int | None, rate_seconds: int | None) -> Limits:
    """
    The limits of an endpoint.

    In no period of `rate_seconds` more than `rate_limit` begin: a tenth of them together, spaced so that the last of them fits in.
    """
    places = 1 if state.failures >= OPEN_AFTER else concurrency
    if rate_limit is None:
        return Limits(places, places, None)
    burst = max(1, rate_limit // 10)
    return Limits(places, burst, timedelta(seconds=(rate_seconds or 1) / (rate_limit - burst + 1)))


def _limits(state: Endpoint, webhook: FindWebhook) -> Limits:
    row = webhook(state.endpoint) if state.endpoint.startswith("hook_") else None
    if row is None:
        return limits_of(state, AT_ONE_ENDPOINT, None, None)
    if not row.enabled:
        return SHUT
    return limits_of(state, row.concurrency, row.rate_limit, row.rate_seconds)


def _first_in_line(uow: UnitOfWork, endpoint: str, places: int, busy: set[str], now: datetime) -> list[str]:
    """
    Deliveries that are due and that no earlier one of their subject holds up, among these the ones that hold up others: so many may wait
    behind a few that nobody sees those themselves. What is held up by what is not due is put off until that may be over.
    """
    candidates = uow.deliveries.candidates(endpoint, now, WINDOW) if places else []
    put_off = {one.identifier: _held_up_until(one, now) for one in candidates if one.first_due > now and one.first not in busy}
    for until in set(put_off.values()):
        uow.deliveries.postpone([identifier for identifier, moment in put_off.items() if moment == until], until)
    return list(dict.fromkeys(one.first for one in candidates if one.first_due <= now and one.first not in busy))[:places]


def _held_up_until(candidate: Candidate, now: datetime) -> datetime:
    """What another worker is sending is done any moment: only where that worker has died does its lease end first."""
    return min(candidate.first_due, now + SOON) if candidate.first_status == "sending" else candidate.first_due


FORGOTTEN = "The event is no longer kept."


def _jobs(
    uow: UnitOfWork, deliveries: Sequence[Delivery], until: datetime, well: Collection[str], now: datetime, webhook: FindWebhook
) -> list[Job]:
    """
    Jobs with what they need to be carried out: the event, and the webhook where there is one. `well`: endpoints without failures.

    Deliveries whose event was forgotten while somebody asked for them are given up.
    """
    events = uow.outbox.by_ids({one.event_id for one in deliveries})
    orphans = [one.identifier for one in deliveries if one.event_id not in events]
    if orphans:
        uow.deliveries.finish(orphans, "dead", now, None, FORGOTTEN)

    def job(one: Delivery) -> Job:
        event = replace(events[one.event_id], sequence=one.sequence)
        return Job(one, one.attempts + 1, event, webhook(one.webhook) if one.webhook else None, until, is_well=one.endpoint in well)

    return [job(one) for one in deliveries if one.event_id in events]
