"""The shapes: each wrong value of each field is refused in words that help, and nothing that is right is refused."""

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urljoin

import orjson
import pyoxigraph as ox
import pyshacl
import pytest
import rdflib
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib.namespace import RDF, SH

from ld_server.domain.errors import ShapeViolation
from ld_server.rdf import vocab
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.published import data_directory
from ld_server.rdf.validation import LONGEST_VALUE, MOST_TOLD, Validator
from tests.costs import LONG_WORK, within

SHAPES = data_directory("shapes")
VALIDATOR = Validator([SHAPES])
PREFIXES = {**vocab.PREFIXES, "ex": "https://vocabulary.example/"}
BASE = "http://localhost:8000"
Things = dict[str, dict[str, str]]
"""Subject → property → its values as Turtle writes them, with commas between; "" is the root, `#x` a part, `ref` another resource."""

ROOTS = {
    "ItemType": f"{BASE}/v1/catalog/item-types/new-1",
    "Asset": f"{BASE}/v1/catalog/assets/new-1",
    "StockPool": f"{BASE}/v1/catalog/stock-pools/new-1",
    "KitTemplate": f"{BASE}/v1/catalog/kit-templates/new-1",
    "RentAction": f"{BASE}/v1/rent-actions/new-1",
    "MaintenanceLog": f"{BASE}/v1/maintenance-logs/log_8",
    "Attachment": f"{BASE}/v1/attachments/att_6",
    "DemandSignal": f"{BASE}/v1/planning/demand-signals/new-1",
    "BuildRequest": f"{BASE}/v1/planning/build-requests/new-1",
    "SupplySnapshot": f"{BASE}/v1/planning/snapshots/snap_4",
}


def time(text: str) -> str:
    return f'"{text}"^^xsd:dateTime'


def item_type() -> Things:
    """An item type with everything that one can have."""
    return {
        "": {
            "rdf:type": "schema:Product",
            "schema:identifier": '"itemType_7"',
            "schema:sku": '"TimerNode-v2"',
            "schema:name": '"TimerNode v2"',
            "schema:description": '"Measures laps.\\nSecond edition."',
            "rsv:kind": "rsv:serialized",
            "rsv:isActive": "true",
            "rsv:capacityRule": "rsv:overlap",
            "rsv:turnaroundBefore": '"PT4H"^^xsd:duration',
            "rsv:turnaroundAfter": '"P1DT12H30M5S"^^xsd:duration',
            "rsv:leadTime": '"P21D"^^xsd:duration',
            "rsv:bufferQuantity": "2",
            "rsv:metadata": '"{\\"colour\\":\\"red\\"}"^^rdf:JSON',
            "rsv:createdBy": '"admin"',
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-01T08:00:00.123456Z"),
        }
    }


def asset() -> Things:
    """An asset with everything that one can have."""
    return {
        "": {
            "rdf:type": "schema:IndividualProduct",
            "schema:identifier": '"asset_12"',
            "schema:isVariantOf": "<itemType_7>",
            "rsv:assetTag": '"TN-0012"',
            "schema:serialNumber": '"SN 0012/26"',
            "rsv:status": "rsv:available",
            "schema:location": '"Depot Süd, shelf 4"',
            "rsv:assignedTo": '"alice@example.org"',
            "rsv:meshNodeId": '"node//abc"',
            "rsv:wireguardHostname": '"tn-0012.fleet.example"',
            "rsv:unavailable": "<#unavailability-1>, <#unavailability-2>",
            "schema:name": '"Old faithful"',
            "schema:description": '"Scratched."',
            "rsv:metadata": '"[1,2]"^^rdf:JSON',
            "rsv:createdBy": '"admin"',
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-01T08:00:00Z"),
        },
        "#unavailability-1": {
            "rdf:type": "rsv:Unavailability",
            "schema:startTime": time("2026-12-01T09:00:00Z"),
            "schema:endTime": time("2026-12-02T09:00:00Z"),
            "rsv:reason": '"The yearly inspection."',
        },
        "#unavailability-2": {"rdf:type": "rsv:Unavailability", "schema:startTime": time("2029-01-01T00:00:00Z")},
        "itemType_7": {"rdf:type": "schema:Product", "schema:identifier": '"itemType_7"'},
    }


def stock_pool() -> Things:
    """A stock pool with everything that one can have."""
    return {
        "": {
            "rdf:type": "schema:SomeProducts",
            "schema:identifier": '"pool_3"',
            "schema:isVariantOf": "<itemType_7>",
            "rsv:quantityTotal": "250",
            "schema:name": '"Cable drums"',
            "schema:description": '"On the left."',
            "schema:location": '"Depot Süd, shelf 4"',
            "rsv:isActive": "true",
            "rsv:metadata": '"[1,2]"^^rdf:JSON',
            "rsv:createdBy": '"admin"',
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-01T08:00:00Z"),
        },
        "itemType_7": {"rdf:type": "schema:Product", "schema:identifier": '"itemType_7"'},
    }


def demand_signal() -> Things:
    """A demand signal with everything that one can have."""
    return {
        "": {
            "rdf:type": "schema:Demand",
            "schema:identifier": '"demand_4"',
            "rsv:source": '"sgl"',
            "rsv:sourceRef": '"event-4711"',
            "rsv:status": "rsv:active",
            "rsv:itemType": "<itemType_7>",
            "rsv:quantityRequired": "12",
            "schema:startTime": time("2026-12-01T09:00:00Z"),
            "schema:endTime": time("2026-12-02T09:00:00Z"),
            "schema:location": '"Depot A"',
            "rsv:priority": "rsv:high",
            "schema:name": '"Winter regatta"',
            "schema:description": '"As last year."',
            "rsv:metadata": '"{}"^^rdf:JSON',
            "rsv:supersedes": "<demand_3>",
            "rsv:createdBy": '"admin"',
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-01T08:00:00Z"),
        },
        "itemType_7": {"rdf:type": "schema:Product", "schema:identifier": '"itemType_7"'},
        "demand_3": {"rdf:type": "schema:Demand", "schema:identifier": '"demand_3"'},
    }


def build_request() -> Things:
    """A build request with everything that one can have."""
    return {
        "": {
            "rdf:type": "schema:OrderAction, rsv:BuildRequest",
            "schema:identifier": '"build_5"',
            "rsv:status": "rsv:submitted",
            "rsv:itemType": "<itemType_7>",
            "rsv:quantity": "3",
            "rsv:neededBy": time("2026-12-01T09:00:00Z"),
            "rsv:submittedAt": time("2026-11-02T08:00:00Z"),
            "rsv:fulfilledAt": time("2026-11-20T08:00:00Z"),
            "rsv:reason": '"shortfall"',
            "schema:location": '"Depot A"',
            "rsv:externalSystem": '"inventree"',
            "rsv:externalRef": '"BO-0042"',
            "rsv:demandSignal": "<demand_3>",
            "rsv:triggerEventId": '"evt_1"',
            "rsv:snapshot": "<snap_2>",
            "schema:name": '"Timers"',
            "schema:description": '"For winter."',
            "rsv:metadata": '"{}"^^rdf:JSON',
            "rsv:createdBy": '"admin"',
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-01T08:00:00Z"),
        },
        "itemType_7": {"rdf:type": "schema:Product", "schema:identifier": '"itemType_7"'},
        "demand_3": {"rdf:type": "schema:Demand", "schema:identifier": '"demand_3"'},
        "snap_2": {"rdf:type": "rsv:SupplySnapshot", "schema:identifier": '"snap_2"'},
    }


def supply_snapshot() -> Things:
    """A supply snapshot with everything that one can have."""
    return {
        "": {
            "rdf:type": "rsv:SupplySnapshot",
            "schema:identifier": '"snap_4"',
            "rsv:asOfTime": time("2026-11-01T08:00:00Z"),
            "schema:startTime": time("2026-12-01T09:00:00Z"),
            "schema:endTime": time("2026-12-02T09:00:00Z"),
            "rsv:itemType": "<itemType_7>",
            "schema:location": '"Depot A"',
            "rsv:totalCapacity": "3",
            "rsv:reservedCapacity": "5",
            "rsv:availableCapacity": "-2",
            "rsv:shortfallQuantity": "2",
            "rsv:openBuildQuantity": "0",
            "rsv:shortfall": "<#shortfall-1>",
            "rsv:proposal": '"[]"^^rdf:JSON',
            "rsv:createdBy": '"planning"',
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-01T08:00:00Z"),
        },
        "#shortfall-1": {"rdf:type": "rsv:Shortfall"},
        "itemType_7": {"rdf:type": "schema:Product", "schema:identifier": '"itemType_7"'},
    }


def kit_template() -> Things:
    """A kit template with everything that one can have: an item type and another kit inside."""
    return {
        "": {
            "rdf:type": "schema:Product, rsv:KitTemplate",
            "schema:identifier": '"kit_2"',
            "schema:sku": '"finish-line"',
            "schema:name": '"Finish line"',
            "schema:description": '"All that stands behind the line."',
            "rsv:kitComponent": "<#component-1>, <#component-2>",
            "rsv:isActive": "true",
            "rsv:metadata": '"{}"^^rdf:JSON',
            "rsv:createdBy": '"admin"',
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-01T08:00:00Z"),
        },
        "#component-1": {"rdf:type": "rsv:KitComponent", "rsv:itemType": "<itemType_7>", "rsv:quantityPerKit": "2"},
        "#component-2": {"rdf:type": "rsv:KitComponent", "rsv:itemType": "<kit_1>", "rsv:quantityPerKit": "1"},
        "itemType_7": {"rdf:type": "schema:Product", "schema:identifier": '"itemType_7"'},
        "kit_1": {"rdf:type": "schema:Product, rsv:KitTemplate", "schema:identifier": '"kit_1"'},
    }


def reservation() -> Things:
    """A reservation as it is stored after its approval, with everything that one can have."""
    return {
        "": {
            "rdf:type": "schema:RentAction",
            "schema:identifier": '"ra_123"',
            "rsv:status": "rsv:approved",
            "schema:actionStatus": "schema:ActiveActionStatus",
            "schema:startTime": time("2026-12-01T09:00:00Z"),
            "schema:endTime": time("2026-12-02T09:00:00Z"),
            "rsv:isAsap": "false",
            "rsv:priority": "rsv:normal",
            "schema:agent": "<#agent>",
            "schema:location": '"Depot Süd, shelf 4"',
            "schema:object": "<itemType_7>, <kit_2>",
            "rsv:requestedQuantity": "2",
            "rsv:allocatedQuantity": "1",
            "rsv:lineItem": "<#line-1>, <#line-2>",
            "rsv:allocation": "<#alloc_9>, <#alloc_10>",
            "schema:description": '"Winter regatta"',
            "schema:purpose": '"Timing"',
            "rsv:externalSource": '"sgl"',
            "rsv:externalRef": '"event-4711"',
            "rsv:metadata": '"null"^^rdf:JSON',
            "rsv:reason": '"Too late"',
            "rsv:createdBy": '"admin"',
            "rsv:approvedBy": '"bob"',
            "rsv:approvedAt": time("2026-11-02T08:00:00Z"),
            "rsv:rejectedAt": time("2026-11-02T08:00:00Z"),
            "rsv:cancelledAt": time("2026-11-02T08:00:00Z"),
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-02T08:00:00Z"),
        },
        "#agent": {
            "rdf:type": "schema:Person",
            "schema:identifier": '"alice"',
            "schema:name": '"Alice Ålund"',
            "schema:email": '"alice@example.org"',
        },
        "#line-1": {
            "rdf:type": "rsv:LineItem",
            "schema:object": "<itemType_7>",
            "rsv:requestedQuantity": "2",
            "rsv:allocatedQuantity": "1",
            "rsv:notes": '"with chargers"',
            "rsv:metadata": '"{}"^^rdf:JSON',
        },
        "#line-2": {
            "rdf:type": "rsv:LineItem",
            "schema:object": "<kit_2>",
            "rsv:requestedQuantity": "1",
            "rsv:madeOf": "<#line-2-component-1>",
        },
        "#line-2-component-1": {"rdf:type": "rsv:KitComponent", "rsv:itemType": "<itemType_7>", "rsv:quantityPerKit": "2"},
        "#alloc_9": {
            "rdf:type": "rsv:Allocation",
            "schema:identifier": '"alloc_9"',
            "rsv:forLine": "<#line-1>",
            "rsv:asset": "<asset_12>",
            "rsv:quantity": "1",
            "rsv:status": "rsv:allocated",
            "rsv:allocatedFrom": time("2026-12-01T09:00:00Z"),
            "rsv:allocatedTo": time("2026-12-02T09:00:00Z"),
            "rsv:checkedOutAt": time("2026-12-01T09:05:00Z"),
            "rsv:returnedAt": time("2026-12-02T08:55:00Z"),
            "rsv:condition": "rsv:damaged",
            "rsv:notes": '"A wheel is missing."',
            "rsv:metadata": '"{}"^^rdf:JSON',
        },
        "#alloc_10": {
            "rdf:type": "rsv:Allocation",
            "schema:identifier": '"alloc_10"',
            "rsv:forLine": "<#line-2>",
            "rsv:itemType": "<itemType_7>",
            "rsv:stockPool": "<pool_3>",
            "rsv:quantity": "40",
            "rsv:status": "rsv:allocated",
            "rsv:allocatedFrom": time("2026-12-01T09:00:00Z"),
            "rsv:allocatedTo": time("2026-12-02T09:00:00Z"),
        },
        "itemType_7": {"rdf:type": "schema:Product", "schema:identifier": '"itemType_7"'},
        "kit_2": {"rdf:type": "schema:Product, rsv:KitTemplate", "schema:identifier": '"kit_2"'},
        "pool_3": {"rdf:type": "schema:SomeProducts", "schema:identifier": '"pool_3"'},
        "asset_12": {"rdf:type": "schema:IndividualProduct", "schema:identifier": '"asset_12"'},
    }


