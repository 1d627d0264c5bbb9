"""
Which requests may hold a thread of the web server for long: event streams and SPARQL queries. They share all threads but one.

Whoever finds no seat is told to come back instead of waiting, since waiting would hold the thread that is left for others. Each web server
process counts for itself.
"""

from collections import Counter
from enum import Enum
from threading import Lock

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


class Seats:
    """What sits in this process; threads may share it."""

    def __init__(self) -> None:
        self._taken: Counter[Sitting] = Counter()
        self._changing = Lock()

    def take(self, sitting: Sitting, settings: Settings) -> bool:
        """Whether there was a seat, which must then be given back."""
        with self._changing:
            is_free = self._taken[sitting] < most(sitting, settings) and self._taken.total() < seats(settings)
            self._taken[sitting] += is_free
            return is_free

    def give_back(self, sitting: Sitting) -> None:
        """After a `take` that found one."""
        with self._changing:
            self._taken[sitting] -= 1
