"""How often who may ask: quotas that fill up again, what is told of them, and whose address counts."""

from dataclasses import replace
from typing import Any

import pytest

from ld_server.domain.errors import RateLimited
from ld_server.http.throttle import MOST_BUCKETS, Buckets, client_of, proxies_of
from ld_server.settings import InvalidSetting, Settings
from tests.http.conftest import RESERVATIONS, Site, problem


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limited(site: Site, **limits: Any) -> Site:
    return site.over(settings=replace(site.parts.settings, **limits))


# --- buckets ----------------------------------------------------------------------------------------------------------------


def test_a_bucket_is_full_at_first_and_fills_up_again() -> None:
    clock = Clock()
    buckets = Buckets(60, clock)
    assert [buckets.take("a").left for _ in range(60)] == list(range(59, -1, -1))
    assert (buckets.take("a").wait, buckets.take("b").wait) == (pytest.approx(1), 0)
    clock.now += 2
    assert [buckets.take("a").wait > 0 for _ in range(3)] == [False, False, True]
    clock.now += 3600
    assert buckets.take("a").left == 59


def test_who_asks_on_and_on_is_not_kept_out_for_longer() -> None:
    clock = Clock()
    buckets = Buckets(60, clock)
    for _ in range(1000):
        buckets.take("a")
    assert buckets.take("a").wait == pytest.approx(1)


def test_made_up_names_cost_no_memory() -> None:
    buckets = Buckets(1, Clock())
    for number in range(MOST_BUCKETS + 100):
        buckets.take(str(number))
    assert len(buckets._levels) == MOST_BUCKETS


# --- principals -------------------------------------------------------------------------------------------------------------


def test_a_principal_is_told_what_is_left_and_then_when_to_come_back(site: Site) -> None:
    few = limited(site, rate_limit=3)
    answers = [few.get(RESERVATIONS, key="planner") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["ratelimit"] for one in answers[:3]] == [f'"principal";r={count};t=60' for count in (2, 1, 0)]
    assert {one.headers["ratelimit-policy"] for one in answers} == {'"principal";q=3;w=60'}
    problem(answers[3], "rate-limited", 429)
    wait = answers[3].headers["retry-after"]
    assert answers[3].headers["ratelimit"] == f'"principal";r=0;t={wait}' and 1 <= int(wait) <= 20
    assert few.get(RESERVATIONS, key="admin").status_code == 200


def test_what_is_refused_is_not_done(site: Site) -> None:
    few = limited(site, rate_limit=1)
    assert few.get(RESERVATIONS).status_code == 200
    before = site.written()
    problem(few.post("/v1/catalog/item-types", {"code": "x", "name": "x", "kind": "serialized"}), "rate-limited", 429)
    assert site.written() == before


def test_without_limits_nothing_is_said_of_them(site: Site) -> None:
    free = limited(site, rate_limit=0, rate_limit_address=0, failed_keys=0)
    answers = [free.get(RESERVATIONS), free.get("/"), *(free.get(RESERVATIONS, key="rsv_none") for _ in range(100))]
    assert not [one for one in answers if "ratelimit" in one.headers or one.status_code == 429]


# --- addresses --------------------------------------------------------------------------------------------------------------


def test_an_address_cannot_try_keys_without_end(site: Site) -> None:
    few = limited(site, failed_keys=5)
    assert few.get(RESERVATIONS, key="planner").status_code == 200
    tried = [few.get(RESERVATIONS, key=f"rsv_guess-{number}").status_code for number in range(8)]
    assert tried == [401] * 5 + [429] * 3
    assert few.get(RESERVATIONS, key="approver").status_code == 429, "a key that nobody has seen may be the next guess"
    assert few.get(RESERVATIONS, key="planner").status_code == 200, "who was let in a moment ago is no guess"


def test_requests_without_a_key_are_counted_by_address_but_not_those_of_monitors(site: Site) -> None:
    few = limited(site, rate_limit_address=2)
    assert [few.get(path, key=None).status_code for path in ("/", RESERVATIONS, "/contexts")] == [200, 401, 429]
    assert few.get("/health/live", key=None).status_code == 200
    assert few.get(RESERVATIONS).status_code == 200


PROXY = proxies_of(Settings(trusted_proxies="10.0.0.0/8, ::1"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("::1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::4", "", "2001:db8:1:2::/64"),
        ("10.0.0.1", "nonsense", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_an_address_is_the_last_that_our_proxies_vouch_for(peer: str, forwarded: str, expected: str) -> None:
    assert client_of(peer, forwarded, PROXY) == expected


def test_nobody_becomes_another_by_a_header(site: Site) -> None:
    few = limited(site, rate_limit_address=1)
    answers = [few.get("/", key=None, X_Forwarded_For=f"198.51.100.{number}").status_code for number in range(3)]
    assert answers == [200, 429, 429]
    behind = limited(site, rate_limit_address=1, trusted_proxies="127.0.0.1")
    answers = [behind.get("/", key=None, X_Forwarded_For=f"198.51.100.{number}").status_code for number in range(3)]
    assert answers == [200, 200, 200]


def test_what_cannot_be_meant_is_refused_at_start() -> None:
    with pytest.raises(InvalidSetting, match="LD_TRUSTED_PROXIES"):
        proxies_of(Settings(trusted_proxies="everybody"))
    with pytest.raises(InvalidSetting, match="negative"):
        Settings(rate_limit=-1)
    assert RateLimited("x").retry_after == 1
