"""What an action is given, and what comes of it."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import aiohttp
import orjson

from ld_server.services.addresses import Allowed, Resolve
from ld_server.services.messages import payload
from ld_server.services.parts import Parts
from relational.deliveries import Delivery
from relational.outbox import Numbered
from relational.webhooks import WebhookRow


@dataclass(frozen=True)
class Job:
    """
    One attempt at a delivery, which must have begun before `until`: then another worker may take it over.

    `is_well`: the endpoint had no failures when this was claimed, so that a success is no news.
    """

    delivery: Delivery
    attempt: int
    event: Numbered
    webhook: WebhookRow | None
    until: datetime
    is_well: bool = False

    @cached_property
    def plan(self) -> Mapping[str, Any]:
        """What is to be done: `type`, `config`, `transforms`."""
        plan: Mapping[str, Any] = orjson.loads(self.delivery.plan)
        return plan

    @property
    def config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.plan["config"]
        return config

    def body(self) -> bytes:
        """The JSON that is sent. Raises TransformFailed."""
        return payload(self.event, self.plan["transforms"])


@dataclass(frozen=True)
class Outcome:
    """
    What came of an attempt. Without an `error` it worked.

    `is_final`: it will never work. `is_gone`: the receiver wants nothing any more. `wish`: not before then, says the receiver.
    """

    error: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    head: str | None = None
    wish: datetime | None = None
    is_final: bool = False
    is_gone: bool = False


@dataclass(frozen=True)
class Means:
    """What actions work with: the parts, HTTP connections, threads for what blocks, and whom they may speak to."""

    parts: Parts
    session: aiohttp.ClientSession
    threads: Executor
    allowed: Allowed
    resolve: Resolve

    @property
    def patience(self) -> float:
        """Seconds after which an attempt has failed."""
        return self.parts.settings.webhook_timeout

    async def in_thread(self, work: Callable[[], Outcome], patience: float) -> Outcome:
        """What comes of work that blocks. It is given up after so many seconds; it must end by itself."""
        running = asyncio.get_running_loop().run_in_executor(self.threads, work)
        try:
            return await asyncio.wait_for(running, patience)
        except TimeoutError:
            return Outcome(error=f"It took longer than {patience:g} s.")
