"""Files that are far larger than the memory a server may take for them, by both ways into both stores: `python -m bench.uploads [MiB]`."""

import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench.load import HOST
from bench.post import post, post_story
from bench.servers import KEY, free_port, settings_at, web_only
from bench.table import Row, print_table
from ld_server.settings import Settings
from tests.s3_servers import S3Server

MIB = 1024 * 1024
USUAL = 2047
"""MiB: what is allowed at most unless a deployment says otherwise, with room for the form."""
PATIENCE = 900
HEAD = b"\x00\x00\x00\x18ftypmp42" + bytes(4084)
"""How a film begins; zeros follow."""
KIND = "video/mp4"
EDGE = "edge-of-the-bench"


@dataclass(frozen=True)
class Figure:
    """Seconds, and bytes: the most that the process of the server that grew most had before the upload, and by its end."""

    seconds: float
    before: int
    most: int


def film(size: int) -> Iterator[bytes]:
    """So many bytes that look like a film from outside."""
    yield HEAD
    left, zeros = size - len(HEAD), bytes(MIB)
    while left > 0:
        yield zeros[:left]
        left -= len(zeros)


def in_two_steps(port: int, owner: str, size: int) -> None:
    """Announced, sent where the server says, completed."""
    said = {"ownerKind": "asset", "ownerId": owner, "fileName": "film.mp4", "contentType": KIND, "byteSize": size}
    draft, _ = post(port, "/v1/attachments/initiate", said)
    link = urlsplit(draft["uploadUrl"])
    send(link.netloc, draft["uploadMethod"], f"{link.path}?{link.query}", film(size), size, draft["uploadHeaders"])
    body = json.dumps({"identifier": draft["identifier"]}).encode()
    send(f"{HOST}:{port}", "POST", "/v1/attachments/complete", iter([body]), len(body), {"Content-Type": "application/json", **AUTHORIZED})


def in_one_request(port: int, owner: str, size: int) -> None:
    """A form with the file in it."""
    start = "".join(f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in _fields(owner))
    start += f'--{EDGE}\r\nContent-Disposition: form-data; name="file"; filename="film.mp4"\r\nContent-Type: {KIND}\r\n\r\n'
    end = f"\r\n--{EDGE}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={EDGE}", **AUTHORIZED}
    chunks = (chunk for part in (iter([start.encode()]), film(size), iter([end])) for chunk in part)
    send(f"{HOST}:{port}", "POST", "/v1/attachments", chunks, len(start) + size + len(end), headers)


def _fields(owner: str) -> list[tuple[str, str]]:
    return [("ownerKind", "asset"), ("ownerId", owner)]


AUTHORIZED = {"Authorization": f"Bearer {KEY}"}

WAYS: Mapping[str, Callable[[int, str, int], None]] = {"in two steps": in_two_steps, "in one request": in_one_request}


def send(host: str, method: str, path: str, chunks: Iterator[bytes], size: int, headers: Mapping[str, str]) -> None:
    """A request whose body is never held as a whole. Raises SystemExit for a refusal, and for an answer that never comes."""
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)  # loopback only
    try:
        connection.request(method, path, chunks, {**headers, "Content-Length": str(size)})
        answer = connection.getresponse()
        told = answer.read()
    except OSError as error:
        raise SystemExit(f"{method} {path.partition('?')[0]}: {error}") from error
    finally:
        connection.close()
    if answer.status >= 300:
        raise SystemExit(f"{method} {path.partition('?')[0]}: {answer.status} {told[:500]!r}")


def measured(way: str, size: int, **store: Any) -> Figure:
    """One upload to a server of its own."""
    with tempfile.TemporaryDirectory() as directory:
        settings = settings_at(Path(directory), free_port(), web_workers=1, **store)
        with web_only(settings) as server:
            owner = post_story(settings.port).assets[0].rpartition("/")[2]
            _warm(settings, owner)
            before, started = most_memory(server), time.monotonic()
            WAYS[way](settings.port, owner, size)
            seconds, after = time.monotonic() - started, most_memory(server)
            grown = max(after, key=lambda pid: after[pid] - before[pid])
            return Figure(seconds, before[grown], after[grown])


def _warm(settings: Settings, owner: str) -> None:
    """What is only read at first use has been read."""
    for way in WAYS.values():
        way(settings.port, owner, 2 * len(HEAD))


def most_memory(server: psutil.Process) -> dict[int, int]:
    """The most resident bytes that each process of the server ever had, by pid."""
    return {one.pid: _most(one.pid) for one in [server, *server.children(recursive=True)]}


def _most(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """The settings of a store behind S3."""
    server = S3Server()
    try:
        yield {"blob_url": server.url, "blob_endpoint": server.endpoint}
    finally:
        server.stop()


def main(size: int = USUAL * MIB) -> None:
    rows = [Row((f"a file of {size // MIB:,} MiB", "seconds", "most memory before", "and by the end", "grown by"))]
    try:
        for way in WAYS:
            rows.append(_row(f"disk, {way}", measured(way, size)))
            with s3() as store:
                rows.append(_row(f"S3, {way}", measured(way, size, **store)))
    finally:
        print_table(rows)


def _row(name: str, figure: Figure) -> Row:
    memory = (figure.before, figure.most, figure.most - figure.before)
    return Row((name, f"{figure.seconds:.0f}", *(f"{one / MIB:.0f} MiB" for one in memory)))


if __name__ == "__main__":
    main(*(int(one) * MIB for one in sys.argv[1:2]))
