"""
The filter language: which envelopes a trigger is for (CONTRACT 6).

A filter maps dotted paths into the envelope to what must be found there, and all of it must hold. What is asked for is a value, or an
object of operators. On its way a path goes through every element of a list; it holds when any of the values that it leads to does.
A path that leads nowhere holds for `{"exists": false}`, for `not`, and for null.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from ld_server.domain.reading import Read, all_of, an_object, escaped, name_of, nearest, wrong

ENVELOPE: Mapping[str, tuple[str, ...] | None] = {
    "id": (),
    "type": (),
    "occurredAt": (),
    "subject": ("type", "id"),
    "data": None,
    "meta": ("tenant", "correlationId", "version", "sequence"),
}
"""Member of the envelope → its members; None where it may have any."""

LONGEST_PATH = 200
MOST_CONDITIONS = 50
MOST_VALUES = 1000


@dataclass(frozen=True)
class Condition:
    """What must be found at a path."""

    path: tuple[str, ...]
    operator: str
    operand: Any

    def holds(self, envelope: Mapping[str, Any]) -> bool:
        """Whether it is found there."""
        return OPERATORS[self.operator].holds(list(values_at(envelope, self.path)), self.operand)


Filter = tuple[Condition, ...]


def holds(conditions: Filter, envelope: Mapping[str, Any]) -> bool:
    """Whether all of the conditions hold."""
    return all(condition.holds(envelope) for condition in conditions)


def values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Every value that a path leads to. A list at its end is a value, and so are its elements."""
    if isinstance(value, list):
        yield from (found for one in value for found in values_at(one, path))
        if path and path[0].isdigit() and int(path[0]) < len(value):
            yield from values_at(value[int(path[0])], path[1:])
    if not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from values_at(value[path[0]], path[1:])


# --- operators --------------------------------------------------------------------------------------------------------


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1, and 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def _equals(found: list[Any], operand: Any) -> bool:
    return any(_same(one, operand) for one in found) or (operand is None and not found)


def _is_in(found: list[Any], operand: Any) -> bool:
    return any(_equals(found, one) for one in operand)


def _is_not(found: list[Any], operand: Any) -> bool:
    return not (_is_in(found, operand) if isinstance(operand, list) else _equals(found, operand))


def _exists(found: list[Any], operand: Any) -> bool:
    return bool(found) is operand


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    def any_is(found: list[Any], operand: Any) -> bool:
        return any(_compared(one, operand, compare) for one in found)

    return any_is


