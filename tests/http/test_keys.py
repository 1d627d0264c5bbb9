"""Keys: hashed, remembered for a moment, refused once they are revoked or expired."""

from datetime import UTC, datetime, timedelta

from ld_server.http import authentication
from ld_server.services import keys
from tests.http.conftest import RESERVATIONS, Site, problem


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
