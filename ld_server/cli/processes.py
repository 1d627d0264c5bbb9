"""The commands that stay: `up`, `demo`, `web` and `worker`."""

import argparse
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from ld_server import granian_server
from ld_server.bootstrap import build, join, metrics_directory, prepare
from ld_server.cli import fleet, logs
from ld_server.cli.deployment import settings_of
from ld_server.services.meters import forget_the_dead
from ld_server.settings import Settings
from ld_server.supervisor.banner import banner
from ld_server.supervisor.children import Patience
from ld_server.supervisor.claims import check_port, claim_directory
from ld_server.supervisor.household import roles, worker_ready_file
from ld_server.supervisor.watch import Watch
from ld_server.wsgi import WebServer
from workers.app import engine_of
from workers.run import new_name, run

FIRST_KEY = "first-key"
"""A file in the data directory that keeps the first admin key until it was shown: a start may fail in between."""

FIRST_CODE = "timer-node-v2"


def up(given: argparse.Namespace) -> int:
    return _supervise(settings_of(given), lambda settings: None)


def demo(given: argparse.Namespace) -> int:
    return _supervise(settings_of(given), fleet.load_when_empty)


def web(given: argparse.Namespace) -> int:
    settings = settings_of(given)
    granian_server.refuse_where_missing(settings)
    logs.configure(settings.log_level)
    join(settings)  # what is wrong is told here, in one line, and not by every child
    forget_the_dead(metrics_directory(settings))
    SERVERS[settings.server](settings)
    return 0


SERVERS: Mapping[str, Callable[[Settings], None]] = {
    "gunicorn": lambda settings: WebServer(settings).run(),
    "granian": granian_server.serve,
}
"""LD_SERVER → what serves until a signal."""


def worker_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="its name in leases, which no other worker may have; a new one by default")


def worker(given: argparse.Namespace) -> int:
    settings = settings_of(given)
    logs.configure(settings.log_level)
    join(settings)
    parts = build(settings)
    forget_the_dead(metrics_directory(settings))
    ready = worker_ready_file(settings)
    ready.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        run(parts, given.name or new_name(), ready.touch)
    finally:
        parts.close()
    return 0


def _supervise(settings: Settings, then: Callable[[Settings], None]) -> int:
    """Run everything until a signal. `then` is called once, when everything serves, before the greeting."""
    _refuse_what_no_child_could_use(settings)
    claim_directory(settings.data_dir)
    check_port(settings.host, settings.port)
    made_for_nobody = _prepare(settings)

    def greet() -> None:
        then(settings)
        _say(banner(settings, made_for_nobody, _free_code(settings)))
        (settings.data_dir / FIRST_KEY).unlink(missing_ok=True)

    Watch(roles(settings), Patience()).run(greet)
    _say("Stopped.")
    return 0


def _refuse_what_no_child_could_use(settings: Settings) -> None:
    """Raises InvalidSetting here, in one line, rather than in every child again and again."""
    logs.number_of(settings.log_level)
    granian_server.refuse_where_missing(settings)
    engine_of(settings.huey_url)
    build(settings).close()


def _prepare(settings: Settings) -> str | None:
    """Make the ledger ready. Gives the first admin key as long as it was never shown."""
    unseen = settings.data_dir / FIRST_KEY
    made = prepare(settings)
    if made is not None:
        unseen.write_text(made, encoding="ascii")
    return unseen.read_text(encoding="ascii") if unseen.exists() else None


def _free_code(settings: Settings) -> str:
    """A code for the first command of the greeting that no item type has."""
    parts = build(settings)
    try:
        with parts.ledger.read() as uow:
            taken = uow.index.find("item_types", "code", FIRST_CODE) is not None
    finally:
        parts.close()
    return f"timer-node-{datetime.now(UTC):%Y%m%d-%H%M%S}" if taken else FIRST_CODE


def _say(text: str) -> None:
    """Print, to a terminal that may be gone."""
    with suppress(OSError):
        print(text, flush=True)
