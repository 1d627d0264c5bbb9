"""JSON Schemas (2020-12) of what is answered and is no resource: what can be had, when."""

from ld_server.http.schemas import CONTEXT, IRI, Json

_REFERENCE: Json = {"$ref": "#/components/schemas/Reference"}
_MOMENT: Json = {"type": "string", "format": "date-time"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TRUTH: Json = {"type": "boolean"}
_TEXT: Json = {"type": "string"}
_RULE: Json = {"enum": ["overlap", "peak"]}
_WINDOW: Json = {"startTime": _MOMENT, "endTime": _MOMENT, "location": _TEXT}
_HAD: Json = {
    "totalCapacity": {**_COUNT, "description": "Units that are in service; of kits, as many as these make."},
    "reservedCapacity": {**_COUNT, "description": "Those of them that are promised somewhere in the window, whether at once or not."},
    "peakReservedCapacity": {**_COUNT, "description": "The most that are promised at one instant of the window."},
    "availableCapacity": {**_COUNT, "description": "How many can be had for the whole window, by the capacity rule."},
    "requestedQuantity": {"type": "integer", "minimum": 1},
    "isAvailable": {**_TRUTH, "description": "Whether so many can be reserved."},
}


def _part(name: str, members: Json, optional: tuple[str, ...] = ()) -> Json:
    """A part of an answer, which has these members and no others."""
    properties = {"@type": {"const": name}, **members}
    required = [key for key in properties if key not in optional]
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _answer(name: str, description: str, members: Json, optional: tuple[str, ...] = ("location",)) -> Json:
    """A whole answer, named after the request."""
    part = _part(name, members, optional)
    named = {"@context": CONTEXT, "@id": IRI, **part["properties"]}
    return {**part, "description": description, "required": ["@context", "@id", *part["required"]], "properties": named}


def _list(member: Json, **bounds: int) -> Json:
    return {"type": "array", "items": member, **bounds}


_COMPONENT = _part(
    "ComponentAvailability",
    {
        "itemType": _REFERENCE,
        "capacityRule": _RULE,
        "availableUnits": _COUNT,
        "quantityPerKit": {"type": "integer", "minimum": 1},
        "kitsSupported": _COUNT,
    },
)
_BLOCK = _part("Block", {**_WINDOW, "rentAction": _REFERENCE, "reason": _TEXT}, ("endTime", "location", "rentAction", "reason"))
_STEP = _part("AvailabilityStep", {"startTime": _MOMENT, "endTime": _MOMENT, "availableCapacity": _COUNT, "reservedCapacity": _COUNT})
_ITEM: Json = {"itemType": _REFERENCE, "kitTemplate": _REFERENCE}

AVAILABILITY: Json = {
    "Availability": _answer(
        "Availability", "What a window leaves of an item type.", {"itemType": _REFERENCE, **_WINDOW, "capacityRule": _RULE, **_HAD}
    ),
    "KitAvailability": _answer(
        "KitAvailability",
        "How many kits a window leaves, and the components of which there would have to be more for one more.",
        {
            "kitTemplate": _REFERENCE,
            **_WINDOW,
            **_HAD,
            "components": _list(_COMPONENT, minItems=1),
            "limitingComponents": _list(_REFERENCE, minItems=1),
        },
    ),
    "UnitAvailability": _answer(
        "UnitAvailability",
        "Whether one unit can be had, and what keeps it from that; a block without an end lasts until further notice.",
        {
            "asset": _REFERENCE,
            "itemType": _REFERENCE,
            **_WINDOW,
            "status": {"enum": ["available", "maintenance", "hold", "retired", "lost"]},
            "isAvailable": _TRUTH,
            "blockedBy": _list(_BLOCK),
        },
    ),
    "AvailabilityTimeline": _answer(
        "AvailabilityTimeline",
        "How many are free while the window goes by; the steps follow upon one another without a gap.",
        {**_ITEM, **_WINDOW, "resolution": {"const": "P1D"}, "totalCapacity": _COUNT, "steps": _list(_STEP, minItems=1)},
        ("location", "itemType", "kitTemplate", "resolution"),
    ),
    "NextAvailability": _answer(
        "NextAvailability",
        "The first window that fits; without startTime and endTime when none begins between searchedFrom and searchedUntil.",
        {
            **_ITEM,
            **_WINDOW,
            "requestedQuantity": {"type": "integer", "minimum": 1},
            "isAvailable": _TRUTH,
            "searchedFrom": _MOMENT,
            "searchedUntil": _MOMENT,
        },
        ("location", "itemType", "kitTemplate", "startTime", "endTime"),
    ),
}
"""Schema by name."""
