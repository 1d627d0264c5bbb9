"""The catalog over HTTP: stock pools and kits, every filter, search and sorting, and pages that stay in step while others write."""

import base64
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from pyoxigraph import parse

from ld_server.rdf.formats import FORMATS, Format
from ld_server.resources import KINDS
from tests import factories
from tests.http.conftest import ASSETS, BASE, ITEM_TYPES, RESERVATIONS, Site, problem

POOLS, KITS = "/v1/catalog/stock-pools", "/v1/catalog/kit-templates"


def listed(site: Site, path: str, **parameters: str) -> list[str]:
    """The identifiers on the first page."""
    answer = site.get(path, query=urlencode(parameters))
    assert answer.status_code == 200, answer.text
    assert answer.json["totalItems"] == len(answer.json["member"])
    return [one["identifier"] for one in answer.json["member"]]


def paged(site: Site, path: str, **parameters: str) -> Iterator[list[dict[str, Any]]]:
    """The members of one page after the other."""
    query = urlencode(parameters)
    while query is not None:
        answer = site.get(path, query=query)
        assert answer.status_code == 200, answer.text
        yield answer.json["member"]
        query = answer.json["view"].get("next", "").partition("?")[2] or None


# --- stock pools and kit templates ------------------------------------------------------------------------------------


def test_a_stock_pool_comes_back_as_it_was_posted(either_site: Site) -> None:
    cables = either_site.item_type("CABLE", kind="fungible")
    answer = either_site.post(POOLS, factories.stock_pool(cables, 250, metadata={"drum": 2}))
    assert (answer.status_code, answer.headers["location"]) == (201, f"{BASE}{POOLS}/pool_1")
    assert answer.json == either_site.get(f"{POOLS}/pool_1").json
    assert (answer.json["@type"], answer.json["quantityTotal"], answer.json["location"]) == ("SomeProducts", 250, "Depot A")
    assert answer.json["isVariantOf"]["identifier"] == cables


@pytest.mark.parametrize(
    "component",
    [
        {"itemType": "itemType_1"},
        {"itemType": f"{BASE}{ITEM_TYPES}/itemType_1"},
        {"itemType": {"identifier": "itemType_1"}},
        {"itemType": {"@id": f"{BASE}{ITEM_TYPES}/itemType_1", "@type": "Product", "identifier": "itemType_1", "name": "Old name"}},
        {"itemTypeId": "itemType_1"},
        {"kitTemplateId": "kit_1"},
        {"itemType": "kit_1"},
    ],
    ids=str,
)
def test_a_component_may_be_named_in_any_way(site: Site, component: dict[str, Any]) -> None:
    site.item_type()
    site.made(KITS, factories.kit_template(("itemType_1", 1), code="start"))
    answer = site.post(KITS, factories.kit_template(kitComponents=[{**component, "quantityPerKit": 3}]))
    assert answer.status_code == 201, answer.text
    (found,) = answer.json["kitComponents"]
    assert found["@id"] == f"{BASE}{KITS}/kit_2#component-1"
    assert found["itemType"]["name"] == ("Finish line" if "kit_1" in str(component) else "TimerNode v2")


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
@pytest.mark.parametrize(("path", "expected"), [(f"{POOLS}/pool_1", 8), (f"{KITS}/kit_1", 14)])
def test_each_is_read_in_every_syntax_and_can_be_posted_back(site: Site, path: str, expected: int, form: Format) -> None:
    cables, timer = site.item_type("CABLE", kind="fungible"), site.item_type()
    site.made(POOLS, factories.stock_pool(cables))
    site.made(KITS, factories.kit_template((timer, 2), (cables, 4)))
    answer = site.get(path, Accept=form.media_type)
    assert answer.status_code == 200
    if not form.json:
        assert len(list(parse(answer.content, form.rdf, base_iri=BASE))) >= expected
    body = answer.content.replace(b"finish-line", b"finish-line-2")
    again = site.post(path.rpartition("/")[0], body, **{"Content-Type": form.media_type})
    assert again.status_code == 201, again.text


