"""What work costs the processor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import process_time

TIMES = 20
LITTLE = 0.5
"""Seconds of processor time that are let pass without a comparison."""
SOON, LONG_WORK = 50.0, 200.0
"""Times the yardstick: a few seconds, and some more, on a machine that has nothing else to do. What is to be found here takes minutes."""


def cost(work: Callable[[], object]) -> float:
    """Seconds of processor time of TIMES times the same work, after it has been done once."""
    work()
    started = process_time()
    for _ in range(TIMES):
        work()
    return process_time() - started


@contextmanager
def within(most: float = SOON) -> Iterator[None]:
    """Fails if what is done inside costs more than `most` times a fixed piece of work, done right after it on the same machine."""
    started = process_time()
    yield
    spent = process_time() - started
    assert spent < LITTLE or spent < most * _yardstick()


def _yardstick() -> float:
    """Seconds of processor time of a loop that takes a tenth of one where nothing else runs."""
    started = process_time()
    sum(number * number % 7 for number in range(1_000_000))
    return process_time() - started
