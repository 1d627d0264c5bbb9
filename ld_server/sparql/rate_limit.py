"""How many queries a server is asked in a while."""

import threading
import time
from collections import deque
from collections.abc import Callable

from ld_server.domain.errors import StoreUnavailable


class RateLimit:
    """Lets `most` queries begin in any `seconds`; threads may share it."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._begun: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Begin a query. Raises StoreUnavailable when too many have begun."""
        with self._lock:
            now = self._clock()
            while self._begun and self._begun[0] <= now - self._seconds:
                self._begun.popleft()
            if len(self._begun) >= self._most:
                raise StoreUnavailable("The SPARQL store is asked more often than it can bear.")
            self._begun.append(now)
