"""Totals are exact, or they are not given and the collection says so: nobody waits until a hundred thousand rows are counted."""

from typing import Any

import orjson
import pytest
from pyoxigraph import Literal, RdfFormat, parse
from sqlalchemy import insert

from ld_server.http.paging import MOST_COUNTED
from ld_server.rdf import vocab
from ld_server.resources import KINDS
from relational import tables
from tests.http.conftest import ASSETS, BASE, ITEM_TYPES, Site


@pytest.fixture
def large(either_site: Site) -> Site:
    """One unit more than is counted, on hold, and one that is available; written to the ledger directly."""
    either_site.item_type()
    either_site.asset("itemType_1", assetTag="A-1")
    kind, template = KINDS["asset"], either_site.get(f"{ASSETS}/asset_1").json
    with either_site.parts.ledger.write() as uow:
        drawn = uow.documents.next_numbers("asset", MOST_COUNTED + 1)
    made = [_copy(template, number) for number in drawn]
    stored = {"kind": "asset", "revision": 1}
    with either_site.parts.ledger.engine.begin() as connection:
        bodies = [{"identifier": one["identifier"], "body": orjson.dumps(one).decode()} for one in made]
        numbers = [{"number": number} for number in drawn]
        connection.execute(insert(tables.documents), [{**stored, **body, **number} for body, number in zip(bodies, numbers, strict=True)])
        rows = [{**kind.index_row(one), **number} for one, number in zip(made, numbers, strict=True)]
        connection.execute(insert(tables.assets), rows)
        connection.execute(insert(tables.tallies), {"kind": "asset", "slot": 99, "count": len(made)})
    return either_site


def _copy(template: dict[str, Any], number: int) -> dict[str, Any]:
    named = {"@id": f"{BASE}{ASSETS}/asset_{number}", "identifier": f"asset_{number}", "assetTag": f"A-{number}"}
    return {**template, **named, "status": "hold"}


def test_totals_are_exact_as_far_as_they_are_counted(large: Site) -> None:
    for query, total in (("", MOST_COUNTED + 2), ("status=available", 1), ("status=lost", 0), ("q=a-1000", 4), ("q=a-1000&limit=2", 4)):
        found = large.get(ASSETS, query=query).json
        assert found["totalItems"] == total, query
        assert "totalItemsAbove" not in found


def test_beyond_that_a_collection_says_that_there_are_more(large: Site) -> None:
    found = large.get(ASSETS, query="itemTypeId=itemType_1&limit=1").json
    assert found["totalItemsAbove"] == MOST_COUNTED
    assert "totalItems" not in found
    following = large.get(ASSETS, query=found["view"]["next"].partition("?")[2]).json
    assert (following["totalItemsAbove"], following["member"][0]["identifier"]) == (MOST_COUNTED, "asset_2")
    triples = parse(large.get(ASSETS, query="status=hold&limit=1", Accept="text/turtle").content, RdfFormat.TURTLE)
    assert [one.object for one in triples if one.predicate.value == vocab.TOTAL_ITEMS_ABOVE] == [Literal(MOST_COUNTED)]


def test_a_page_for_people_says_it_in_their_words(large: Site) -> None:
    assert "more than 10,000 entries" in large.get(ASSETS, query="status=hold", Accept="text/html").text
    assert "10,002 entries" in large.get(ASSETS, Accept="text/html").text
    assert "1 entry" in large.get(ASSETS, query="status=available", Accept="text/html").text


def test_a_page_that_says_it_can_be_posted_as_it_was_read(large: Site) -> None:
    found = large.get(ASSETS, query="status=hold&limit=2").json
    assert "assetTag" in found["member"][0].keys() & found["member"][1].keys()
    without_tags = [{key: value for key, value in member.items() if key != "assetTag"} for member in found["member"]]
    assert large.post(ASSETS, {**found, "member": without_tags}).json["totalItems"] == 2


def test_the_first_page_of_few_is_its_own_total(site: Site) -> None:
    for number in range(3):
        site.item_type(f"C-{number}")
    for query, shown in (("limit=3", 3), ("limit=2", 2), ("kind=serialized", 3), ("kind=serialized&limit=2", 2)):
        found = site.get(ITEM_TYPES, query=query).json
        assert (found["totalItems"], len(found["member"])) == (3, shown)
        following = found["view"].get("next", "").partition("?")[2]
        assert not following or site.get(ITEM_TYPES, query=following).json["totalItems"] == 3
