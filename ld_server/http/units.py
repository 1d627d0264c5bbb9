"""How the bodies of allocate, release and swap name units and allocations: by identifier or IRI, alone or in an object."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ld_server.domain.commands import NamedUnit
from ld_server.domain.errors import Violation
from ld_server.http.body import Shaped
from ld_server.rdf import vocab

MOST_NAMED = 1_000
"""Units or allocations that one request names."""

_ASSET = re.compile(r"(?:.{0,1000}/)?(asset_[1-9][0-9]{0,17})\Z")
_ALLOCATION = re.compile(r"(?:.{0,1000}#)?(alloc_[1-9][0-9]{0,17})\Z")
_LINE = re.compile(r"(?:.{0,1000}#)?(line-[1-9][0-9]{0,17})\Z")


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.match(value) is not None


def _named(pattern: re.Pattern[str], value: str) -> str:
    """The identifier in a value that has been checked."""
    found = pattern.match(value)
    return found[1] if found else value


def asset_of(value: str) -> str:
    """The identifier of the asset that a checked value names."""
    return _named(_ASSET, value)


def units_of(options: Mapping[str, Any]) -> tuple[NamedUnit, ...]:
    """The units that checked options name: those of `allocations`, which may say their line, and those of `assets`."""
    return (*_units(options.get("allocations", ()), "/allocations"), *_units(options.get("assets", ()), "/assets"))


def _units(entries: Any, place: str) -> Iterator[NamedUnit]:
    for position, entry in enumerate(entries):
        said = {"asset": entry} if isinstance(entry, str) else entry
        pointer = f"{place}/{position}" if isinstance(entry, str) else f"{place}/{position}/asset"
        line = said.get("lineItem")
        yield NamedUnit(asset_of(said["asset"]), pointer, _named(_LINE, line) if line is not None else None)


def allocations_of(options: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The identifiers of the allocations that checked options name; None where they name none, which means all."""
    if "allocations" not in options:
        return None
    return tuple(_named(_ALLOCATION, entry if isinstance(entry, str) else entry["id"]) for entry in options["allocations"])


# --- what can be said -------------------------------------------------------------------------------------------------


def _check_units(value: Any, pointer: str) -> Iterator[Violation]:
    yield from _check_list(value, pointer, _check_unit)


def _check_unit(entry: Any, pointer: str) -> Iterator[Violation]:
    if isinstance(entry, str):
        yield from _check_asset(entry, pointer)
    elif not isinstance(entry, dict) or "asset" not in entry or entry.keys() - {"asset", "lineItem"}:
        yield _violation(pointer, "allocations", None, 'each must be an object such as {"asset": "asset_3", "lineItem": "line-1"}')
    else:
        yield from _check_asset(entry["asset"], f"{pointer}/asset")
        if "lineItem" in entry and not _matches(_LINE, entry["lineItem"]):
            yield _violation(f"{pointer}/lineItem", "lineItem", entry["lineItem"], "lineItem must be a line, such as line-1, or its IRI")


def _check_assets(value: Any, pointer: str) -> Iterator[Violation]:
    yield from _check_list(value, pointer, _check_asset)


def _check_asset(value: Any, pointer: str) -> Iterator[Violation]:
    if not _matches(_ASSET, value):
        yield _violation(pointer, "asset", value, "asset must be the identifier of an asset, such as asset_3, or its IRI")


def _check_allocations(value: Any, pointer: str) -> Iterator[Violation]:
    yield from _check_list(value, pointer, _check_allocation)


def _check_allocation(entry: Any, pointer: str) -> Iterator[Violation]:
    if isinstance(entry, dict) and entry.keys() == {"id"}:
        entry, pointer = entry["id"], f"{pointer}/id"
    if not _matches(_ALLOCATION, entry):
        yield _violation(pointer, "allocation", entry, "allocations must name allocations, such as alloc_9, or be their IRIs")


def _check_list(value: Any, pointer: str, check: Any) -> Iterator[Violation]:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_NAMED:
        yield _violation(pointer, pointer[1:], None, f"{pointer[1:]} must be a list of 1 to {MOST_NAMED}")
        return
    for position, entry in enumerate(value):
        yield from check(entry, f"{pointer}/{position}")


def _violation(pointer: str, key: str, value: Any, message: str) -> Violation:
    return Violation(pointer, vocab.RSV + key, value if isinstance(value, str | int | float) else None, message)


_NAME = {"type": "string", "minLength": 1}
_UNIT = {
    "anyOf": [
        _NAME,
        {"type": "object", "required": ["asset"], "properties": {"asset": _NAME, "lineItem": _NAME}, "additionalProperties": False},
    ]
}
_HELD = {"anyOf": [_NAME, {"type": "object", "required": ["id"], "properties": {"id": _NAME}, "additionalProperties": False}]}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": MOST_NAMED}


ASSET = Shaped(_check_asset, {**_NAME, "description": "The asset to have instead; without it any other that is free."}, "asset_3")
ASSETS = Shaped(_check_assets, {**_list(_NAME), "description": "Assets that the reservation is to have."}, ["asset_3"])
UNITS = Shaped(
    _check_units,
    {**_list(_UNIT), "description": "Assets that the reservation is to have, each for a line if it says so."},
    [{"asset": "asset_4", "lineItem": "line-1"}],
)
ALLOCATIONS = Shaped(
    _check_allocations, {**_list(_HELD), "description": "The allocations to release; without it all that are not out."}, ["alloc_9"]
)
