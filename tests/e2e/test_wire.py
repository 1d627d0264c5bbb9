"""
What is no honest request on the wire: lengths that lie, two lengths, lines that end otherwise, addresses that are written otherwise,
versions and methods that there are not. None reaches what a key opens without the key, none is answered twice, none is a 5xx, and the
server goes on.
"""

import re
import socket
from contextlib import suppress

import pytest
from deployment import up

LISTS_KEYS = b'"lastUsedAt"'
ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
PAUSE = 2.0
"""Seconds of silence after which it is said that no more will come."""
QUIET = 60.0
"""Seconds after which an answer counts as never coming."""


@pytest.fixture(scope="module", params=["gunicorn", "granian"])
def deployment(request, tmp_path_factory):
    with up(tmp_path_factory.mktemp("wire") / "data", LD_SERVER=request.param, LD_REQUEST_SECONDS="10") as deployment:
        yield deployment


def answers(deployment, request: bytes) -> tuple[list[int], bytes]:
    """
    The statuses of the answers, and all that was said, up to the end of the connection. KEY in the request is the key.

    Granian answers nobody who has said that no more will come: that is said to it when it seems to wait for more.
    """
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=PAUSE) as wire:
        wire.sendall(request.replace(b"KEY", deployment.new_key.encode()))
        said = to_the_end(wire) if deployment.settings["LD_SERVER"] == "granian" else b""
        with suppress(OSError):
            wire.shutdown(socket.SHUT_WR)
        wire.settimeout(QUIET)
        said += to_the_end(wire)
    return [int(status) for status in ANSWER.findall(said)], said


def to_the_end(wire: socket.socket) -> bytes:
    """What is said until the connection ends or pauses; a reset is an end, where the server had not read what it does not want to read."""
    said = b""
    with suppress(ConnectionResetError, TimeoutError):
        while chunk := wire.recv(65_536):
            said += chunk
    return said


