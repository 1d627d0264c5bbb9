"""
Which requests may hold a thread of the web server for long: event streams and SPARQL queries. They share all threads but one.

Whoever finds no seat is told to come back instead of waiting, since waiting would hold the thread that is left for others. But most queries
take a few milliseconds: while the last one to sit down may be of these, it is waited for. Each web server process counts for itself.
"""

from collections import Counter
from collections.abc import Callable
from enum import Enum
from threading import Condition
from time import monotonic

from ld_server.settings import Settings


class Sitting(Enum):
    """What holds a thread for long."""

    STREAM = "stream"
    QUERY = "query"


def most(sitting: Sitting, settings: Settings) -> int:
    """How many of these a process has at once. Streams go on and queries end, so streams leave a seat to queries."""
    if sitting is Sitting.STREAM:
        return max(0, min(settings.streams, settings.web_threads - 2))
    return min(settings.sparql_queries, seats(settings))


def seats(settings: Settings) -> int:
    """How many there are of both together: one thread is left for others. Where there is but one, a query may have it."""
    return max(1, settings.web_threads - 1)


SHORT = 0.1
"""Seconds: a query that takes longer is not one of the short ones."""


class Seats:
    """What sits in this process; threads may share it."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._taken: Counter[Sitting] = Counter()
        self._last_query = float("-inf")
        self._changing = Condition()

    def take(self, sitting: Sitting, settings: Settings) -> bool:
        """Whether there was a seat, which must then be given back. A query waits for one at most until the last query has had SHORT."""
        with self._changing:
            patience = self._last_query + SHORT - self._clock() if sitting is Sitting.QUERY else 0.0
            is_free = self._changing.wait_for(lambda: self._is_free(sitting, settings), max(0.0, patience))
            if is_free:
                self._taken[sitting] += 1
                self._last_query = self._clock() if sitting is Sitting.QUERY else self._last_query
            return is_free

    def give_back(self, sitting: Sitting) -> None:
        """After a `take` that found one."""
        with self._changing:
            self._taken[sitting] -= 1
            self._changing.notify_all()

    def _is_free(self, sitting: Sitting, settings: Settings) -> bool:
        return self._taken[sitting] < most(sitting, settings) and self._taken.total() < seats(settings)
