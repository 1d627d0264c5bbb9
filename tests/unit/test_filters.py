"""The filter language: what holds for an envelope, and what is refused when it is written."""

from typing import Any

import pytest

from ld_server.domain.filters import OPERATORS, holds, read_filter, written
from ld_server.domain.reading import Wrong

ENVELOPE = {
    "id": "evt_1",
    "type": "rentAction.approved",
    "occurredAt": "2026-02-03T12:34:56Z",
    "subject": {"type": "RentAction", "id": "ra_123"},
    "data": {
        "@type": "RentAction",
        "startTime": "2026-03-01T08:00:00+01:00",
        "requestedQuantity": 12,
        "isAsap": False,
        "priority": "high",
        "note": None,
        "tags": ["ski", "night"],
        "lineItems": [
            {"object": {"identifier": "itemType_7"}, "requestedQuantity": 10},
            {"object": {"identifier": "itemType_9"}, "requestedQuantity": 2},
        ],
    },
    "meta": {"tenant": "default", "correlationId": "c", "version": 1, "sequence": 41},
}

HOLD: list[dict[str, Any]] = [
    {},
    {"meta.tenant": "default"},
    {"meta.tenant": "default", "subject.type": "RentAction"},
    {"data.requestedQuantity": 12.0},
    {"data.requestedQuantity": {"gt": 11, "lte": 12}},
    {"data.isAsap": False},
    {"data.priority": {"in": ["high", "urgent"]}},
    {"data.priority": {"not": "low"}},
    {"data.priority": {"not": ["low", "normal"]}},
    {"data.startTime": {"gte": "2026-03-01T07:00:00Z", "lt": "2026-03-01T07:00:01Z"}},
    {"data.priority": {"gt": "alpha"}},
    {"data.lineItems.object.identifier": "itemType_9"},
    {"data.lineItems.requestedQuantity": {"lt": 3}},
    {"data.lineItems.1.requestedQuantity": 2},
    {"data.tags": "night"},
    {"data.location": {"exists": False}},
    {"data.location": {"not": "Ghent"}},
    {"data.location": None},
    {"data.note": None},
    {"data.note": {"exists": True}},
    {"data.@type": "RentAction"},
    {"meta.sequence": {"gt": 40}},
    {"data.location": {"in": [None, "Ghent"]}},
]

DO_NOT_HOLD: list[dict[str, Any]] = [
    {"meta.tenant": "other"},
    {"meta.tenant": "default", "subject.type": "Asset"},
    {"data.requestedQuantity": "12"},
    {"data.requestedQuantity": {"gt": 11, "lt": 12}},
    {"data.requestedQuantity": {"gt": "11"}},
    {"data.isAsap": 0},
    {"data.isAsap": {"lt": 1}},
    {"data.priority": {"in": ["low"]}},
    {"data.priority": {"not": ["low", "high"]}},
    {"data.startTime": {"gt": "2026-03-01T07:30:00Z"}},
    {"data.lineItems.object.identifier": "itemType_1"},
    {"data.lineItems.object.identifier": {"not": "itemType_9"}},
    {"data.lineItems.2.requestedQuantity": 2},
    {"data.location": {"exists": True}},
    {"data.location": "Ghent"},
    {"data.location": {"gt": 0}},
    {"data.note": {"exists": False}},
    {"data.priority.deeper": "high"},
]

REFUSED: list[tuple[Any, str, str]] = [
    ([], "", "JSON object"),
    ({"dta.priority": 1}, "/dta.priority", "did you mean data?"),
    ({"meta.tennant": "x"}, "/meta.tennant", "did you mean tenant?"),
    ({"type.name": "x"}, "/type.name", "has no 'name'"),
    ({"subject.type.deeper": "x"}, "/subject.type.deeper", "has no"),
    ({"data..x": 1}, "/data..x", "names with dots"),
    ({"": 1}, "/", "names with dots"),
    ({"data.x": {}}, "/data.x", "not said"),
    ({"data.x": {"greater": 1}}, "/data.x/greater", "there is no operator 'greater'"),
    ({"data.x": {"gtt": 1}}, "/data.x/gtt", "did you mean gt"),
    ({"data.x": {"gt": True}}, "/data.x/gt", "number or a text"),
    ({"data.x": {"in": "a"}}, "/data.x/in", "list"),
    ({"data.x": {"in": []}}, "/data.x/in", "list"),
    ({"data.x": {"exists": "yes"}}, "/data.x/exists", "true or false"),
    ({"data.x": {"not": {"a": 1}}}, "/data.x/not", "text, a number"),
    ({"data.x": [1]}, "/data.x", "text, a number"),
    ({"data.a/b": {"in": [[1]]}}, "/data.a~1b/in/0", "text, a number"),
    ({f"data.x{one}": 1 for one in range(51)}, "", "at most 50"),
]


def matching(filter: dict[str, Any]) -> bool:
    return holds(read_filter(filter, ""), ENVELOPE)


@pytest.mark.parametrize("filter", HOLD, ids=str)
def test_it_holds(filter: dict[str, Any]) -> None:
    assert matching(filter)


@pytest.mark.parametrize("filter", DO_NOT_HOLD, ids=str)
def test_it_does_not_hold(filter: dict[str, Any]) -> None:
    assert not matching(filter)


@pytest.mark.parametrize("filter", HOLD, ids=str)
def test_what_is_written_is_what_was_read(filter: dict[str, Any]) -> None:
    assert written(read_filter(filter, "")) == filter


@pytest.mark.parametrize(("filter", "pointer", "message"), REFUSED, ids=[str(row[0])[:40] for row in REFUSED])
def test_a_mistake_is_told_with_its_place(filter: Any, pointer: str, message: str) -> None:
    with pytest.raises(Wrong) as refused:
        read_filter(filter, "/filter")
    assert [one.pointer for one in refused.value.violations] == [f"/filter{pointer}"]
    assert message in refused.value.violations[0].message


def test_every_mistake_is_told() -> None:
    with pytest.raises(Wrong) as refused:
        read_filter({"dta": 1, "data.x": {"gt": None, "in": 3}}, "")
    assert [one.pointer for one in refused.value.violations] == ["/dta", "/data.x/gt", "/data.x/in"]


def test_every_operator_is_tried_here() -> None:
    tried = {name for filter in (*HOLD, *DO_NOT_HOLD) for asked in filter.values() for name in (asked if isinstance(asked, dict) else [""])}
    assert tried == set(OPERATORS)