def maintenance_log() -> Things:
    """An entry of a maintenance log with everything that one can have."""
    return {
        "": {
            "rdf:type": "rsv:MaintenanceLog, rsv:RepairAction",
            "schema:identifier": '"log_8"',
            "rsv:kind": "rsv:repair",
            "rsv:summary": '"Replaced the lens"',
            "rsv:performedAt": time("2026-11-20T09:00:00Z"),
            "rsv:performedBy": '"mika@workshop.example"',
            "rsv:details": '"The old one\\nhad a crack."',
            "rsv:outcome": '"pass"',
            "rsv:nextAction": '"return_to_pool"',
            "rsv:plannedStart": time("2026-11-20T08:00:00Z"),
            "rsv:plannedEnd": time("2026-11-20T10:00:00Z"),
            "schema:object": "<asset_12>",
            "schema:agent": "<#agent>",
            "schema:startTime": time("2026-11-20T08:00:00Z"),
            "schema:endTime": time("2026-11-20T09:00:00Z"),
            "rsv:corrects": "<log_7>",
            "rsv:schemaOrg": '"{\\"name\\":\\"x\\"}"^^rdf:JSON',
            "rsv:metadata": '"[1,2]"^^rdf:JSON',
            "rsv:createdBy": '"technician"',
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-01T08:00:00Z"),
        }
    }


def attachment() -> Things:
    """An attachment with everything that one can have."""
    return {
        "": {
            "rdf:type": "schema:ImageObject",
            "schema:identifier": '"att_6"',
            "rsv:ownerKind": '"maintenance_log"',
            "rsv:ownerId": '"log_8"',
            "schema:about": "<log_8>",
            "rsv:fileName": '"cracked lens.jpg"',
            "schema:name": '"cracked lens.jpg"',
            "schema:encodingFormat": '"image/jpeg"',
            "schema:contentSize": "4194304",
            "schema:sha256": f'"{"0f" * 32}"',
            "schema:width": "4032",
            "schema:height": "3024",
            "rsv:takenAt": time("2026-11-20T10:15:00"),
            "rsv:positionRemoved": "true",
            "schema:contentUrl": "<att_6/content>",
            "schema:thumbnailUrl": "<att_6/thumbnail>",
            "rsv:downloadUrl": "<att_6/link>",
            "rsv:storageProvider": '"local"',
            "rsv:storageKey": '"att-0f3c"',
            "rsv:metadata": '"[1,2]"^^rdf:JSON',
            "rsv:createdBy": '"technician"',
            "rsv:deletedAt": time("2026-11-01T08:00:00Z"),
            "rsv:deletedBy": '"technician"',
            "schema:dateCreated": time("2026-11-01T08:00:00Z"),
            "schema:dateModified": time("2026-11-01T08:00:00Z"),
        }
    }


WHOLE = {
    "ItemType": item_type,
    "Asset": asset,
    "StockPool": stock_pool,
    "KitTemplate": kit_template,
    "RentAction": reservation,
    "MaintenanceLog": maintenance_log,
    "Attachment": attachment,
    "DemandSignal": demand_signal,
    "BuildRequest": build_request,
    "SupplySnapshot": supply_snapshot,
}
REQUIRED = {
    "ItemType": {"": ("rdf:type", "schema:sku", "schema:name", "rsv:kind")},
    "Asset": {"": ("rdf:type", "schema:isVariantOf"), "itemType_7": ("rdf:type", "schema:identifier")},
    "StockPool": {"": ("rdf:type", "schema:isVariantOf", "rsv:quantityTotal"), "itemType_7": ("rdf:type", "schema:identifier")},
    "KitTemplate": {
        "": ("rdf:type", "schema:sku", "schema:name", "rsv:kitComponent"),
        "#component-1": ("rdf:type", "rsv:itemType", "rsv:quantityPerKit"),
        "#component-2": ("rdf:type", "rsv:itemType", "rsv:quantityPerKit"),
        "itemType_7": ("rdf:type", "schema:identifier"),
        "kit_1": ("rdf:type", "schema:identifier"),
    },
    "RentAction": {
        "": ("rdf:type", "schema:startTime", "schema:endTime", "schema:agent", "rsv:lineItem"),
        "#agent": ("rdf:type", "schema:identifier"),
        "#line-1": ("rdf:type", "schema:object", "rsv:requestedQuantity"),
        "#line-2": ("rdf:type", "schema:object", "rsv:requestedQuantity"),
        "itemType_7": ("rdf:type", "schema:identifier"),
        "kit_2": ("rdf:type", "schema:identifier"),
    },
    "MaintenanceLog": {"": ("rdf:type", "rsv:kind", "rsv:summary")},
    "Attachment": {
        "": ("rdf:type", "rsv:ownerKind", "rsv:ownerId", "rsv:fileName", "schema:encodingFormat", "schema:contentSize"),
    },
    "DemandSignal": {
        "": ("rdf:type", "rsv:source", "rsv:itemType", "rsv:quantityRequired", "schema:startTime", "schema:endTime"),
        "itemType_7": ("rdf:type", "schema:identifier"),
    },
    "SupplySnapshot": {
        "": ("rdf:type",),
        "#shortfall-1": ("rdf:type",),
        "itemType_7": ("rdf:type", "schema:identifier"),
    },
    "BuildRequest": {
        "": ("rdf:type", "rsv:itemType", "rsv:quantity", "rsv:reason"),
        "itemType_7": ("rdf:type", "schema:identifier"),
    },
}
"""What is left when everything is taken away that need not be posted."""


def least(kind: str) -> Things:
    whole = WHOLE[kind]()
    return {subject: {name: whole[subject][name] for name in names} for subject, names in REQUIRED[kind].items()}


def with_change(things: Things, subject: str, name: str, values: str | None) -> Things:
    """The same things with other values of one property; None takes it away."""
    changed = {one: dict(said) for one, said in things.items()}
    changed.setdefault(subject, {})[name] = values or ""
    return {one: {key: value for key, value in said.items() if value} for one, said in changed.items()}


def turtle(kind: str, things: Mapping[str, Mapping[str, str]]) -> str:
    head = [f"@base <{ROOTS[kind]}> ."] + [f"@prefix {prefix}: <{iri}> ." for prefix, iri in PREFIXES.items()]
    return "\n".join(head + [f"<{subject}> {name} {values} ." for subject, said in things.items() for name, values in said.items()])


def graph(kind: str, things: Mapping[str, Mapping[str, str]]) -> list[ox.Triple]:
    return [ox.Triple(q.subject, q.predicate, q.object) for q in ox.parse(turtle(kind, things), format=ox.RdfFormat.TURTLE)]


def iri(name: str) -> str:
    prefix, _, local = name.partition(":")
    return PREFIXES[prefix] + local


def check(kind: str, things: Mapping[str, Mapping[str, str]], shape: str | None = None, focus: str = "") -> None:
    VALIDATOR.check(graph(kind, things), resolved(kind, focus), vocab.SHAPES + (shape or kind), _pointer)


def resolved(kind: str, reference: str) -> str:
    return urljoin(ROOTS[kind], reference)


def _pointer(focus: str, path: str, value: object) -> str:
    return f"{focus}|{path}"


def refusal(kind: str, things: Mapping[str, Mapping[str, str]], shape: str | None = None, focus: str = "") -> ShapeViolation:
    with pytest.raises(ShapeViolation) as caught:
        check(kind, things, shape, focus)
    return caught.value


