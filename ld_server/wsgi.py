"""
Gunicorn's door: the WSGI application, and the web server of `ld-server web`.

Each worker process builds its own parts after the fork: a database connection must not be shared by two processes.
"""

import os
import sys
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.app.base import BaseApplication

from ld_server.bootstrap import build
from ld_server.http.app import create_app
from ld_server.services.parts import Parts
from ld_server.settings import Settings
from ld_server.supervisor.banner import CLIENT_KEY
from ld_server.supervisor.launcher import die_with_parent
from ld_server.unreadable import Worker

GRACE = 8
"""Seconds a stopping worker is given to finish its requests; the supervisor waits longer than that."""


def application() -> WSGIApplication:
    """The application with the settings of the environment, for a server of your own: `gunicorn 'ld_server.wsgi:application()'`."""
    variables = {name: value for name, value in os.environ.items() if name != CLIENT_KEY}
    return create_app(build(Settings.from_environment(variables)))


class WebServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn with threads, configured by our settings alone: neither a gunicorn.conf.py nor GUNICORN_CMD_ARGS counts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.base_iri = settings.base_iri
        self.request_seconds = settings.request_seconds
        self._parts: Parts | None = None
        super().__init__()

    def load_config(self) -> None:
        for name, value in gunicorn_settings(self._settings).items():
            self.cfg.set(name, value)
        self.cfg.set("post_fork", bind_to_master)
        self.cfg.set("worker_exit", lambda server, worker: self.close())

    def load(self) -> WSGIApplication:
        """Called in each worker."""
        self._parts = build(self._settings)
        return create_app(self._parts)

    def end(self) -> None:
        """Called in each worker when it has been told to end, and before it waits for the requests that it has."""
        if self._parts is not None:
            self._parts.ending.set()

    def close(self) -> None:
        """Called in each worker when it ends, also when it never loaded."""
        if self._parts is not None:
            self._parts.close()


def gunicorn_settings(settings: Settings) -> dict[str, Any]:
    """Our settings in gunicorn's terms."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": f"{host}:{settings.port}",
        "workers": settings.web_workers,
        "threads": settings.web_threads,
        "worker_class": Worker,
        "keepalive": 15,
        "timeout": 60,
        "graceful_timeout": GRACE,
        "limit_request_line": settings.max_url_bytes,
        "limit_request_fields": settings.max_headers,
        "limit_request_field_size": settings.max_header_bytes,
        "sendfile": False,  # it would wait for the client without end
        "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108 (heartbeats, which must not wait for a disk)
        "accesslog": None,  # ours is ld_server.access
        "errorlog": "-",
        "loglevel": "warning",
        "control_socket_disable": True,
    }


def bind_to_master(server: Any, worker: Any) -> None:
    """A worker that loses its master ends at once, where the kernel can see to it; elsewhere it notices within a second or so."""
    if die_with_parent() and os.getppid() != worker.ppid:
        sys.exit(0)
