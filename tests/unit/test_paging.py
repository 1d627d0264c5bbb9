"""Pages and filters: what a query string may say about a collection."""

import base64
from datetime import UTC, datetime
from urllib.parse import urlencode

import orjson
import pytest

from ld_server.domain.errors import InvalidParameter
from ld_server.http.paging import (
    LARGEST_LIMIT,
    Page,
    collection_page,
    conditions,
    cursor,
    cut,
    cut_sorted,
    page_of,
    read_cursor,
    sorted_cursor,
    sorted_page_of,
)
from ld_server.http.parameters import hint, query_parameters
from ld_server.resources import KINDS
from ld_server.resources.kind import Filter, boolean, instant
from relational.documents import Head

NOW = datetime(2026, 11, 1, tzinfo=UTC)
KNOWN = ("status", "startFrom", "limit", "after")
FILTERS = {
    "status": Filter("status", allowed=("draft", "pending")),
    "startFrom": Filter("start_time", ">=", instant),
}
IRI = "http://localhost:8000/v1/rent-actions"


def test_parameters_are_read_by_name() -> None:
    assert query_parameters("status=pending&startFrom=2026-12-01T09%3A00%3A00%2B01%3A00", KNOWN) == {
        "status": "pending",
        "startFrom": "2026-12-01T09:00:00+01:00",
    }


