"""
How much is tried. A suite that everybody waits for tries little, and the same each time; `FUZZ=100 make test TESTS=tests/attack` tries a
hundred times as much, and something else each time.
"""

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("FUZZ", "1"))


def tried(few: int) -> settings:
    """Hypothesis' settings for so many examples, or as many times that as `FUZZ` says."""
    return settings(
        max_examples=few * FACTOR, deadline=None, derandomize=FACTOR == 1, database=None, suppress_health_check=list(HealthCheck)
    )