# --- a case for every constraint --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """
    One constraint and a change of the whole resource that it alone is there for.

    `constraint`: name of the shape, and the parameter of SHACL. The change: `values` of `name` at `subject`. `says`: what the message
    has to say. `at`: subject and property the violation is about, where they are not the changed ones. `alone`: the constraint stands
    below a `sh:or`, `sh:not` or `sh:node`, which tell nothing of it; it is judged by its own shape, at this focus.
    """

    constraint: str
    subject: str
    name: str
    values: str | None
    says: str
    at: tuple[str, str] | None = None
    alone: str | None = None

    @property
    def shape(self) -> str:
        return self.constraint.split()[0]

    @property
    def parameter(self) -> str:
        return self.constraint.split()[1]

    @property
    def kind(self) -> str:
        first = self.shape.partition("-")[0]
        parts = {"KitComponent": "KitTemplate", "Unavailability": "Asset"}
        return {**{kind: kind for kind in ROOTS}, **parts}.get(first, "RentAction")


LONG, TOO_LONG_TAG, TOO_LONG_TEXT = f'"{"x" * 192}"', f'"{"x" * 129}"', f'"{"x" * 65_536}"'
BAD_TIME, LATE_ZONE = '"2026-13-01T09:00:00Z"^^xsd:dateTime', '"2026-12-01T10:00:00+01:00"^^xsd:dateTime'


def one_line(shape: str, subject: str, name: str, key: str, longest: int = 191) -> Iterator[Case]:
    says = f"{key} must be one line of text with 1 to {longest} characters"
    for parameter, values in {
        "maxCount": '"one", "two"',
        "datatype": '"eins"@de',
        "maxLength": f'"{"x" * (longest + 1)}"',
        "pattern": '"two\\nlines"',
    }.items():
        yield Case(f"{shape}-{key} {parameter}", subject, name, values, says)


def free_text(shape: str, subject: str, name: str, key: str, longest: int = 65_535) -> Iterator[Case]:
    says = f"{key} must be text of at most {longest} characters, without control characters"
    for parameter, values in {
        "maxCount": '"one", "two"',
        "datatype": "12",
        "maxLength": f'"{"x" * (longest + 1)}"',
        "pattern": '"bell \\u0007"',
    }.items():
        yield Case(f"{shape}-{key} {parameter}", subject, name, values, says)


def a_time(shape: str, subject: str, name: str, key: str) -> Iterator[Case]:
    says = f"{key} must be one date and time with a zone, such as 2026-12-01T09:00:00Z"
    two = f"{time('2026-12-01T09:00:00Z')}, {time('2026-12-01T09:00:01Z')}"
    for parameter, values in {"maxCount": two, "datatype": BAD_TIME, "pattern": time("2026-12-01T09:00:00")}.items():
        yield Case(f"{shape}-{key} {parameter}", subject, name, values, says)


def json_value(shape: str, subject: str) -> Iterator[Case]:
    for parameter, values in {"maxCount": '"1"^^rdf:JSON, "2"^^rdf:JSON', "datatype": '"{"^^rdf:JSON'}.items():
        yield Case(f"{shape}-metadata {parameter}", subject, "rsv:metadata", values, "metadata must be one JSON value")


def word(shape: str, subject: str, name: str, key: str, two: str, words: str) -> Iterator[Case]:
    for parameter, values in {"maxCount": two, "in": "rsv:unheard_of"}.items():
        yield Case(f"{shape}-{key} {parameter}", subject, name, values, f"{key} must be one of {words}")


def flag(shape: str, name: str, key: str) -> Iterator[Case]:
    for parameter, values in {"maxCount": "true, false", "datatype": '"yes"^^xsd:boolean', "in": '"1"^^xsd:boolean'}.items():
        yield Case(f"{shape}-{key} {parameter}", "", name, values, f"{key} must be true or false")


def quantity(shape: str, subject: str, name: str, key: str, low: int, too_many: int) -> Iterator[Case]:
    for parameter, values in {
        "maxCount": f"{low}, {low + 1}",
        "datatype": "2.5",
        "pattern": '"+2"^^xsd:integer',
        "minInclusive": str(low - 1),
        "maxInclusive": str(too_many),
    }.items():
        yield Case(f"{shape}-{key} {parameter}", subject, name, values, f"{key} must be a whole number of at least {low}")


def identifier(shape: str, subject: str, example: str) -> Iterator[Case]:
    prefix = example.partition("_")[0]
    values = {"maxCount": f'"{prefix}_1", "{prefix}_2"', "datatype": f'"{example}"@en', "pattern": f'"{prefix}_07"'}
    for parameter, wrong in values.items():
        yield Case(f"{shape}-identifier {parameter}", subject, "schema:identifier", wrong, f"looks like {example}")


def missing(shape: str, subject: str, name: str, key: str) -> Case:
    return Case(f"{shape}-{key}-missing minCount", subject, name, None, f"{key} is required")


def reference(shape: str, subject: str, prefix: str, other: str) -> Iterator[Case]:
    """The node shape that tells a reference of the right kind from any other; what refers says what is wrong."""
    yield Case(f"{shape} class", subject, "rdf:type", other, "This is not", alone=subject)
    yield Case(f"{shape}-identifier-missing minCount", subject, "schema:identifier", None, "identifier", alone=subject)
    for parameter, values in {
        "maxCount": f'"{prefix}_1", "{prefix}_2"',
        "datatype": f'"{prefix}_7"@en',
        "pattern": f'"{prefix}_0"',
    }.items():
        yield Case(f"{shape}-identifier {parameter}", subject, "schema:identifier", values, "looks like", alone=subject)


def text_like(shape: str, name: str, key: str, wrong: str, says: str) -> Iterator[Case]:
    """A text of a certain form."""
    for parameter, values in {"maxCount": '"one", "two"', "datatype": '"eins"@de', "pattern": f'"{wrong}"'}.items():
        yield Case(f"{shape}-{key} {parameter}", "", name, values, says)


def link(shape: str, name: str, key: str) -> Iterator[Case]:
    for parameter, values in {"maxCount": "<a>, <b>", "nodeKind": '"a"'}.items():
        yield Case(f"{shape}-{key} {parameter}", "", name, values, f"{key} is ")


def literal_word(shape: str, name: str, key: str, two: str, words: str) -> Iterator[Case]:
    for parameter, values in {"maxCount": two, "datatype": '"shortfall"@en', "in": '"unheard of"'}.items():
        yield Case(f"{shape}-{key} {parameter}", "", name, values, f"{key} must be one of {words}")


def any_number(shape: str, name: str, key: str) -> Iterator[Case]:
    for parameter, values in {"maxCount": "1, 2", "datatype": "2.5", "pattern": '"+2"^^xsd:integer'}.items():
        yield Case(f"{shape}-{key} {parameter}", "", name, values, f"{key} must be a whole number")


def other(shape: str, name: str, key: str, two: str, says: str) -> Iterator[Case]:
    """A property that refers to one resource, whose kind is judged where it is looked up."""
    for parameter, values in {"maxCount": two, "nodeKind": '"demand_3"'}.items():
        yield Case(f"{shape}-{key} {parameter}", "", name, values, says)


def pointing(shape: str, name: str, key: str, two: str, says: str) -> Iterator[Case]:
    """A property that refers to one resource of a kind."""
    for parameter, values in {"maxCount": two, "nodeKind": '"itemType_7"', "node": "<asset_7>"}.items():
        yield Case(f"{shape}-{key} {parameter}", "", name, values, says)


FAR = "https://people.example/" + 169 * "x"
DURATION_WORDS = "must be a duration in days, hours, minutes and whole seconds, such as PT4H or P1DT12H"
CODE_WORDS = "code must be 1 to 64 letters, digits, dots, hyphens or underscores, beginning with a letter or a digit"
AGENT_WORDS = "agent must be one Person or Organization"
LINES_WORDS = "lineItems must be 1 to 500 objects, each with object and requestedQuantity"
COMPONENTS_WORDS = "kitComponents must be 1 to 500 objects, each with itemType and quantityPerKit"
ITEM_WORDS = "itemType must be one item type or kit template, such as itemType_7 or kit_2"
RESERVED_WORDS = "object must be an item type or a kit template, such as itemType_7 or kit_2"
ONE_RESERVED_WORDS = "object must be one item type or kit template, such as itemType_7 or kit_2"
UNIT_WORDS = "itemType must be one item type, such as itemType_7"
MANY_COMPONENTS = ", ".join(f"<#component-{number}>" for number in range(1, 502))
MANY_PERIODS = ", ".join(f"<#unavailability-{number}>" for number in range(1, 102))
PERIODS_WORDS = "unavailable must be at most 100 objects, each with startTime and, unless it is open, endTime"
MANY_LINES = ", ".join(f"<#line-{number}>" for number in range(1, 502))

CASES = [
    # item types
    Case("ItemType class", "", "rdf:type", "schema:Thing", "must be a Product", at=("", "")),
    *identifier("ItemType", "", "itemType_7"),
    missing("ItemType", "", "schema:sku", "code"),
    Case("ItemType-code maxCount", "", "schema:sku", '"A", "B"', CODE_WORDS),
    Case("ItemType-code datatype", "", "schema:sku", "4711", CODE_WORDS),
    Case("ItemType-code pattern", "", "schema:sku", '"two words"', CODE_WORDS),
    missing("ItemType", "", "schema:name", "name"),
    *one_line("ItemType", "", "schema:name", "name"),
    missing("ItemType", "", "rsv:kind", "kind"),
    *word("ItemType", "", "rsv:kind", "kind", "rsv:kit, rsv:fungible", "serialized, fungible, kit"),
    *flag("ItemType", "rsv:isActive", "isActive"),
    *word("ItemType", "", "rsv:capacityRule", "capacityRule", "rsv:overlap, rsv:peak", "overlap, peak"),
    Case("ItemType-turnaroundBefore maxCount", "", "rsv:turnaroundBefore", '"PT1H"^^xsd:duration, "PT2H"^^xsd:duration', DURATION_WORDS),
    Case("ItemType-turnaroundBefore datatype", "", "rsv:turnaroundBefore", '"4 hours"^^xsd:duration', DURATION_WORDS),
    Case("ItemType-turnaroundBefore pattern", "", "rsv:turnaroundBefore", '"P1M"^^xsd:duration', DURATION_WORDS),
    Case("ItemType-turnaroundAfter maxCount", "", "rsv:turnaroundAfter", '"PT1H"^^xsd:duration, "PT2H"^^xsd:duration', DURATION_WORDS),
    Case("ItemType-turnaroundAfter datatype", "", "rsv:turnaroundAfter", '"PT4H"', DURATION_WORDS),
    Case("ItemType-turnaroundAfter pattern", "", "rsv:turnaroundAfter", '"-PT4H"^^xsd:duration', DURATION_WORDS),
    Case("ItemType-leadTime maxCount", "", "rsv:leadTime", '"PT1H"^^xsd:duration, "PT2H"^^xsd:duration', DURATION_WORDS),
    Case("ItemType-leadTime datatype", "", "rsv:leadTime", '"PT4H"', DURATION_WORDS),
    Case("ItemType-leadTime pattern", "", "rsv:leadTime", '"P1M"^^xsd:duration', DURATION_WORDS),
    *quantity("ItemType", "", "rsv:bufferQuantity", "bufferQuantity", 0, 1_000_000_001),
    *free_text("ItemType", "", "schema:description", "description"),
    *json_value("ItemType", ""),
    *a_time("ItemType", "", "schema:dateCreated", "createdAt"),
    *a_time("ItemType", "", "schema:dateModified", "updatedAt"),
    *one_line("ItemType", "", "rsv:createdBy", "createdBy"),
    Case("ItemType-coded or", "", "rdf:type", "schema:Thing", "must be an item type, or a kit template", alone="new-1"),
    Case("ItemType-otherwise class", "", "schema:name", '"x"', "not a kit template", alone="new-1"),
    # assets
    Case("Asset-variant or", "", "rdf:type", "schema:Product", "must be an asset, or a stock pool", alone="new-1"),
    Case("Asset-otherwise class", "", "schema:name", '"x"', "not a stock pool", alone="new-1"),
    Case("Asset class", "", "rdf:type", "schema:Product", "must be an IndividualProduct", at=("", "")),
    *identifier("Asset", "", "asset_12"),
    missing("Asset", "", "schema:isVariantOf", "isVariantOf"),
    Case("Asset-isVariantOf maxCount", "", "schema:isVariantOf", "<itemType_7>, <itemType_8>", "isVariantOf must be one item type"),
    Case("Asset-isVariantOf nodeKind", "", "schema:isVariantOf", '"itemType_7"', "isVariantOf must be one item type, such as itemType_7"),
    Case("Asset-isVariantOf node", "", "schema:isVariantOf", "<asset_7>", "isVariantOf must be one item type, such as itemType_7"),
    *reference("Asset-itemType", "itemType_7", "itemType", "schema:IndividualProduct"),
    *one_line("Asset", "", "rsv:assetTag", "assetTag", 128),
    *one_line("Asset", "", "schema:serialNumber", "serialNumber", 128),
    *word("Asset", "", "rsv:status", "status", "rsv:hold, rsv:lost", "available, maintenance, hold, retired, lost"),
    *one_line("Asset", "", "schema:location", "location"),
    *one_line("Asset", "", "rsv:assignedTo", "assignedTo"),
    *one_line("Asset", "", "rsv:meshNodeId", "meshNodeId"),
    *one_line("Asset", "", "rsv:wireguardHostname", "wireguardHostname"),
    *one_line("Asset", "", "schema:name", "name"),
    *free_text("Asset", "", "schema:description", "description"),
    *json_value("Asset", ""),
    *a_time("Asset", "", "schema:dateCreated", "createdAt"),
    *a_time("Asset", "", "schema:dateModified", "updatedAt"),
    *one_line("Asset", "", "rsv:createdBy", "createdBy"),
    # times in which a unit cannot be had
    Case("Asset-unavailable maxCount", "", "rsv:unavailable", MANY_PERIODS, PERIODS_WORDS),
    Case("Asset-unavailable nodeKind", "", "rsv:unavailable", "[]", PERIODS_WORDS),
    Case("Asset-unavailable class", "#unavailability-1", "rdf:type", "schema:Event", PERIODS_WORDS, at=("", "rsv:unavailable")),
    missing("Unavailability", "#unavailability-1", "schema:startTime", "startTime"),
    *a_time("Unavailability", "#unavailability-1", "schema:startTime", "startTime"),
    Case("Unavailability-period lessThan", "#unavailability-1", "schema:endTime", time("2026-12-01T09:00:00Z"), "endTime must be after"),
    *a_time("Unavailability", "#unavailability-1", "schema:endTime", "endTime"),
    *free_text("Unavailability", "#unavailability-1", "rsv:reason", "reason", 2000),
    # stock pools
    Case("StockPool class", "", "rdf:type", "schema:IndividualProduct", "must be SomeProducts", at=("", "")),
    *identifier("StockPool", "", "pool_3"),
    missing("StockPool", "", "schema:isVariantOf", "isVariantOf"),
    Case("StockPool-isVariantOf maxCount", "", "schema:isVariantOf", "<itemType_7>, <itemType_8>", "isVariantOf must be one item type"),
    Case("StockPool-isVariantOf nodeKind", "", "schema:isVariantOf", '"itemType_7"', "isVariantOf must be one item type"),
    Case("StockPool-isVariantOf node", "", "schema:isVariantOf", "<asset_7>", "isVariantOf must be one item type, such as itemType_7"),
    *reference("StockPool-itemType", "itemType_7", "itemType", "schema:IndividualProduct"),
    missing("StockPool", "", "rsv:quantityTotal", "quantityTotal"),
    *quantity("StockPool", "", "rsv:quantityTotal", "quantityTotal", 0, 1_000_000_001),
    *one_line("StockPool", "", "schema:location", "location"),
    *flag("StockPool", "rsv:isActive", "isActive"),
    *one_line("StockPool", "", "schema:name", "name"),
    *free_text("StockPool", "", "schema:description", "description"),
    *json_value("StockPool", ""),
    *a_time("StockPool", "", "schema:dateCreated", "createdAt"),
    *a_time("StockPool", "", "schema:dateModified", "updatedAt"),
    *one_line("StockPool", "", "rsv:createdBy", "createdBy"),
    # demand signals
    Case("DemandSignal class", "", "rdf:type", "schema:Action", "must be a Demand", at=("", "")),
    *identifier("DemandSignal", "", "demand_4"),
    missing("DemandSignal", "", "rsv:source", "source"),
    *one_line("DemandSignal", "", "rsv:source", "source", 64),
    *one_line("DemandSignal", "", "rsv:sourceRef", "sourceRef"),
    missing("DemandSignal", "", "rsv:itemType", "itemType"),
    *pointing("DemandSignal", "rsv:itemType", "itemType", "<itemType_7>, <itemType_8>", ITEM_WORDS),
    missing("DemandSignal", "", "schema:startTime", "startTime"),
    *a_time("DemandSignal", "", "schema:startTime", "startTime"),
    Case("DemandSignal-window lessThan", "", "schema:endTime", time("2026-12-01T09:00:00Z"), "endTime must be after startTime"),
    missing("DemandSignal", "", "schema:endTime", "endTime"),
    *a_time("DemandSignal", "", "schema:endTime", "endTime"),
    missing("DemandSignal", "", "rsv:quantityRequired", "quantityRequired"),
    *quantity("DemandSignal", "", "rsv:quantityRequired", "quantityRequired", 1, 1_000_000_001),
    *one_line("DemandSignal", "", "schema:location", "location"),
    *word("DemandSignal", "", "rsv:priority", "priority", "rsv:low, rsv:high", "low, normal, high, urgent"),
    *word("DemandSignal", "", "rsv:status", "status", "rsv:active, rsv:cancelled", "active, superseded, cancelled"),
    *one_line("DemandSignal", "", "schema:name", "name"),
    *free_text("DemandSignal", "", "schema:description", "description"),
    *json_value("DemandSignal", ""),
    *other("DemandSignal", "rsv:supersedes", "supersedes", "<demand_3>, <demand_4>", "supersedes is given by the server"),
    *a_time("DemandSignal", "", "schema:dateCreated", "createdAt"),
    *a_time("DemandSignal", "", "schema:dateModified", "updatedAt"),
    *one_line("DemandSignal", "", "rsv:createdBy", "createdBy"),
    # supply snapshots
    Case("SupplySnapshot class", "", "rdf:type", "schema:Thing", "must be a SupplySnapshot", at=("", "")),
    *identifier("SupplySnapshot", "", "snap_4"),
    *a_time("SupplySnapshot", "", "rsv:asOfTime", "asOfTime"),
    *a_time("SupplySnapshot", "", "schema:startTime", "startTime"),
    *a_time("SupplySnapshot", "", "schema:endTime", "endTime"),
    *pointing("SupplySnapshot", "rsv:itemType", "itemType", "<itemType_7>, <itemType_8>", "itemType must be one item type"),
    *one_line("SupplySnapshot", "", "schema:location", "location"),
    *any_number("SupplySnapshot", "rsv:totalCapacity", "totalCapacity"),
    *any_number("SupplySnapshot", "rsv:reservedCapacity", "reservedCapacity"),
    *any_number("SupplySnapshot", "rsv:availableCapacity", "availableCapacity"),
    *any_number("SupplySnapshot", "rsv:shortfallQuantity", "shortfallQuantity"),
    *any_number("SupplySnapshot", "rsv:openBuildQuantity", "openBuildQuantity"),
    Case("SupplySnapshot-shortfalls nodeKind", "", "rsv:shortfall", "[]", "shortfalls must be Shortfalls"),
    Case("SupplySnapshot-shortfalls class", "#shortfall-1", "rdf:type", "schema:Thing", "shortfalls must be Shortfalls",
         at=("", "rsv:shortfall")),
    Case("SupplySnapshot-proposals maxCount", "", "rsv:proposal", '"1"^^rdf:JSON, "2"^^rdf:JSON', "proposals must be one JSON value"),
    Case("SupplySnapshot-proposals datatype", "", "rsv:proposal", '"{"^^rdf:JSON', "proposals must be one JSON value"),
    *a_time("SupplySnapshot", "", "schema:dateCreated", "createdAt"),
    *a_time("SupplySnapshot", "", "schema:dateModified", "updatedAt"),
    *one_line("SupplySnapshot", "", "rsv:createdBy", "createdBy"),
    # build requests
    Case("BuildRequest class", "", "rdf:type", "rsv:BuildRequest", "must be an OrderAction and a BuildRequest", at=("", "")),
    *identifier("BuildRequest", "", "build_5"),
    missing("BuildRequest", "", "rsv:itemType", "itemType"),
    *pointing("BuildRequest", "rsv:itemType", "itemType", "<itemType_7>, <itemType_8>", "itemType must be one item type"),
    missing("BuildRequest", "", "rsv:quantity", "quantity"),
    *quantity("BuildRequest", "", "rsv:quantity", "quantity", 1, 1_000_000_001),
    *a_time("BuildRequest", "", "rsv:neededBy", "neededBy"),
    *a_time("BuildRequest", "", "rsv:submittedAt", "submittedAt"),
    *a_time("BuildRequest", "", "rsv:fulfilledAt", "fulfilledAt"),
    missing("BuildRequest", "", "rsv:reason", "reason"),
    *literal_word("BuildRequest", "rsv:reason", "reason", '"other", "buffer"', "shortfall, buffer, replacement, other"),
    *word(
        "BuildRequest", "", "rsv:status", "status", "rsv:requested, rsv:failed",
        "requested, submitted, accepted, rejected, fulfilled, cancelled, failed",
    ),
    *one_line("BuildRequest", "", "schema:location", "location"),
    *one_line("BuildRequest", "", "rsv:externalSystem", "externalSystem", 64),
    *one_line("BuildRequest", "", "rsv:externalRef", "externalRef"),
    *other("BuildRequest", "rsv:demandSignal", "demandSignal", "<demand_3>, <demand_4>", "demandSignal must be one demand signal"),
    *one_line("BuildRequest", "", "rsv:triggerEventId", "triggerEventId"),
    *other("BuildRequest", "rsv:snapshot", "snapshot", "<snap_2>, <snap_3>", "snapshot is given by the server"),
    *one_line("BuildRequest", "", "schema:name", "name"),
    *free_text("BuildRequest", "", "schema:description", "description"),
    *json_value("BuildRequest", ""),
    *a_time("BuildRequest", "", "schema:dateCreated", "createdAt"),
    *a_time("BuildRequest", "", "schema:dateModified", "updatedAt"),
    *one_line("BuildRequest", "", "rsv:createdBy", "createdBy"),
    # kit templates
    Case("KitTemplate class", "", "rdf:type", "schema:Product", "must be a Product and a KitTemplate", at=("", "")),
    *identifier("KitTemplate", "", "kit_2"),
    missing("KitTemplate", "", "schema:sku", "code"),
    Case("KitTemplate-code maxCount", "", "schema:sku", '"A", "B"', CODE_WORDS),
    Case("KitTemplate-code datatype", "", "schema:sku", "4711", CODE_WORDS),
    Case("KitTemplate-code pattern", "", "schema:sku", '"two words"', CODE_WORDS),
    missing("KitTemplate", "", "schema:name", "name"),
    *one_line("KitTemplate", "", "schema:name", "name"),
    missing("KitTemplate", "", "rsv:kitComponent", "kitComponents"),
    Case("KitTemplate-kitComponents maxCount", "", "rsv:kitComponent", MANY_COMPONENTS, COMPONENTS_WORDS),
    Case("KitTemplate-kitComponents nodeKind", "", "rsv:kitComponent", "[]", COMPONENTS_WORDS),
    Case("KitTemplate-kitComponents class", "#component-1", "rdf:type", "schema:Product", COMPONENTS_WORDS, at=("", "rsv:kitComponent")),
    *flag("KitTemplate", "rsv:isActive", "isActive"),
    *free_text("KitTemplate", "", "schema:description", "description"),
    *json_value("KitTemplate", ""),
    *a_time("KitTemplate", "", "schema:dateCreated", "createdAt"),
    *a_time("KitTemplate", "", "schema:dateModified", "updatedAt"),
    *one_line("KitTemplate", "", "rsv:createdBy", "createdBy"),
    # components of kits
    missing("KitComponent", "#component-1", "rsv:itemType", "itemType"),
    Case("KitComponent-itemType maxCount", "#component-1", "rsv:itemType", "<itemType_7>, <kit_1>", ITEM_WORDS),
    Case("KitComponent-itemType nodeKind", "#component-1", "rsv:itemType", '"itemType_7"', ITEM_WORDS),
    Case("KitComponent-itemType node", "#component-1", "rsv:itemType", "<asset_7>", ITEM_WORDS),
    *reference("KitComponent-item", "itemType_7", "itemType", "schema:Thing"),
    missing("KitComponent", "#component-1", "rsv:quantityPerKit", "quantityPerKit"),
    *quantity("KitComponent", "#component-1", "rsv:quantityPerKit", "quantityPerKit", 1, 1_000_001),
    # reservations
    Case("RentAction class", "", "rdf:type", "schema:Action", "must be a RentAction", at=("", "")),
    *identifier("RentAction", "", "ra_123"),
    *word(
        "RentAction", "", "rsv:status", "status", "rsv:draft, rsv:pending", "draft, pending, approved, rejected, cancelled, fulfilled"
    ),
    *word(
        "RentAction", "", "schema:actionStatus", "actionStatus", "schema:ActiveActionStatus, schema:FailedActionStatus",
        "PotentialActionStatus, ActiveActionStatus, CompletedActionStatus, FailedActionStatus",
    ),
    missing("RentAction", "", "schema:startTime", "startTime"),
    *a_time("RentAction", "", "schema:startTime", "startTime"),
    Case("RentAction-window lessThan", "", "schema:endTime", time("2026-12-01T09:00:00Z"), "endTime must be after startTime"),
    missing("RentAction", "", "schema:endTime", "endTime"),
    *a_time("RentAction", "", "schema:endTime", "endTime"),
    Case("RentAction-endTime-surplus maxCount", "", "schema:duration", '"P1D"^^xsd:duration', "duration stands in place of endTime"),
    Case("RentAction-duration maxCount", "", "schema:duration", '"P1D"^^xsd:duration, "P2D"^^xsd:duration', DURATION_WORDS),
    Case("RentAction-duration datatype", "", "schema:duration", '"two days"^^xsd:duration', DURATION_WORDS),
    Case("RentAction-duration pattern", "", "schema:duration", '"P1M"^^xsd:duration', DURATION_WORDS),
    *one_line("RentAction", "", "schema:location", "location"),
    *flag("RentAction", "rsv:isAsap", "isAsap"),
    *word("RentAction", "", "rsv:priority", "priority", "rsv:low, rsv:high", "low, normal, high, urgent"),
    missing("RentAction", "", "schema:agent", "agent"),
    Case("RentAction-agent maxCount", "", "schema:agent", "<#agent>, <https://people.example/bob>", AGENT_WORDS),
    Case("RentAction-agent nodeKind", "", "schema:agent", '"alice"', AGENT_WORDS),
    Case("RentAction-agent-class or", "#agent", "rdf:type", "schema:Product", "agent must be a Person or an Organization",
         at=("", "schema:agent")),
    Case("RentAction-agent-identifier or", "#agent", "schema:identifier", None, "agent must have an identifier", at=("", "schema:agent")),
    Case("RentAction-object maxCount", "", "schema:object", MANY_LINES, "object must be an item type or a kit"),
    Case("RentAction-object nodeKind", "", "schema:object", '"itemType_7"', RESERVED_WORDS),
    Case("RentAction-object node", "", "schema:object", "<asset_12>", RESERVED_WORDS),
    *quantity("RentAction", "", "rsv:requestedQuantity", "requestedQuantity", 1, 1_000_000_001),
    *quantity("RentAction", "", "rsv:allocatedQuantity", "allocatedQuantity", 0, 1_000_000_001),
    Case("RentAction-allocatedQuantity-limit lessThanOrEquals", "", "rsv:allocatedQuantity", "3", "must not be greater than requested"),
    missing("RentAction", "", "rsv:lineItem", "lineItems"),
    Case("RentAction-lineItems maxCount", "", "rsv:lineItem", MANY_LINES, LINES_WORDS),
    Case("RentAction-lineItems nodeKind", "", "rsv:lineItem", "[]", LINES_WORDS),
    Case("RentAction-lineItems class", "#line-1", "rdf:type", "schema:Product", LINES_WORDS, at=("", "rsv:lineItem")),
    Case("RentAction-allocations nodeKind", "", "rsv:allocation", "9", "allocations must be Allocations of this reservation"),
    Case("RentAction-allocations class", "#alloc_9", "rdf:type", "rsv:LineItem", "allocations must be Allocations",
         at=("", "rsv:allocation")),
    *free_text("RentAction", "", "schema:description", "description"),
    *free_text("RentAction", "", "schema:purpose", "purpose"),
    *one_line("RentAction", "", "rsv:externalSource", "externalSource"),
    *one_line("RentAction", "", "rsv:externalRef", "externalRef"),
    *json_value("RentAction", ""),
    *free_text("RentAction", "", "rsv:reason", "reason"),
    *one_line("RentAction", "", "rsv:createdBy", "createdBy"),
    *one_line("RentAction", "", "rsv:approvedBy", "approvedBy"),
    *a_time("RentAction", "", "rsv:approvedAt", "approvedAt"),
    *a_time("RentAction", "", "rsv:rejectedAt", "rejectedAt"),
    *a_time("RentAction", "", "rsv:cancelledAt", "cancelledAt"),
    *a_time("RentAction", "", "schema:dateCreated", "createdAt"),
    *a_time("RentAction", "", "schema:dateModified", "updatedAt"),
    # the agent
    Case("Person class", "#agent", "rdf:type", "schema:Organization", "not a Person", alone="#agent"),
    Case("Organization class", "#agent", "rdf:type", "schema:Person", "not an Organization", alone="#agent"),
    Case("Agent-identifier-missing minCount", "#agent", "schema:identifier", None, "identifier is required", alone="#agent"),
    Case("AgentElsewhere not", "", "schema:agent", "<#agent>", "described here", alone="#agent"),
    Case("AgentElsewhere maxLength", "", "schema:agent", f"<{FAR}>", "described here", alone=FAR),
    Case("AgentDescribedHere pattern", "", "schema:agent", "<itemType_7>", "described elsewhere", alone="itemType_7"),
    Case("UnclassifiedAgent not", "", "schema:agent", "<#agent>", "classified here", alone="#agent"),
    Case("Agent-class-unsaid maxCount", "#agent", "schema:name", '"Al"', "told elsewhere", alone="#agent"),
    *one_line("Agent", "#agent", "schema:identifier", "identifier"),
    *one_line("Agent", "#agent", "schema:name", "name"),
    Case("Agent-email maxCount", "#agent", "schema:email", '"a@b.example", "c@d.example"', "email must be an e-mail address"),
    Case("Agent-email datatype", "#agent", "schema:email", "<mailto:a@b.example>", "email must be an e-mail address"),
    Case("Agent-email maxLength", "#agent", "schema:email", f'"{"a" * 250}@b.example"', "email must be an e-mail address"),
    Case("Agent-email pattern", "#agent", "schema:email", '"alice at home"', "email must be an e-mail address, such as alice@example.org"),
    # lines
    missing("LineItem", "#line-1", "schema:object", "object"),
    Case("LineItem-object maxCount", "#line-1", "schema:object", "<itemType_7>, <itemType_8>", ONE_RESERVED_WORDS),
    Case("LineItem-object nodeKind", "#line-1", "schema:object", "[]", ONE_RESERVED_WORDS),
    Case("LineItem-object node", "#line-1", "schema:object", "<asset_12>", ONE_RESERVED_WORDS),
    *reference("ReservedItem", "itemType_7", "itemType", "schema:Thing"),
    missing("LineItem", "#line-1", "rsv:requestedQuantity", "requestedQuantity"),
    *quantity("LineItem", "#line-1", "rsv:requestedQuantity", "requestedQuantity", 1, 1_000_001),
    *quantity("LineItem", "#line-1", "rsv:allocatedQuantity", "allocatedQuantity", 0, 1_000_001),
    Case("LineItem-allocatedQuantity-limit lessThanOrEquals", "#line-1", "rsv:allocatedQuantity", "3", "must not be greater than"),
    *free_text("LineItem", "#line-1", "rsv:notes", "notes"),
    *json_value("LineItem", "#line-1"),
    Case("LineItem-madeOf nodeKind", "#line-2", "rsv:madeOf", "[]", "madeOf must be KitComponents"),
    Case("LineItem-madeOf class", "#line-2-component-1", "rdf:type", "schema:Product", "madeOf must be KitComponents",
         at=("#line-2", "rsv:madeOf")),
    missing("LineComponent", "#line-2-component-1", "rsv:itemType", "itemType"),
    Case("LineComponent-itemType maxCount", "#line-2-component-1", "rsv:itemType", "<itemType_7>, <itemType_8>", UNIT_WORDS),
    Case("LineComponent-itemType nodeKind", "#line-2-component-1", "rsv:itemType", '"itemType_7"', UNIT_WORDS),
    Case("LineComponent-itemType node", "#line-2-component-1", "rsv:itemType", "<kit_2>", UNIT_WORDS),
    missing("LineComponent", "#line-2-component-1", "rsv:quantityPerKit", "quantityPerKit"),
    *quantity("LineComponent", "#line-2-component-1", "rsv:quantityPerKit", "quantityPerKit", 1, 10**15 + 1),
    # allocations
    missing("Allocation", "#alloc_9", "schema:identifier", "identifier"),
    *identifier("Allocation", "#alloc_9", "alloc_9"),
    missing("Allocation", "#alloc_9", "rsv:forLine", "forLine"),
    Case("Allocation-forLine maxCount", "#alloc_9", "rsv:forLine", "<#line-1>, <#line-2>", "forLine must be one line of the reservation"),
    Case("Allocation-forLine nodeKind", "#alloc_9", "rsv:forLine", '"line-1"', "forLine must be one line of the reservation"),
    Case("Allocation-forLine class", "#alloc_9", "rsv:forLine", "<#agent>", "forLine must be one line of the reservation"),
    Case("Allocation-asset maxCount", "#alloc_9", "rsv:asset", "<asset_12>, <asset_13>", "asset must be one asset"),
    Case("Allocation-asset nodeKind", "#alloc_9", "rsv:asset", '"asset_12"', "asset must be one asset, such as asset_12"),
    Case("Allocation-asset node", "#alloc_9", "rsv:asset", "<itemType_7>", "asset must be one asset, such as asset_12"),
    *reference("AllocatedAsset", "asset_12", "asset", "schema:Product"),
    Case("Allocation-stockPool maxCount", "#alloc_10", "rsv:stockPool", "<pool_3>, <pool_4>", "stockPool must be one stock pool"),
    Case("Allocation-stockPool nodeKind", "#alloc_10", "rsv:stockPool", '"pool_3"', "stockPool must be one stock pool, such as pool_3"),
    Case("Allocation-stockPool node", "#alloc_10", "rsv:stockPool", "<asset_12>", "stockPool must be one stock pool, such as pool_3"),
    *reference("AllocatedStockPool", "pool_3", "pool", "schema:Product"),
    Case("Allocation-itemType maxCount", "#alloc_10", "rsv:itemType", "<itemType_7>, <itemType_8>", UNIT_WORDS),
    Case("Allocation-itemType nodeKind", "#alloc_10", "rsv:itemType", '"itemType_7"', UNIT_WORDS),
    Case("Allocation-itemType node", "#alloc_10", "rsv:itemType", "<kit_2>", UNIT_WORDS),
    *reference("AllocatedItemType", "itemType_7", "itemType", "schema:Thing"),
    missing("Allocation", "#alloc_9", "rsv:quantity", "quantity"),
    *quantity("Allocation", "#alloc_9", "rsv:quantity", "quantity", 1, 1_000_001),
    missing("Allocation", "#alloc_9", "rsv:status", "status"),
    *word("Allocation", "#alloc_9", "rsv:status", "status", "rsv:in_use, rsv:returned", "allocated, in_use, returned, cancelled"),
    missing("Allocation", "#alloc_9", "rsv:allocatedFrom", "allocatedFrom"),
    *a_time("Allocation", "#alloc_9", "rsv:allocatedFrom", "allocatedFrom"),
    Case("Allocation-period lessThan", "#alloc_9", "rsv:allocatedTo", time("2026-12-01T08:00:00Z"), "allocatedTo must be after allocated"),
    missing("Allocation", "#alloc_9", "rsv:allocatedTo", "allocatedTo"),
    *a_time("Allocation", "#alloc_9", "rsv:allocatedTo", "allocatedTo"),
    *a_time("Allocation", "#alloc_9", "rsv:checkedOutAt", "checkedOutAt"),
    *a_time("Allocation", "#alloc_9", "rsv:returnedAt", "returnedAt"),
    *word("Allocation", "#alloc_9", "rsv:condition", "condition", "rsv:good, rsv:lost", "good, damaged, lost"),
    *free_text("Allocation", "#alloc_9", "rsv:notes", "notes"),
    *json_value("Allocation", "#alloc_9"),
    # maintenance logs
    Case("MaintenanceLog class", "", "rdf:type", "schema:Thing", "must be a MaintenanceLog", at=("", "")),
    *identifier("MaintenanceLog", "", "log_8"),
    missing("MaintenanceLog", "", "rsv:kind", "kind"),
    *word("MaintenanceLog", "", "rsv:kind", "kind", "rsv:repair, rsv:clean", "inspection, repair, update, clean, refurb, qa, other"),
    missing("MaintenanceLog", "", "rsv:summary", "summary"),
    *one_line("MaintenanceLog", "", "rsv:summary", "summary"),
    *a_time("MaintenanceLog", "", "rsv:performedAt", "performedAt"),
    *one_line("MaintenanceLog", "", "rsv:performedBy", "performedBy"),
    *free_text("MaintenanceLog", "", "rsv:details", "details"),
    *text_like("MaintenanceLog", "rsv:outcome", "outcome", "fine", "outcome must be one of pass, fail, n_a"),
    *text_like("MaintenanceLog", "rsv:nextAction", "nextAction", "explode", "nextAction must be one of return_to_pool"),
    Case("MaintenanceLog-window lessThanOrEquals", "", "schema:startTime", time("2026-11-20T11:00:00Z"), "startTime must not be after"),
    *a_time("MaintenanceLog", "", "rsv:plannedStart", "plannedStart"),
    *a_time("MaintenanceLog", "", "rsv:plannedEnd", "plannedEnd"),
    Case("MaintenanceLog-object maxCount", "", "schema:object", "<asset_12>, <asset_13>", "object must be one asset"),
    Case("MaintenanceLog-object nodeKind", "", "schema:object", '"asset_12"', "object must be one asset"),
    Case("MaintenanceLog-corrects maxCount", "", "rsv:corrects", "<log_6>, <log_7>", "corrects must be one entry"),
    Case("MaintenanceLog-corrects nodeKind", "", "rsv:corrects", '"log_7"', "corrects must be one entry"),
    Case("MaintenanceLog-agent maxCount", "", "schema:agent", "<#agent>, <#other>", "agent must be one Person"),
    *a_time("MaintenanceLog", "", "schema:startTime", "startTime"),
    *a_time("MaintenanceLog", "", "schema:endTime", "endTime"),
    Case("MaintenanceLog-schemaOrg maxCount", "", "rsv:schemaOrg", '"1"^^rdf:JSON, "2"^^rdf:JSON', "schemaOrg must be one JSON value"),
    Case("MaintenanceLog-schemaOrg datatype", "", "rsv:schemaOrg", '"{"^^rdf:JSON', "schemaOrg must be one JSON value"),
    *json_value("MaintenanceLog", ""),
    *a_time("MaintenanceLog", "", "schema:dateCreated", "createdAt"),
    *a_time("MaintenanceLog", "", "schema:dateModified", "updatedAt"),
    *one_line("MaintenanceLog", "", "rsv:createdBy", "createdBy"),
    # attachments
    Case("Attachment or", "", "rdf:type", "schema:Thing", "must be an ImageObject", at=("", "")),
    *identifier("Attachment", "", "att_6"),
    missing("Attachment", "", "rsv:ownerKind", "ownerKind"),
    *text_like("Attachment", "rsv:ownerKind", "ownerKind", "Asset", "ownerKind must be the kind of resource"),
    missing("Attachment", "", "rsv:ownerId", "ownerId"),
    *text_like("Attachment", "rsv:ownerId", "ownerId", "asset 12", "ownerId must be the identifier of a resource"),
    *link("Attachment", "schema:about", "about"),
    missing("Attachment", "", "rsv:fileName", "fileName"),
    *one_line("Attachment", "", "rsv:fileName", "fileName", 255),
    *one_line("Attachment", "", "schema:name", "name", 255),
    missing("Attachment", "", "schema:encodingFormat", "contentType"),
    *text_like("Attachment", "schema:encodingFormat", "contentType", "JPEG", "contentType must be a media type"),
    Case("Attachment-contentType maxLength", "", "schema:encodingFormat", f'"image/{"x" * 130}"', "contentType must be a media type"),
    missing("Attachment", "", "schema:contentSize", "byteSize"),
    *quantity("Attachment", "", "schema:contentSize", "byteSize", 0, 10**15 + 1),
    *text_like("Attachment", "schema:sha256", "checksum", "0F", "checksum must be the SHA-256"),
    *link("Attachment", "schema:contentUrl", "contentUrl"),
    *link("Attachment", "schema:thumbnailUrl", "thumbnailUrl"),
    *link("Attachment", "rsv:downloadUrl", "downloadUrl"),
    *quantity("Attachment", "", "schema:width", "width", 1, 10**6 + 1),
    *quantity("Attachment", "", "schema:height", "height", 1, 10**6 + 1),
    Case("Attachment-takenAt maxCount", "", "rsv:takenAt", '"one", "two"', "takenAt is when the camera took the picture"),
    Case("Attachment-takenAt nodeKind", "", "rsv:takenAt", "<att_6>", "takenAt is when the camera took the picture"),
    Case("Attachment-positionRemoved maxCount", "", "rsv:positionRemoved", "true, false", "positionRemoved must be true or false"),
    Case("Attachment-positionRemoved datatype", "", "rsv:positionRemoved", '"yes"', "positionRemoved must be true or false"),
    Case("Attachment-storageProvider maxCount", "", "rsv:storageProvider", '"local", "s3"', "storageProvider is local or s3"),
    Case("Attachment-storageProvider datatype", "", "rsv:storageProvider", '"local"@en', "storageProvider is local or s3"),
    Case("Attachment-storageProvider in", "", "rsv:storageProvider", '"ftp"', "storageProvider is local or s3"),
    *one_line("Attachment", "", "rsv:storageKey", "storageKey", 512),
    *json_value("Attachment", ""),
    *a_time("Attachment", "", "rsv:deletedAt", "deletedAt"),
    *one_line("Attachment", "", "rsv:deletedBy", "deletedBy"),
    *a_time("Attachment", "", "schema:dateCreated", "createdAt"),
    *a_time("Attachment", "", "schema:dateModified", "updatedAt"),
    *one_line("Attachment", "", "rsv:createdBy", "createdBy"),
]  # fmt: skip


def result_of(error: ShapeViolation, case: Case) -> bool:
    """Whether the SHACL report has a result of the very constraint of the case."""
    said = {(t.subject, t.predicate.value, getattr(t.object, "value", "")) for t in error.report}
    results = {subject for subject, name, value in said if (name, value) == (vocab.SH + "sourceShape", vocab.SHAPES + case.shape)}
    component = vocab.SH + COMPONENTS[case.parameter]
    return any((result, vocab.SH + "sourceConstraintComponent", component) in said for result in results)


COMPONENTS = {
    name: name[0].upper() + name[1:] + "ConstraintComponent"
    for name in (
        "class", "datatype", "nodeKind", "minCount", "maxCount", "minInclusive", "maxInclusive", "maxLength", "pattern", "in", "lessThan",
        "lessThanOrEquals", "node", "or", "not",
    )
}  # fmt: skip
"""Parameter of SHACL → its component; sh:property has no result of its own."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.constraint)
def test_each_constraint_refuses_what_it_is_there_for(case: Case) -> None:
    things = with_change(WHOLE[case.kind](), case.subject, case.name, case.values)
    error = refusal(case.kind, things, case.shape if case.alone else None, case.alone or "")
    assert result_of(error, case)
    told = [one for one in error.violations if case.says in one.message]
    subject, name = case.at or (case.subject, case.name)
    if case.alone:
        assert told
    else:
        assert (resolved(case.kind, subject), iri(name) if name else "") in {tuple(one.pointer.split("|")) for one in told}
        assert case.says in error.detail or len(error.violations) > 3


