"""
Plain JSON that people write as configuration: what it may be like, and everything that is wrong with it at once.

A reader takes a value and the JSON pointer to it, and gives the value as it is understood. It raises Wrong with every violation.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ld_server.domain.errors import ShapeViolation, Violation

Read = Callable[[Any, str], Any]
"""A reader."""

LONGEST_TEXT = 2000
MOST_LISTED = 12


class Wrong(Exception):
    """What a reader found wrong."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        super().__init__()
        self.violations = tuple(violations)


def wrong(pointer: str, value: Any, message: str) -> Wrong:
    """One violation. `message` is a sentence without its full stop."""
    return Wrong([Violation(pointer, "", value, message)])


def read(reader: Read, value: Any) -> Any:
    """The value as the reader understands it. Raises ShapeViolation with everything that is wrong."""
    try:
        return reader(value, "")
    except Wrong as found:
        said = "; ".join(dict.fromkeys(one.message for one in found.violations))
        raise ShapeViolation(f"{said}.", found.violations) from None


def nearest(name: str, known: Collection[str]) -> str:
    """`, did you mean …?`, or which there are, unless those are too many to be read in passing."""
    close = difflib.get_close_matches(name, known, n=1)
    listed = f"; there is {', '.join(known)}" if 0 < len(known) <= MOST_LISTED else ""
    return f", did you mean {close[0]}?" if close else listed


# --- values -----------------------------------------------------------------------------------------------------------

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def text(longest: int = 191, pattern: str = "", looks_like: str = "") -> Read:
    """A line of text, stripped, with 1 to `longest` characters; all of it matches `pattern`, which people know as `looks_like`."""

    def reader(value: Any, pointer: str) -> str:
        if not isinstance(value, str) or not 0 < len(value.strip()) <= longest or _CONTROL.search(value.strip()):
            raise wrong(pointer, value, f"{name_of(pointer)} must be one line of text with 1 to {longest} characters")
        if pattern and not re.fullmatch(pattern, value.strip()):
            raise wrong(pointer, value, f"{name_of(pointer)} must be {looks_like}")
        return value.strip()

    return reader


def choice(*allowed: str) -> Read:
    """One of these words."""

    def reader(value: Any, pointer: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise wrong(pointer, value, f"{name_of(pointer)} must be one of {', '.join(allowed)}")
        return value

    return reader


def whole(least: int, most: int) -> Read:
    """A whole number."""

    def reader(value: Any, pointer: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise wrong(pointer, value, f"{name_of(pointer)} must be a whole number from {least} to {most}")
        return value

    return reader


def boolean(value: Any, pointer: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong(pointer, value, f"{name_of(pointer)} must be true or false")
    return value


def anything(value: Any, _pointer: str) -> Any:
    """Any JSON."""
    return value


def an_object(value: Any, pointer: str) -> Mapping[str, Any]:
    """Any JSON object."""
    if not isinstance(value, dict):
        raise wrong(pointer, value, f"{name_of(pointer)} must be a JSON object")
    return value


def several(reader: Read, most: int) -> Read:
    """A list of such values; one of them may stand alone."""

    def readers(value: Any, pointer: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            return (reader(value, pointer),)
        if len(value) > most:
            raise wrong(pointer, None, f"{name_of(pointer)} may have at most {most} entries")
        readings = {str(place): partial(reader, one, f"{pointer}/{place}") for place, one in enumerate(value)}
        return tuple(all_of(readings).values())

    return readers


# --- objects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """A member of an object: how it is read, whether it must be there, and what it is where it is not."""

    read: Read
    is_required: bool = False
    default: Any = None


def members(known: Mapping[str, Member]) -> Read:
    """An object with these members and no others; null counts as not there."""

    def reader(value: Any, pointer: str) -> dict[str, Any]:
        given = {name: one for name, one in an_object(value, pointer).items() if one is not None}
        strangers = {name: _refused(name, known, pointer) for name in given if name not in known}
        read_by = {name: _reading(name, member, given, pointer) for name, member in known.items()}
        found = all_of({**read_by, **strangers})
        return {name: found[name] for name in known}

    return reader


def _reading(name: str, member: Member, given: Mapping[str, Any], pointer: str) -> Callable[[], Any]:
    place = f"{pointer}/{escaped(name)}"
    if name in given:
        return lambda: member.read(given[name], place)
    return (lambda: _raise(wrong(place, None, f"{name_of(place)} is required"))) if member.is_required else lambda: member.default


def _refused(name: str, known: Collection[str], pointer: str) -> Callable[[], Any]:
    place = f"{pointer}/{escaped(name)}"
    return lambda: _raise(wrong(place, None, f"{name_of(place)} is not known{nearest(name, tuple(known))}"))


def _raise(error: Exception) -> Any:
    raise error


def all_of(readings: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """What every one of these gives, by its name. Raises Wrong with all that is wrong with any of them."""
    found: dict[str, Any] = {}
    violations: list[Violation] = []
    for name, reading in readings.items():
        try:
            found[name] = reading()
        except Wrong as error:
            violations += error.violations
    if violations:
        raise Wrong(violations)
    return found


def escaped(name: str) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def name_of(pointer: str) -> str:
    """What a place is called in a sentence: `actions[0].config.url`."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    written = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps)
    return written.removeprefix(".") or "the body"
