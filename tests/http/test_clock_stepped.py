"""The clock of the machine is set back and forth between two writes: the order is that of sequence and revisions."""

from datetime import timedelta
from typing import Any

import pytest

from tests.http.conftest import ITEM_TYPES, LD_JSON, Site
from workers.projector import Projector
from workers.relay import Relay

EVENTS = "/v1/events"
STEPS = [timedelta(), timedelta(hours=-3), timedelta(hours=2), timedelta(days=-400), timedelta(minutes=1)]


def stepped(site: Site, step: timedelta) -> Site:
    """The same deployment after its clock has been set."""
    return site.over(now=lambda: site.parts.now() + step)


def pages(site: Site, path: str, query: str, size: int) -> list[Any]:
    """What the pages of a collection show, each found by the link of the one before."""
    found, address = [], f"{query}&limit={size}"
    while address:
        page = site.get(path, query=address).json
        found += page["member"]
        address = page["view"].get("next", "").partition("?")[2] if page["member"] else ""
    return found


@pytest.fixture
def site(either_site: Site) -> Site:
    return either_site


def test_events_are_in_the_order_in_which_they_were_written(site: Site) -> None:
    cursor, seen = 0, []
    for number, step in enumerate(STEPS):
        made = stepped(site, step)
        made.item_type(f"T-{number}")
        page = made.get(EVENTS, query=f"since={cursor}").json["member"]
        assert [one["subject"]["id"] for one in page] == [f"itemType_{number + 1}"], "a reader that follows misses nothing"
        cursor = page[-1]["meta"]["sequence"]
        seen += page
    whole = site.get(EVENTS, query="since=0").json["member"]
    assert whole == seen
    assert [one["meta"]["sequence"] for one in whole] == [1, 2, 3, 4, 5]
    assert [one["occurredAt"] for one in whole] != sorted(one["occurredAt"] for one in whole), "the clock went back"


def test_pages_and_revisions_are_in_their_order(site: Site) -> None:
    first = site.item_type("T-0")
    for number, step in enumerate(STEPS, start=1):
        made = stepped(site, step)
        made.item_type(f"T-{number}")
        changed = made.ask("PATCH", f"{ITEM_TYPES}/{first}", body={"name": f"Name {number}"}, Content_Type="application/merge-patch+json")
        assert changed.status_code == 200, changed.text
    found = [one["identifier"] for one in pages(site, ITEM_TYPES, "", 2)]
    assert sorted(found) == [f"itemType_{number}" for number in range(1, 7)] and len(set(found)) == 6
    revisions = site.get(f"{ITEM_TYPES}/{first}/revisions").json["member"]
    numbers = [one["revision"] for one in revisions]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6] and numbers in (sorted(numbers), sorted(numbers, reverse=True))
    for number in range(1, 6):
        assert site.get(f"{ITEM_TYPES}/{first}/revisions/{number + 1}", Accept=LD_JSON).json["name"] == f"Name {number}"
    assert site.get(f"{ITEM_TYPES}/{first}").json["name"] == "Name 5"


def test_what_was_written_is_relayed_and_projected_once(site: Site) -> None:
    projector, relay = Projector(site.parts, "one"), Relay(site.parts, "one")
    relay.run_once(site.parts.now())
    for number, step in enumerate(STEPS):
        stepped(site, step).item_type(f"T-{number}")
        now = site.parts.now() + step
        assert (projector.run_once(now), relay.run_once(now)) == (1, 1)
    assert len(list(site.parts.sparql.graph_names())) == len(STEPS)