def test_every_constraint_of_every_shape_has_a_case() -> None:
    shapes = rdflib.Graph()
    for file in SHAPES.glob("*.ttl"):
        shapes.parse(file)
    nodes = set(shapes.subjects(RDF.type, SH.NodeShape)) | set(shapes.subjects(RDF.type, SH.PropertyShape))
    known = {str(SH[parameter]): parameter for parameter in COMPONENTS}
    apart = ("path", "name", "description", "order", "message", "property", "targetClass", "targetSubjectsOf")
    told_elsewhere = {str(SH[name]) for name in apart} | {str(RDF.type), vocab.EXAMPLE}
    used = {(str(node).removeprefix(vocab.SHAPES), str(name)) for node in nodes for name in shapes.predicates(node)}
    assert {name for _, name in used} <= known.keys() | told_elsewhere, "a parameter of SHACL that COMPONENTS does not know"
    constraints = {f"{node} {known[name]}" for node, name in used if name in known}
    assert constraints == {case.constraint for case in CASES}


def test_every_constraint_has_a_message_and_every_property_a_name() -> None:
    shapes = rdflib.Graph()
    for file in SHAPES.glob("*.ttl"):
        shapes.parse(file)
    for kind, wanted in ((SH.NodeShape, {SH.message}), (SH.PropertyShape, {SH.message, SH.name, SH.path})):
        for node in shapes.subjects(RDF.type, kind):
            assert wanted <= set(shapes.predicates(node)), node
            assert len(list(shapes.objects(node, SH.message))) == 1, node


