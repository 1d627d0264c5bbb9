"""The worker process: the projector, the relay, the deliverer, the task queue's consumer and the clock, until SIGTERM."""

import os
import socket
from collections.abc import Callable
from dataclasses import replace

from ld_server.services.parts import Parts
from workers.app import enlist, open_huey
from workers.clock import make_clock
from workers.common_time import CommonTime
from workers.deliver import Deliverer
from workers.projector import Projector
from workers.relay import Relay

TASKS_AT_ONCE = 2
"""So that a job which takes its time does not hold up what is to be looked at every minute."""

GRACE = 5.0
"""Seconds that a running task is given when the worker is asked to stop. What it did not finish, another nudge will."""


def run(parts: Parts, name: str, when_running: Callable[[], None]) -> None:
    """
    Work until SIGTERM (or SIGINT). Must be called in the main thread, which receives the signals.

    `name` stands in leases, and no other worker that is alive has it. `when_running` is called once the consumer takes tasks.
    The parts stay open: they belong to the caller.
    """
    parts = replace(parts, now=CommonTime(parts.ledger, parts.now))
    huey = open_huey(parts.settings.huey_url)
    clock = make_clock(enlist(huey, parts))
    consumer = huey.create_consumer(workers=TASKS_AT_ONCE, periodic=False, graceful_signal="TERM", shutdown_timeout=GRACE)
    huey.on_startup("when_running")(when_running)
    deliverer = Deliverer(parts, name)
    loops = (Projector(parts, name), Relay(parts, name, deliverer.nudge), deliverer)
    for one in loops:
        one.start()
    clock.start()
    try:
        consumer.run()
    finally:
        clock.shutdown(wait=False)
        for one in loops:
            one.stop()
        huey.storage.close()


def new_name() -> str:
    """A name for leases that no other process ever has."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
