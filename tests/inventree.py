"""
As much of InvenTree as is spoken to, in a process of its own: parts, build orders, lists in pages, token authentication, its errors.

Run as a program it says its port and serves until it is stopped. `/stand` is no part of InvenTree: there a test sees and changes what the
server holds, and how it `fails`.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen

TOKEN = "inv-4711"
TIMER = {"pk": 3, "name": "Timer", "IPN": "TN"}
LONG = 30.0
"""Seconds that an answer takes which comes byte by byte."""


class Stand:
    """The server as a test sees it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def change(self, **changes: Any) -> None:
        """Exchanges `parts`, `orders` or `fails`."""
        urlopen(Request(f"{self.url}/stand", json.dumps(changes).encode(), method="PUT"), timeout=30).close()

    def holds(self, what: str) -> Any:
        with urlopen(f"{self.url}/stand", timeout=30) as answer:
            return json.load(answer)[what]

    @property
    def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.holds("orders")
        return found

    def set_status(self, status: int) -> None:
        """Of all orders."""
        self.change(orders=[{**one, "status": status} for one in self.orders])


@contextmanager
def standing() -> Iterator[Stand]:
    """The server, until the block ends."""
    alone = [sys.executable, "-P", __file__]  # -P: `http` is the standard library's, not the folder beside this file
    process = subprocess.Popen(alone, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Stand(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(30)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.held: dict[str, Any] = {"parts": [], "orders": [], "fails": ""}
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        parts, held = urlsplit(self.path), self.server.held
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/stand":
            self.answer(200, held)
        elif self.refused():
            return
        elif parts.path == "/api/part/":
            self.page([one for one in held["parts"] if one["IPN"].lower() == query["IPN"].lower()], query)
        elif parts.path == "/api/build/":
            self.page([one for one in held["orders"] if query["search"] in one["title"]], query)
        else:
            pk = int(parts.path.split("/")[3])
            self.found(next((one for one in held["orders"] if one["pk"] == pk), None))

    def do_PUT(self) -> None:
        self.server.held |= self.body()
        self.answer(200, {})

    def do_POST(self) -> None:
        body, held = self.body(), self.server.held
        if self.refused():
            return
        if not body.get("title"):
            self.answer(400, {"title": ["This field is required."]})
            return
        if not next(one for one in held["parts"] if one["pk"] == body["part"]).get("assembly", True):
            self.answer(400, {"part": ["Part must be an assembly"]})
            return
        with self.server.lock:
            pk = len(held["orders"]) + 41
            order = {"pk": pk, "reference": f"BO-{pk:04}", "status": 10, **body}
            held["orders"].append(order)
        if held["fails"] == "after":
            self.close_connection = True
            self.connection.close()
            return
        self.answer(201, order)

    def body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def refused(self) -> bool:
        fails = self.server.held["fails"]
        if self.headers.get("Authorization") != f"Token {TOKEN}":
            self.answer(401, {"detail": "Invalid token."})
        elif fails == "hang":
            time.sleep(1.5)
            self.answer(200, [])
        elif fails == "trickle":
            self.trickle()
        elif fails == "endless":
            self.answer(
                200, {"count": 10**9, "next": f"http://elsewhere.example{self.path}", "previous": None, "results": [{"pk": 1}] * 100}
            )
        elif fails.isdecimal():
            self.answer(int(fails), {"detail": "broken"})
        elif fails == "html":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")
        else:
            return False
        return True

    def trickle(self) -> None:
        """Never silent for long, and never done in time."""
        self.send_response(200)
        self.end_headers()
        until = time.monotonic() + LONG
        try:
            while time.monotonic() < until:
                self.wfile.write(b" ")
                time.sleep(0.1)
        except OSError:
            self.close_connection = True

    def page(self, every: list[Any], query: dict[str, str]) -> None:
        """Of a list, as Django REST framework's LimitOffsetPagination has it: InvenTree pages where a limit is named."""
        if "limit" not in query:
            self.answer(200, every)
            return
        limit, offset = int(query["limit"]), int(query.get("offset", 0))
        results = every[offset : offset + limit]
        following = self.address(query, offset + limit) if offset + limit < len(every) else None
        before = self.address(query, max(0, offset - limit)) if offset else None
        self.answer(200, {"count": len(every), "next": following, "previous": before, "results": results})

    def address(self, query: dict[str, str], offset: int) -> str:
        return f"http://{self.headers['Host']}{urlsplit(self.path).path}?{urlencode({**query, 'offset': offset})}"

    def found(self, one: Any) -> None:
        self.answer(200, one) if one else self.answer(404, {"detail": "No Build matches the given query."})

    def answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


if __name__ == "__main__":
    server = Server()
    print(server.server_address[1], flush=True)
    server.serve_forever()
