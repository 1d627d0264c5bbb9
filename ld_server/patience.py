"""
How long the web server waits for slow clients: a thread is for requests that are there, and for nobody who lets it wait.

A connection gets a thread once the head of its request has arrived as a whole; until then it costs a file descriptor. What is read and
written after that has its time: so many seconds, and a second more for every SLOWEST bytes.
"""

import errno
import select
import socket
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

SLOWEST = 16 * 1024
"""Bytes in a second; who is slower is cut off after the seconds that everybody has."""

END_OF_HEAD = (b"\r\n\r\n", b"\n\n")


class Head(Enum):
    """How much of the head of a request has arrived."""

    NOTHING = 0
    PART = 1
    WHOLE = 2
    TOO_MUCH = 3


def head_on(sock: socket.socket, largest: int) -> Head:
    """How much there is; what ended counts as whole. Takes nothing from the socket, and waits for nothing."""
    try:
        found = sock.recv(largest + 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return Head.NOTHING
    except OSError:
        return Head.WHOLE
    if not found or any(end in found for end in END_OF_HEAD):
        return Head.WHOLE
    return Head.TOO_MUCH if len(found) > largest else Head.PART


class Patient:
    """A socket whose reads and writes end. `seconds`: what each request has, besides what its bytes take."""

    def __init__(self, sock: socket.socket, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.bare = self._sock = sock
        self._seconds = seconds
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """Another request begins."""
        self._started = self._clock()
        self._bytes = 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """What there is, as of a socket; the end where it takes too long."""
        left = self._started + self._seconds + self._bytes / SLOWEST - self._clock()
        own = self._sock.gettimeout()
        left = left if own is None else min(left, own)
        if left <= 0 or not _has_something(self._sock, left):
            return b""
        found = self._sock.recv(size, flags)
        self._bytes += len(found)
        return found

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Raises ConnectionResetError where the client does not take it in time."""
        self._sock.settimeout(self._seconds + len(data) / SLOWEST)
        try:
            self._sock.sendall(data, flags)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client does not read") from error
        finally:
            self._sock.setblocking(True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def _has_something(sock: socket.socket, seconds: float) -> bool:
    """Whether something can be read within so many seconds."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
