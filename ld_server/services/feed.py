"""The feed of events: in the order in which they became visible, each with its place in it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from ld_server.domain.errors import InvalidParameter, NoLongerKept
from relational.outbox import FORGOTTEN, LARGEST_SEQUENCE, Numbered, Selection
from relational.unit_of_work import Ledger, UnitOfWork

MOST_ROUNDS = 100
"""Of numbering before one reading; whoever writes faster than that is read the next time."""

ID_PREFIX = "evt_"


def told(event: Numbered) -> str:
    """The envelope of an event with its sequence in `meta`, serialised. All else is as it was written."""
    return f'{event.entry.body.removesuffix("}}")},"sequence":{event.sequence}}}}}'


def envelope_of(event: Numbered) -> dict[str, Any]:
    """The same in JSON terms."""
    envelope: dict[str, Any] = orjson.loads(told(event))
    return envelope


def number(ledger: Ledger) -> None:
    """Give every event that is committed now its place, so that a reading that follows shows it."""
    for _ in range(MOST_ROUNDS):
        with ledger.read() as uow:
            if not uow.outbox.has_unnumbered():
                return
        with ledger.write() as uow:
            uow.outbox.number()


@dataclass(frozen=True)
class Place:
    """A place in the feed: behind a sequence, and at an instant where it was named by one."""

    sequence: int | None = None
    moment: datetime | None = None


NOWHERE = Place()


def place_of(text: str | None, uow: UnitOfWork, parameter: str) -> Place:
    """
    The place that an event's id, a sequence or an instant names. Raises InvalidParameter for anything else.

    Whoever has read up to a place behind which events have been forgotten has missed them: NoLongerKept. 0 is where everything begins.
    """
    if text is None:
        return NOWHERE
    if text.isascii() and text.isdigit():
        return Place(_known(min(int(text[:20]), LARGEST_SEQUENCE), uow))
    if text.startswith(ID_PREFIX):
        return Place(_known(_sequence_of(text, uow, parameter), uow))
    return Place(moment=_instant(text, parameter))


def forgotten(uow: UnitOfWork) -> int:
    """Up to which sequence events may have been forgotten; 0 where none has been."""
    return int(uow.facts.get(FORGOTTEN) or 0)


def _known(sequence: int, uow: UnitOfWork) -> int:
    if 0 < sequence < (gone := forgotten(uow)):
        said = f"The events behind {sequence} are not all kept any more. From {gone} on all are: go on with since={gone}."
        raise NoLongerKept(said, since=gone)
    return sequence


def _sequence_of(identifier: str, uow: UnitOfWork, parameter: str) -> int:
    found = uow.outbox.by_id(identifier) if identifier.isascii() and identifier.isprintable() else None
    if found is None:
        or_more = ", or it is no longer kept" if forgotten(uow) else ""
        raise InvalidParameter(f"There is no event {identifier!r}{or_more}.", parameter=parameter)
    return found.sequence


def _instant(text: str, parameter: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidParameter(
            f"{parameter} must be the id of an event, a sequence, or an instant with a zone such as 2026-02-03T12:00:00Z.",
            parameter=parameter,
        )
    return moment


def read(uow: UnitOfWork, since: Place, before: Place, limit: int, wanted: Selection) -> list[Numbered]:
    """
    At most `limit` events behind one place and before another, the first one first.

    They are the first ones behind `since`; where that is nowhere and there is a `before`, the last ones before it. They begin
    where nothing has been forgotten.
    """
    within = replace(wanted, since=since.moment, until=before.moment, below=before.sequence)
    gone = forgotten(uow)
    if since == NOWHERE and before != NOWHERE:
        return [one for one in uow.outbox.before(LARGEST_SEQUENCE, limit, within) if one.sequence > gone]
    return uow.outbox.since(max(since.sequence or 0, gone), limit, within)