def get(target: bytes, *headers: bytes, version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    return b"\r\n".join([method + b" " + target + b" " + version, b"Host: x", b"Connection: close", *headers, b"", b""])


def post(body: bytes, *headers: bytes) -> bytes:
    key, kind = b"Authorization: Bearer KEY", b"Content-Type: application/json"
    return get(b"/v1/catalog/item-types", key, kind, *headers, method=b"POST") + body


SMUGGLED = get(b"/v1/keys", b"Authorization: Bearer KEY")
CHUNKED = b"Transfer-Encoding: chunked"
ITEM = b'{"code": "A", "name": "A", "kind": "serialized"}'
REST = b"0\r\n\r\n" + SMUGGLED

LENGTHS = {
    "a length and chunks": post(REST, b"Content-Length: 5", CHUNKED),
    "chunks and a length": post(REST, CHUNKED, b"Content-Length: %d" % len(REST)),
    "two lengths": post(b"{}" + SMUGGLED, b"Content-Length: 2", b"Content-Length: %d" % (2 + len(SMUGGLED))),
    "two lengths in a line": post(b"{}" + SMUGGLED, b"Content-Length: 2, %d" % (2 + len(SMUGGLED))),
    "a length with a sign": post(b"{}" + SMUGGLED, b"Content-Length: +2"),
    "a length below nothing": post(b"{}" + SMUGGLED, b"Content-Length: -2"),
    "a length in hexadecimal": post(b"{}" + SMUGGLED, b"Content-Length: 0x2"),
    "a length with an underscore": post(b"{}" + SMUGGLED, b"Content-Length: 0_2"),
    "a length beyond all numbers": post(b"{}" + SMUGGLED, b"Content-Length: " + b"9" * 40),
    "a length that is too short": post(ITEM, b"Content-Length: 5"),
    "a length that is too long": post(ITEM, b"Content-Length: 5000"),
    "a length with a space before the colon": post(b"{}" + SMUGGLED, b"Content-Length : 2"),
    "chunks with a space before the colon": post(REST, b"Content-Length: 2", b"Transfer-Encoding : chunked"),
    "chunks that are not": post(REST, b"Transfer-Encoding: chunked, identity"),
    "chunks twice": post(REST, CHUNKED, CHUNKED),
    "chunks after a tab": post(REST, b"Transfer-Encoding:\x0bchunked"),
    "chunks in HTTP/1.0": post(REST, CHUNKED, b"Content-Length: 2").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "a chunk of less than nothing": post(b"-1\r\n" + SMUGGLED, CHUNKED),
    "a chunk in Python's hexadecimal": post(b"0x2\r\n{}\r\n" + REST, CHUNKED),
    "a chunk beyond all numbers": post(b"f" * 40 + b"\r\n{}\r\n" + REST, CHUNKED),
    "a chunk that is longer than it says": post(b"2\r\n{}{}{}\r\n" + REST, CHUNKED),
    "a chunk with bare line feeds": post(b"2\n{}\n0\n\n" + SMUGGLED, CHUNKED),
    "a chunk that is never said": post(b"", CHUNKED),
}
LENIENT = {
    "bare line feeds": SMUGGLED.replace(b"\r\n", b"\n"),
    "a bare line feed in a header": get(b"/v1/keys", b"X-A: 1\nAuthorization: Bearer KEY"),
    "an underscore for a dash": get(b"/v1/keys", b"X_Api_Key: KEY"),
}
"""What granian reads as if it were right, as RFC 9112, 2.2, allows for line feeds. The key is good, and so it opens."""
HEADS = {
    "a bare carriage return in a header": get(b"/v1/keys", b"X-A: 1\rAuthorization: Bearer KEY"),
    "a folded header": get(b"/v1/keys", b"X-A: 1", b" Authorization: Bearer KEY"),
    "a folded key": get(b"/v1/keys", b"Authorization: Bearer", b" KEY"),
    "a zero byte in a header": get(b"/v1/keys", b"Authorization: Bearer KEY\x00"),
    "a zero byte in a name": get(b"/v1/keys", b"Authori\x00zation: Bearer KEY"),
    "a space in a name": get(b"/v1/keys", b"Authorization : Bearer KEY"),
    "a header without a name": get(b"/v1/keys", b": Authorization: Bearer KEY"),
    "two keys": get(b"/v1/keys", b"Authorization: Bearer x", b"Authorization: Bearer KEY"),
    "HTTP/0.9": b"GET /v1/keys\r\n\r\n",
    "HTTP/0.9 with a version": get(b"/v1/keys", version=b"HTTP/0.9"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a change to HTTP/2": get(b"/v1/keys", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
    "a version that is none": get(b"/v1/keys", version=b"HTTP/1.1x"),
    "no version": get(b"/v1/keys", version=b""),
    "two spaces": get(b" /v1/keys"),
    "no address": get(b""),
    "a method that there is not": get(b"/v1/keys", method=b"STEAL"),
    "a method in small letters": get(b"/v1/keys", method=b"get"),
    "TRACE": get(b"/v1/keys", b"X-Secret: s3cret", method=b"TRACE"),
    "CONNECT": get(b"127.0.0.1:22", method=b"CONNECT"),
    "an asterisk": get(b"*"),
}  # fmt: skip
TARGETS = [
    b"/v1/keys", b"//v1/keys", b"///v1//keys", b"/v1/../v1/keys", b"/../v1/keys", b"/health/../v1/keys", b"/health/%2e%2e/v1/keys",
    b"/./v1/keys", b"/v1/keys%2f", b"/v1%2fkeys", b"/v1/keys;x", b"/v1;x/keys", b"/v1/keys#x", b"/v1/keys%00", b"/v1/keys%0a",
    b"/v1/%6beys", b"\\v1\\keys", b"/contexts/..%2fv1%2fkeys", b"http://x/v1/keys", b"http://evil.example/v1/keys", b"https://x//v1/keys",
    b"http://x@evil.example/v1/keys", b"//evil.example/v1/keys", b"/v1/keys\xff", b"/v1/k\x00eys", b"v1/keys", b"?/v1/keys",
    b"/?/v1/keys", b"http:/v1/keys", b"file:///etc/passwd",
]  # fmt: skip
UNKNOWN_CODING = 501
"""What RFC 9112, 6.1 asks for where the coding of a body is unknown: the one answer that is no fault of ours."""


@pytest.mark.parametrize("name", LENGTHS)
def test_a_body_whose_end_is_disputed_is_one_request(deployment, name):
    statuses, said = answers(deployment, LENGTHS[name])
    assert len(statuses) <= 1 and LISTS_KEYS not in said
    assert all(400 <= status < 500 or status == UNKNOWN_CODING for status in statuses), said
    assert deployment.client()("GET", "/health/live").status == 200


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_is_none_opens_nothing(deployment, name):
    statuses, said = answers(deployment, HEADS[name])
    assert len(statuses) <= 1 and LISTS_KEYS not in said and b"s3cret" not in said
    assert all(400 <= status < 500 for status in statuses), said


@pytest.mark.parametrize("name", LENIENT)
def test_what_one_server_reads_and_the_other_does_not_is_one_request_at_most(deployment, name):
    statuses, said = answers(deployment, LENIENT[name])
    assert len(statuses) <= 1
    assert all(status == 200 or 400 <= status < 500 for status in statuses), said
    assert LISTS_KEYS not in said or deployment.settings["LD_SERVER"] == "granian"


@pytest.mark.parametrize("target", TARGETS)
def test_an_address_opens_nothing_without_a_key_however_it_is_written(deployment, target):
    statuses, said = answers(deployment, get(target))
    assert len(statuses) <= 1 and LISTS_KEYS not in said and b"root:" not in said
    assert all(400 <= status < 500 for status in statuses) or target == b"/?/v1/keys", said


def test_with_the_key_it_opens(deployment):
    """So that the others can be wrong."""
    statuses, said = answers(deployment, SMUGGLED)
    assert statuses == [200] and LISTS_KEYS in said


def test_the_second_of_two_requests_has_not_the_key_of_the_first(deployment):
    first, second = SMUGGLED.replace(b"Connection: close\r\n", b""), get(b"/v1/keys")
    statuses, said = answers(deployment, first + second)
    assert statuses in ([200, 401], [200])
    assert said.count(LISTS_KEYS) == 1


def test_a_body_is_no_second_request(deployment):
    inner = SMUGGLED.replace(b"Connection: close\r\n", b"")
    statuses, said = answers(deployment, post(inner, b"Content-Length: %d" % len(inner)))
    assert statuses == [400] and LISTS_KEYS not in said
