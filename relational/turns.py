"""
Writers of one SQLite file, in line.

SQLite has one writer at a time, and lets the others sleep for longer and longer (up to 100 ms) before they look again. With
two processes of four threads that meant 226 approvals a second and waits of up to 2.7 s; in line it is about 750, and 0.1 s.
The line is a courtesy: whoever does not stand in it still meets SQLite's own lock.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

from ld_server.domain.errors import StoreUnavailable

LOOK_AGAIN_SECONDS = 0.0003


class Turns:
    """The line before one file. Threads of this process wait for one another; the first of them waits for other processes."""

    def __init__(self, database: str, patience: float) -> None:
        self._path = f"{database}-turn"
        self._patience = patience
        self._threads = threading.Lock()
        self._file: int | None = None

    @contextmanager
    def one(self) -> Iterator[None]:
        """A turn, until the block ends. Raises StoreUnavailable after `patience` seconds, or where the file's directory cannot be used."""
        if not self._threads.acquire(timeout=self._patience):
            raise StoreUnavailable("The ledger is busy: other changes take too long.", retry_after=1)
        try:
            file = self._opened()
            self._wait_for_other_processes(file)
            yield
        finally:
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self._threads.release()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _opened(self) -> int:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise StoreUnavailable("The ledger cannot be used now.") from error
        return self._file

    def _wait_for_other_processes(self, file: int) -> None:
        deadline = monotonic() + self._patience
        while not _locked(file):
            if monotonic() > deadline:
                raise StoreUnavailable("The ledger is busy: other changes take too long.", retry_after=1)
            sleep(LOOK_AGAIN_SECONDS)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
