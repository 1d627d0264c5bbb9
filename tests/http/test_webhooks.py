"""Webhooks: addresses with a secret that is told once, and exchanged without a moment in which none is right."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook as Reference

from ld_server.domain.signing import signed
from ld_server.services.webhooks import secrets_of
from tests.http.conftest import Site, problem

WEBHOOKS = "/v1/webhooks"
ADDRESS = "https://192.0.2.7/hook"
SECRET = "whsec_" + "A" * 43 + "="


@pytest.fixture
def site(either_site: Site) -> Site:
    return either_site.over(settings=replace(either_site.parts.settings, webhook_allow="192.0.2.0/24"))


def valid_secrets(site: Site, after: timedelta = timedelta()) -> list[str]:
    with site.parts.ledger.read() as uow:
        row = uow.webhooks.find("hook_1")
    assert row is not None
    return secrets_of(row, site.parts.sealing, site.parts.now() + after)


def patch(site: Site, body: Any, **more: Any) -> Any:
    return site.ask("PATCH", f"{WEBHOOKS}/hook_1", body=body, Content_Type="application/merge-patch+json", **more)


def test_a_new_webhook_has_defaults_and_a_secret_that_is_told_once(site: Site) -> None:
    answer = site.post(WEBHOOKS, {"url": ADDRESS})
    assert answer.status_code == 201
    made = answer.json
    assert (made["name"], made["enabled"], made["concurrency"]) == ("192.0.2.7", True, 8)
    assert made["secret"].startswith("whsec_")
    assert answer.headers["cache-control"] == "no-store"
    shown = site.get(f"{WEBHOOKS}/hook_1")
    assert shown.json == {name: value for name, value in made.items() if name != "secret"}
    assert valid_secrets(site) == [made["secret"]]
    with site.parts.ledger.read() as uow:
        assert made["secret"] not in str(uow.webhooks.find("hook_1"))


def test_a_repeated_request_is_not_told_the_secret_again(site: Site) -> None:
    answers = [site.post(WEBHOOKS, {"url": ADDRESS}, Idempotency_Key="once") for _ in range(2)]
    assert ["secret" in one.json for one in answers] == [True, False]
    assert site.get(WEBHOOKS).json["totalItems"] == 1


def test_everything_that_can_be_said_is_given_back(site: Site) -> None:
    said = {
        "url": ADDRESS,
        "name": "LMT",
        "enabled": False,
        "concurrency": 3,
        "rateLimit": {"limit": 10, "per": "minute"},
        "description": "of the depot",
        "metadata": {"owner": ["ops"]},
    }
    assert site.post(WEBHOOKS, {**said, "secret": SECRET}).json.items() >= {**said, "secret": SECRET}.items()
    assert site.get(f"{WEBHOOKS}/hook_1").json.items() >= said.items()
    assert [one["name"] for one in site.get(WEBHOOKS, query="enabled=false").json["member"]] == ["LMT"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"url": None}, "/url"),
        ({"url": "https://127.0.0.1/"}, "/url"),
        ({"url": "http://10.0.0.1/"}, "/url"),
        ({"url": "gopher://192.0.2.7/"}, "/url"),
        ({"secret": "hunter2"}, "/secret"),
        ({"concurrency": 0}, "/concurrency"),
        ({"rateLimit": {"limit": 5}}, "/rateLimit/per"),
        ({"ulr": "x"}, "/ulr"),
    ],
)
def test_mistakes_are_told_with_their_place(site: Site, changes: dict[str, Any], pointer: str) -> None:
    answer = site.post(WEBHOOKS, {"url": ADDRESS, **changes})
    assert [one["pointer"] for one in problem(answer, "shape-violation", 422)["violations"]] == [pointer]
    assert "hunter2" not in answer.text


def test_a_patch_changes_it_and_judges_a_new_address(site: Site) -> None:
    site.post(WEBHOOKS, {"url": ADDRESS, "rateLimit": {"limit": 1, "per": "second"}})
    after = patch(site, {"rateLimit": None, "concurrency": 2}).json
    assert after["concurrency"] == 2 and "rateLimit" not in after
    problem(patch(site, {"url": "https://127.0.0.1/"}), "shape-violation", 422)
    problem(patch(site, {"secret": SECRET}), "shape-violation", 422)
    problem(patch(site, {"disabledReason": "x"}), "shape-violation", 422)
    problem(patch(site, {"name": "x"}, If_Match='"1-json"'), "precondition-failed", 412)
    assert patch(site, {"concurrency": 2}).headers["etag"] == '"2-json"', "what says nothing new changes nothing"


def test_a_webhook_that_is_enabled_again_is_disabled_for_no_reason(site: Site) -> None:
    site.post(WEBHOOKS, {"url": ADDRESS})
    with site.parts.ledger.write() as uow:
        row = uow.webhooks.locked("hook_1")
        assert row is not None
        uow.webhooks.replace(replace(row, enabled=False, disabled_reason="It answered 410.", revision=2))
    assert site.get(f"{WEBHOOKS}/hook_1").json["disabledReason"] == "It answered 410."
    assert "disabledReason" not in patch(site, {"enabled": True}).json


def test_the_secret_before_signs_too_until_the_overlap_is_over(site: Site) -> None:
    old = site.post(WEBHOOKS, {"url": ADDRESS}).json["secret"]
    answer = site.post(f"{WEBHOOKS}/hook_1/rotate-secret", {"overlap": "PT1H"})
    assert answer.status_code == 200
    new = answer.json["secret"]
    assert new != old and answer.headers["cache-control"] == "no-store" and answer.json["previousSecretUntil"]
    assert "secret" not in site.get(f"{WEBHOOKS}/hook_1").json
    assert valid_secrets(site) == [new, old]
    assert valid_secrets(site, timedelta(hours=1)) == [new]
    headers = signed("evt_1", site.parts.now(), b"{}", valid_secrets(site))
    for secret in (old, new):
        assert Reference(secret).verify(b"{}", headers) == {}


def test_a_secret_can_be_given_at_a_rotation_or_not(site: Site) -> None:
    site.post(WEBHOOKS, {"url": ADDRESS})
    path = f"{WEBHOOKS}/hook_1/rotate-secret"
    assert site.post(path, {"secret": SECRET, "overlap": "PT0S"}).json["secret"] == SECRET
    assert valid_secrets(site) == [SECRET]
    assert site.post(path).status_code == 200
    assert valid_secrets(site)[1] == SECRET
    problem(site.post(path, {"overlap": "forever"}), "shape-violation", 422)
    problem(site.post(path, {"overlap": "P31D"}), "shape-violation", 422)
    problem(site.post(path, {"secret": "hunter2"}), "shape-violation", 422)
    problem(site.post(path, If_Match='"1-json"'), "precondition-failed", 412)
    problem(site.post(f"{WEBHOOKS}/hook_9/rotate-secret"), "not-found", 404)
