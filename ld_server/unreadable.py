"""Gunicorn's threads, for requests that are there alone; what cannot be read gets a problem document, as every other refusal does."""

import selectors
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, LimitRequestLine, ParseException, UnsupportedTransferCoding
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from ld_server.http.conversation import new_correlation_id
from ld_server.http.errors import PROBLEM_JSON, unreadable
from ld_server.patience import Head, Patient, head_on

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

    # --- slow clients: a connection gets a thread when the head of a request has arrived --------------------------------

    def init_process(self) -> None:
        self._partial: deque[Any] = deque()
        self._closing = ThreadPoolExecutor(CLOSERS)
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Called by gunicorn, in its main thread, for every connection on which there may be a request."""
        if conn.initialized and conn.parser.unreader.buf.getvalue():
            super().enqueue_req(conn)
            return
        _make_patient(conn, self)
        self._expect(conn, time.monotonic() + self.app.request_seconds)

    def _expect(self, conn: Any, until: float) -> None:
        head = head_on(conn.sock.bare, LARGEST_HEAD)
        if head is Head.WHOLE:
            conn.sock.begin()
            conn.data_ready = True
            super().enqueue_req(conn)
        elif head is Head.PART:
            self._partial.append((conn, until))
        elif head is Head.TOO_MUCH:
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders(f"the head has more than {LARGEST_HEAD} bytes"))
            self._drop(conn, graceful=True)
        else:
            conn.timeout = until
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def murder_pending(self) -> None:
        """Called by gunicorn in every round: looks again at what had not arrived, and gives up what takes too long."""
        super().murder_pending()
        for _ in range(len(self._partial)):
            conn, until = self._partial.popleft()
            if time.monotonic() > until or not self.alive:
                self._drop(conn)
            else:
                self._expect(conn, until)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(min(timeout, LOOK_SECONDS) if self._partial else timeout)

    def _drop(self, conn: Any, graceful: bool = False) -> None:
        self.nr_conns -= 1
        conn.close(graceful)

    def close_apart(self, close: Callable[..., None], graceful: bool = False) -> None:
        """Closing lingers until the client has closed, too: nobody is to wait for that."""
        self._closing.submit(close, graceful) if graceful else close()

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """What is left of a body that nobody wanted is waited for briefly; then the connection is closed."""
        return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + LOOK_SECONDS))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Called by gunicorn for whatever stopped a request outside the application."""
        status = next((status for kind, status in STATUSES.items() if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        self.log.info("unreadable request from %s: %s", (addr or ("", -1))[0], exc)
        with suppress(OSError):
            write_nonblock(client, answer(self.app.base_iri, status, str(exc)))


CLOSERS = 4
"""Threads that close connections."""

LOOK_SECONDS = 0.05
"""Between two looks at connections on which a part of a request has arrived."""

LARGEST_HEAD = 64 * 1024
"""Bytes of the request line and all header fields."""


def _make_patient(conn: Any, worker: Worker) -> None:
    """Once for each connection."""
    if not isinstance(conn.sock, Patient):
        conn.sock = Patient(conn.sock, worker.app.request_seconds)
        conn.close = partial(worker.close_apart, conn.close)


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