def test_no_property_shape_hangs_loose() -> None:
    shapes = rdflib.Graph()
    for file in SHAPES.glob("*.ttl"):
        shapes.parse(file)
    defined = set(shapes.subjects(RDF.type, SH.NodeShape)) | set(shapes.subjects(RDF.type, SH.PropertyShape))
    assert set(shapes.objects(None, SH.property)) <= defined
    assert set(shapes.subjects(RDF.type, SH.PropertyShape)) == set(shapes.objects(None, SH.property))


FILES = {
    "ItemType": "item-type.ttl",
    "Asset": "asset.ttl",
    "StockPool": "stock-pool.ttl",
    "KitTemplate": "kit-template.ttl",
    "RentAction": "rent-action.ttl",
    "MaintenanceLog": "maintenance-log.ttl",
    "Attachment": "attachment.ttl",
    "DemandSignal": "demand-signal.ttl",
    "BuildRequest": "build-request.ttl",
    "SupplySnapshot": "supply-snapshot.ttl",
}


@pytest.mark.parametrize("kind", ROOTS)
def test_names_in_messages_are_the_keys_of_the_json(kind: str) -> None:
    contexts = Contexts(data_directory("contexts"), BASE)
    shapes = rdflib.Graph().parse(SHAPES / FILES[kind])
    for shape, path in shapes.subject_objects(SH.path):
        either = shapes.value(path, SH.alternativePath)
        told = path if either is None else shapes.value(either, RDF.first)
        assert str(shapes.value(shape, SH.name)) == ("@type" if told == RDF.type else contexts.key(str(told))), shape


