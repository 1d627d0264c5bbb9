"""
The lines of a reservation that is patched: each keeps its name, because units are promised to lines by their names.

A line that was sent back with its `@id` is that line. One without takes the place of the line that stood there, or gets a
number that no line of the reservation has had.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from ld_server.domain.errors import ShapeViolation, Violation
from ld_server.rdf import vocab
from ld_server.resources.kind import Arranged, Document, is_same

_SUMS: Mapping[str, str] = {"object": vocab.OBJECT, "requestedQuantity": vocab.REQUESTED_QUANTITY}
"""Keys of a reservation that say what its lines amount to, and that of a single line say the same as the line."""


def arrange_lines(before: Document, after: Document) -> Arranged:
    """
    The patched reservation with one word on each of its lines, and the names of the lines.

    Raises ShapeViolation when the patch changes a sum of several lines, or what is promised to a line.
    """
    said = _with_lines_said(before, after)
    if not isinstance(said.get("lineItems"), list):
        return Arranged(said)
    names = _names(before, said["lineItems"])
    _refuse_promises(before, said["lineItems"], names)
    known = {line["@id"] for line in before["lineItems"]}
    lines = [_own(line, name, known) for line, name in zip(said["lineItems"], names, strict=True)]
    return Arranged({**said, "lineItems": lines}, {f"line-{number}": name for number, name in enumerate(names, start=1)})


def _with_lines_said(before: Document, after: Document) -> Document:
    """
    The reservation in which the lines alone say what is asked for, unless the patch speaks of both.

    `object` and `requestedQuantity` of the only line may be changed at the top, as they may be posted there.
    """
    changed = [key for key in _SUMS if not is_same(before.get(key), after.get(key))]
    rest = {key: value for key, value in after.items() if key not in _SUMS}
    if not is_same(before["lineItems"], after.get("lineItems")):
        return {**rest, **{key: after[key] for key in changed if key in after}}
    if not changed:
        return rest
    if len(before["lineItems"]) > 1:
        raise _refusal([_sum_violation(key, after.get(key)) for key in changed])
    line = {key: value for key, value in before["lineItems"][0].items() if key not in changed}
    return {**rest, "lineItems": [{**line, **{key: after[key] for key in changed if key in after}}]}


def _sum_violation(key: str, value: Any) -> Violation:
    return Violation(f"/{key}", _SUMS[key], value, f"{key} is what the lineItems amount to; change those")


def _names(before: Document, lines: Sequence[Any]) -> list[str]:
    """What each line is called."""
    known = [_fragment(line["@id"]) for line in before["lineItems"]]
    claimed = list(_claimed(before, lines))
    fresh = _fresh(before)
    names = []
    for position, claim in enumerate(claimed):
        inherited = known[position] if position < len(known) and known[position] not in claimed else None
        names.append(claim or inherited or next(fresh))
    return names


def _claimed(before: Document, lines: Sequence[Any]) -> Iterator[str | None]:
    """The name that each line brings, if it is one of this reservation's and no line above has it."""
    known = {line["@id"] for line in before["lineItems"]}
    for line in lines:
        iri = _iri(line)
        yield _fragment(iri) if iri in known else None
        known.discard(iri)


def _fresh(before: Document) -> Iterator[str]:
    """Names that no line has, and no allocation was ever made for."""
    iris = [line["@id"] for line in before["lineItems"]] + [one["forLine"]["@id"] for one in before["allocations"]]
    number = max(int(_fragment(iri).removeprefix("line-")) for iri in iris)
    while True:
        number += 1
        yield f"line-{number}"


def _own(line: Any, name: str, known: Set[str]) -> Any:
    """The line without the name of another: a copy of a line is a line of its own."""
    is_copy = _iri(line) in known and _fragment(_iri(line)) != name
    return {key: value for key, value in line.items() if key != "@id"} if is_copy else line


def _iri(line: Any) -> str:
    """The `@id` of a line, or nothing."""
    iri = line.get("@id") if isinstance(line, dict) else None
    return iri if isinstance(iri, str) else ""


def _refuse_promises(before: Document, lines: Sequence[Any], names: Sequence[str]) -> None:
    """A new line may bring a quantity along, as a copy does; it is the server that says what is promised to it."""
    promised = {_fragment(line["@id"]): line for line in before["lineItems"]}
    wrong = [
        Violation(f"/lineItems/{position}/{key}", iri, _told(line[key]), f"{key} is given by the server and cannot be changed")
        for position, (line, name) in enumerate(zip(lines, names, strict=True))
        for key, iri in _PROMISED.items()
        if name in promised and isinstance(line, dict) and key in line and not is_same(line[key], promised[name].get(key))
    ]
    if wrong:
        raise _refusal(wrong)


_PROMISED: Mapping[str, str] = {"allocatedQuantity": vocab.ALLOCATED_QUANTITY, "madeOf": vocab.MADE_OF}
"""Keys of a line that the server alone says."""


def _told(value: Any) -> Any:
    """A wrong value as a refusal gives it back: nodes would tell too much."""
    return None if isinstance(value, list | dict) else value


def _refusal(violations: Sequence[Violation]) -> ShapeViolation:
    said = "; ".join(one.message for one in violations)
    return ShapeViolation(f"{said}.", violations)


def _fragment(iri: str) -> str:
    return iri.rpartition("#")[2]
