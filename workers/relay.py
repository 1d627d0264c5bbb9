"""
Brings events to the triggers that wait for them: one delivery for each action that sends, and exactly one.

How far it has come is written in the transaction that writes the deliveries, and only where it was written last; so whatever dies, and
whoever else believes to be the relay, no event is left out and none is taken twice. A lease keeps the others from trying in vain.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from ld_server.domain.errors import StoreUnavailable
from ld_server.services.dispatch import relayed
from ld_server.services.parts import Parts

log = logging.getLogger(__name__)

LEASE = "relay"
MARK = "relayed_up_to"
"""The fact that says up to which sequence events have been brought to their triggers."""
RENEWALS = 3
LONGEST_PAUSE = 2.0


class Relay:
    """
    One relay of a deployment. `owner` is a name for leases that no other process has; `when_new` is called after deliveries were written.

    `run_once` is the work; `start` and `stop` run it in a thread of its own.
    """

    def __init__(self, parts: Parts, owner: str, when_new: Callable[[], object] = lambda: None) -> None:
        self._parts = parts
        self._owner = owner
        self._when_new = when_new
        self._lease = timedelta(seconds=parts.settings.relay_lease)
        self._leading = False
        self._ask_again_at: datetime | None = None
        self._failures = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def run_once(self, now: datetime) -> int:
        """
        Brings at most one batch of events to their triggers; how many events that were. Nothing while another relay leads.

        Raises StoreUnavailable when the ledger cannot be reached; the events come next time then.
        """
        if not self._leads(now) or not self._something_new():
            return 0
        with self._parts.ledger.write() as uow:
            uow.outbox.number()
        events, deliveries = self._bring(now)
        if deliveries:
            self._when_new()
        return events

    def start(self) -> None:
        """Relays in a thread until `stop`."""
        self._thread = threading.Thread(target=self._loop, name="relay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the batch it is at, and lets the next relay begin at once."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._leading:
            with suppress(StoreUnavailable), self._parts.ledger.write() as uow:
                uow.leases.release(LEASE, self._owner)
            self._leading = False

    def _bring(self, now: datetime) -> tuple[int, int]:
        """
        Events and deliveries of one batch.

        Events are read before triggers: what was enabled in between sees nothing that happened before.
        """
        with self._parts.ledger.write() as uow:
            mark = uow.facts.locked(MARK, "0")
            events = uow.outbox.since(int(mark), self._parts.settings.relay_batch)
            if not events:
                return 0, 0
            deliveries = relayed(uow, events, uow.triggers.listening(), now)
            uow.facts.set(MARK, str(events[-1].sequence))
        return len(events), deliveries

    def _something_new(self) -> bool:
        with self._parts.ledger.read() as uow:
            return uow.outbox.has_unnumbered() or uow.outbox.newest() > int(uow.facts.get(MARK) or 0)

    def _leads(self, now: datetime) -> bool:
        """Whether the lease is ours. Between two renewals this costs nothing."""
        if self._ask_again_at is None or now >= self._ask_again_at:
            with self._parts.ledger.write() as uow:
                self._leading = uow.leases.acquire(LEASE, self._owner, now, self._lease.total_seconds())
            self._ask_again_at = now + self._lease / (RENEWALS if self._leading else 10 * RENEWALS)
        return self._leading

    def _loop(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = self._step()

    def _step(self) -> float:
        """Runs once, whatever happens; the seconds until the next time."""
        settings = self._parts.settings
        try:
            done = self.run_once(self._parts.now())
        except Exception as error:
            return self._pause_after(error)
        self._failures = 0
        return 0.0 if done >= settings.relay_batch else settings.relay_interval

    def _pause_after(self, error: Exception) -> float:
        """Twice as long after every failure. An outage is told once, a mistake of ours every time, with its traceback."""
        self._failures += 1
        if not isinstance(error, StoreUnavailable):
            log.error("events cannot be relayed", exc_info=error)
        elif self._failures == 1:
            log.warning("the relay waits: %s", error)
        return float(min(LONGEST_PAUSE, self._parts.settings.relay_interval * 2**self._failures))
