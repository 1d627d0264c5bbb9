"""Shortfalls over HTTP: what counts as demand and as supply, once each."""

from typing import Any

import pytest

from tests import factories
from tests.http.conftest import ASSETS, ITEM_TYPES, RESERVATIONS, Site, problem

SIGNALS, BUILDS, SHORTFALLS = "/v1/planning/demand-signals", "/v1/planning/build-requests", "/v1/planning/shortfalls"
JUNE = "startFrom=2027-06-01T00:00:00Z&endUntil=2027-07-01T00:00:00Z"
WINDOW = {"startTime": "2027-06-01T08:00:00Z", "endTime": "2027-06-04T08:00:00Z"}


def fleet(site: Site, units: int = 3, **changes: Any) -> str:
    item = site.item_type(**changes)
    for number in range(units):
        site.asset(item, assetTag=f"{item}-{number}", serialNumber=None, location="Depot A" if number % 2 == 0 else "Depot B")
    return item


def signal(site: Site, item: str, quantity: int, **changes: Any) -> str:
    return site.made(SIGNALS, factories.demand_signal(item, quantity, **changes))


def approved(site: Site, item: str, quantity: int, policy: str = "hard_fail", **changes: Any) -> str:
    identifier = site.reservation(item, quantity, **{**WINDOW, **changes})
    answer = site.post(f"{RESERVATIONS}/{identifier}/approve", {"allocationPolicy": policy})
    assert answer.status_code == 200, answer.text
    return identifier


def found(site: Site, query: str = JUNE) -> list[dict[str, Any]]:
    answer = site.get(SHORTFALLS, query=query)
    assert answer.status_code == 200, answer.text
    members: list[dict[str, Any]] = answer.json["member"]
    return members


def numbers(one: dict[str, Any]) -> tuple[int, ...]:
    return tuple(one[key] for key in ("demand", "supply", "shortfallQuantity", "recommendedBuildQuantity"))


def test_a_shortfall_says_what_is_wanted_what_there_is_and_who_wants_it(either_site: Site) -> None:
    item = fleet(either_site)
    reservation = approved(either_site, item, 2, priority="urgent")
    expected = signal(either_site, item, 4)
    (one,) = found(either_site)
    assert one["itemType"]["identifier"] == item
    assert (one["startTime"], one["endTime"], one["neededBy"]) == (*WINDOW.values(), WINDOW["startTime"])
    assert numbers(one) == (6, 3, 3, 3)
    assert [(each.get("rentAction") or each["demandSignal"])["identifier"] for each in one["causes"]] == [reservation, expected]
    assert [(each["quantity"], each["priority"]) for each in one["causes"]] == [(2, "urgent"), (4, "normal")]
    assert "location" not in one


def test_where_there_is_enough_nothing_is_told(either_site: Site) -> None:
    item = fleet(either_site)
    signal(either_site, item, 3)
    assert found(either_site) == []


def test_a_signal_that_has_become_a_reservation_is_not_counted_twice(either_site: Site) -> None:
    item = fleet(either_site)
    signal(either_site, item, 3, source="sgl", sourceRef="event-1")
    approved(either_site, item, 3, externalSource="sgl", externalRef="event-1")
    assert found(either_site) == []
    signal(either_site, item, 5, source="sgl", sourceRef="event-1")
    (one,) = found(either_site)
    assert numbers(one) == (5, 3, 2, 2)


def test_pending_reservations_count_when_they_are_to(either_site: Site) -> None:
    item = fleet(either_site)
    either_site.reservation(item, 4, **WINDOW, externalSource="sgl", externalRef="event-1")
    signal(either_site, item, 4, source="sgl", sourceRef="event-1")
    signal(either_site, item, 1, sourceRef="other")
    with_them, without = found(either_site, f"{JUNE}&includePending=true"), found(either_site)
    assert numbers(with_them[0]) == numbers(without[0]) == (5, 3, 2, 2)
    assert {key for one in with_them[0]["causes"] for key in one} >= {"rentAction", "demandSignal"}
    assert not any("rentAction" in one for one in without[0]["causes"])


def test_an_approval_with_less_than_was_asked_for_still_wants_the_rest(either_site: Site) -> None:
    item = fleet(either_site)
    approved(either_site, item, 5, "allow_under_allocation")
    assert numbers(found(either_site)[0]) == (5, 3, 2, 2)


def test_kits_are_taken_apart(either_site: Site) -> None:
    timer, cable = fleet(either_site), either_site.item_type("CABLE", kind="fungible")
    either_site.made("/v1/catalog/stock-pools", factories.stock_pool(cable, 10))
    kit = either_site.made("/v1/catalog/kit-templates", factories.kit_template((timer, 1), (cable, 6)))
    signal(either_site, kit, 2)
    (one,) = found(either_site)
    assert (one["itemType"]["identifier"], *numbers(one)) == (cable, 12, 10, 2, 2)


def test_units_that_cannot_be_had_are_no_supply(either_site: Site) -> None:
    item = fleet(either_site)
    away = {"unavailable": [{"startTime": "2027-06-02T00:00:00Z", "endTime": "2027-06-03T00:00:00Z"}]}
    either_site.ask("PATCH", f"{ASSETS}/asset_1", body=away)
    either_site.ask("PATCH", f"{ASSETS}/asset_2", body={"status": "maintenance"})
    signal(either_site, item, 2)
    (one,) = found(either_site)
    assert (one["startTime"], one["endTime"]) == ("2027-06-02T00:00:00Z", "2027-06-03T00:00:00Z")
    assert numbers(one) == (2, 1, 1, 1)