# --- what is right ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ROOTS)
def test_what_is_stored_conforms(kind: str) -> None:
    check(kind, WHOLE[kind]())


@pytest.mark.parametrize("kind", ROOTS)
def test_the_least_that_can_be_posted_conforms(kind: str) -> None:
    check(kind, least(kind))


RIGHT = [
    *[("ItemType", "", "schema:sku", values) for values in ('"A"', '"9"', '"a.b_c-D"', f'"{"x" * 64}"')],
    *[("ItemType", "", "schema:name", values) for values in ('"x"', f'"{"x" * 191}"', '"  padded "', '"時計 ⏱ ñ"', f'"{"🚤" * 191}"')],
    *[("ItemType", "", "rsv:kind", values) for values in ("rsv:serialized", "rsv:fungible", "rsv:kit")],
    *[("ItemType", "", "rsv:isActive", values) for values in ("true", "false")],
    *[("ItemType", "", "rsv:capacityRule", values) for values in ("rsv:overlap", "rsv:peak")],
    *[
        ("ItemType", "", "rsv:turnaroundBefore", f'"{text}"^^xsd:duration')
        for text in ("PT0S", "P0D", "P1D", "PT1H", "PT90M", "PT259200S", "P1DT1H", "P9999DT99999H9999999M99999999S")
    ],
    *[("ItemType", "", "schema:description", values) for values in ('""', '"a\\tb\\r\\nc"', f'"{"x" * 65_535}"')],
    *[("ItemType", "", "rsv:metadata", f"'{text}'^^rdf:JSON") for text in ("{}", "[]", "null", "1.5", '"x"', '{"a":{"b":[true,null]}}')],
    *[("Asset", "", "rsv:status", f"rsv:{word}") for word in ("available", "maintenance", "hold", "retired", "lost")],
    *[("Asset", "", "rsv:assetTag", values) for values in ('"1"', f'"{"x" * 128}"')],
    *[("StockPool", "", "rsv:quantityTotal", values) for values in ("0", "1000000000")],
    *[("KitTemplate", "#component-2", "rsv:quantityPerKit", values) for values in ("1", "1000000")],
    *[("RentAction", "", "rsv:status", f"rsv:{word}") for word in ("draft", "pending", "approved", "rejected", "cancelled", "fulfilled")],
    *[("RentAction", "", "rsv:priority", f"rsv:{word}") for word in ("low", "normal", "high", "urgent")],
    *[
        ("RentAction", "", "schema:actionStatus", f"schema:{word}ActionStatus")
        for word in ("Potential", "Active", "Completed", "Failed")
    ],
    *[
        ("RentAction", "", "schema:startTime", time(text))
        for text in ("1900-01-01T00:00:00Z", "2024-02-29T23:59:59.5Z", "2026-12-02T08:59:59.999999Z")
    ],
    *[("RentAction", "", "schema:endTime", time(text)) for text in ("2026-12-01T09:00:00.000001Z", "2999-12-31T23:59:59Z")],
    *[("RentAction", "#line-1", "rsv:requestedQuantity", values) for values in ("1", "1000000")],
    *[("RentAction", "#line-1", "rsv:allocatedQuantity", values) for values in ("0", "2")],
    *[("RentAction", "#alloc_9", "rsv:status", f"rsv:{word}") for word in ("allocated", "in_use", "returned", "cancelled")],
    *[("RentAction", "#agent", "rdf:type", values) for values in ("schema:Organization", "schema:Person, ex:Volunteer")],
    *[("RentAction", "#agent", "schema:identifier", values) for values in ('"a"', '"svc:import 1"', f'"{"x" * 191}"')],
    *[
        ("RentAction", "#agent", "schema:email", f'"{text}"')
        for text in ("a@b.example", "first.last+tag@sub.domain.example", "o'neil@x-y.example", "jörg@bücher.example", "mailto:a@b.example")
    ],
]  # fmt: skip


@pytest.mark.parametrize(("kind", "subject", "name", "values"), RIGHT, ids=lambda value: str(value)[:40])
def test_what_is_right_is_not_refused(kind: str, subject: str, name: str, values: str) -> None:
    check(kind, with_change(WHOLE[kind](), subject, name, values))


OF_A_PERIOD = {(f"#unavailability-{number}", name) for number in (1, 2) for name in ("rdf:type", "schema:startTime")}
"""What a part must have, where there is one."""

OPTIONAL = [
    (kind, subject, name)
    for kind in ROOTS
    for subject, said in WHOLE[kind]().items()
    for name in said
    if name not in REQUIRED[kind].get(subject, ()) and subject not in ("#alloc_9", "#alloc_10", "asset_12", "pool_3", "#line-2-component-1")
    if (subject, name) not in OF_A_PERIOD
]


@pytest.mark.parametrize(("kind", "subject", "name"), OPTIONAL)
def test_each_optional_statement_may_be_left_out(kind: str, subject: str, name: str) -> None:
    check(kind, with_change(WHOLE[kind](), subject, name, None))


@pytest.mark.parametrize(
    "said",
    [{}, {"rdf:type": "schema:Person"}, {"rdf:type": "schema:Organization", "schema:identifier": '"x"'}],
    ids=["named only", "with its class", "with its identifier"],
)
def test_an_agent_may_be_described_elsewhere(said: dict[str, str]) -> None:
    things = with_change(least("RentAction"), "", "schema:agent", "<https://people.example/alice#me>")
    check("RentAction", {**things, "#agent": {}, "https://people.example/alice#me": said})


