"""The circumstances of a command: everything that is not in the command and not in the ledger."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ld_server.domain.capacity import Rule
from ld_server.rdf.naming import Naming
from ld_server.resources.kind import written
from relational.documents import Authorship


@dataclass(frozen=True)
class Occasion:
    """
    When, by whom and in the course of which request something is done, and under which names.

    `now` is an instant in UTC. `context` is the value of `@context` in documents. `new_event_id` gives a new `evt_…` each time.
    `capacity_rule` is for item types that have none of their own; a free window is searched as far ahead as `search_horizon`.
    """

    now: datetime
    principal: str
    correlation_id: str
    tenant: str
    naming: Naming
    context: object
    new_event_id: Callable[[], str]
    capacity_rule: str = Rule.OVERLAP
    search_horizon: timedelta = timedelta(days=366)
    has_four_eyes: bool = False
    """Whether nobody approves what they asked for."""
    owner: str | None = None
    """Whose reservations alone may be told of, where those of others are not for whoever asks."""

    @property
    def moment(self) -> str:
        """`now` as documents write it."""
        return written(self.now)

    @property
    def authorship(self) -> Authorship:
        return Authorship(self.principal, self.now, self.correlation_id)


def new_event_id() -> str:
    """A name for an event: milliseconds since 1970, so that names sort by time, and 80 random bits."""
    return f"evt_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