@pytest.mark.parametrize(
    ("changes", "pointer", "message"),
    [
        ({"kitComponents": []}, "/kitComponents", "kitComponents is required"),
        ({"kitComponents": [{"itemType": "itemType_1"}]}, "/kitComponents/0/quantityPerKit", "quantityPerKit is required"),
        ({"kitComponents": [{"itemType": "itemType_1", "quantityPerKit": 0}]}, "/kitComponents/0/quantityPerKit", "at least 1"),
        ({"kitComponents": [{"itemType": "itemType_1", "quantityPerKit": 1.5}]}, "/kitComponents/0/quantityPerKit", "whole number"),
        ({"kitComponents": [{"quantityPerKit": 1}]}, "/kitComponents/0/itemType", "itemType is required"),
        (
            {"kitComponents": [{"itemType": "itemType_1", "quantityPerKit": 1}, {"itemTypeId": "itemType_1", "quantityPerKit": 2}]},
            "/kitComponents/1/itemTypeId",
            "itemType_1 stands in kitComponents/0 already; add up the quantities there",
        ),
        ({"code": "two words"}, "/code", "code must be"),
        ({"name": None}, "/name", "name is required"),
    ],
)
def test_a_wrong_kit_is_refused_where_it_is_wrong(site: Site, changes: dict[str, Any], pointer: str, message: str) -> None:
    before = site.item_type() and site.written()
    found = problem(site.post(KITS, factories.kit_template(("itemType_1", 1), **changes)), "shape-violation", 422)
    assert [one for one in found["violations"] if one["pointer"] == pointer and message in one["message"]], found
    assert site.written() == before


@pytest.mark.parametrize("quantity", [-1, 2.5, "40", 1_000_000_001, None, True])
def test_a_pool_has_a_whole_number_of_units(site: Site, quantity: Any) -> None:
    site.item_type(kind="fungible")
    found = problem(site.post(POOLS, factories.stock_pool(quantity=quantity)), "shape-violation", 422)
    assert found["violations"][0]["pointer"] == "/quantityTotal"


@pytest.mark.parametrize(("field", "reference"), [("itemType", "itemType_99"), ("itemType", "kit_99"), ("itemType", "asset_1")])
def test_a_component_that_there_is_not_is_a_422_that_names_it(site: Site, field: str, reference: str) -> None:
    found = problem(site.post(KITS, factories.kit_template((reference, 1))), "unknown-reference", 422)
    assert found["field"] == field


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (ITEM_TYPES, factories.item_type(), "code"),
        (ASSETS, factories.asset(assetTag="TN-001"), "assetTag"),
        (KITS, factories.kit_template(("itemType_1", 1)), "code"),
    ],
)
def test_what_may_be_there_once_is_a_409_that_names_who_has_it(either_site: Site, path: str, body: dict[str, Any], field: str) -> None:
    owner = either_site.item_type()
    if path != ITEM_TYPES:
        owner = either_site.made(path, body)
    found = problem(either_site.post(path, body), "duplicate", 409)
    assert (found["field"], found["resource"]) == (field, owner)


def test_units_of_a_pool_are_promised_and_given_back(either_site: Site) -> None:
    cables = either_site.item_type("CABLE", kind="fungible")
    either_site.made(POOLS, factories.stock_pool(cables, 40))
    first, second = either_site.reservation(cables, 30), either_site.reservation(cables, 11)
    approved = either_site.post(f"{RESERVATIONS}/{first}/approve").json
    assert [(one["stockPool"]["identifier"], one["quantity"]) for one in approved["allocations"]] == [("pool_1", 30)]
    found = problem(either_site.post(f"{RESERVATIONS}/{second}/approve"), "insufficient-availability", 409)
    assert found["lines"][0]["reservationsInTheWay"][0]["units"] == 30
    either_site.post(f"{RESERVATIONS}/{first}/cancel")
    assert either_site.post(f"{RESERVATIONS}/{second}/approve").json["allocatedQuantity"] == 11


# --- filters and search -----------------------------------------------------------------------------------------------


@pytest.fixture
def stocked(either_site: Site) -> Site:
    """Two item types with units, one with pools, two kits, three reservations."""
    site = either_site
    timer, camera, cable = (
        site.item_type(),
        site.item_type("CAM_4", name="Finish camera 4%"),
        site.item_type("CABLE", kind="fungible", name="Cable"),
    )
    site.asset(timer, assetTag="TN-001", serialNumber="SN-100", location="Graz")
    site.asset(timer, assetTag="TN-002", serialNumber="SN-200", location="Linz", status="hold")
    site.asset(camera, assetTag="Straße 3", serialNumber=None, location="Graz", name="Öde Kamera")
    for place, quantity in (("Graz", 40), ("Linz", 5)):
        site.made(POOLS, factories.stock_pool(cable, quantity, location=place, isActive=place == "Graz"))
    site.made(KITS, factories.kit_template((timer, 2), code="start", name="Start line"))
    site.made(KITS, factories.kit_template((camera, 1), (timer, 1), isActive=False))
    site.reservation(timer, description="Night ski race", externalRef="EV-1")
    site.reservation(camera, description="50% of the half marathon", externalRef="ev-2", agent={"identifier": "bob", "name": "Bob"})
    site.reservation(cable, 3, externalRef="x_y")
    return site


