"""How keys, instants and lengths of time are said to people. UTC everywhere, and said so."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from ld_server.domain import duration

LABELS: Mapping[str, str] = {
    "@id": "Address",
    "@type": "Type",
    "agent": "Requested by",
    "apiDocumentation": "Hydra",
    "allocatedFrom": "From",
    "api-documentation": "The interface in Hydra's terms",
    "allocatedTo": "Until",
    "allocatedQuantity": "Allocated",
    "createdAt": "Created",
    "docs": "Documentation",
    "duration": "Length",
    "endTime": "End",
    "externalRef": "External reference",
    "forLine": "Line",
    "isActive": "Active",
    "isAsap": "As soon as possible",
    "isVariantOf": "Item type",
    "lineItems": "Lines",
    "kitComponents": "Components",
    "meshNodeId": "Mesh node",
    "object": "Item",
    "sparql": "SPARQL",
    "subClassOf": "Subclass of",
    "subPropertyOf": "Subproperty of",
    "openapi": "OpenAPI",
    "quantityPerKit": "Per kit",
    "quantityTotal": "Quantity",
    "requestedQuantity": "Requested",
    "startTime": "Start",
    "updatedAt": "Last changed",
    "void": "VoID",
    "wireguardHostname": "WireGuard host",
}
"""Keys that read badly word by word."""

LABELS_OF: Mapping[str, Mapping[str, str]] = {"MaintenanceLog": {"agent": "Agent", "object": "Unit"}}
"""Class → keys that mean something else there than elsewhere."""

OUTCOMES: Mapping[str, str] = {"pass": "passed", "fail": "failed", "n_a": "no outcome", "planned": "planned"}
"""What came of work, or that it is still to come."""

NEXT_ACTIONS: Mapping[str, str] = {
    "return_to_pool": "back to the pool",
    "send_refurb": "to refurbishment",
    "hold": "on hold",
    "retire": "retired",
}
"""What became of the unit by work."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def label(key: str) -> str:
    """A key as a heading: `assetTag` is Asset tag; of an IRI the last part."""
    return LABELS.get(key) or LABELS.get(last_part(key)) or sentence(_HUMP.sub(" ", last_part(key)).replace("-", " ").lower())


def sentence(text: str) -> str:
    """With a capital at the beginning."""
    return text[:1].upper() + text[1:]


def plural(noun: str) -> str:
    """Of the nouns that kinds have."""
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def moment(text: str) -> tuple[str, str] | None:
    """The day and the hour of an instant: `2027-03-01T08:00:00Z` is Mon 1 Mar 2027, 08:00 UTC. None for what is no instant with a zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.tzinfo is None:
        return None
    at = found.astimezone(UTC)
    clock = f"{at:%H:%M}" if at.second == at.microsecond == 0 else f"{at:%H:%M:%S}"
    return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year},", f"{clock} UTC"


def length(text: str) -> str | None:
    """`PT1H30M` is 1 hour 30 minutes. None for what is no duration."""
    try:
        rest = duration.seconds(text)
    except ValueError:
        return None
    said = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            said.append(f"{count} {unit if count == 1 else plural(unit)}")
    return " ".join(said) or "none"


def size(octets: int) -> str:
    """So many bytes in the largest unit of which it has one: 1536 is 1.5 KB."""
    amount, unit = float(octets), "bytes"
    for following in ("KB", "MB", "GB", "TB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, following
    return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 10 else f"{amount:.1f} {unit}"


def last_part(key: str) -> str:
    """Of an IRI or a prefixed name what stands last."""
    return re.split(r"[/#:]", key.rstrip("/#"))[-1] or key
