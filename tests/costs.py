"""What work costs the processor."""

from collections.abc import Callable
from time import process_time

TIMES = 20


def cost(work: Callable[[], object]) -> float:
    """Seconds of processor time of TIMES times the same work, after it has been done once."""
    work()
    started = process_time()
    for _ in range(TIMES):
        work()
    return process_time() - started
