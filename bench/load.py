"""A load generator for keep-alive HTTP on loopback: one thread, many connections, next to no cost of its own."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

HOST = "127.0.0.1"


@dataclass
class Result:
    """`seconds` the run took, and the status and latency in seconds of every answer."""

    seconds: float = 0.0
    statuses: list[int] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.statuses) / self.seconds


@dataclass
class _Wire:
    connection: socket.socket
    received: bytes = b""
    sent_at: float = 0.0


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"", host: str = "localhost") -> bytes:
    """An HTTP/1.1 request, ready to be sent."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def drive(port: int, requests: Callable[[], Iterator[bytes]], connections: int, limit_seconds: float = 120.0) -> Result:
    """
    Sends every request once, over `connections` connections, each of which waits for its answer before it sends the next.

    Stops after `limit_seconds` in any case.
    """
    result, ahead = Result(), requests()
    with selectors.DefaultSelector() as selector:
        started = time.perf_counter()
        for _ in range(connections):
            _send(selector, _Wire(socket.create_connection((HOST, port), timeout=30)), ahead, new=True)
        while selector.get_map() and time.perf_counter() - started < limit_seconds:
            for key, _ in selector.select(timeout=1):
                _receive(selector, key.data, ahead, result)
        result.seconds = time.perf_counter() - started
        for key in list(selector.get_map().values()):
            key.data.connection.close()
    return result


def _send(selector: selectors.BaseSelector, wire: _Wire, ahead: Iterator[bytes], new: bool = False) -> None:
    following = next(ahead, None)
    if following is None:
        if not new:
            selector.unregister(wire.connection)
        wire.connection.close()
        return
    wire.received, wire.sent_at = b"", time.perf_counter()
    wire.connection.sendall(following)
    if new:
        selector.register(wire.connection, selectors.EVENT_READ, wire)


def _receive(selector: selectors.BaseSelector, wire: _Wire, ahead: Iterator[bytes], result: Result) -> None:
    wire.received += wire.connection.recv(262_144)
    head, separator, body = wire.received.partition(b"\r\n\r\n")
    if separator and _is_whole(head, body):
        result.statuses.append(int(head[9:12]))
        result.latencies.append(time.perf_counter() - wire.sent_at)
        _send(selector, wire, ahead)


def _is_whole(head: bytes, body: bytes) -> bool:
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))}
    if headers.get(b"transfer-encoding") == b"chunked":
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(headers.get(b"content-length", b"0"))
