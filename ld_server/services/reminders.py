"""
Reservations that are about to start or to end are told of: once for each lead time, and again when the time is another.

Only approved ones are: nobody waits for the others, or for what has come back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson

from ld_server.domain.status import Status
from ld_server.domain.window import later
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import recording
from ld_server.services.occasion import Occasion
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

_AT_ONCE = 500
"""Reservations that are looked at in one go."""


@dataclass(frozen=True)
class Reminder:
    """The event, and the time it is about: as a column and as a key of the document."""

    event: str
    column: str
    key: str


STARTS_SOON = Reminder("rentAction.starts.soon", "start_time", "startTime")
ENDS_SOON = Reminder("rentAction.ends.soon", "end_time", "endTime")


def remind(uow: UnitOfWork, reminder: Reminder, within: timedelta, occasion: Occasion) -> int:
    """
    Tell of the approved reservations whose time comes within this, and of which that was not told yet. Gives how many were told of.

    However often it runs, and in however many workers at once, each is told of once for the same time and lead time.
    """
    return sum(_told(uow, reminder, within, heads, occasion) for heads in _coming(uow, reminder, within, occasion))


def _coming(uow: UnitOfWork, reminder: Reminder, within: timedelta, occasion: Occasion) -> Iterator[Sequence[Head]]:
    coming = [("status", "=", str(Status.APPROVED)), (reminder.column, ">", occasion.now)]
    coming += [(reminder.column, "<=", later(occasion.now, within))]
    heads = uow.index.page("rent_actions", coming, None, _AT_ONCE)
    while heads:
        yield heads
        heads = uow.index.page("rent_actions", coming, heads[-1].number, _AT_ONCE)


def _told(uow: UnitOfWork, reminder: Reminder, within: timedelta, heads: Sequence[Head], occasion: Occasion) -> int:
    lead_time = f"within {within.total_seconds():.0f} s"
    causes = [(head.identifier, f"{orjson.loads(head.body)[reminder.key]} {lead_time}") for head in heads]
    new = {identifier for identifier, _ in uow.told.once(reminder.event, causes, occasion.now)}
    for head in heads:
        if head.identifier in new:
            recording.tell(uow, RENT_ACTION, head, [reminder.event], occasion)
    return len(new)