FILTERS = [
    (ASSETS, {"itemTypeId": "itemType_1"}, ["asset_1", "asset_2"]),
    (ASSETS, {"itemTypeId": f"{BASE}{ITEM_TYPES}/itemType_2"}, ["asset_3"]),
    (ASSETS, {"status": "hold"}, ["asset_2"]),
    (ASSETS, {"location": "Graz"}, ["asset_1", "asset_3"]),
    (ASSETS, {"location": "Graz", "itemTypeId": "itemType_1", "status": "available", "q": "tn"}, ["asset_1"]),
    (POOLS, {"itemTypeId": "itemType_3"}, ["pool_1", "pool_2"]),
    (POOLS, {"location": "Linz"}, ["pool_2"]),
    (POOLS, {"isActive": "true"}, ["pool_1"]),
    (KITS, {"code": "start"}, ["kit_1"]),
    (KITS, {"isActive": "false"}, ["kit_2"]),
    (KITS, {"itemTypeId": "itemType_1"}, ["kit_1", "kit_2"]),
    (KITS, {"itemTypeId": "itemType_2"}, ["kit_2"]),
    (RESERVATIONS, {"itemTypeId": "itemType_2"}, ["ra_2"]),
    (ITEM_TYPES, {"q": "node"}, ["itemType_1"]),
    (ITEM_TYPES, {"q": "TIMERNODE V"}, ["itemType_1"]),
    (ITEM_TYPES, {"q": "cam_4"}, ["itemType_2"]),
    (ITEM_TYPES, {"q": "%"}, ["itemType_2"]),
    (ITEM_TYPES, {"q": "_"}, ["itemType_2"]),
    (ITEM_TYPES, {"q": "v2 TimerNode"}, []),
    (ASSETS, {"q": "sn-1"}, ["asset_1"]),
    (ASSETS, {"q": "tn-00"}, ["asset_1", "asset_2"]),
    (ASSETS, {"q": "strasse"}, ["asset_3"]),
    (ASSETS, {"q": "ÖDE"}, ["asset_3"]),
    (ASSETS, {"q": "o\u0308de   kam"}, ["asset_3"]),
    (ASSETS, {"q": "nothing of the kind"}, []),
    (POOLS, {"q": "gra"}, ["pool_1"]),
    (KITS, {"q": "LINE"}, ["kit_1", "kit_2"]),
    (RESERVATIONS, {"q": "ski"}, ["ra_1"]),
    (RESERVATIONS, {"q": "50% of"}, ["ra_2"]),
    (RESERVATIONS, {"q": "EV-"}, ["ra_1", "ra_2"]),
    (RESERVATIONS, {"q": "x_y"}, ["ra_3"]),
    (RESERVATIONS, {"q": "bob"}, ["ra_2"]),
    (RESERVATIONS, {"q": "alice@"}, ["ra_1", "ra_3"]),
    (RESERVATIONS, {"q": "\\"}, []),
]


def test_every_filter_finds_what_it_says(stocked: Site) -> None:
    for path, parameters, expected in FILTERS:
        assert listed(stocked, path, **parameters) == expected, parameters


def test_every_filter_of_every_kind_of_the_catalog_has_a_case() -> None:
    own = {(kind.path, name) for kind in KINDS.values() for name in kind.filters if kind.path.startswith("/v1/catalog/")}
    elsewhere = {(ITEM_TYPES, name) for name in ("code", "kind", "isActive")} | {(ASSETS, name) for name in ("assetTag", "serialNumber")}
    assert own - elsewhere == {(path, name) for path, parameters, _ in FILTERS for name in parameters if path != RESERVATIONS}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_filter_and_sort_is_a_column_and_says_what_it_does(site: Site, kind: Any) -> None:
    with site.parts.ledger.read() as uow:
        for one in kind.filters.values():
            assert one.description.endswith(".")
            assert uow.index.count(kind.table, [(one.column, "=", "x")]) == 0 if one.read is str else True
        for key, sort in kind.sorts.items():
            assert uow.index.page(kind.table, [], None, 1, [(sort.column, True)]) == [], key


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_filter_and_sort_is_documented(kind: Any) -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
    rows = [line.split("|")[2] for line in page.splitlines() if line.startswith(f"| {kind.frame.name}s |")]
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == [set(kind.filters), set(kind.sorts)]


