"""Receivers of webhooks: real HTTP servers on loopback that write down what they get and answer as they are told."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

import orjson


@dataclass(frozen=True)
class Got:
    """A request that arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is answered: after `wait` is set (never, where it is not), and then `trickle` seconds apart, byte by byte."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"thanks"
    wait: threading.Event | None = None
    trickle: float = 0.0


@dataclass
class Receiver:
    """`answer` decides about each request; `got` is everything that has arrived, in its order."""

    port: int
    answer: Callable[[Got], Reply] = lambda _got: Reply()
    got: list[Got] = field(default_factory=list)
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    def note(self, got: Got) -> None:
        with self._arrived:
            self.got.append(got)
            self._arrived.notify_all()

    def wait_for(self, count: int, seconds: float = 60.0) -> bool:
        """Whether so many requests have arrived before the time is over."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.got) >= count, seconds)

    def wait_until(self, holds: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Whether something became true of what has arrived before the time is over."""
        with self._arrived:
            return self._arrived.wait_for(holds, seconds)

    @property
    def ids(self) -> list[str]:
        """The events that arrived, in their order, repetitions included."""
        return [got.json["id"] for got in list(self.got)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256


@contextmanager
def receiving(answer: Callable[[Got], Reply] = lambda _got: Reply(), tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port, until the block ends. It speaks TLS where it is told as whom."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            got = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body, monotonic())
            receiver.note(got)
            self._reply(receiver.answer(got))

        def _reply(self, reply: Reply) -> None:
            while reply.wait is not None and not reply.wait.wait(0.05):
                if over.is_set():
                    return
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self._write(reply)
            except OSError:
                self.close_connection = True

        def _write(self, reply: Reply) -> None:
            if not reply.trickle:
                self.wfile.write(reply.body)
            for byte in reply.body if reply.trickle else b"":
                self.wfile.write(bytes([byte]))
                if over.wait(reply.trickle):
                    return

        def log_message(self, *_arguments: Any) -> None:
            """Nobody reads it."""

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    receiver = Receiver(server.server_address[1], answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        over.set()
        server.shutdown()
        server.server_close()
