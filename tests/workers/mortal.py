"""Worker processes that are killed: each begins within milliseconds, as it is forked from one that has imported everything."""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from ld_server.bootstrap import build
from ld_server.settings import Settings
from workers.deliver import Deliverer
from workers.relay import Relay

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])


@contextmanager
def begun(database_url: str, directory: Path, name: str) -> Iterator[BaseProcess]:
    """A worker that is at work; whoever began it kills it."""
    ours, theirs = SERVER.Pipe()
    worker = SERVER.Process(target=_work, args=(database_url, directory, name, theirs), daemon=True)
    worker.start()
    theirs.close()
    assert ours.recv() == "at work"
    try:
        yield worker
    finally:
        worker.kill()
        worker.join()


def _work(url: str, directory: Path, name: str, told: Connection) -> None:
    settings = {"webhook_allow": "127.0.0.1", "delivery_interval": 0.02, "delivery_lease": 5.0, "relay_lease": 1.0, "webhook_timeout": 4.0}
    parts = build(Settings(data_dir=directory, database_url=url, sparql_url="memory:", **settings))
    deliverer = Deliverer(parts, name)
    relay = Relay(parts, name, deliverer.nudge)
    deliverer.start()
    relay.start()
    told.send("at work")
    threading.Event().wait()