# --- sorting ----------------------------------------------------------------------------------------------------------


SORTS = [
    (ITEM_TYPES, "code", ["itemType_3", "itemType_2", "itemType_1"]),
    (ITEM_TYPES, "-code", ["itemType_1", "itemType_2", "itemType_3"]),
    (ITEM_TYPES, "kind,-createdAt", ["itemType_3", "itemType_2", "itemType_1"]),
    (ASSETS, "serialNumber", ["asset_1", "asset_2", "asset_3"]),
    (ASSETS, "-serialNumber", ["asset_2", "asset_1", "asset_3"]),
    (ASSETS, "location,-assetTag", ["asset_1", "asset_3", "asset_2"]),
    (ASSETS, "-status,location", ["asset_2", "asset_1", "asset_3"]),
    (POOLS, "quantityTotal", ["pool_2", "pool_1"]),
    (POOLS, "-location", ["pool_2", "pool_1"]),
    (KITS, "name", ["kit_2", "kit_1"]),
    (KITS, "-updatedAt,name", ["kit_2", "kit_1"]),
    (RESERVATIONS, "requester,-externalRef", ["ra_3", "ra_1", "ra_2"]),
    (RESERVATIONS, "-createdAt", ["ra_3", "ra_2", "ra_1"]),
]


def test_every_collection_can_be_sorted_and_what_is_empty_comes_last(stocked: Site) -> None:
    """Texts are compared as the database does; what is compared here stands in the same order in all of them."""
    for path, sort, expected in SORTS:
        assert listed(stocked, path, sort=sort) == expected, (path, sort)


@pytest.mark.parametrize("sort", ["code", "-code", "-updatedAt,name", "createdAt", "kind,name"])
def test_pages_of_a_sorted_list_are_the_list(either_site: Site, sort: str) -> None:
    for number in range(7):
        either_site.item_type(f"TN-{(number * 3) % 7}", name=f"Node {number % 3}")
    whole = listed(either_site, ITEM_TYPES, sort=sort)
    for limit in (1, 2, 3, 7):
        pages = list(paged(either_site, ITEM_TYPES, sort=sort, limit=str(limit)))
        assert [one["identifier"] for page in pages for one in page] == whole
        assert all(len(page) <= limit for page in pages)


@pytest.mark.parametrize("sort", ["location", "-location", "location,-serialNumber", "-serialNumber,location"])
def test_pages_go_on_through_what_is_empty(either_site: Site, sort: str) -> None:
    item = either_site.item_type()
    for number in range(8):
        place, serial = [None, "Graz", "Linz"][number % 3], [None, "S-1", "S-2", "S-3"][number % 4]
        either_site.asset(item, location=place, serialNumber=serial)
    whole = listed(either_site, ASSETS, sort=sort)
    assert [one["identifier"] for page in paged(either_site, ASSETS, sort=sort, limit="2") for one in page] == whole
    first = sort.split(",")[0].removeprefix("-")
    values = [either_site.get(f"{ASSETS}/{one}").json.get(first) for one in whole]
    given = [value for value in values if value is not None]
    assert values == sorted(given, reverse=sort.startswith("-")) + [None] * (len(values) - len(given))


@pytest.mark.parametrize(
    ("path", "sort", "message", "suggestion"),
    [
        (ITEM_TYPES, "updated", "cannot be sorted by 'updated'. Did you mean updatedAt?", "updatedAt"),
        (ITEM_TYPES, "name,-Code", "Did you mean code?", "code"),
        (ASSETS, "assettag", "Did you mean assetTag?", "assetTag"),
        (KITS, "colour", "Known are code, name, createdAt, updatedAt.", None),
        (ITEM_TYPES, "name,", "cannot be sorted by ''", None),
        (ITEM_TYPES, "--name", "cannot be sorted by '-name'", "name"),
        (ITEM_TYPES, "name,-name", "each of them once", None),
        (ITEM_TYPES, "name,code,kind,createdAt", "at most 3 keys", None),
    ],
)
def test_a_sort_that_there_is_not_is_refused(site: Site, path: str, sort: str, message: str, suggestion: str | None) -> None:
    found = problem(site.get(path, query=urlencode({"sort": sort})), "invalid-parameter", 400)
    assert (found["parameter"], found.get("suggestion")) == ("sort", suggestion)
    assert message in found["detail"]


