"""What must hold when much happens at once: receivers that hang, and workers that are killed."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.receivers import Reply, receiving
from tests.workers.mortal import begun
from tests.workers.posts import PostOffice, open_office
from workers.relay import Relay

EVENTS = 1000
"""That happen while workers are killed; none of them is lost."""

LIMIT = 240.0
"""Seconds after which something is stuck. It says nothing about how fast anything is."""


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[PostOffice]:
    office = open_office(database_url, tmp_path, webhook_timeout=LIMIT, delivery_lease=3 * LIMIT, delivery_interval=0.02)
    yield office
    office.parts.close()


@contextmanager
def working(office: PostOffice) -> Iterator[None]:
    """A relay and a deliverer at work."""
    deliverer = office.deliverer()
    relay = Relay(office.parts, "first", deliverer.nudge)
    deliverer.start()
    relay.start()
    try:
        yield
    finally:
        relay.stop()
        deliverer.stop()


def test_a_receiver_that_hangs_and_one_that_trickles_hold_up_no_one_else(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.deliver.GRACE", 0.1)
    with ExitStack() as stack:
        hanging = stack.enter_context(receiving(lambda _got: Reply(wait=threading.Event())))
        trickling = stack.enter_context(receiving(lambda _got: Reply(trickle=1.0, body=b"x" * 900)))
        good = [stack.enter_context(receiving()) for _ in range(20)]
        for receiver in (hanging, trickling, *good):
            office.trigger(office.webhook(receiver.url))
        stack.enter_context(working(office))
        events = [office.event(f"ra_{number}") for number in range(25)]
        assert all(receiver.wait_for(len(events), LIMIT) for receiver in good)
        assert hanging.wait_for(1, LIMIT)
        for receiver in good:
            assert sorted(receiver.ids) == events
        assert len(hanging.got) <= 10
        assert len(trickling.got) <= 10


def test_every_receiver_gets_its_turn_however_much_another_has_before_it(office: PostOffice) -> None:
    small = replace(office, parts=replace(office.parts, settings=replace(office.parts.settings, deliveries_at_once=4)))
    with receiving() as busy, receiving() as quiet:
        office.trigger(office.webhook(busy.url), types=["rentAction.approved"])
        office.trigger(office.webhook(quiet.url), types=["rentAction.created"])
        for number in range(100):
            office.event(f"ra_{number}")
        office.event("ra_x", "rentAction.created")
        office.relay()
        deliverer = small.deliverer()
        deliverer.run_once()
        deliverer.run_once()
        assert len(quiet.got) == 1


@contextmanager
def workers_that_die(database_url: str, directory: Path, lives: Sequence[float]) -> Iterator[None]:
    """A worker process that is killed after each of these seconds, and followed by another; the last one lives until the block ends."""
    over = threading.Event()

    def run() -> None:
        for number, life in enumerate([*lives, LIMIT]):
            with begun(database_url, directory, f"worker-{number}") as worker:
                over.wait(life)
                worker.kill()
            if over.is_set():
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_workers_are_killed_at_any_moment_and_every_event_arrives_in_order(database_url: str, tmp_path: Path) -> None:
    chance = random.Random(20261123)
    office = open_office(database_url, tmp_path)
    with receiving() as receiver:
        office.trigger(office.webhook(receiver.url))
        lives = [chance.uniform(0.05, 0.6) for _ in range(8)]
        with workers_that_die(database_url, tmp_path, lives):
            events = {}
            for number in range(EVENTS):
                subject = f"ra_{number % 60}"
                events.setdefault(subject, []).append(office.event(subject))
                time.sleep(0.006)
            wanted = {event for several in events.values() for event in several}
            assert receiver.wait_until(lambda: wanted <= set(receiver.ids), LIMIT), f"{len(wanted - set(receiver.ids))} are missing"
            deadline = time.monotonic() + LIMIT
            while set(office.statuses()) != {"delivered"} and time.monotonic() < deadline:
                time.sleep(0.05)
        assert office.statuses() == ["delivered"] * EVENTS
        for several in events.values():
            firsts = list(dict.fromkeys(one for one in receiver.ids if one in several))
            assert firsts == several
    office.parts.close()
