"""A receiver of webhooks in a process of its own, which answers at once and remembers when what arrived."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from aiohttp import web

LOOK = 0.02
"""Seconds between two looks at how much has arrived."""


@dataclass(frozen=True)
class Receiver:
    """Where it listens, and what has arrived: it is asked over a pipe."""

    port: int
    pipe: Connection

    def count(self) -> int:
        """How many different messages have arrived."""
        self.pipe.send("count")
        return int(self.pipe.recv())

    def wait_for(self, count: int, seconds: float) -> dict[str, float]:
        """Message → when it arrived first, by the monotonic clock, once so many have. Raises SystemExit when they do not in time."""
        end = time.monotonic() + seconds
        while self.count() < count:
            if time.monotonic() > end:
                raise SystemExit(f"not everything arrived in {seconds:.0f} s")
            time.sleep(LOOK)
        self.pipe.send("times")
        times: dict[str, float] = self.pipe.recv()
        return times


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of loopback, until the block ends."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Receiver(ours.recv(), ours)
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection) -> None:
    asyncio.run(_served(pipe))


async def _served(pipe: Connection) -> None:
    times: dict[str, float] = {}

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        times.setdefault(request.headers["webhook-id"], time.monotonic())
        return web.Response()

    def asked() -> None:
        pipe.send({"count": len(times), "times": times}[pipe.recv()])

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    asyncio.get_running_loop().add_reader(pipe.fileno(), asked)
    await asyncio.Event().wait()
