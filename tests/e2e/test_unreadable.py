"""What is no HTTP request, or too large for one, gets a problem document on the wire, and the server goes on."""

import json
import socket

import pytest
from deployment import up


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with up(tmp_path_factory.mktemp("unreadable") / "data") as deployment:
        yield deployment


UNREADABLE = {
    "a header without a colon": (b"GET / HTTP/1.1\r\nHost: x\r\nFoo bar\r\n\r\n", 400, "Foo bar"),
    "an address that is too long": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "too large"),
    "too many headers": (b"GET / HTTP/1.1\r\n" + b"X-A: 1\r\n" * 200 + b"\r\n", 431, "header"),
    "two media types at once": (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n", 400, "CONTENT-TYPE"),
    "another version of HTTP": (b"GET / HTTP/7.8\r\nHost: x\r\n\r\n", 400, "HTTP"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_gets_a_problem_document(deployment, name):
    request, status, reason = UNREADABLE[name]
    head, body = exchange(deployment.port, request)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "Content-Type: application/problem+json" in head
    problem = json.loads(body)
    assert problem["status"] == status and reason in problem["detail"]
    assert problem["correlationId"] in head
    assert deployment.client()("GET", problem["type"]).status == 200
    assert deployment.client()("GET", "/health/live").status == 200


def exchange(port: int, request: bytes) -> tuple[str, str]:
    """The head and the body of the answer, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        wire.sendall(request)
        answer = b""
        while chunk := wire.recv(65_536):
            answer += chunk
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head, body
