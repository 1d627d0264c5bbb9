"""
Whatever is asked, the answer is one that the description has, and never an internal error.

The questions are made from the description itself: each operation with parameters that are right and wrong in many ways, and with its own
examples as bodies, in which something is then left out, replaced or added. `Site.ask` compares every answer with the description.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from ld_server.http.app import ROUTES
from tests.http.conftest import Site
from tests.http.described import Description

ODD_TEXTS = (
    "", " ", "a b", "x", "ra_1", "itemType_999999", "0", "-1", "1e9", "true", "null", "2027-03-01T08:00:00Z", "2027-02-30", "ü✓\u202e",
    "a" * 5000, "%00", "../../etc/passwd", "'; DROP TABLE documents; --", "<script>", '"1-jsonld"', 'W/"x", *', "text/turtle;q=0", "\\",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**30, [], {}, [[]], [None], {"@id": "x"}, {"@id": "a b"}, {"@value": 1}, {"@type": []}, {"@list": [1]},
    {"@context": None}, *ODD_TEXTS,
)  # fmt: skip
ODD_KEYS = ("@id", "@type", "@context", "@graph", "@reverse", "@included", "identifier", "statuss", "http://example.org/x", "x:y", "")
ACCEPTED = ("application/ld+json", "application/json", "text/turtle", "text/html", "text/csv", "*/*", "image/png", "")
ROUNDS = 6
"""Questions to each operation. Sixty, with other seeds, take two minutes."""

EVERY = [pytest.param(method, route.template, id=f"{method} {route.template}") for route in ROUTES for method in route.methods]


@pytest.fixture
def fleet(site: Site) -> Site:
    """One resource of every kind, so that the identifiers in addresses can be right."""
    item = site.item_type()
    site.asset(item)
    site.made("/v1/catalog/stock-pools", {"isVariantOf": site.item_type("Cable", kind="fungible"), "quantityTotal": 5})
    site.made("/v1/catalog/kit-templates", {"code": "kit", "name": "Kit", "kitComponents": [{"itemType": item, "quantityPerKit": 2}]})
    site.reservation(item)
    return site


@pytest.mark.parametrize(("method", "template"), EVERY)
def test_every_answer_is_described(fleet: Site, method: str, template: str) -> None:
    dice = random.Random(f"{method} {template}")  # seeded: the same questions each time
    for question in _questions(fleet.description, method, template, dice):
        answer = fleet.ask(method, **question)
        assert answer.status_code < 500, (question, answer.text)


@pytest.mark.parametrize(
    "wrong", [{"kind": "a b"}, {"kind": " "}, {"@type": "a b"}, {"description": {"@id": "a b"}}, {"http://x.org/a b": {}}]
)
def test_what_is_no_iri_is_refused(site: Site, wrong: dict[str, Any]) -> None:
    assert site.post("/v1/catalog/item-types", {"code": "x", "kind": "serialized", **wrong}).status_code == 422


def _questions(description: Description, method: str, template: str, dice: random.Random) -> Iterator[dict[str, Any]]:
    operation = description.operations[method, template]
    parameters = [description.resolved(one) for one in operation["parameters"]]
    for number in range(ROUNDS):
        chosen = [one for one in parameters if one["in"] == "path" or dice.random() < 0.3]
        said = {(one["in"], one["name"]): _text(one["schema"], dice, is_wrong=number > 1) for one in chosen}
        yield {
            "path": _path(template, said, number),
            "query": _query({name: text for (place, name), text in said.items() if place == "query"}),
            **{name.replace("-", "_"): _sendable(text) for (place, name), text in said.items() if place == "header"},
            "Accept": dice.choice(ACCEPTED),
            **_body(operation, dice, number),
        }


def _text(schema: Mapping[str, Any], dice: random.Random, is_wrong: bool) -> str:
    """A value of a parameter: one that it lists, a number that it takes, or anything."""
    if is_wrong and dice.random() < 0.5:
        return dice.choice(ODD_TEXTS)
    values = schema.get("enum") or [schema.get("minimum", "x"), schema.get("maximum", "2027-03-01T08:00:00Z")]
    return str(dice.choice(values))


def _path(template: str, said: Mapping[tuple[str, str], str], number: int) -> str:
    """The first resource of its kind, or another address."""
    names = {"item-types": "itemType_1", "assets": "asset_1", "stock-pools": "pool_1", "kit-templates": "kit_1", "rent-actions": "ra_1"}
    kind = next((identifier for segment, identifier in names.items() if f"/{segment}/" in template), "v1")
    right = {"identifier": kind, "allocation": "alloc_1", "name": "v1", "number": "1"}
    others = {name: text for (place, name), text in said.items() if place == "path"}
    return template.format(**(right if number % 3 else {name: _segment(text) for name, text in {**right, **others}.items()}))


def _segment(text: str) -> str:
    return "".join(one if one.isalnum() or one in "_-." else "%7E" for one in text[:200]) or "x"


def _query(parameters: Mapping[str, str]) -> str:
    return "&".join(f"{name}={_segment(text) if len(text) < 200 else text}" for name, text in parameters.items())


def _sendable(text: str) -> str:
    """As it can stand in a header."""
    return "".join(one for one in text if " " <= one <= "~")[:300].strip()


def _body(operation: Mapping[str, Any], dice: random.Random, number: int) -> dict[str, Any]:
    """An example of the operation, at first as it is, then with something wrong."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return {}
    media_type = dice.choice(list(content))
    examples: Sequence[Any] = [one["value"] for one in content[media_type].get("examples", {}).values()]
    example = dice.choice(examples) if examples else {}
    value = example if number < 2 else _spoiled(example, dice)
    return {"body": json.dumps(value).encode() if "json" in media_type or number % 2 else b"<a> <b> 'c", "Content_Type": media_type}


def _spoiled(value: Any, dice: random.Random) -> Any:
    """The same with one thing left out, replaced, added, or put into a list."""
    if isinstance(value, list) and value:
        return [_spoiled(value[0], dice), *value[1:]]
    if not isinstance(value, dict) or not value:
        return dice.choice(ODD_VALUES)
    key = dice.choice(list(value))
    return dice.choice(_WAYS)(value, key, dice)


def _left_out(value: dict[str, Any], key: str, _dice: random.Random) -> Any:
    return {name: one for name, one in value.items() if name != key}


def _replaced(value: dict[str, Any], key: str, dice: random.Random) -> Any:
    return {**value, key: dice.choice(ODD_VALUES)}


def _deeper(value: dict[str, Any], key: str, dice: random.Random) -> Any:
    return {**value, key: _spoiled(value[key], dice)}


def _added(value: dict[str, Any], _key: str, dice: random.Random) -> Any:
    return {**value, dice.choice(ODD_KEYS): dice.choice(ODD_VALUES)}


def _many(value: dict[str, Any], _key: str, dice: random.Random) -> Any:
    return dice.choice([[value, value], {"@graph": [value, value]}, [], [value, {}]])


_WAYS = (_left_out, _replaced, _replaced, _deeper, _deeper, _added, _many)
