"""
The web server of `ld-server web --server granian`: the same application under Granian, whose HTTP is Rust. It is the extra
`ld-reservations[granian]`.

Each worker process builds its own parts after it has been made, as under gunicorn.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from wsgiref.types import WSGIApplication

from ld_server.bootstrap import build
from ld_server.http.app import create_app
from ld_server.settings import InvalidSetting, Settings
from ld_server.supervisor.launcher import die_with_parent

ENDING = signal.SIGUSR1
"""The signal by which a worker is told that it is about to end."""

try:
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.server import MPServer
except ImportError:
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

    class Server(MPServer):
        """Granian, which tells its workers that they are about to end, so that event streams end and nobody waits for their readers."""

        def shutdown(self, exit_code: int = 0) -> None:
            for worker in self.wrks:
                with suppress(ProcessLookupError):
                    os.kill(worker._id(), ENDING)
            super().shutdown(exit_code)


GRACE = 8
"""Seconds a stopping worker is given to finish its requests."""

HEADER_MILLISECONDS = 10_000
"""How long a client may take for the head of a request."""

LARGEST_HEAD = 64 * 1024
"""Bytes that the head of a request may have."""


def refuse_where_missing(settings: Settings) -> None:
    """Raises InvalidSetting when Granian is asked for and not installed."""
    if settings.server == "granian" and not IS_INSTALLED:
        raise InvalidSetting("LD_SERVER=granian needs the extra: pip install 'ld-reservations[granian]'")


def serve(settings: Settings, make: Callable[[Settings], WSGIApplication] | None = None) -> None:
    """Serves what each worker makes (our application) until SIGTERM or SIGINT. Must be called in the main thread."""
    logging.getLogger("_granian").setLevel(logging.WARNING)
    server = Server(
        "ld_server",  # a name for its messages: what is served is loaded by `_application`
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.web_workers,
        blocking_threads=settings.web_threads,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=LARGEST_HEAD),
        log_enabled=False,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE,
    )
    server.serve(target_loader=partial(_application, settings, os.getpid(), make or _ours), wrap_loader=False)


def _application(settings: Settings, master: int, make: Callable[[Settings], WSGIApplication]) -> WSGIApplication:
    """Called in each worker, which ends with its master."""
    if die_with_parent() and os.getppid() != master:
        sys.exit(0)
    return make(settings)


def _ours(settings: Settings) -> WSGIApplication:
    parts = build(settings)
    signal.signal(ENDING, lambda _number, _frame: parts.ending.set())
    return create_app(parts)
