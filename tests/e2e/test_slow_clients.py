"""Clients that trickle, stall or never read hold no thread for long: others are served meanwhile, by two threads."""

import socket
import time
from contextlib import ExitStack

import pytest
from deployment import up

SLOW = 40
SECONDS = 4.0


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    sizes = {"LD_MAX_HEADERS": "20", "LD_MAX_URL_BYTES": "500", "LD_MAX_HEADER_BYTES": "300"}
    limits = {"LD_REQUEST_SECONDS": str(SECONDS), "LD_WEB_WORKERS": "1", "LD_WEB_THREADS": "2", **sizes}
    with up(tmp_path_factory.mktemp("slow") / "data", **limits) as deployment:
        yield deployment


BEGINNINGS = {
    "nothing at all": b"",
    "half a request line": b"GET /health/li",
    "a head that goes on and on": b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: ",
    "a body that does not come, without a key": b"POST /v1/rent-actions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_others_are_served_while_many_are_slow(deployment, beginning):
    ask = deployment.client()
    with ExitStack() as open_ones:
        slow = [open_ones.enter_context(socket.create_connection(("127.0.0.1", deployment.port), timeout=60)) for _ in range(SLOW)]
        for one in slow:
            one.sendall(BEGINNINGS[beginning])
        served, until = 0, time.monotonic() + SECONDS / 2
        while time.monotonic() < until:
            assert ask("GET", "/health/live").status == 200
            served += 1
        assert served >= 5, "with a thread for each slow client there would be none for us"
        assert all(answer == b"" or answer.startswith(b"HTTP/1.1 401 ") for answer in map(ending, slow)), "in the end each is cut off"


def ending(wire):
    """What a connection says before it ends."""
    try:
        return wire.recv(65_536)
    except ConnectionResetError:
        return b""


def test_who_never_ends_its_head_is_cut_off_in_time(deployment):
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=60) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\n")
        begun = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - begun < 60:
                wire.sendall(b"X: y\r\n")
                time.sleep(0.2)
        assert time.monotonic() - begun >= SECONDS - 1


def test_a_head_in_pieces_is_a_request_all_the_same(deployment):
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=60) as wire:
        for piece in (b"GET /health/live HT", b"TP/1.1\r\nHost: x\r\n", b"Connection: close\r\n", b"\r\n"):
            wire.sendall(piece)
            time.sleep(0.1)
        assert wire.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_head_that_is_too_large_is_refused_before_it_ends(deployment):
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=60) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 70_000)
        assert wire.recv(65_536).startswith(b"HTTP/1.1 431 ")


HEADS = {
    "so many headers": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 19 + b"\r\n", 200),
    "one more header": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 20 + b"\r\n", 431),
    "a header": (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"y" * 280 + b"\r\n\r\n", 200),
    "a longer header": (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"y" * 310 + b"\r\n\r\n", 431),
    "an address": (b"GET /" + b"a" * 480 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a longer address": (b"GET /" + b"a" * 500 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_size_of_a_head_is_a_setting(deployment, name):
    head, status = HEADS[name]
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=60) as wire:
        wire.sendall(head)
        assert wire.recv(65_536).startswith(b"HTTP/1.1 %d " % status)
