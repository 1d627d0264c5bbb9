"""The rule of four eyes: nobody approves what they made, or are to get."""

from dataclasses import replace
from typing import Any

import pytest

from tests import factories
from tests.http.conftest import RESERVATIONS, Site, problem


@pytest.fixture
def strict(either_site: Site) -> Site:
    site = either_site.over(settings=replace(either_site.parts.settings, four_eyes="on"))
    site.asset(site.item_type())
    return site


def asked_for(site: Site, key: str, **changes: Any) -> str:
    answer = site.post(RESERVATIONS, factories.reservation("itemType_1", 1, **changes), key=key)
    assert answer.status_code == 201, answer.text
    return f"{RESERVATIONS}/{answer.json['identifier']}"


def test_who_made_it_cannot_approve_it(strict: Site) -> None:
    made = asked_for(strict, "admin")
    problem(strict.post(f"{made}/approve"), "own-reservation", 403)
    problem(strict.post(f"{made}/approve", query="validate=only"), "own-reservation", 403)
    assert strict.get(made).json["status"] == "pending"
    assert strict.post(f"{made}/approve", key="approver").status_code == 200


@pytest.mark.parametrize(
    "agent",
    [
        "approver",
        {"@type": "Person", "identifier": "Approver", "name": "A"},
        {"@type": "Person", "identifier": "a-1", "name": "approver"},
    ],
)
def test_who_is_to_get_it_cannot_approve_it(strict: Site, agent: Any) -> None:
    made = asked_for(strict, "planner", agent=agent)
    problem(strict.post(f"{made}/approve", key="approver"), "own-reservation", 403)
    assert strict.post(f"{made}/approve").status_code == 200


def test_nobody_becomes_another_by_a_patch(strict: Site) -> None:
    made = asked_for(strict, "admin")
    strict.ask("PATCH", made, body={"createdBy": "planner"})
    problem(strict.post(f"{made}/approve"), "own-reservation", 403)


def test_without_the_rule_one_may_do_both(site: Site) -> None:
    site.asset(site.item_type())
    assert site.post(f"{asked_for(site, 'admin')}/approve").status_code == 200
