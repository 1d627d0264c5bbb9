"""
What time it is for every worker of a deployment: that of Postgres, where the ledger is one.

A lease says until when something is taken. Two workers whose machines disagree by more than its length would each take what the other is
at, and a receiver would get the same message twice at once. So they ask the machine that has the leases, now and then, and count on from
there by a clock that nobody sets. With SQLite all of them are on one machine, and have its time.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from ld_server.domain.errors import StoreUnavailable
from relational.unit_of_work import Ledger

ASKED_EACH_SECONDS = 10.0
"""After so long the time is asked again: a quartz drifts by 0.1 ms meanwhile, and a machine that slept does not know how long."""

Instant = Callable[[], datetime]


class CommonTime:
    """
    Called, it gives the current instant in UTC. Threads share it. `own` is the time of this machine.

    Raises StoreUnavailable while the ledger has never been reached; afterwards it counts on while that is away.
    """

    def __init__(self, ledger: Ledger, own: Instant, elapsed: Callable[[], float] = monotonic) -> None:
        self._ledger, self._own, self._elapsed = ledger, own, elapsed
        self._known: tuple[datetime, float] | None = None
        self._ask_again_at = float("-inf")
        self._asking = threading.Lock()

    def __call__(self) -> datetime:
        if self._elapsed() >= self._ask_again_at:
            with self._asking:
                self._ask()
        if self._known is None:
            return self._own()
        instant, at = self._known
        return instant + timedelta(seconds=self._elapsed() - at)

    def _ask(self) -> None:
        """Looks at the clock of the ledger, unless another thread has done so just now."""
        began = self._elapsed()
        if began < self._ask_again_at:
            return
        try:
            told = self._ledger.clock()
        except StoreUnavailable:
            if self._known is None:
                raise
        else:
            self._known = None if told is None else (told, (began + self._elapsed()) / 2)
        self._ask_again_at = self._elapsed() + ASKED_EACH_SECONDS
