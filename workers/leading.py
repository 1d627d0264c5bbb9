"""
Work that one process of a deployment does at a time, piece after piece, in a thread of its own.

A lease says who leads. It only saves the others from trying in vain: the work itself must be right whoever else believes to lead.
"""

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from ld_server.domain.errors import StoreUnavailable
from ld_server.services.parts import Parts

log = logging.getLogger(__name__)

RENEWALS = 3
"""A lease is renewed when this part of its time is over: two renewals may fail before it is lost."""
LONGEST_PAUSE = 2.0
"""Seconds between two attempts while a store is down."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a lease lasts and how long a pause is where little was done, in seconds; and how much is done at once."""

    lease: float
    interval: float
    batch: int


class Leader:
    """
    What leads under the lease `name`. `owner` is a name for leases that no other process has; `doing` is what the log calls the work.

    `run_once` is the work; `start` and `stop` run it in a thread of its own.
    """

    name: str
    doing: str

    def __init__(self, parts: Parts, owner: str, pace: Pace) -> None:
        self._parts = parts
        self._owner = owner
        self._pace = pace
        self._leading = False
        self._asked_at: datetime | None = None
        self._ask_again_at: datetime | None = None
        self._failures = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def leads(self) -> bool:
        """Whether it had the lease when it last asked."""
        return self._leading

    def run_once(self, now: datetime) -> int:
        """Does at most one batch, if we lead; how much that was. Raises StoreUnavailable when it cannot be done now."""
        raise NotImplementedError

    def start(self) -> None:
        """Works in a thread until `stop`."""
        self._thread = threading.Thread(target=self._loop, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the batch it is at, and lets the next one lead at once."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._leading:
            with suppress(StoreUnavailable), self._parts.ledger.write() as uow:
                uow.leases.release(self.name, self._owner)
            self._leading = False

    def _loop(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = self._step()

    def _step(self) -> float:
        """Runs once, whatever happens; the seconds until the next time."""
        try:
            done = self.run_once(self._parts.now())
        except Exception as error:
            return self._pause_after(error)
        self._failures = 0
        return 0.0 if done >= self._pace.batch else self._pace.interval

    def _pause_after(self, error: Exception) -> float:
        """Twice as long after every failure. An outage is told once, a mistake of ours every time, with its traceback."""
        self._failures += 1
        if not isinstance(error, StoreUnavailable):
            log.error("%s failed", self.doing, exc_info=error)
        elif self._failures == 1:
            log.warning("%s waits: %s", self.doing, error)
        return float(min(LONGEST_PAUSE, self._pace.interval * 2**self._failures))

    def _leads(self, now: datetime) -> bool:
        """Whether the lease is ours. Between two renewals this costs nothing, unless the clock has been set back."""
        if self._asked_at is None or self._ask_again_at is None or not self._asked_at <= now < self._ask_again_at:
            self._asked_at = now
            with self._parts.ledger.write() as uow:
                self._leading = uow.leases.acquire(self.name, self._owner, now, self._pace.lease)
            self._ask_again_at = now + timedelta(seconds=self._pace.lease) / (RENEWALS if self._leading else 10 * RENEWALS)
        return self._leading
