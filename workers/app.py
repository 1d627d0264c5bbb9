"""
The task queue: which engine a URL means, and the tasks there are.

A task is only a nudge: Huey deletes it before it runs it. What must happen is written in the ledger, and a nudge that is lost
is made up for by the next one.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from huey import Huey, PostgresHuey, RedisHuey, SqliteHuey
from huey.registry import Message

from ld_server.services import attachments, retention, schedules
from ld_server.services.parts import Parts
from ld_server.settings import InvalidSetting
from workers.jobs import JOBS, overdue_scan

QUEUE = "ld_reservations"


class JsonMessages:
    """
    Writes queue messages as JSON: the id of a task, its name and its arguments.

    Huey's own serializer is pickle, with which anyone who can write to the queue can run code in a worker.
    """

    def serialize(self, message: Message) -> bytes:
        """Raises TypeError when an argument is no JSON value."""
        return json.dumps([message.id, message.name, list(message.args), dict(message.kwargs), message.retries]).encode()

    def deserialize(self, data: bytes) -> Message:
        """Raises ValueError when the data is not a message of ours."""
        identifier, name, arguments, keywords, retries = json.loads(bytes(data))
        return Message(id=identifier, name=name, args=tuple(arguments), kwargs=keywords, retries=retries)


def run_schedules(parts: Parts) -> int:
    """Plan what is due by the schedules, and do what waits; how many runs that were."""
    schedules.plan_due(parts)
    return schedules.run_open(parts, JOBS)


TASKS: Mapping[str, Callable[[Parts], object]] = {
    "sweep_idempotency": retention.sweep_answers,
    "sweep_ledger": retention.sweep,
    "sweep_attachments": attachments.sweep,
    "run_schedules": run_schedules,
    "overdue_scan": overdue_scan.run_by_clock,
}
"""Every task by its name in the queue."""


def open_huey(url: str) -> Huey:
    """
    The queue at a URL: `sqlite:///<file>`, `postgresql://…` (any psycopg spelling), `redis://…`, `rediss://…` or `unix://<socket>`.

    Tables are made when they are missing. Raises InvalidSetting for another scheme.
    """
    return engine_of(url)(url)


def engine_of(url: str) -> Callable[[str], Huey]:
    """What opens a queue at such a URL. Raises InvalidSetting for a scheme that nothing opens, and for a port that is none."""
    scheme = urlsplit(url).scheme.partition("+")[0]
    if scheme not in ENGINES:
        raise InvalidSetting(f"LD_HUEY_URL must start with one of {', '.join(name + ':' for name in ENGINES)}")
    if not _has_readable_port(url):
        raise InvalidSetting("LD_HUEY_URL: the port must be a number up to 65535")
    return ENGINES[scheme]


def _has_readable_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _sqlite(url: str) -> Huey:
    return SqliteHuey(QUEUE, filename=url.partition(":///")[2], **_MANNERS)


def _postgres(url: str) -> Huey:
    return PostgresHuey(QUEUE, dsn="postgresql://" + url.partition("://")[2], **_MANNERS)


def _redis(url: str) -> Huey:
    return RedisHuey(QUEUE, url=url, **_MANNERS)


_MANNERS: Mapping[str, Any] = {"results": False, "serializer": JsonMessages()}

ENGINES: Mapping[str, Callable[[str], Huey]] = {
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "postgres": _postgres,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
}
"""The scheme of LD_HUEY_URL, without its driver, and what opens it."""


def enlist(huey: Huey, parts: Parts) -> Mapping[str, Callable[[], object]]:
    """Make every task known to the queue, for whoever sends one and whoever runs one. Calling a result sends that task."""
    return {name: huey.task(name=name)(_with(parts, work)) for name, work in TASKS.items()}


def _with(parts: Parts, work: Callable[[Parts], object]) -> Callable[[], object]:
    def run() -> object:
        return work(parts)

    return run