@pytest.mark.parametrize(
    "agent", [f"https://people.example/{'x' * 192}", "https://people.example/a"], ids=["a name that is too long", "of another class"]
)
def test_an_agent_elsewhere_is_a_person_or_an_organization_with_a_name_that_can_be_kept(agent: str) -> None:
    things = with_change(least("RentAction"), "", "schema:agent", f"<{agent}>")
    error = refusal("RentAction", {**things, "#agent": {}, agent: {"rdf:type": "schema:Place"}})
    assert {one.path for one in error.violations} == {vocab.AGENT}


def many_lines(count: int) -> Things:
    things = with_change(least("RentAction"), "", "rsv:lineItem", ", ".join(f"<#line-{n}>" for n in range(1, count + 1)))
    line = {"rdf:type": "rsv:LineItem", "schema:object": "<itemType_7>", "rsv:requestedQuantity": "3"}
    return {**things, **{f"#line-{n}": line for n in range(1, count + 1)}}


def test_a_reservation_may_have_many_lines() -> None:
    check("RentAction", many_lines(500))


def test_a_reservation_may_have_many_allocations() -> None:
    things = with_change(reservation(), "", "rsv:allocation", ", ".join(f"<#alloc_{n}>" for n in range(1, 40)))
    check("RentAction", {**things, **{f"#alloc_{n}": {**things["#alloc_9"], "schema:identifier": f'"alloc_{n}"'} for n in range(1, 40)}})


@pytest.mark.parametrize("kind", ROOTS)
def test_statements_of_other_vocabularies_are_welcome_everywhere(kind: str) -> None:
    strange = {
        "ex:seen": '"twice"@en, 3.5, "<a/>"^^rdf:XMLLiteral, "x"^^ex:unknown',
        "ex:near": "[ ex:name [ ex:deep true ] ], ( 1 2 )",
        "schema:award": '"First", "Second"',
        "rdf:type": "ex:Thing",
    }
    things = WHOLE[kind]()
    for subject in [one for one in things if not one or one.startswith("#")]:
        things[subject] = {**things[subject], **strange, "rdf:type": f"{things[subject]['rdf:type']}, ex:Thing"}
    check(kind, things)


# --- what is wrong ----------------------------------------------------------------------------------------------------

LINES = (
    '""', '" "', '"a\\nb"', '"a\\n"', '"\\u0000"', '"\\u007F"', '"\\u0085"', '"\\t"', '"x"@en', "1", "true", "<http://x.example/>", "[]",
    '"x"^^ex:y',
)  # fmt: skip
TIMES = (
    '"2026-12-01T09:00:00Z"', '"2026-12-01"^^xsd:date', '"2026-12-01T09:00:00Z"^^xsd:dateTimeStamp', "[]", "<http://x.example/>", "2026",
    *(
        time(text)
        for text in (
            "", "tomorrow", "2026-12-01", "2026-12-01T09:00Z", "2026-12-01T09Z", "20261201T090000Z", "2026-W49-2T09:00:00Z",
            "2026-12-01 09:00:00Z",
            "2026-12-01T09:00:00", "2026-12-01T09:00:00z", "2026-12-01T09:00:00+01:00", "2026-12-01T09:00:00-00:00", "2026-02-29T09:00:00Z",
            "2026-12-01T24:00:00Z",
            "2026-12-01T09:60:00Z", "2026-12-01T09:00:60Z", " 2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z\\n", "2026-12-01T09:00:00,5Z",
            "٢٠٢٦-12-01T09:00:00Z", "12026-12-01T09:00:00Z", "-2026-12-01T09:00:00Z", "0000-12-01T09:00:00Z",
        )
    ),
)  # fmt: skip
QUANTITIES = (
    "1.0", "1e0", "true", '"2"', '"two"', "[]", "<http://x.example/>",
    *(f'"{text}"^^xsd:integer' for text in ("", "two", "-1", "+2", "02", "2.0", " 2", "2\\n", "1_0", "٢", "1e1", "9" * 5000)),
    '"2"^^xsd:int', '"2"^^xsd:nonNegativeInteger',
)  # fmt: skip
WRONG = {
    ("ItemType", "", "schema:sku"): (*LINES, '"-a"', '"a b"', '"ä"', '"a/b"', f'"{"x" * 65}"', '"a\\n"'),
    ("ItemType", "", "schema:name"): (*LINES, LONG),
    ("ItemType", "", "rsv:kind"): ('"serialized"', "rsv:Serialized", "rsv:lost", "schema:serialized", "[]", "1"),
    ("ItemType", "", "rsv:isActive"): ('"true"', "1", '"1"^^xsd:boolean', '"TRUE"^^xsd:boolean', '"maybe"^^xsd:boolean', "rsv:true", "[]"),
    ("ItemType", "", "rsv:capacityRule"): ('"peak"', "rsv:Peak", "rsv:kit", "[]"),
    ("ItemType", "", "rsv:turnaroundBefore"): (
        "4", '"PT4H"', "[]", '"PT4H"^^xsd:dayTimeDuration',
        *(
            f'"{text}"^^xsd:duration'
            for text in (
                "", "P", "PT", "P1DT", "-PT4H", "P1M", "P1Y", "P1W", "PT0.5S", "PT1.5H", "4H", "T4H", "P4H", "PT1M1H", "pt4h", "PT4H ",
                "PT4H\\n", "P٤D", "P10000D", "PT100000H", "PT10000000M", "PT100000000S",
            )
        ),
    ),
    ("ItemType", "", "schema:description"): ('"x"@en', "1", "[]", '"\\u0007"', '"a\\u0000b"', '"\\u001B[2J"', TOO_LONG_TEXT),
    ("ItemType", "", "rsv:metadata"): (
        '"x"', "true", "[]", *(f'"{text}"^^rdf:JSON' for text in ("", "{", "{'a':1}", "NaN", "[1,]", "1 2")),
    ),
    ("ItemType", "", "schema:dateCreated"): TIMES,
    ("Asset", "", "schema:isVariantOf"): ('"itemType_7"', "[]", "<asset_12>", "<http://x.example/itemType_7>", "<itemType_8>", "<>"),
    ("Asset", "", "rsv:assetTag"): (*LINES, TOO_LONG_TAG),
    ("Asset", "", "schema:serialNumber"): (*LINES, TOO_LONG_TAG),
    ("Asset", "", "rsv:status"): ('"available"', "rsv:Available", "rsv:pending", "[]"),
    ("Asset", "", "schema:location"): (*LINES, LONG),
    ("Asset", "", "rsv:assignedTo"): (*LINES, LONG),
    ("Asset", "", "rsv:meshNodeId"): (*LINES, LONG),
    ("Asset", "", "rsv:wireguardHostname"): (*LINES, LONG),
    ("StockPool", "", "schema:isVariantOf"): ('"itemType_7"', "[]", "<asset_12>", "<http://x.example/itemType_7>", "<itemType_8>", "<>"),
    ("StockPool", "", "rsv:quantityTotal"): (*QUANTITIES, "1000000001"),
    ("StockPool", "", "schema:location"): (*LINES, LONG),
    ("StockPool", "", "rsv:isActive"): ('"true"', "1", "[]"),
    ("KitTemplate", "", "schema:sku"): (*LINES, '"-a"', '"a b"', '"ä"'),
    ("KitTemplate", "", "schema:name"): (*LINES, LONG),
    ("KitTemplate", "", "rsv:kitComponent"): ('"itemType_7"', "[]", "<itemType_7>", "<#component-1>, <#component-9>", "()"),
    ("KitTemplate", "#component-1", "rsv:itemType"): ('"itemType_7"', "[]", "<asset_12>", "<itemType_8>", "<#component-1>", "1"),
    ("KitTemplate", "#component-1", "rsv:quantityPerKit"): (*QUANTITIES, "0", "1000001"),
    ("RentAction", "", "rsv:status"): ('"pending"', "rsv:Pending", "rsv:available", "rsv:in_use", "[]"),
    ("RentAction", "", "schema:actionStatus"): ('"ActiveActionStatus"', "schema:active", "rsv:ActiveActionStatus", "[]"),
    ("RentAction", "", "schema:startTime"): (*TIMES, time("1899-12-31T23:59:59Z")),
    ("RentAction", "", "schema:endTime"): (*TIMES, time("3000-01-01T00:00:00Z")),
    ("RentAction", "", "rsv:isAsap"): ('"false"', "0", '"0"^^xsd:boolean', "[]"),
    ("RentAction", "", "rsv:priority"): ('"high"', "rsv:High", "rsv:hold", "5", "[]"),
    ("RentAction", "", "schema:agent"): ('"alice"', "[]", "1", "<#line-1>"),
    ("RentAction", "", "rsv:lineItem"): ('"line"', "[]", "<#agent>", "<#line-1>, <#line-3>", "()"),
    ("RentAction", "", "schema:object"): ('"itemType_7"', "[]", "<asset_12>", "<itemType_8>", "<itemType_7>, <asset_12>"),
    ("RentAction", "", "rsv:requestedQuantity"): (*QUANTITIES, "0", "1000000001"),
    ("RentAction", "", "rsv:externalRef"): (*LINES, LONG),
    ("RentAction", "", "schema:purpose"): ('"x"@en', "1", "[]", '"\\u0000"', TOO_LONG_TEXT),
    ("RentAction", "#line-1", "schema:object"): ('"itemType_7"', "[]", "<asset_12>", "<itemType_8>", "<#line-1>", "1"),
    ("RentAction", "#line-1", "rsv:requestedQuantity"): (*QUANTITIES, "0", "1000001"),
    ("RentAction", "#line-1", "rsv:allocatedQuantity"): (*QUANTITIES, "1000001"),
    ("RentAction", "#line-1", "rsv:notes"): ('"x"@en', "1", "[]", '"\\u0000"', TOO_LONG_TEXT),
    ("RentAction", "#agent", "schema:identifier"): (*LINES, LONG),
    ("RentAction", "#agent", "schema:name"): (*LINES, LONG),
    ("RentAction", "#agent", "schema:email"): (
        "1", "[]", "<mailto:a@b.example>",
        *(
            f'"{text}"'
            for text in (
                "", "alice", "alice@", "@b.example", "a@b", "a b@c.example", "a@b@c.example", "a@b..example", "a@.example",
                "a@b.example\\n",
            )
        ),
    ),
    ("RentAction", "#alloc_9", "rsv:status"): ('"allocated"', "rsv:pending", "rsv:inUse", "[]"),
    ("RentAction", "#alloc_9", "rsv:quantity"): (*QUANTITIES, "0"),
    ("RentAction", "#alloc_9", "rsv:allocatedTo"): TIMES,
}  # fmt: skip
WRONG_VALUES = [(*place, values) for place, several in WRONG.items() for values in several if values]


