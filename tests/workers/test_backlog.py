"""A backlog is drained in the memory that a few deliveries take, however long it is."""

from pathlib import Path

import psutil

from tests.receivers import receiving
from tests.workers.mortal import begun
from tests.workers.posts import PostOffice, open_office

FEW, MANY = 500, 3000
SUBJECTS = 100
BODY = 8 * 1024
"""Bytes of each event, at least: what would be kept of all of them would be seen."""

LIMIT = 300.0
"""Seconds after which something is stuck. It says nothing about how fast anything is."""


def told(office: PostOffice, events: int) -> None:
    for number in range(events):
        office.event(f"ra_{number % SUBJECTS}", note="x" * BODY)


def test_a_long_backlog_takes_no_more_memory_than_a_short_one(sqlite_url: str, tmp_path: Path) -> None:
    office = open_office(sqlite_url, tmp_path)
    with receiving() as receiver:
        office.trigger(office.webhook(receiver.url))
        told(office, FEW + MANY)
        with begun(sqlite_url, tmp_path, "worker") as worker:
            sizes = []
            for count in (FEW, FEW + MANY):
                assert receiver.wait_for(count, LIMIT)
                sizes.append(psutil.Process(worker.pid).memory_info().rss)
        arrived = set(receiver.ids)
    office.parts.close()
    assert len(arrived) == FEW + MANY
    assert sizes[1] - sizes[0] < MANY * BODY / 3, [f"{one / 2**20:.0f} MiB" for one in sizes]
