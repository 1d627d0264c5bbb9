"""Two transactions that want the same row."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from relational.unit_of_work import Ledger, UnitOfWork

Came = TypeVar("Came")

WAITING_SECONDS = 0.2


def come_second(ledger: Ledger, first: Callable[[UnitOfWork], object], second: Callable[[UnitOfWork], Came]) -> Came:
    """What comes of `second`, which begins when `first` has written and goes on when that is committed."""
    begun = threading.Event()

    def behind() -> Came:
        begun.set()
        with ledger.write() as uow:
            return second(uow)

    with ThreadPoolExecutor(1) as thread:
        with ledger.write() as uow:
            first(uow)
            came = thread.submit(behind)
            begun.wait()
            threading.Event().wait(WAITING_SECONDS)
            assert not came.done()
        return came.result()
