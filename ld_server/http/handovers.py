"""The bodies of check-out and return: which allocations, how much of each, and in what condition it comes back."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import falcon

from ld_server.domain.commands import LONGEST_REASON
from ld_server.domain.custody import LARGEST_QUANTITY, Condition, Handover
from ld_server.domain.errors import MalformedBody, ShapeViolation, UnknownTerm, Violation
from ld_server.http.body import STEP_READABLE, format_of, read_body
from ld_server.http.parameters import hint
from ld_server.rdf import codecs, vocab
from ld_server.settings import Settings

ALLOCATIONS = "allocations"
GOING_OUT = ("id", "quantity", "metadata")
COMING_BACK = ("id", "quantity", "condition", "notes", "metadata")
"""What can be said of an allocation."""

MOST_HANDOVERS = 1_000
"""Of one request."""


def read_handovers(req: falcon.Request, settings: Settings, iri: str, known: tuple[str, ...]) -> tuple[bytes, tuple[Handover, ...]]:
    """
    The body, and the handovers in it; none where it is empty, which means everything. `iri` is the reservation's.

    Raises what read_body and format_of raise, UnknownTerm for an unknown key, ShapeViolation for a wrong value.
    """
    body = read_body(req, settings.max_body_bytes)
    if not body.strip():
        return b"", ()
    format_of(req, STEP_READABLE)
    said = codecs.read_json(body, settings.max_json_depth)
    if not isinstance(said, dict):
        raise MalformedBody("The body must be a JSON object.")
    _refuse_unknown(said, (ALLOCATIONS, "@context"), "")
    if ALLOCATIONS not in said:
        return body, ()
    entries = said[ALLOCATIONS]
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_HANDOVERS:
        raise _violation("/allocations", ALLOCATIONS, entries, f"allocations must be a list of 1 to {MOST_HANDOVERS} allocations")
    return body, tuple(_handover(entry, f"/allocations/{position}", iri, known) for position, entry in enumerate(entries))


def _handover(entry: Any, place: str, iri: str, known: tuple[str, ...]) -> Handover:
    """An allocation is named by its identifier or its IRI, alone or as `id` of an object."""
    said = {"id": entry} if isinstance(entry, str) else entry
    if not isinstance(said, dict):
        raise _violation(place, ALLOCATIONS, entry, 'each of the allocations must be an object such as {"id": "alloc_9"}')
    _refuse_unknown(said, known, place)
    values = {"id": None, **said}
    for key, value in values.items():
        if not _IS_RIGHT[key](value):
            raise _violation(f"{place}/{key}", key, value, _WANTED[key])
    condition = Condition(said.get("condition", Condition.GOOD))
    return Handover(str(said["id"]).removeprefix(f"{iri}#"), said.get("quantity"), condition, said.get("notes"), said.get("metadata"))


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

_IS_RIGHT: Mapping[str, Callable[[Any], bool]] = {
    "id": lambda value: isinstance(value, str) and 0 < len(value) <= LONGEST_REASON,
    "quantity": lambda value: type(value) is int and 1 <= value <= LARGEST_QUANTITY,
    "condition": lambda value: isinstance(value, str) and value in list(Condition),
    "notes": lambda value: isinstance(value, str) and 0 < len(value) <= LONGEST_REASON and not _CONTROL.search(value),
    "metadata": lambda value: value is not None,
}
_WANTED: Mapping[str, str] = {
    "id": "id must be the identifier of an allocation, such as alloc_9, or its IRI",
    "quantity": f"quantity must be a whole number of at least 1 and at most {LARGEST_QUANTITY}",
    "condition": f"condition must be one of {', '.join(Condition)}",
    "notes": f"notes must be text of 1 to {LONGEST_REASON} characters, without control characters",
    "metadata": "metadata must be a JSON value other than null",
}


def _refuse_unknown(said: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for name in said:
        if name not in known:
            sentence, members = hint(name, [one for one in known if not one.startswith("@")])
            raise UnknownTerm(f"There is no key {name!r} here. {sentence}", term=name, pointer=f"{place}/{name}", **members)


def _violation(pointer: str, key: str, value: Any, message: str) -> ShapeViolation:
    path = vocab.IDENTIFIER if key == "id" else vocab.RSV + key
    return ShapeViolation(f"{message[0].upper()}{message[1:]}.", [Violation(pointer, path, value, message)])