def encoded(*values: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).decode().rstrip("=")


def test_a_cursor_belongs_to_its_order_and_its_collection(either_site: Site) -> None:
    for number in range(3):
        either_site.item_type(f"TN-{number}")
    view = either_site.get(ITEM_TYPES, query="sort=name&limit=1").json["view"]["next"]
    after = view.partition("after=")[2]
    assert "TN" not in after
    for path, sort in ((ITEM_TYPES, "-name"), (ITEM_TYPES, "code"), (ITEM_TYPES, ""), (KITS, "name")):
        query = urlencode({"sort": sort, "after": after})
        assert problem(either_site.get(path, query=query), "invalid-parameter", 400)["parameter"] == "after"
    plain = either_site.get(ITEM_TYPES, query="limit=1").json["view"]["next"].partition("after=")[2]
    assert problem(either_site.get(ITEM_TYPES, query=f"sort=name&after={plain}"), "invalid-parameter", 400)["parameter"] == "after"


@pytest.mark.parametrize(
    ("sort", "after"),
    [
        ("name", encoded("itemType", "name", 1, 5)),
        ("name", encoded("itemType", "name", 1, {"a": 1})),
        ("name", encoded("itemType", "name", 1, "x\u0000")),
        ("name", encoded("itemType", "name", 1)),
        ("name", encoded("itemType", "name", 1, "a", "b")),
        ("name", encoded("itemType", "name", -1, "a")),
        ("name", encoded("itemType", "name", True, "a")),
        ("name", encoded("itemType", "name", 10**18, "a")),
        ("name", encoded("itemType")),
        ("name", encoded()),
        ("name", base64.urlsafe_b64encode(b'{"a": 1}').decode()),
        ("name", base64.urlsafe_b64encode(b"5").decode()),
        ("name", "%%%"),
        ("name", "ä"),
        ("updatedAt", encoded("itemType", "updatedAt", 1, "tomorrow")),
        ("updatedAt", encoded("itemType", "updatedAt", 1, "2027-03-01T08:00:00")),
        ("updatedAt", encoded("itemType", "updatedAt", 1, 7)),
        ("updatedAt", encoded("itemType", "updatedAt", 1, "0001-01-01T00:00:00+23:00")),
    ],
)
def test_only_a_cursor_that_was_given_out_goes_on(either_site: Site, sort: str, after: str) -> None:
    query = urlencode({"sort": sort, "after": after})
    assert problem(either_site.get(ITEM_TYPES, query=query), "invalid-parameter", 400)["parameter"] == "after"


def test_a_place_does_not_move_when_what_stood_there_is_changed(either_site: Site) -> None:
    """The cursor holds the values that were shown: who is renamed meanwhile is neither the end nor the beginning of the list."""
    names = [f"Node {number}" for number in range(6)]
    for number, name in enumerate(names):
        either_site.item_type(f"TN-{number}", name=name)
    answer = either_site.get(ITEM_TYPES, query="sort=name&limit=3")
    rename(either_site, "itemType_3", "Zebra")
    rename(either_site, "itemType_6", "Aardvark")
    rest = either_site.get(ITEM_TYPES, query=answer.json["view"]["next"].partition("?")[2])
    assert [one["name"] for one in rest.json["member"]] == ["Node 3", "Node 4", "Zebra"]


def rename(site: Site, identifier: str, name: str) -> None:
    path = f"{ITEM_TYPES}/{identifier}"
    answer = site.ask("PATCH", path, body=orjson.dumps({"name": name}), **{"Content-Type": "application/merge-patch+json"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("sort", ["", "name", "-createdAt"])
def test_what_was_there_all_the_time_is_shown_once_while_others_write(either_site: Site, sort: str) -> None:
    standing = [either_site.item_type(f"TN-{number}", name=f"Node {number:02}") for number in range(12)]
    moving = [either_site.item_type(f"MV-{number}", name=f"Moving {number}") for number in range(3)]
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            either_site.item_type(f"NEW-{number}", name=f"Node {number % 12:02} and a half")
            rename(either_site, moving[number % 3], f"Node {number % 12:02} and moving")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(4):
            limited = {"limit": "3", **({"sort": sort} if sort else {})}
            pages = paged(either_site, ITEM_TYPES, **limited)
            seen = [one["identifier"] for _, page in zip(range(200), pages, strict=False) for one in page]
            assert [one for one in seen if one in standing] == (standing[::-1] if sort.startswith("-") else standing)
    finally:
        stop.set()
        writer.join()