def test_what_is_being_built_is_expected_when_it_is_needed_and_not_asked_for_again(either_site: Site) -> None:
    item = fleet(either_site)
    signal(either_site, item, 6)
    build = either_site.made(BUILDS, factories.build_request(item, 2, neededBy="2027-06-02T08:00:00Z"))
    (one,) = found(either_site)
    assert (numbers(one), one["openBuildQuantity"]) == ((6, 3, 3, 1), 2)
    either_site.ask("PATCH", f"{BUILDS}/{build}", body={"quantity": 3})
    (one,) = found(either_site)
    assert (one["endTime"], *numbers(one)) == ("2027-06-02T08:00:00Z", 6, 3, 3, 0)
    either_site.ask("PATCH", f"{BUILDS}/{build}", body={"status": "cancelled"})
    assert numbers(found(either_site)[0]) == (6, 3, 3, 3)


def test_lead_time_and_spare_units_are_heeded(site: Site) -> None:
    item = fleet(site, leadTime="P21D", bufferQuantity=1)
    signal(site, item, 3)
    (one,) = found(site)
    assert (numbers(one), one["bufferQuantity"]) == ((3, 3, 0, 1), 1)
    assert (one["orderBy"], one["isLate"]) == ("2027-05-11T08:00:00Z", False)
    site.ask("PATCH", f"{ITEM_TYPES}/{item}", body={"leadTime": "P3000D"})
    assert found(site)[0]["isLate"] is True


def test_turnarounds_count_as_demand(site: Site) -> None:
    item = fleet(site, turnaroundBefore="PT2H", turnaroundAfter="P1D")
    signal(site, item, 4)
    (one,) = found(site)
    assert (one["startTime"], one["endTime"]) == ("2027-06-01T06:00:00Z", "2027-06-05T08:00:00Z")


def test_demand_that_is_bound_to_a_place_must_be_met_there(either_site: Site) -> None:
    item = fleet(either_site)
    signal(either_site, item, 2, location="Depot B")
    (one,) = found(either_site)
    assert (one["location"], *numbers(one)) == ("Depot B", 2, 1, 1, 1)
    assert found(either_site, f"{JUNE}&location=Depot%20A") == []
    assert found(either_site, f"{JUNE}&location=Depot%20B") == [one]


def test_what_is_built_for_a_place_is_not_recommended_for_all_places_again(site: Site) -> None:
    item = fleet(site)
    signal(site, item, 5, location="Depot B")
    whole, place = found(site)
    assert (numbers(whole), numbers(place)) == ((5, 3, 2, 0), (5, 1, 4, 4))


def test_cancelled_and_superseded_signals_want_nothing(site: Site) -> None:
    item = fleet(site)
    signal(site, item, 9)
    last = signal(site, item, 8)
    assert found(site)[0]["demand"] == 8
    site.ask("DELETE", f"{SIGNALS}/{last}")
    assert found(site) == []


def test_units_that_are_back_are_wanted_no_more(either_site: Site) -> None:
    item = fleet(either_site, 1)
    identifier = approved(either_site, item, 2, "allow_under_allocation", startTime="2020-06-01T00:00:00Z")
    for step in ("check-out", "return"):
        assert either_site.post(f"{RESERVATIONS}/{identifier}/{step}").status_code == 200
    assert found(either_site) == []


def test_one_item_type_is_asked_about(site: Site) -> None:
    timer, other = fleet(site), site.item_type("OTHER")
    signal(site, timer, 4), signal(site, other, 2)
    assert [one["itemType"]["identifier"] for one in found(site)] == [timer, other]
    assert [one["itemType"]["identifier"] for one in found(site, f"{JUNE}&itemTypeId={other}")] == [other]
    problem(site.get(SHORTFALLS, query="itemTypeId=itemType_99"), "not-found", 404)


def test_shortfalls_come_in_pages_and_in_other_syntaxes(site: Site) -> None:
    for number in range(5):
        signal(site, site.item_type(f"T-{number}"), 1)
    first = site.get(SHORTFALLS, query=f"{JUNE}&limit=3").json
    assert (first["totalItems"], len(first["member"])) == (5, 3)
    rest = site.get(SHORTFALLS, query=first["view"]["next"].partition("?")[2]).json
    assert len({one["@id"] for one in (*first["member"], *rest["member"])}) == 5
    for accept in ("text/turtle", "text/csv", "text/html", "application/rdf+xml"):
        assert site.get(SHORTFALLS, query=JUNE, Accept=accept).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["startFrom=2027-06-01", "startFrom=2027-06-02T00:00:00Z&endUntil=2027-06-01T00:00:00Z", "includePending=maybe", "itemTypeId=7"],
)
def test_a_question_that_cannot_be_understood_is_refused(site: Site, query: str) -> None:
    problem(site.get(SHORTFALLS, query=query), "invalid-parameter", 400)


def test_without_a_window_it_is_the_time_ahead(site: Site) -> None:
    item = fleet(site)
    now = site.parts.now()
    signal(site, item, 4, startTime=now.replace(microsecond=0).isoformat(), endTime=now.replace(year=now.year + 1).isoformat())
    assert len(found(site, "")) == 1
