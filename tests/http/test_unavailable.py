"""Times in which a unit cannot be had: said in every syntax, changed by both patches, checked, and minded."""

from typing import Any

import pytest

from tests import factories
from tests.http.conftest import ASSETS, LD_JSON, Site, problem

PERIOD = {"startTime": "2027-03-01T09:00:00+01:00", "endTime": "2027-03-05T08:00:00Z", "reason": "Inspection"}
OPEN = {"startTime": "2029-01-01T00:00:00Z"}
PATCH_TYPES = {"merge": "application/merge-patch+json", "list": "application/json-patch+json"}


@pytest.fixture
def asset(site: Site) -> str:
    return site.asset(site.item_type(), unavailable=[PERIOD, OPEN])


def periods(site: Site, identifier: str) -> list[tuple[str | None, ...]]:
    told = site.get(f"{ASSETS}/{identifier}").json.get("unavailable", [])
    return [tuple(one.get(key) for key in ("startTime", "endTime", "reason")) for one in told]


TOLD = [("2027-03-01T08:00:00Z", "2027-03-05T08:00:00Z", "Inspection"), ("2029-01-01T00:00:00Z", None, None)]


def test_they_are_parts_of_the_asset(site: Site, asset: str) -> None:
    document = site.get(f"{ASSETS}/{asset}").json
    first = document["unavailable"][0]
    assert (first["@id"], first["@type"]) == (f"{document['@id']}#unavailability-1", "Unavailability")
    assert periods(site, asset) == TOLD


@pytest.mark.parametrize("media_type", [LD_JSON, "text/turtle", "application/n-triples", "application/trig", "application/rdf+xml"])
def test_what_is_given_can_be_posted(site: Site, asset: str, media_type: str) -> None:
    given = site.get(f"{ASSETS}/{asset}", Accept=media_type)
    answer = site.post(ASSETS, given.content, Content_Type=media_type)
    assert answer.status_code == 201, answer.text
    assert sorted(periods(site, answer.json["identifier"]), key=str) == sorted(TOLD, key=str)


CHANGES: dict[str, tuple[str, Any, list[tuple[str | None, ...]]]] = {
    "replaced": ("merge", {"unavailable": [OPEN]}, TOLD[1:]),
    "taken away": ("merge", {"unavailable": None}, []),
    "emptied": ("merge", {"unavailable": []}, []),
    "one taken out": ("list", [{"op": "remove", "path": "/unavailable/0"}], TOLD[1:]),
    "one closed": (
        "list",
        [{"op": "add", "path": "/unavailable/1/endTime", "value": "2029-02-01T00:00:00Z"}],
        [TOLD[0], ("2029-01-01T00:00:00Z", "2029-02-01T00:00:00Z", None)],
    ),
    "one added": (
        "list",
        [{"op": "add", "path": "/unavailable/-", "value": {"startTime": "2030-01-01T00:00:00Z"}}],
        [*TOLD, ("2030-01-01T00:00:00Z", None, None)],
    ),
}


@pytest.mark.parametrize(("kind", "body", "expected"), CHANGES.values(), ids=CHANGES)
def test_they_can_be_changed(site: Site, asset: str, kind: str, body: Any, expected: list[tuple[str | None, ...]]) -> None:
    answer = site.ask("PATCH", f"{ASSETS}/{asset}", body=body, Content_Type=PATCH_TYPES[kind])
    assert answer.status_code == 200, answer.text
    assert periods(site, asset) == expected


WRONG = {
    "no start": ({"endTime": "2027-03-05T08:00:00Z"}, "/unavailable/0"),
    "no zone": ({"startTime": "2027-03-05T08:00:00"}, "/unavailable/0/startTime"),
    "end before start": ({"startTime": "2027-03-05T08:00:00Z", "endTime": "2027-03-05T08:00:00Z"}, "/unavailable/0"),
    "too long a reason": ({**OPEN, "reason": "x" * 2001}, "/unavailable/0/reason"),
    "a text": ("tomorrow", "/unavailable"),
}


@pytest.mark.parametrize(("period", "pointer"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_where_it_stands(site: Site, period: Any, pointer: str) -> None:
    answer = site.post(ASSETS, factories.asset(site.item_type(), unavailable=[period]))
    found = problem(answer, "shape-violation", 422)
    assert any(one["pointer"].startswith(pointer) for one in found["violations"]), found


def test_there_are_at_most_a_hundred(site: Site) -> None:
    item_type = site.item_type()
    several = [{"startTime": f"2027-03-01T00:{number // 60:02}:{number % 60:02}Z"} for number in range(101)]
    assert site.post(ASSETS, factories.asset(item_type, unavailable=several[:100])).status_code == 201
    problem(site.post(ASSETS, factories.asset(item_type, unavailable=several)), "shape-violation", 422)


def test_an_unknown_word_in_one_is_told(site: Site) -> None:
    answer = site.post(ASSETS, factories.asset(site.item_type(), unavailable=[{**OPEN, "status": "hold"}]))
    assert answer.status_code == 422
    answer = site.post(ASSETS, factories.asset(site.item_type("B"), unavailable=[{**OPEN, "reson": "x"}]))
    assert problem(answer, "unknown-term", 422)["suggestion"] == "reason"