def test_a_parameter_without_a_value_is_not_given() -> None:
    assert query_parameters("status=&startFrom=&limit=5", KNOWN) == {"limit": "5"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("state=pending", "no parameter 'state' here. Did you mean status?"),
        ("STATUS=pending", "Did you mean status?"),
        ("colour=red", "Known are status, startFrom, limit, after."),
        ("limit=1&limit=2", "limit is given more than once"),
        ("limit=&limit=2", "limit is given more than once"),
        ("status=%ff", "not UTF-8"),
        ("status=a%00b", "control characters"),
        ("status=a%0ab", "control characters"),
        ("&".join(f"a{number}=1" for number in range(60)), "more than 50"),
    ],
)
def test_a_query_string_is_refused(query: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        query_parameters(query, KNOWN)
    assert message in refusal.value.detail


@pytest.mark.parametrize("text", ["Hall\u00a01", "Depot \U0001fae8", "\ue000", "e\u0301", "\u2028"])
def test_a_value_may_have_every_character_that_controls_nothing(text: str) -> None:
    assert query_parameters(urlencode({"status": text}), KNOWN) == {"status": text}


def test_where_there_are_no_parameters_it_says_so() -> None:
    with pytest.raises(InvalidParameter) as refusal:
        query_parameters("pretty=1")
    assert refusal.value.detail == "There is no parameter 'pretty' here. There is none."
    assert refusal.value.members == {"parameter": "pretty", "known": []}


def test_a_hint_names_the_nearest() -> None:
    assert hint("allocationPolcy", ("allocationPolicy",)) == (
        "Did you mean allocationPolicy?",
        {"suggestion": "allocationPolicy", "known": ["allocationPolicy"]},
    )


def test_a_page_is_the_first_hundred_unless_it_says_otherwise() -> None:
    assert page_of({}, "asset") == Page(100, None)
    assert page_of({"limit": "1"}, "asset") == Page(1, None)
    assert page_of({"limit": "1000", "after": cursor("asset", 7)}, "asset") == Page(1000, 7)


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "ten", "1.5", "1e2", "٣", " 5", "0" * 5000, "9" * 5000, "+5"])
def test_a_limit_is_a_number_from_1_to_1000(limit: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        page_of({"limit": limit}, "asset")
    assert str(LARGEST_LIMIT) in refusal.value.detail
    assert refusal.value.members["parameter"] == "limit"


def test_a_cursor_says_nothing_to_its_holder_and_comes_back_whole() -> None:
    written = cursor("rentAction", 123)
    assert "123" not in written
    assert "=" not in written
    assert read_cursor(written, "rentAction") == 123


def _encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


@pytest.mark.parametrize(
    "text",
    [
        "123",
        "ra_123",
        "%%%",
        "ä",
        "a",
        cursor("asset", 5),
        _encoded(b"rentAction"),
        _encoded(b"rentAction:-1"),
        _encoded(b"rentAction:1 OR 1=1"),
        _encoded(b"rentAction:" + b"9" * 19),
        _encoded(b"\xff\xfe"),
    ],
)
def test_only_a_cursor_of_this_collection_goes_on(text: str) -> None:
    with pytest.raises(InvalidParameter, match="next link"):
        read_cursor(text, "rentAction")


def test_a_filter_that_depends_on_the_time_is_compared_with_it() -> None:
    assert conditions({"overdue": "true"}, {"overdue": Filter("identifier", "is overdue", boolean, is_timed=True)}, NOW) == [
        ("identifier", "is overdue", (True, NOW))
    ]


def test_filters_become_conditions() -> None:
    found = conditions({"status": "draft", "startFrom": "2026-12-01T10:00:00+01:00", "limit": "5"}, FILTERS, NOW)
    assert found == [("status", "=", "draft"), ("start_time", ">=", instant("2026-12-01T09:00:00Z"))]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"status": "open"}, "status must be one of draft, pending, not 'open'."),
        ({"startFrom": "tomorrow"}, "startFrom cannot be 'tomorrow'"),
        ({"startFrom": "2026-12-01T09:00:00"}, "has no zone"),
        ({"startFrom": "2026-12-01T09:00:00 01:00"}, "write %2B"),
        ({"startFrom": "0001-01-01T00:00:00+23:00"}, "startFrom cannot be"),
    ],
)
def test_a_value_that_a_filter_does_not_take_is_refused(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        conditions(parameters, FILTERS, NOW)
    assert message in refusal.value.detail


def test_one_more_than_the_page_means_there_is_a_next() -> None:
    assert cut([1, 2], Page(2), "asset") == (2, None)
    assert cut([1, 2, 5], Page(2), "asset") == (2, cursor("asset", 2))
    assert cut([], Page(2), "asset") == (0, None)


def test_the_next_page_keeps_the_filters_and_the_limit() -> None:
    shown = collection_page(IRI, {"status": "draft", "limit": "2", "after": "x"}, 7, "y")
    assert shown.next == f"{IRI}?status=draft&limit=2&after=y"
    assert shown.document("ctx") == {
        "@context": "ctx",
        "@id": f"{IRI}?status=draft",
        "@type": "Collection",
        "totalItems": 7,
        "view": {"@id": f"{IRI}?status=draft&limit=2&after=x", "@type": "PartialCollectionView", "next": shown.next},
    }


def test_the_last_page_has_no_next() -> None:
    shown = collection_page(IRI, {}, 1, None)
    assert shown.next is None
    assert shown.document("ctx")["view"] == {"@id": IRI, "@type": "PartialCollectionView"}


KIND = KINDS["stockPool"]


def test_a_sort_is_columns_and_directions() -> None:
    assert sorted_page_of({"sort": "-updatedAt,name", "limit": "5"}, KIND) == Page(5, None, (("updated_at", True), ("name", False)))
    assert sorted_page_of({"limit": "5"}, KIND) == Page(5, None)


def test_a_sorted_cursor_brings_the_values_back() -> None:
    moment = instant("2027-03-01T08:00:00.123456Z")
    after = sorted_cursor("stockPool", "-updatedAt,name,quantityTotal", 7, [moment, None, 40])
    found = sorted_page_of({"sort": "-updatedAt,name,quantityTotal", "after": after}, KIND)
    assert (found.after, found.values) == (7, (moment, None, 40))


def test_the_cursor_of_a_sorted_page_holds_what_its_last_member_had() -> None:
    stamps = {"createdAt": "2027-03-01T08:00:00Z", "updatedAt": "2027-03-01T08:00:00Z"}
    whole = {"quantityTotal": 40, "isActive": True, "isVariantOf": {"identifier": "itemType_1"}, "name": "Cable", **stamps}
    bodies = {number: orjson.dumps({**whole, "identifier": f"pool_{number}"}).decode() for number in (4, 2, 9)}
    heads = [Head(f"pool_{number}", "stockPool", number, 1, body) for number, body in bodies.items()]
    page = sorted_page_of({"sort": "name", "limit": "2"}, KIND)
    assert cut_sorted(heads, page, "name", KIND) == (2, sorted_cursor("stockPool", "name", 2, ["Cable"]))
    assert cut_sorted(heads[:2], page, "name", KIND) == (2, None)
    assert cut_sorted(heads, Page(2), None, KIND) == (2, cursor("stockPool", 2))