def _compared(one: Any, other: Any, compare: Callable[[Any, Any], bool]) -> bool:
    """Numbers are compared with numbers, instants with instants, other texts with texts; nothing else can be."""
    if _is_number(one) and _is_number(other):
        return compare(one, other)
    if not (isinstance(one, str) and isinstance(other, str)):
        return False
    moments = _instant(one), _instant(other)
    return compare(*moments) if None not in moments else compare(one, other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _instant(text: str) -> datetime | None:
    if not _DATED.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


_DATED = re.compile(r"\d{4}-\d{2}-\d{2}T")


def _scalar(value: Any, pointer: str) -> Any:
    if isinstance(value, dict | list):
        raise wrong(pointer, value, f"{name_of(pointer)} must be a text, a number, true, false or null")
    return value


def _comparable(value: Any, pointer: str) -> Any:
    if not (_is_number(value) or isinstance(value, str)):
        raise wrong(pointer, value, f"{name_of(pointer)} must be a number or a text such as 2026-02-03T12:00:00Z")
    return value


def _scalars(value: Any, pointer: str) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_VALUES:
        raise wrong(pointer, value, f"{name_of(pointer)} must be a list of 1 to {MOST_VALUES} values")
    return [_scalar(one, f"{pointer}/{place}") for place, one in enumerate(value)]


def _scalar_or_scalars(value: Any, pointer: str) -> Any:
    return _scalars(value, pointer) if isinstance(value, list) else _scalar(value, pointer)


def _truth(value: Any, pointer: str) -> bool:
    if not isinstance(value, bool):
        raise wrong(pointer, value, f"{name_of(pointer)} must be true or false")
    return value


@dataclass(frozen=True)
class Operator:
    """How its operand is read, whether it holds for the values that were found, and what it says in one sentence."""

    read: Read
    holds: Callable[[list[Any], Any], bool]
    meaning: str


EQUALS = ""
"""The operator of a value that stands alone."""

OPERATORS: Mapping[str, Operator] = {
    EQUALS: Operator(_scalar, _equals, "The value itself."),
    "in": Operator(_scalars, _is_in, "One of the values of a list."),
    "not": Operator(_scalar_or_scalars, _is_not, "Not this value, and none of these where it is a list."),
    "gt": Operator(_comparable, _ordered(lambda one, other: one > other), "More than a number, later than an instant, or behind a text."),
    "gte": Operator(_comparable, _ordered(lambda one, other: one >= other), "The same, or equal."),
    "lt": Operator(_comparable, _ordered(lambda one, other: one < other), "Less than a number, before an instant, or before a text."),
    "lte": Operator(_comparable, _ordered(lambda one, other: one <= other), "The same, or equal."),
    "exists": Operator(_truth, _exists, "Whether anything is found at the path at all."),
}


# --- reading ----------------------------------------------------------------------------------------------------------


def read_filter(value: Any, pointer: str) -> Filter:
    """The conditions of a filter as it is written. Raises Wrong, with the place of every mistake."""
    written = an_object(value, pointer)
    if len(written) > MOST_CONDITIONS:
        raise wrong(pointer, None, f"{name_of(pointer)} may have at most {MOST_CONDITIONS} paths")
    found = all_of({path: partial(_conditions, path, asked, pointer) for path, asked in written.items()})
    return tuple(condition for conditions in found.values() for condition in conditions)


def _conditions(text: str, asked: Any, pointer: str) -> list[Condition]:
    place = f"{pointer}/{escaped(text)}"
    path = read_path(text, place)
    operators = asked if isinstance(asked, dict) else {EQUALS: asked}
    if not operators:
        raise wrong(place, asked, f"{name_of(pointer)}: what {text} must be is not said")
    found = all_of({name: partial(_operand, name, operators[name], place) for name in operators})
    return [Condition(path, name, operand) for name, operand in found.items()]


def _operand(name: str, operand: Any, place: str) -> Any:
    if name == EQUALS:
        return OPERATORS[name].read(operand, place)
    inside = f"{place}/{escaped(name)}"
    if name not in OPERATORS:
        raise wrong(inside, operand, f"{name_of(inside)}: there is no operator {name!r}{nearest(name, tuple(filter(None, OPERATORS)))}")
    return OPERATORS[name].read(operand, inside)


def read_path(text: Any, pointer: str, known: Mapping[str, tuple[str, ...] | None] = ENVELOPE) -> tuple[str, ...]:
    """The steps of a dotted path into an envelope. Raises Wrong for one that no envelope has."""
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_PATH or "" in text.split("."):
        raise wrong(pointer, text, f"{name_of(pointer)}: a path is names with dots between them, such as data.externalSource")
    first, *rest = text.split(".")
    if first not in known:
        raise wrong(pointer, text, f"{name_of(pointer)}: an envelope has no {first!r}{nearest(first, tuple(known))}")
    inner = known[first]
    if inner is not None and (len(rest) > 1 or (rest and rest[0] not in inner)):
        raise wrong(pointer, text, f"{name_of(pointer)}: {first} has no {'.'.join(rest)!r}{nearest(rest[0], inner)}")
    return (first, *rest)


def written(conditions: Filter) -> dict[str, Any]:
    """The filter as it is given back: what it was read from."""
    found: dict[str, Any] = {}
    for one in conditions:
        path = ".".join(one.path)
        if one.operator == EQUALS:
            found[path] = one.operand
        else:
            found.setdefault(path, {})[one.operator] = one.operand
    return found