@pytest.mark.parametrize(("kind", "subject", "name", "values"), WRONG_VALUES, ids=lambda value: str(value)[:40])
def test_each_wrong_value_of_each_field_is_refused_where_it_stands(
    kind: str, subject: str, name: str, values: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = refusal(kind, with_change(WHOLE[kind](), subject, name, values))
    assert f"{resolved(kind, subject)}|{iri(name)}" in {one.pointer for one in error.violations}
    assert not caplog.records
    assert orjson.dumps(error.members)


EVERY_PLACE = [(kind, subject, name) for kind in ROOTS for subject, said in WHOLE[kind]().items() for name in said if name != "rdf:type"]
DATATYPES = (
    "xsd:string", "xsd:integer", "xsd:boolean", "xsd:dateTime", "xsd:duration", "xsd:double", "xsd:decimal", "xsd:date", "rdf:JSON",
    "rdf:XMLLiteral", "rdf:HTML", "xsd:hexBinary", "xsd:gYear", "ex:unknown",
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(EVERY_PLACE), datatype=st.sampled_from(DATATYPES), text=st.text(max_size=30), again=st.booleans())
def test_no_literal_whatever_makes_the_validator_fail(place: tuple[str, str, str], datatype: str, text: str, again: bool) -> None:
    kind, subject, name = place
    literal = str(ox.Literal(text.replace("\x00", ""), datatype=ox.NamedNode(iri(datatype))))
    values = f"{literal}, [ ex:x 1 ], <#agent>" if again else literal
    try:
        check(kind, with_change(WHOLE[kind](), subject, name, values))
    except ShapeViolation as error:
        assert error.violations


@pytest.mark.parametrize("kind", ROOTS)
def test_a_node_about_which_nothing_is_said_lacks_all_that_is_required(kind: str) -> None:
    error = refusal(kind, {})
    assert len(error.violations) == len(REQUIRED[kind][""])


# --- how it is told ---------------------------------------------------------------------------------------------------


def mess() -> Things:
    things = many_lines(12)
    things[""] = {**things[""], "schema:startTime": time("2026-12-03T09:00:00Z"), "rsv:priority": '"high"', "rsv:status": "rsv:x, rsv:y"}
    for number in (2, 10):
        things[f"#line-{number}"] = {**things[f"#line-{number}"], "rsv:requestedQuantity": "0"}
    return things


def test_violations_come_in_a_stable_order_root_first_then_part_by_part() -> None:
    told = [refusal("RentAction", mess()).violations for _ in range(5)]
    assert all(one == told[0] for one in told)
    assert [one.message.split()[0] for one in told[0]] == ["status", "endTime", "priority", "requestedQuantity", "requestedQuantity"]
    assert [one.pointer.split("|")[0].rpartition("#")[2] for one in told[0]][-2:] == ["line-2", "line-10"]


def test_one_violation_for_each_focus_path_and_message() -> None:
    told = refusal("RentAction", with_change(reservation(), "", "rsv:status", "rsv:x, rsv:y, 5")).violations
    assert len(told) == 1


def test_a_time_that_is_wrong_in_itself_is_not_compared_as_well() -> None:
    told = refusal("RentAction", with_change(reservation(), "", "schema:startTime", time("soon"))).violations
    assert [one.path for one in told] == [vocab.START_TIME]


def sentence(things: Things) -> str:
    with pytest.raises(ShapeViolation) as caught:
        VALIDATOR.check(graph("RentAction", things), ROOTS["RentAction"], vocab.SHAPES + "RentAction")
    return caught.value.detail


def test_the_sentence_is_of_use_on_its_own() -> None:
    assert sentence(with_change(reservation(), "", "schema:endTime", time("2026-11-01T09:00:00Z"))) == "endTime must be after startTime."
    assert sentence(with_change(reservation(), "", "schema:endTime", None)) == (
        "endTime is required, unless isAsap is true and there is a duration."
    )
    assert sentence(with_change(reservation(), "#agent", "rdf:type", None)) == "agent must be a Person or an Organization."
    assert sentence(mess()) == (
        "5 things are wrong: status must be one of draft, pending, approved, rejected, cancelled, fulfilled (it is given too often); "
        'endTime must be after startTime; priority must be one of low, normal, high, urgent (not "high"); and 2 more.'
    )


def test_a_text_in_place_of_a_part_is_not_asked_for_what_the_part_would_have() -> None:
    told = refusal("RentAction", with_change(reservation(), "", "rsv:lineItem", '"itemType_7"')).violations
    assert [one.path for one in told] == [vocab.LINE_ITEMS]


def test_a_refusal_lists_no_more_than_can_be_read_and_says_how_many_there_are() -> None:
    things = many_lines(500)
    for number in range(1, 301):
        things[f"#line-{number}"] = {**things[f"#line-{number}"], "rsv:requestedQuantity": "0"}
    error = refusal("RentAction", things)
    assert len(error.violations) == MOST_TOLD
    assert error.detail.startswith("300 things are wrong: ")
    assert error.detail.endswith("; and 297 more.")


def test_the_sentence_says_in_which_part_a_value_is_wrong() -> None:
    things = graph("RentAction", with_change(least("RentAction"), "#line-1", "rsv:requestedQuantity", "0"))
    words = "requestedQuantity must be a whole number of at least 1 and at most 1000000 (not 0)."
    for pointer, where in ((None, "line-1: "), ("/lineItems/0/requestedQuantity", "lineItems/0: "), ("/requestedQuantity", "")):
        tell = None if pointer is None else lambda focus, path, value, pointer=pointer: pointer
        with pytest.raises(ShapeViolation) as caught:
            VALIDATOR.check(things, ROOTS["RentAction"], vocab.SHAPES + "RentAction", tell)
        assert caught.value.detail == where + words
        assert caught.value.violations[0].pointer == (pointer or "")


@pytest.mark.parametrize(
    ("values", "value"),
    [
        ("0", 0),
        ("2.5e0", 2.5),
        ('"INF"^^xsd:double', "INF"),
        ('"ten"', "ten"),
        ("true", True),
        ("rsv:many", "many"),
        ("<http://x.example/>", "http://x.example/"),
        ("[]", None),
        ("9" * 30, "9" * 30),
        (f'"{"x" * 1000}"', "x" * LONGEST_VALUE + "…"),
    ],
    ids=str,
)
def test_the_wrong_value_is_given_back_in_the_terms_of_json(values: str, value: object) -> None:
    told = refusal("RentAction", with_change(least("RentAction"), "#line-1", "rsv:requestedQuantity", values)).violations
    assert [one.value for one in told if one.path == vocab.REQUESTED_QUANTITY] == [value]


def test_the_report_is_a_validation_report_of_shacl() -> None:
    things = with_change(reservation(), "", "schema:startTime", "[]")
    report = refusal("RentAction", things).report
    said = {(t.predicate.value, getattr(t.object, "value", "")) for t in report}
    assert (vocab.TYPE, vocab.SH + "ValidationReport") in said
    assert (vocab.SH + "conforms", "false") in said
    assert (vocab.SH + "sourceShape", vocab.SHAPES + "RentAction-startTime") in said
    assert (vocab.SH + "focusNode", ROOTS["RentAction"]) in said
    assert {type(t.object) for t in report if t.predicate.value == vocab.SH + "value"} == {ox.BlankNode}
    assert ox.serialize(report, format=ox.RdfFormat.TURTLE)


def test_an_unknown_shape_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        check("RentAction", reservation(), "UnheardOf")


# --- under load and under attack --------------------------------------------------------------------------------------


def test_threads_do_not_get_into_each_others_way() -> None:
    validator = Validator([SHAPES])
    right, wrong = graph("RentAction", reservation()), graph("RentAction", mess())
    told: list[int] = []

    def work() -> None:
        for _ in range(5):
            validator.check(right, ROOTS["RentAction"], vocab.SHAPES + "RentAction")
            try:
                validator.check(wrong, ROOTS["RentAction"], vocab.SHAPES + "RentAction")
            except ShapeViolation as error:
                told.append(len(error.violations))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [5] * 20


def test_a_web_of_blank_nodes_is_not_spelled_out() -> None:
    layers = [[ox.BlankNode() for _ in range(30)] for _ in range(12)]
    known = ox.NamedNode(vocab.STATUS)
    web = [ox.Triple(one, known, other) for above, below in pairwise(layers) for one in above for other in below]
    triples = graph("RentAction", with_change(reservation(), "", "schema:startTime", None))
    triples.append(ox.Triple(ox.NamedNode(ROOTS["RentAction"]), ox.NamedNode(vocab.START_TIME), layers[0][0]))
    with within(LONG_WORK), pytest.raises(ShapeViolation):
        VALIDATOR.check([*triples, *web], ROOTS["RentAction"], vocab.SHAPES + "RentAction")


def test_patterns_take_long_texts_in_their_stride() -> None:
    hostile = {"schema:email": f'"{"a." * 100_000}@{"b." * 100_000}"', "schema:name": f'"{" " * 200_000}\\u0007"'}
    with within(LONG_WORK):
        for name, values in hostile.items():
            refusal("RentAction", with_change(reservation(), "#agent", name, values))


def test_more_values_than_a_property_may_have_do_not_cost_more() -> None:
    numbers = ", ".join(str(number) for number in range(2000))
    things = {"": {**reservation()[""], **dict.fromkeys(("rsv:priority", "schema:startTime", "rsv:status", "schema:purpose"), numbers)}}
    things[""]["rsv:lineItem"] = ", ".join(f"<#line-{number}>" for number in range(5000))
    with within(LONG_WORK):
        error = refusal("RentAction", things)
    assert {vocab.PRIORITY, vocab.START_TIME, vocab.STATUS, vocab.PURPOSE, vocab.LINE_ITEMS} <= {one.path for one in error.violations}


def test_a_node_may_have_any_number_of_classes() -> None:
    types = ", ".join(f"ex:Type{number}" for number in range(50))
    check("RentAction", with_change(reservation(), "#agent", "rdf:type", f"{types}, schema:Person"))
    check("ItemType", with_change(item_type(), "", "rdf:type", f"{types}, schema:Product"))


def test_a_subclass_that_the_sender_invents_does_not_count() -> None:
    things = with_change(reservation(), "#agent", "rdf:type", "ex:Robot")
    refusal("RentAction", {**things, "https://vocabulary.example/Robot": {"rdfs:subClassOf": "schema:Person"}})


# --- others who use the shapes ----------------------------------------------------------------------------------------


def as_others_judge(kind: str, things: Mapping[str, Mapping[str, str]]) -> bool:
    """
    The verdict of pySHACL on the published files and the plain graph as rdflib reads it, with nothing of ours in between.

    The shapes say themselves what they are about.
    """
    shapes = rdflib.Graph()
    for file in SHAPES.glob("*.ttl"):
        shapes.parse(file)
    conforms, _, _ = pyshacl.validate(rdflib.Graph().parse(data=turtle(kind, things), format="turtle"), shacl_graph=shapes)
    return bool(conforms)


@pytest.mark.parametrize("kind", ROOTS)
def test_the_published_files_alone_take_what_we_take(kind: str) -> None:
    assert as_others_judge(kind, WHOLE[kind]())
    assert as_others_judge(kind, least(kind))


SAME_IN_PYTHON = {"minCount", "in", "class", "or", "node", "lessThan", "lessThanOrEquals"}
REWRITTEN = {"ItemType-isActive in", "StockPool-isActive in", "KitTemplate-isActive in", "RentAction-isAsap in"}
"""What rdflib makes canonical while it reads, so that there is nothing left to refuse."""
NO_TARGET = {
    "ItemType-code-missing minCount", "Asset-isVariantOf-missing minCount", "StockPool-quantityTotal-missing minCount",
    "KitTemplate-kitComponents-missing minCount", "RentAction class", "SupplySnapshot class",
    "DemandSignal-quantityRequired-missing minCount",
}  # fmt: skip
"""What takes away the very thing by which the shape finds its node."""
ALIKE = [case for case in CASES if not case.alone and case.parameter in SAME_IN_PYTHON and case.constraint not in REWRITTEN | NO_TARGET]


@pytest.mark.parametrize("case", ALIKE, ids=lambda case: case.constraint)
def test_the_published_files_alone_refuse_what_we_refuse(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    assert not as_others_judge(case.kind, with_change(WHOLE[case.kind](), case.subject, case.name, case.values))


# --- the vocabulary ---------------------------------------------------------------------------------------------------

VOCABULARY = SHAPES / "vocabulary" / "reservations.ttl"
DESCRIBED = {"rdfs:Class": ("label", "comment", "subClassOf"), "rdf:Property": ("label", "comment", "domain", "range")}


def terms_in_use() -> set[str]:
    """Every term of ours that the code, the context or a shape speaks of."""
    code = {value for value in vars(vocab).values() if isinstance(value, str)}
    contexts = set(Contexts(data_directory("contexts"), BASE).keys)
    shapes = {str(term) for file in SHAPES.glob("*.ttl") for triple in rdflib.Graph().parse(file) for term in triple}
    return {term for term in code | contexts | shapes if term.startswith(vocab.RSV) and term != vocab.RSV}


def test_every_term_of_ours_is_described() -> None:
    described = rdflib.Graph().parse(VOCABULARY)
    assert terms_in_use() <= {str(subject) for subject in described.subjects(rdflib.RDFS.comment)}


def test_every_description_says_what_it_has_to() -> None:
    described = rdflib.Graph().parse(VOCABULARY)
    for term in {subject for subject in described.subjects() if str(subject).startswith(vocab.RSV)}:
        kinds = [name for name in DESCRIBED if rdflib.URIRef(iri(name)) in set(described.objects(term, RDF.type))]
        wanted = DESCRIBED[kinds[0]] if kinds else ("label", "comment")
        for name in wanted:
            assert len(list(described.objects(term, rdflib.RDFS[name]))) == 1, (term, name)
        assert kinds or all(str(kind).startswith(vocab.RSV) for kind in described.objects(term, RDF.type)), term
