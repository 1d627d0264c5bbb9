"""Questions about availability over HTTP: what is answered, how, and what is refused."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from falcon import testing
from pyoxigraph import CanonicalizationAlgorithm, Dataset, Quad, parse

from ld_server.http.endpoints.availability import FREE_UNITS, FREE_UNITS_KNOWN, ITEM, QUESTIONS, Question
from ld_server.rdf.formats import FORMATS, Format
from ld_server.rdf.representation import triples_of
from tests import factories
from tests.http.conftest import LD_JSON, Site, problem

POOLS, KITS = "/v1/catalog/stock-pools", "/v1/catalog/kit-templates"
AVAILABILITY = "/v1/availability"
WINDOW = {"startTime": "2027-03-01T00:00:00Z", "endTime": "2027-03-03T00:00:00Z"}
"""Within it lies the window of a reservation that is not told otherwise: 1 March 08:00 to 2 March 08:00."""

VALUES = {
    **WINDOW,
    "itemTypeId": "itemType_1",
    "kitTemplateId": "kit_1",
    "assetId": "asset_1",
    "quantity": "2",
    "duration": "P1D",
    "after": "2027-03-01T00:00:00Z",
    "location": "Oslo",
    "resolution": "P1D",
}


@dataclass
class Depot:
    """Three timers (itemType_1; one in Bergen), ten cables (itemType_2), and a kit of one timer and four cables (kit_1)."""

    site: Site

    def ask(self, path: str, **parameters: str) -> testing.Result:
        headers = {name: parameters.pop(name) for name in ("Accept",) if name in parameters}
        return self.site.ask("GET", AVAILABILITY + path, key="reader", query=urlencode(parameters), **headers)

    def told(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = self.ask(path, **parameters)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def approved(self, item_type: str, quantity: int = 1, **changes: Any) -> str:
        booked = self.site.reservation(item_type, quantity, **changes)
        answer = self.site.post(f"/v1/rent-actions/{booked}/approve")
        assert answer.status_code == 200, answer.text
        return booked


@pytest.fixture
def depot(either_site: Site) -> Depot:
    return stocked(either_site)


@pytest.fixture
def one_depot(site: Site) -> Depot:
    return stocked(site)


def stocked(site: Site) -> Depot:
    timers = site.item_type("TIMER", turnaroundAfter="PT2H")
    for number, place in enumerate(("Bergen", "Oslo", "Oslo"), start=1):
        site.asset(timers, assetTag=f"TN-{number}", location=place)
    cables = site.item_type("CABLE", kind="fungible", name="Cable")
    site.made(POOLS, factories.stock_pool(cables, 10, location="Oslo"))
    site.made(KITS, factories.kit_template((timers, 1), (cables, 4)))
    return Depot(site)


# --- item types -------------------------------------------------------------------------------------------------------


def test_what_a_window_leaves_of_an_item_type(depot: Depot) -> None:
    depot.approved("itemType_1")
    found = depot.told("", itemTypeId="itemType_1", quantity="3", **WINDOW)
    assert found.pop("@context") == depot.site.parts.contexts.reference
    assert found.pop("@id").startswith("http://localhost:8000/v1/availability?itemTypeId=itemType_1&quantity=3&startTime=2027")
    assert found == {
        "@type": "Availability",
        "itemType": {
            "@id": "http://localhost:8000/v1/catalog/item-types/itemType_1",
            "@type": "Product",
            "identifier": "itemType_1",
            "name": "TimerNode v2",
        },
        **WINDOW,
        "capacityRule": "overlap",
        "totalCapacity": 3,
        "reservedCapacity": 1,
        "peakReservedCapacity": 1,
        "availableCapacity": 2,
        "requestedQuantity": 3,
        "isAvailable": False,
    }
    assert depot.told("", itemTypeId="itemType_1", quantity="2", **WINDOW)["isAvailable"] is True


def test_the_turnaround_counts(one_depot: Depot) -> None:
    one_depot.approved("itemType_1", 3)
    after = {"startTime": "2027-03-02T09:59:00Z", "endTime": "2027-03-02T11:00:00Z"}
    assert one_depot.told("", itemTypeId="itemType_1", **after)["availableCapacity"] == 0
    assert one_depot.told("", itemTypeId="itemType_1", **{**after, "startTime": "2027-03-02T10:00:00Z"})["availableCapacity"] == 3


def test_both_rules_are_told_and_the_one_of_the_item_type_decides(one_depot: Depot) -> None:
    one_depot.approved("itemType_2", 7)
    one_depot.approved("itemType_2", 6, startTime="2027-03-02T08:00:00Z", endTime="2027-03-02T20:00:00Z")
    found = one_depot.told("", itemTypeId="itemType_2", **WINDOW)
    numbers = [found[key] for key in ("capacityRule", "totalCapacity", "reservedCapacity", "peakReservedCapacity", "availableCapacity")]
    assert numbers == ["overlap", 10, 13, 7, 0]
    one_depot.site.ask("PATCH", "/v1/catalog/item-types/itemType_2", body={"capacityRule": "peak"})
    found = one_depot.told("", itemTypeId="itemType_2", **WINDOW)
    assert (found["capacityRule"], found["availableCapacity"]) == ("peak", 3)


def test_only_units_at_the_place_count(one_depot: Depot) -> None:
    found = one_depot.told("", itemTypeId="itemType_1", location="Oslo", **WINDOW)
    assert (found["location"], found["totalCapacity"], found["availableCapacity"]) == ("Oslo", 2, 2)
    assert one_depot.told("", itemTypeId="itemType_1", location="oslo", **WINDOW)["totalCapacity"] == 0


@pytest.mark.parametrize("status", ["maintenance", "hold", "retired", "lost"])
def test_units_out_of_service_are_none(one_depot: Depot, status: str) -> None:
    one_depot.site.ask("PATCH", "/v1/catalog/assets/asset_1", body={"status": status})
    found = one_depot.told("", itemTypeId="itemType_1", **WINDOW)
    assert (found["totalCapacity"], found["availableCapacity"]) == (2, 2)


def test_what_is_not_active_cannot_be_reserved_however_many_there_are(one_depot: Depot) -> None:
    one_depot.site.ask("PATCH", "/v1/catalog/item-types/itemType_1", body={"isActive": False})
    found = one_depot.told("", itemTypeId="itemType_1", **WINDOW)
    assert (found["availableCapacity"], found["isAvailable"]) == (3, False)
    assert one_depot.told("/kits", kitTemplateId="kit_1", **WINDOW)["isAvailable"] is False
    assert one_depot.told("/next", kitTemplateId="kit_1", duration="PT1H")["isAvailable"] is False
    assert one_depot.told("/asset", assetId="asset_1", **WINDOW)["isAvailable"] is False


def test_available_is_what_can_then_be_approved(depot: Depot) -> None:
    depot.approved("itemType_1")
    depot.approved("itemType_2", 7)
    for item_type in ("itemType_1", "itemType_2"):
        left = depot.told("", itemTypeId=item_type, **WINDOW)["availableCapacity"]
        too_many = depot.site.reservation(item_type, left + 1, **WINDOW)
        problem(depot.site.post(f"/v1/rent-actions/{too_many}/approve"), "insufficient-availability", 409)
        depot.approved(item_type, left, **WINDOW)
        assert depot.told("", itemTypeId=item_type, **WINDOW)["availableCapacity"] == 0


# --- kits -------------------------------------------------------------------------------------------------------------


def test_a_kit_can_be_had_as_often_as_its_scarcest_component(depot: Depot) -> None:
    found = depot.told("/kits", kitTemplateId="kit_1", quantity="3", **WINDOW)
    assert (found["@type"], found["kitTemplate"]["identifier"], found["totalCapacity"]) == ("KitAvailability", "kit_1", 2)
    assert (found["availableCapacity"], found["isAvailable"]) == (2, False)
    told = {
        one["itemType"]["identifier"]: (one["availableUnits"], one["quantityPerKit"], one["kitsSupported"]) for one in found["components"]
    }
    assert told == {"itemType_1": (3, 1, 3), "itemType_2": (10, 4, 2)}
    assert [one["identifier"] for one in found["limitingComponents"]] == ["itemType_2"]
    depot.approved("itemType_1", 2)
    found = depot.told("/kits", kitTemplateId="kit_1", **WINDOW)
    assert (found["reservedCapacity"], found["availableCapacity"]) == (1, 1)
    assert [one["identifier"] for one in found["limitingComponents"]] == ["itemType_1"]


def test_kits_in_kits_are_taken_apart(one_depot: Depot) -> None:
    one_depot.site.made(KITS, factories.kit_template(("kit_1", 2), ("itemType_2", 1), code="double"))
    found = one_depot.told("/kits", kitTemplateId="kit_2", **WINDOW)
    assert {one["itemType"]["identifier"]: one["quantityPerKit"] for one in found["components"]} == {"itemType_1": 2, "itemType_2": 9}
    assert found["availableCapacity"] == 1


# --- units ------------------------------------------------------------------------------------------------------------


def identifiers(answer: dict[str, Any]) -> list[str]:
    return [one["identifier"] for one in answer["member"]]


def test_free_units_come_with_their_place_what_fits_best_first(depot: Depot) -> None:
    depot.approved("itemType_1", startTime="2027-03-03T08:00:00Z", endTime="2027-03-04T08:00:00Z")
    depot.approved("itemType_1", 2, startTime="2027-05-03T08:00:00Z", endTime="2027-05-04T08:00:00Z")
    found = depot.told("/assets", itemTypeId="itemType_1", **WINDOW)
    taken = depot.site.get("/v1/rent-actions/ra_1").json["allocations"][0]["asset"]["identifier"]
    assert found["totalItems"] == 3
    assert identifiers(found)[0] == taken
    assert {one["identifier"]: one["location"] for one in found["member"]} == {"asset_1": "Bergen", "asset_2": "Oslo", "asset_3": "Oslo"}
    depot.approved("itemType_1")
    assert depot.told("/assets", itemTypeId="itemType_1", **WINDOW)["totalItems"] == 2
    assert depot.told("/assets", itemTypeId="itemType_2", **WINDOW)["totalItems"] == 0


def test_free_units_are_paged(one_depot: Depot) -> None:
    first = one_depot.told("/assets", itemTypeId="itemType_1", limit="2", **WINDOW)
    assert (identifiers(first), first["totalItems"]) == (["asset_1", "asset_2"], 3)
    path, _, query = first["view"]["next"].partition("?")
    second = one_depot.site.ask("GET", path.removeprefix("http://localhost:8000"), query=query).json
    assert identifiers(second) == ["asset_3"]
    assert "next" not in second["view"]
    table = one_depot.ask("/assets", itemTypeId="itemType_1", Accept="text/csv", **WINDOW)
    assert table.text.splitlines()[0].startswith("identifier,name,location")
    assert len(table.text.splitlines()) == 4


def test_one_unit_says_what_blocks_it(depot: Depot) -> None:
    booked = depot.approved("itemType_1", 3)
    change = {"unavailable": [{"startTime": "2027-03-02T12:00:00Z", "reason": "Inspection"}]}
    depot.site.ask("PATCH", "/v1/catalog/assets/asset_2", body=change)
    found = depot.told("/asset", assetId="asset_2", **WINDOW)
    assert (found["status"], found["isAvailable"], found["location"]) == ("available", False, "Oslo")
    assert found["blockedBy"] == [
        {
            "@type": "Block",
            "startTime": "2027-03-01T08:00:00Z",
            "endTime": "2027-03-02T10:00:00Z",
            "rentAction": {"@id": f"http://localhost:8000/v1/rent-actions/{booked}", "@type": "RentAction", "identifier": booked},
        },
        {"@type": "Block", "startTime": "2027-03-02T12:00:00Z", "reason": "Inspection"},
    ]
    earlier = {"startTime": "2027-02-01T00:00:00Z", "endTime": "2027-02-02T00:00:00Z"}
    assert depot.told("/asset", assetId="asset_2", **earlier)["isAvailable"] is True
    depot.site.ask("PATCH", "/v1/catalog/assets/asset_2", body={"status": "hold"})
    assert depot.told("/asset", assetId="asset_2", **earlier)["isAvailable"] is False


# --- as time goes by --------------------------------------------------------------------------------------------------


def steps(answer: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(one["startTime"][5:16], one["availableCapacity"], one["reservedCapacity"]) for one in answer["steps"]]


def test_the_timeline_of_an_item_type(depot: Depot) -> None:
    depot.approved("itemType_2", 7)
    found = depot.told("/timeline", itemTypeId="itemType_2", **WINDOW)
    assert (found["@type"], found["totalCapacity"], found["steps"][-1]["endTime"]) == ("AvailabilityTimeline", 10, WINDOW["endTime"])
    assert steps(found) == [("03-01T00:00", 10, 0), ("03-01T08:00", 3, 7), ("03-02T08:00", 10, 0)]


def test_the_timeline_of_a_kit(depot: Depot) -> None:
    depot.approved("itemType_1", 3)
    found = depot.told("/timeline", kitTemplateId="kit_1", **WINDOW)
    assert found["totalCapacity"] == 2
    assert steps(found) == [("03-01T00:00", 2, 0), ("03-01T08:00", 0, 2), ("03-02T10:00", 2, 0)]


def test_the_timeline_by_the_day(depot: Depot) -> None:
    depot.approved("itemType_1", 2)
    window = {**WINDOW, "endTime": "2027-03-04T12:00:00Z"}
    found = depot.told("/timeline", itemTypeId="itemType_1", resolution="P1D", **window)
    assert steps(found) == [("03-01T00:00", 1, 2), ("03-02T00:00", 1, 2), ("03-03T00:00", 3, 0), ("03-04T00:00", 3, 0)]
    assert found["steps"][-1]["endTime"] == "2027-03-05T00:00:00Z"


def test_a_timeline_of_too_many_steps_is_refused(one_depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ld_server.services.timeline.MOST_STEPS", 2)
    one_depot.approved("itemType_2", 7)
    found = problem(one_depot.ask("/timeline", itemTypeId="itemType_2", **WINDOW), "invalid-parameter", 400)
    assert "resolution=P1D" in found["detail"]
    assert one_depot.ask("/timeline", itemTypeId="itemType_2", resolution="P1D", **WINDOW).status_code == 200


def test_the_first_window_that_fits(depot: Depot) -> None:
    depot.approved("itemType_1", 2)
    asked = {"itemTypeId": "itemType_1", "duration": "PT3H", "after": "2027-03-01T06:00:00Z"}
    found = depot.told("/next", quantity="2", **asked)
    assert (found["@type"], found["isAvailable"]) == ("NextAvailability", True)
    assert (found["startTime"], found["endTime"]) == ("2027-03-02T10:00:00Z", "2027-03-02T13:00:00Z")
    assert depot.told("/next", quantity="1", **asked)["startTime"] == asked["after"]
    assert depot.told("/next", **{**asked, "duration": "PT1M"}, quantity="2")["startTime"] == "2027-03-02T10:00:00Z"
    kit = depot.told("/next", kitTemplateId="kit_1", quantity="2", duration="PT3H", after=asked["after"])
    assert kit["startTime"] == "2027-03-02T10:00:00Z"


def test_no_window_that_fits_is_an_answer(depot: Depot) -> None:
    found = depot.told("/next", itemTypeId="itemType_1", quantity="4", duration="PT1H", after="2027-03-01T06:00:00Z")
    assert found["isAvailable"] is False
    assert not {"startTime", "endTime"} & found.keys()
    assert (found["searchedFrom"], found["searchedUntil"]) == ("2027-03-01T06:00:00Z", "2028-03-01T06:00:00Z")


def test_the_first_window_is_searched_from_now_on(one_depot: Depot) -> None:
    found = one_depot.told("/next", itemTypeId="itemType_1", duration="PT1H")
    assert found["startTime"] == found["searchedFrom"]


# --- manners ----------------------------------------------------------------------------------------------------------

EVERY = [*QUESTIONS, FREE_UNITS]
every_path = pytest.mark.parametrize("path", EVERY)


def required(path: str) -> tuple[str, ...]:
    question: Question | None = QUESTIONS.get(path)
    return (*question.choice[:1], *question.required) if question else FREE_UNITS_KNOWN[:3]


def good(path: str) -> dict[str, str]:
    return {name: VALUES[name] for name in required(path)}


def short(path: str) -> str:
    return path.removeprefix(AVAILABILITY)


@every_path
def test_every_parameter_is_taken(one_depot: Depot, path: str) -> None:
    known = QUESTIONS[path].known if path in QUESTIONS else FREE_UNITS_KNOWN
    other = QUESTIONS[path].choice[1:] if path in QUESTIONS else ()
    assert one_depot.ask(short(path), **{name: VALUES[name] for name in known if name not in other}).status_code == 200


@every_path
def test_what_is_required_is_missed_by_name(one_depot: Depot, path: str) -> None:
    for name in required(path):
        left = {key: value for key, value in good(path).items() if key != name}
        assert problem(one_depot.ask(short(path), **left), "invalid-parameter", 400)["parameter"] == name


WRONG = {
    "itemTypeId": ("asset_1", "itemType_", "7"),
    "kitTemplateId": ("itemType_1",),
    "assetId": ("kit_1",),
    "startTime": ("2027-03-01", "2027-03-01T00:00:00", "tomorrow", "10000-01-01T00:00:00Z"),
    "endTime": ("2027-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
    "quantity": ("0", "-1", "1.5", "many", "1000000001", "9" * 400, "²"),
    "duration": ("PT0S", "P1M", "1 day", "P4000D", "P999999999999999D"),
    "after": ("now",),
    "resolution": ("PT1H",),
    "colour": ("red",),
}


@every_path
def test_what_cannot_be_read_is_refused_by_name(one_depot: Depot, path: str) -> None:
    known = (*(QUESTIONS[path].known if path in QUESTIONS else FREE_UNITS_KNOWN), "colour")
    for name in known:
        for value in WRONG.get(name, ()):
            rest = {key: one for key, one in good(path).items() if not {key, name} <= set(ITEM)}
            answer = one_depot.ask(short(path), **{**rest, name: value})
            assert problem(answer, "invalid-parameter", 400)["parameter"] == name, (name, value)


@every_path
def test_what_is_not_there_is_not_found(one_depot: Depot, path: str) -> None:
    first = required(path)[0]
    answer = one_depot.ask(short(path), **{**good(path), first: VALUES[first].replace("_1", "_99")})
    assert "_99" in problem(answer, "not-found", 404)["detail"]


@pytest.mark.parametrize("path", [path for path in QUESTIONS if QUESTIONS[path].choice])
def test_one_thing_is_asked_about_at_a_time(one_depot: Depot, path: str) -> None:
    answer = one_depot.ask(short(path), **{**good(path), "kitTemplateId": "kit_1"})
    assert problem(answer, "invalid-parameter", 400)["parameter"] == "kitTemplateId"
    assert one_depot.ask(short(path), **{**{key: one for key, one in good(path).items() if key != "itemTypeId"}, "kitTemplateId": "kit_1"})


@every_path
def test_the_ends_of_the_calendar_are_no_trouble(one_depot: Depot, path: str) -> None:
    far = {"startTime": "0001-01-01T00:00:00Z", "endTime": "9999-12-31T23:59:59Z", "after": "9999-12-31T23:00:00Z"}
    asked = {**good(path), **{name: far[name] for name in far if name in good(path) or (name == "after" and path.endswith("next"))}}
    answer = one_depot.ask(short(path), **asked)
    if path.endswith("timeline"):
        problem(answer, "invalid-parameter", 400)
    else:
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
@pytest.mark.parametrize("path", QUESTIONS)
def test_an_answer_is_the_same_graph_in_every_syntax(one_depot: Depot, path: str, form: Format) -> None:
    one_depot.approved("itemType_1")
    one_depot.site.ask("PATCH", "/v1/catalog/assets/asset_1", body={"unavailable": [{"startTime": "2027-03-01T00:00:00Z"}]})
    asked = {**good(path), **{name: VALUES[name] for name in QUESTIONS[path].optional if name == "after"}}
    answer = one_depot.ask(short(path), **asked, Accept=form.media_type)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(form.media_type)
    assert answer.headers["cache-control"] == "no-store"
    assert "Accept" in answer.headers["vary"]
    if not form.json:
        document = one_depot.ask(short(path), **asked).text
        assert canonical(parse(answer.content, form.rdf)) == canonical(triples_of(document, one_depot.site.parts.contexts))


def canonical(statements: Iterable[Any]) -> set[str]:
    """The statements, whatever graph they stand in and whatever their blank nodes are called."""
    graph = Dataset(Quad(one.subject, one.predicate, one.object) for one in statements)
    graph.canonicalize(CanonicalizationAlgorithm.RDFC_1_0)
    return {str(quad) for quad in graph}


@every_path
def test_people_get_a_page(one_depot: Depot, path: str) -> None:
    one_depot.approved("itemType_1")
    answer = one_depot.ask(short(path), **good(path), Accept="text/html")
    assert answer.headers["content-type"].startswith("text/html")
    assert "vailab" in answer.text
    assert "itemType_1" in answer.text


@every_path
def test_what_cannot_be_shown_is_refused_before_anything_is_asked(one_depot: Depot, path: str) -> None:
    problem(one_depot.ask(short(path), Accept="image/png"), "not-acceptable", 406)


def test_the_whole_answer_is_statements(one_depot: Depot) -> None:
    """Nothing that is said in JSON is lost in the graph: every key has a meaning."""
    expanded = one_depot.ask("/kits", kitTemplateId="kit_1", **WINDOW, Accept=f'{LD_JSON};profile="http://www.w3.org/ns/json-ld#expanded"')
    [node] = orjson.loads(expanded.content)
    assert len(node) == len(one_depot.told("/kits", kitTemplateId="kit_1", **WINDOW)) - 1
