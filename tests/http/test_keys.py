"""Keys: hashed, remembered for a moment, refused once they are revoked or expired."""

from datetime import UTC, datetime, timedelta

import pytest

from ld_server.http import authentication
from ld_server.services import keys
from tests.http.conftest import RESERVATIONS, Site, problem

KEYS = "/v1/keys"


def test_a_key_comes_in_either_header(site: Site) -> None:
    key = site.keys["reader"]
    assert site.get(RESERVATIONS, key=None, Authorization=f"bearer {key}").status_code == 200
    assert site.get(RESERVATIONS, key=None, X_Api_Key=key).status_code == 200


def test_an_unknown_key_is_refused_without_being_repeated(site: Site) -> None:
    answer = site.get(RESERVATIONS, key="rsv_made-up")
    assert "made-up" not in str(problem(answer, "unauthenticated", 401))


def test_a_hash_is_not_a_key(site: Site) -> None:
    problem(site.get(RESERVATIONS, key=keys.hash_of(site.keys["admin"])), "unauthenticated", 401)


def test_strange_keys_are_merely_unknown(site: Site) -> None:
    for key in ("caf\u00e9", "x" * 5000, "a b c", "'; DROP TABLE keys; --"):
        problem(site.get(RESERVATIONS, key=key), "unauthenticated", 401)


def test_a_revoked_key_stops_working_once_it_is_forgotten(site: Site, monkeypatch) -> None:
    assert site.get(RESERVATIONS, key="planner").status_code == 200
    with site.parts.ledger.write() as uow:
        row = uow.keys.by_hash(keys.hash_of(site.keys["planner"]))
        uow.keys.revoke(row.identifier, site.parts.now())
    started = authentication.time.monotonic()
    monkeypatch.setattr(authentication.time, "monotonic", lambda: started + authentication.MEMORY_SECONDS)
    problem(site.get(RESERVATIONS, key="planner"), "unauthenticated", 401)


def test_keys_are_remembered_for_two_seconds_at_most() -> None:
    assert authentication.MEMORY_SECONDS <= 2


def test_a_key_expires(site: Site) -> None:
    at = datetime(2027, 1, 1, tzinfo=UTC)
    with site.parts.ledger.write() as uow:
        keys.add(uow, "rsv_short", "short", ["planner"], at, at + timedelta(days=1))
    for day, status in ((0, 200), (1, 401)):
        later = at + timedelta(days=day)
        assert site.over(now=lambda later=later: later).get(RESERVATIONS, key="rsv_short").status_code == status


def test_the_use_of_a_key_is_noted(site: Site) -> None:
    site.get(RESERVATIONS, key="planner")
    with site.parts.ledger.read() as uow:
        assert uow.keys.by_hash(keys.hash_of(site.keys["planner"])).last_used_at is not None
        assert uow.keys.by_hash(keys.hash_of(site.keys["approver"])).last_used_at is None


def test_a_key_is_made_shown_once_used_and_revoked(either_site: Site, monkeypatch) -> None:
    site = either_site
    made = site.post(KEYS, {"name": "Ghent", "scopes": ["planner"], "expiresAt": "2199-01-31T01:00:00+01:00"})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    text, path = made.json["key"], made.headers["location"].removeprefix("http://localhost:8000")
    assert made.json["expiresAt"] == "2199-01-31T00:00:00Z"
    assert site.get(RESERVATIONS, key=text).status_code == 200
    problem(site.post(KEYS, {"name": "more"}, key=text), "forbidden", 403)
    shown = site.get(path)
    assert text not in shown.text and text not in site.get(KEYS).text
    assert (shown.json["status"], shown.json["scopes"]) == ("valid", ["planner"]) and "lastUsedAt" in shown.json
    assert [site.ask("DELETE", path).status_code for _ in range(2)] == [204, 204]
    assert site.get(path).json["status"] == "revoked"
    started = authentication.time.monotonic()
    monkeypatch.setattr(authentication.time, "monotonic", lambda: started + authentication.MEMORY_SECONDS)
    problem(site.get(RESERVATIONS, key=text), "unauthenticated", 401)


def test_a_repeated_request_does_not_tell_the_key_again(site: Site) -> None:
    first, again = (site.post(KEYS, {"name": "Ghent"}, Idempotency_Key='"one"') for _ in range(2))
    assert first.json["identifier"] == again.json["identifier"]
    assert "key" in first.json and "key" not in again.json


def test_keys_are_listed_page_by_page(site: Site) -> None:
    whole = site.get(KEYS).json
    names = [one["name"] for one in whole["member"]]
    assert whole["totalItems"] == len(names) and set(names) >= set(site.keys)
    found, path = [], f"{KEYS}?limit=3"
    for _ in range(len(names)):
        page = site.get(KEYS, query=path.partition("?")[2]).json
        found += [one["name"] for one in page["member"]]
        if "next" not in page["view"]:
            break
        path = page["view"]["next"]
    assert found == names


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "x", "scopes": ["root"]}, "/scopes/0"),
        ({"name": "x", "scopes": "admin "}, "/scopes"),
        ({"name": "x", "expiresAt": "2199-01-31"}, "/expiresAt"),
        ({"name": "x", "expiresAt": "0001-01-01T00:00:00+14:00"}, "/expiresAt"),
        ({"name": "x", "expiresAt": "2020-01-31T00:00:00Z"}, "/expiresAt"),
        ({"name": "x", "key": "rsv_of-my-own"}, "/key"),
    ],
)
def test_a_key_that_cannot_be_is_refused_by_its_member(site: Site, body: dict, pointer: str) -> None:
    before = site.get(KEYS).json["totalItems"]
    assert problem(site.post(KEYS, body), "shape-violation", 422)["violations"][0]["pointer"] == pointer
    assert site.get(KEYS).json["totalItems"] == before


def test_a_rehearsed_key_opens_nothing(site: Site) -> None:
    answer = site.post(KEYS, {"name": "x"}, query="validate=only")
    assert answer.status_code == 200 and "key" not in answer.json


@pytest.mark.parametrize("identifier", ["key_999", "nothing", "%00", "key_1%0a"])
def test_there_are_no_other_keys(either_site: Site, identifier: str) -> None:
    for method in ("GET", "DELETE"):
        problem(either_site.ask(method, f"{KEYS}/{identifier}"), "not-found", 404)
