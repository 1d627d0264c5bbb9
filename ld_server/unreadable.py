"""Gunicorn's threads, but what cannot be read as a request gets a problem document, as every other refusal does."""

from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, LimitRequestLine, ParseException, UnsupportedTransferCoding
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from ld_server.http.conversation import new_correlation_id
from ld_server.http.errors import PROBLEM_JSON, unreadable

STATUSES: Mapping[type[Exception], int] = {
    LimitRequestLine: 414,
    LimitRequestHeaders: 431,
    ExpectationFailed: 417,
    UnsupportedTransferCoding: 501,
    ParseException: 400,
}
"""What is wrong with a request that cannot be read → status, the first that fits."""


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker of ld_server.wsgi.WebServer, whose `base_iri` names the type of the problem."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """A signal to end: event streams end by themselves, so that nobody waits for their readers."""
        self.app.end()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        self.app.end()
        super().handle_quit(sig, frame)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Called by gunicorn for whatever stopped a request outside the application."""
        status = next((status for kind, status in STATUSES.items() if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        self.log.info("unreadable request from %s: %s", (addr or ("", -1))[0], exc)
        with suppress(OSError):
            write_nonblock(client, answer(self.app.base_iri, status, str(exc)))


def answer(base_iri: str, status: int, reason: str) -> bytes:
    """The whole HTTP answer. The connection ends with it: where the next request would begin is not known."""
    correlation_id = new_correlation_id()
    body = unreadable(base_iri, status, f"{reason.rstrip('.')}.", correlation_id)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Connection: close",
        f"Content-Type: {PROBLEM_JSON}",
        f"Content-Length: {len(body)}",
        f"X-Correlation-Id: {correlation_id}",
    )
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body
