"""The feed of events: pages both ways, full ones for good, streams that are resumed, and every envelope as it was told."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from falcon.testing import create_environ
from jsonschema import Draft202012Validator

from ld_server.domain.events import EVENTS
from ld_server.http.endpoints.events import Stream
from ld_server.services.dispatch import RELAYED
from ld_server.services.feed import number
from tests.http.conftest import Site, problem
from workers.app import TASKS

EVENTS_PATH = "/v1/events"
STREAM = "text/event-stream"


@pytest.fixture
def site(either_site: Site) -> Site:
    """Five item types and a unit of the last: six events."""
    for code in ("one", "two", "three", "four", "five"):
        last = either_site.item_type(code)
    either_site.asset(last)
    return either_site


def feed(site: Site, query: str = "", **more: Any) -> Any:
    answer = site.get(EVENTS_PATH, query=query, **more)
    assert answer.status_code == 200, answer.text
    return answer.json


def sequences(page: Any) -> list[int]:
    return [one["meta"]["sequence"] for one in page["member"]]


def follow(site: Site, address: str) -> Any:
    return feed(site, address.partition("?")[2])


# --- envelopes ------------------------------------------------------------------------------------------------------------


def test_an_event_is_told_as_it_was_written_with_its_place_in_the_feed(site: Site) -> None:
    first = feed(site)["member"][0]
    with site.parts.ledger.read() as uow:
        written = orjson.loads(uow.outbox.of_subject("itemType_1")[0].entry.body)
    assert first == {**written, "meta": {**written["meta"], "sequence": 1}}
    assert first["type"] == "catalog.itemType.created"
    assert first["subject"] == {"type": "Product", "id": "itemType_1"}
    assert first["data"]["code"] == "one"
    alone = site.get(f"{EVENTS_PATH}/{first['id']}", Accept="application/json")
    assert alone.json == first
    assert "immutable" in alone.headers["cache-control"]
    assert site.get(f"{EVENTS_PATH}/{first['id']}", Accept="application/json", If_None_Match=alone.headers["etag"]).status_code == 304


def test_events_have_the_published_schema(site: Site) -> None:
    schema = site.get("/shapes/event-envelope.json", key=None).json
    Draft202012Validator.check_schema(schema)
    for event in feed(site)["member"]:
        Draft202012Validator(schema).validate(event)
    assert schema["properties"]["type"]["enum"] == list(EVENTS)
    assert not Draft202012Validator(schema).is_valid({**event, "occurredAt": 1})


def test_what_describes_events_is_published(site: Site) -> None:
    context, schema, shape = "/contexts/events.jsonld", "/shapes/event-envelope.json", "/shapes/event.ttl"
    page = feed(site)
    assert page["@context"][0] == f"http://localhost:8000{context}"
    assert "eventType" in site.get(context, key=None).text
    assert "targetSubjectsOf rsv:eventType" in site.get(shape, key=None).text
    assert any(one["@id"].endswith(shape) for one in site.get("/shapes", key=None, Accept="application/ld+json").json["member"])
    assert site.get(schema, key=None).json["$id"] == f"http://localhost:8000{schema}"
    event = site.get(f"{EVENTS_PATH}/{page['member'][0]['id']}").json
    assert event == {"@context": page["@context"], **page["member"][0]}


def test_there_is_no_event_by_another_name(site: Site) -> None:
    for name in ("evt_0", "ra_1", "1", "%00", "ü"):
        problem(site.get(f"{EVENTS_PATH}/{name}"), "not-found", 404)


def test_any_key_reads_the_feed_and_no_key_does_not(site: Site) -> None:
    assert site.get(EVENTS_PATH, key="reader").status_code == 200
    problem(site.get(EVENTS_PATH, key=None), "unauthenticated", 401)


# --- pages ----------------------------------------------------------------------------------------------------------------


def test_pages_go_forward_until_there_is_nothing_and_on_from_there(site: Site) -> None:
    first = feed(site, "limit=4")
    assert sequences(first) == [1, 2, 3, 4] and first["through"] == 4
    second = follow(site, first["view"]["next"])
    assert sequences(second) == [5, 6] and second["through"] == 6
    assert "next" not in second["view"]
    site.item_type("six")
    assert sequences(feed(site, f"since={second['through']}")) == [7]


def test_pages_go_back_to_the_beginning(site: Site) -> None:
    last = feed(site, "since=4&limit=2")
    assert sequences(last) == [5, 6]
    before = follow(site, last["view"]["previous"])
    assert sequences(before) == [3, 4]
    first = follow(site, before["view"]["previous"])
    assert sequences(first) == [1, 2] and "previous" not in first["view"]
    assert sequences(follow(site, first["view"]["next"])) == [3, 4]
    links = str(site.get(EVENTS_PATH, query="since=2&limit=2").headers["link"])
    assert all(f"rel={relation}" in links for relation in ("first", "prev", "next"))


def test_a_full_page_is_for_good_and_another_is_not(site: Site) -> None:
    full = site.get(EVENTS_PATH, query="since=1&limit=5")
    assert "immutable" in full.headers["cache-control"]
    part = site.get(EVENTS_PATH, query="since=1&limit=6")
    assert "immutable" not in part.headers["cache-control"]
    first = site.get(EVENTS_PATH, query="limit=6")
    assert "immutable" not in first.headers["cache-control"], "where the feed begins may change"
    site.item_type("six")
    assert site.get(EVENTS_PATH, query="since=1&limit=5").content == full.content
    assert site.get(EVENTS_PATH, query="since=1&limit=5", If_None_Match=full.headers["etag"]).status_code == 304
    assert site.get(EVENTS_PATH, query="since=1&limit=6", If_None_Match=part.headers["etag"]).status_code == 200
    assert site.get(EVENTS_PATH, query="limit=6", If_None_Match=first.headers["etag"]).status_code == 304


def test_a_feed_begins_behind_an_event_a_sequence_or_an_instant(site: Site) -> None:
    everything = feed(site)["member"]
    assert sequences(feed(site, f"since={everything[3]['id']}")) == [5, 6]
    assert sequences(feed(site, "since=4")) == [5, 6]
    assert sequences(feed(site, f"since={everything[4]['occurredAt']}")) == [5, 6]
    assert sequences(feed(site, f"before={everything[2]['id']}")) == [1, 2]
    assert sequences(feed(site, f"before={everything[2]['occurredAt']}")) == [1, 2]
    assert sequences(feed(site, "since=1&before=4")) == [2, 3]
    assert sequences(feed(site, "before=99&limit=2")) == [5, 6]
    assert feed(site, "since=99")["member"] == []
    assert feed(site, f"since={'9' * 30}")["member"] == []


def test_a_feed_is_choosy(site: Site) -> None:
    assert sequences(feed(site, "types=catalog.asset.*")) == [6]
    assert sequences(feed(site, "types=rentAction.*,catalog.itemType.created&since=3")) == [4, 5]
    assert sequences(feed(site, "subject=itemType_2")) == [2]
    assert sequences(feed(site, "subject=itemType_99")) == []
    choosy = feed(site, "types=catalog.itemType.*&limit=2")
    assert sequences(follow(site, choosy["view"]["next"])) == [3, 4]
    assert feed(site, "types=rentAction.*")["through"] == 6, "everything has been looked at"


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=evt_1",
        "since=2027-03-01T08:00:00",
        "types=rentaction.*",
        "limit=0",
        "limit=x",
        "after=1",
        "since=-1",
        "before=%FF",
    ],
)
def test_what_cannot_be_meant_is_refused(site: Site, query: str) -> None:
    problem(site.get(EVENTS_PATH, query=query), "invalid-parameter", 400)


def test_an_unknown_type_is_told_the_nearest(site: Site) -> None:
    assert problem(site.get(EVENTS_PATH, query="types=rentAction.aproved"), "invalid-parameter", 400)["detail"].endswith(
        "did you mean rentAction.approved?"
    )


def test_what_is_neither_json_nor_a_stream_is_not_to_be_had(site: Site) -> None:
    problem(site.get(EVENTS_PATH, Accept="text/turtle"), "not-acceptable", 406)
    assert site.get(EVENTS_PATH, Accept="application/json").headers["content-type"].startswith("application/json")
    assert site.get(EVENTS_PATH).headers["content-type"].startswith("application/ld+json")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_reader_of_pages_misses_nothing_that_commits_late(site: Site) -> None:
    """A transaction writes its event, others commit and are read, then it commits."""
    is_written, others_are_read = threading.Event(), threading.Event()
    with site.parts.ledger.read() as uow:
        template = uow.outbox.of_subject("itemType_1")[0].entry

    def slow() -> None:
        with site.parts.ledger.write() as uow:
            uow.outbox.add(replace(template, id="evt_late", body=template.body.replace(template.id, "evt_late")))
            is_written.set()
            assert others_are_read.wait(30)

    writer = threading.Thread(target=slow)
    writer.start()
    assert is_written.wait(30)
    site.item_type("quick")
    seen = feed(site, "since=6")
    others_are_read.set()
    writer.join(30)
    late = feed(site, f"since={seen['through']}")
    assert [one["data"]["code"] for one in seen["member"]] == ["quick"]
    assert [one["id"] for one in late["member"]] == ["evt_late"]


# --- what is forgotten ----------------------------------------------------------------------------------------------------


@pytest.fixture
def old(site: Site) -> Site:
    """The site more than a year later, with one more event: the six before have been forgotten."""
    later = site.over(now=lambda: site.parts.now() + timedelta(days=401))
    with site.parts.ledger.write() as uow:
        uow.outbox.number()
        uow.facts.set(RELAYED, "6")
    later.item_type("six")
    number(later.parts.ledger)
    assert TASKS["sweep_ledger"](later.parts) == 6
    return later


def test_who_has_read_up_to_what_is_forgotten_is_told_what_to_go_on_with(old: Site) -> None:
    found = problem(old.get(EVENTS_PATH, query="since=3"), "no-longer-kept", 410)
    assert found["since"] == 6 and "since=6" in found["detail"]
    assert sequences(feed(old, f"since={found['since']}")) == [7]
    assert problem(old.get(EVENTS_PATH, Accept=STREAM, Last_Event_ID="3"), "no-longer-kept", 410)["since"] == 6
    for path, body in (("/v1/events/replay", {"since": "3"}), (f"/v1/triggers/{trigger(old)}/match", {"since": "3"})):
        problem(old.post(path, body), "no-longer-kept", 410)


def trigger(site: Site) -> str:
    log = {"type": "invoke_internal", "handler": "log"}
    return site.made("/v1/triggers", {"name": "Log", "eventTypes": ["catalog.*"], "actions": [log]})


@pytest.mark.parametrize("query", ["", "since=0", "since=6", "since=2026-01-01T00:00:00Z", "before=99", "since=0&before=99"])
def test_the_feed_begins_where_nothing_has_been_forgotten(old: Site, query: str) -> None:
    page = feed(old, query)
    assert (sequences(page), "previous" in page["view"]) == ([7], False)


def test_an_event_that_is_forgotten_is_not_there_and_its_name_says_so(old: Site, site: Site) -> None:
    said = problem(old.get(EVENTS_PATH, query="since=evt_0"), "invalid-parameter", 400)["detail"]
    assert said.endswith("or it is no longer kept.")


# --- streams --------------------------------------------------------------------------------------------------------------


def messages(text: str) -> list[dict[str, str]]:
    """The messages of a stream, as an EventSource reads them."""
    blocks = [
        dict(line.split(": ", 1) for line in block.split("\n")) for block in text.split("\n\n") if block and not block.startswith(":")
    ]
    return [block for block in blocks if "data" in block]


def stream(site: Site, query: str, **more: Any) -> list[dict[str, str]]:
    answer = site.get(EVENTS_PATH, query=query, Accept=STREAM, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(STREAM)
    return messages(answer.text)


def test_a_stream_tells_events_with_their_place(site: Site) -> None:
    found = stream(site, "since=0&limit=2")
    assert [(one["id"], one["event"]) for one in found] == [("1", "catalog.itemType.created"), ("2", "catalog.itemType.created")]
    assert orjson.loads(found[0]["data"]) == feed(site)["member"][0]


def test_a_stream_is_resumed_behind_the_last_event_that_arrived(site: Site) -> None:
    assert [one["id"] for one in stream(site, "since=0&limit=2", Last_Event_ID="4")] == ["5", "6"]
    problem(site.get(EVENTS_PATH, Accept=STREAM, Last_Event_ID="never"), "invalid-parameter", 400)
    problem(site.get(EVENTS_PATH, Accept=STREAM, query="before=2"), "invalid-parameter", 400)


def test_a_stream_is_choosy(site: Site) -> None:
    assert [one["id"] for one in stream(site, "since=0&limit=1&types=catalog.asset.*")] == ["6"]


def test_a_stream_ends_when_its_time_is_up(site: Site) -> None:
    brief = site.over(settings=replace(site.parts.settings, stream_seconds=0.01))
    assert stream(brief, "") == []


def test_a_stream_tells_what_happens_while_it_is_open(site: Site) -> None:
    """The reader is waiting at the end of the feed when the event comes."""
    is_waiting, found = threading.Event(), []
    original = site.parts

    class Watched:
        """The ledger, telling when it has been read."""

        def __getattr__(self, name: str) -> Any:
            is_waiting.set()
            return getattr(original.ledger, name)

    watched = site.over(ledger=Watched())
    reader = threading.Thread(target=lambda: found.extend(stream(watched, "limit=1&since=6")))
    reader.start()
    assert is_waiting.wait(30)
    site.item_type("six")
    reader.join(30)
    assert [one["id"] for one in found] == ["7"]


def test_a_stream_ends_when_the_server_does(site: Site) -> None:
    site.parts.ending.set()
    assert stream(site, "since=0") == []


def test_streams_leave_a_thread_for_others_and_are_given_back(site: Site) -> None:
    narrow = site.over(settings=replace(site.parts.settings, streams=1))
    opened = open_stream(narrow)
    problem(narrow.get(EVENTS_PATH, Accept=STREAM), "rate-limited", 429)
    assert narrow.get(EVENTS_PATH, Accept=STREAM, query="types=x").status_code == 400, "a refused stream takes no place"
    opened.close()
    opened.close()
    assert len(stream(narrow, "since=0&limit=1")) == 1
    assert len(stream(narrow, "since=0&limit=1")) == 1


def open_stream(site: Site) -> Stream:
    """A stream that is begun and not read."""
    environ = create_environ(EVENTS_PATH, headers={"Accept": STREAM, "Authorization": f"Bearer {site.keys['admin']}"})
    result: Any = site.client.app(environ, lambda *_: None)
    assert isinstance(result, Stream | Iterator)
    return result
