"""The queries that have a name: their numbers are those of the ledger, on every store, and what is said to them stays a value."""

import csv
import io
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from ld_server.bootstrap import build
from ld_server.rdf.published import data_directory
from ld_server.resources.kind import written
from ld_server.settings import Settings
from ld_server.sparql.named import read_queries
from ld_server.sparql.store import open_store
from relational import tables
from relational.engine import open_engine
from tests import factories
from tests.html import Page
from tests.http.conftest import BASE, RESERVATIONS, Site, open_site, problem
from tests.sparql_servers import OxigraphServer
from workers.jobs import shortfall_scan
from workers.projector import Projector

QUERIES = "/v1/queries"
BUILDS, SIGNALS, SHORTFALLS = "/v1/planning/build-requests", "/v1/planning/demand-signals", "/v1/planning/shortfalls"
NAMES = tuple(read_queries(data_directory("queries")))
OPENING = datetime(2027, 1, 4, tzinfo=UTC)
TODAY = datetime(2027, 6, 15, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Clock:
    """What time it is for the service."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


@dataclass
class Year:
    """Half a year of a rental depot: what is done is done at its time, whatever order it was thought up in."""

    site: Site
    clock: Clock
    rng: random.Random

    def live(self) -> None:
        """Fills the calendar, and goes through it."""
        self.later: list[tuple[datetime, int, Callable[[], None]]] = []
        for _ in range(45):
            self.at(OPENING + self.rng.random() * 140 * DAY, self.reserve)
        for _ in range(25):
            self.at(OPENING + self.rng.random() * 170 * DAY, self.repair)
        for _ in range(8):
            self.at(OPENING + self.rng.random() * 100 * DAY, self.build)
        while self.later:
            when, _, act = self.later.pop(self.later.index(min(self.later)))
            if when > TODAY:
                continue
            self.clock.at = when
            act()
        self.clock.at = TODAY

    def at(self, when: datetime, act: Callable[[], None]) -> None:
        self.later.append((when, self.rng.getrandbits(60), act))

    def reserve(self) -> None:
        rng = self.rng
        start = self.clock.at + rng.randrange(1, 300) * HOUR + timedelta(minutes=rng.choice((0, 15, 50)))
        end = start + rng.randrange(6, 24 * 35) * HOUR
        item = rng.choice(("itemType_1", "itemType_2", "itemType_2", "kit_1"))
        said = {"startTime": written(start), "endTime": written(end), "externalSource": rng.choice((None, "sgl", "crm"))}
        made = self.site.reservation(item, rng.randint(1, 4), **said)
        fate = rng.choice(("reject", "cancel", "pending", "no-show", "out", "out", "out", "back", "back", "back", "back"))
        if fate in ("reject", "cancel"):
            self.at(self.clock.at + HOUR, lambda: self.step(made, fate))
        elif fate != "pending":
            self.at(self.clock.at + HOUR, lambda: self.step(made, "approve", {"allocationPolicy": "allow_under_allocation"}))
        if fate in ("out", "back"):
            self.at(start + rng.randrange(-2, 5) * HOUR, lambda: self.hand(made, "check-out"))
        if fate == "back":
            self.at(end + rng.randrange(-20, 90) * HOUR / 3, lambda: self.hand(made, "return"))

    def step(self, made: str, step: str, body: dict[str, Any] | None = None) -> None:
        answer = self.site.post(f"{RESERVATIONS}/{made}/{step}", body or {})
        assert answer.status_code == 200, answer.text

    def hand(self, made: str, step: str) -> None:
        """What nothing was left for is not handed out."""
        assert self.site.post(f"{RESERVATIONS}/{made}/{step}").status_code in (200, 409)

    def repair(self) -> None:
        asset = f"asset_{self.rng.randint(1, 3)}"
        kind = self.rng.choice(("repair", "repair", "inspection"))
        made = self.site.made(
            f"/v1/assets/{asset}/maintenance-logs", {"kind": kind, "summary": "A knob", "performedAt": written(self.clock.at)}
        )
        if self.rng.random() < 0.2:
            correction = {"kind": "repair", "summary": "Two knobs", "performedAt": written(self.clock.at), "corrects": made}
            self.site.made(f"/v1/assets/{asset}/maintenance-logs", correction)

    def build(self) -> None:
        item, late = f"itemType_{self.rng.randint(1, 2)}", self.rng.randint(5, 40)
        needed = written(self.clock.at + 20 * DAY)
        made = self.site.made(BUILDS, factories.build_request(item, self.rng.randint(1, 9), neededBy=needed))
        ends = self.rng.choice(("fulfilled", "fulfilled", "fulfilled", "cancelled"))
        self.at(self.clock.at + late * DAY + 7 * HOUR, lambda: self.settle(made, ends))

    def settle(self, made: str, status: str) -> None:
        assert self.site.ask("PATCH", f"{BUILDS}/{made}", body={"status": status}).status_code == 200
        self.at(self.clock.at + DAY, lambda: self.note(made))

    def note(self, made: str) -> None:
        """A change after the end does not move the end."""
        self.site.ask("PATCH", f"{BUILDS}/{made}", body={"description": "Settled."})


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Site]:
    """A depot after half a year, projected, with plans for the rest of the year."""
    directory = tmp_path_factory.mktemp("lived")
    (directory / "ledger.db").write_bytes(sqlite_template.read_bytes())
    parts = build(Settings(data_dir=directory, database_url=f"sqlite:///{directory / 'ledger.db'}", sparql_url="memory:"))
    clock = Clock(OPENING)
    site = open_site(replace(parts, now=clock))
    site.item_type("CAM", name="Finish camera"), site.item_type("CABLE", name="Cable", kind="fungible"), site.item_type("IDLE", name="Idle")
    for number in range(3):
        site.asset("itemType_1", assetTag=f"C-{number}", serialNumber=f"SN-{number}", location="Depot A")
    site.made("/v1/catalog/stock-pools", factories.stock_pool("itemType_2", 9))
    site.made("/v1/catalog/kit-templates", factories.kit_template(("itemType_1", 1), ("itemType_2", 2)))
    Year(site, clock, random.Random(4711)).live()
    wants = {"startTime": "2027-09-01T08:00:00Z", "endTime": "2027-09-20T08:00:00Z"}
    for number, source in enumerate(("sgl", "sgl", "crm", "manual")):
        place = {"location": "Depot A"} if number == 0 else {}
        site.made(SIGNALS, factories.demand_signal("itemType_1", 2 + number, source=source, sourceRef=f"e-{number}", **wants, **place))
    site.made(SIGNALS, factories.demand_signal("kit_1", 6, source="crm", sourceRef="e-9", **wants))
    for _ in range(2):
        shortfall_scan.run(site.parts, {"createBuildRequests": True, "horizon": "P365D"}, clock())
        clock.at += HOUR
    while Projector(site.parts, "test").run_once(clock()):
        pass
    yield site
    parts.close()


@pytest.fixture(scope="module")
def server() -> Iterator[OxigraphServer]:
    started = OxigraphServer("--timeout-s", "20")
    yield started
    started.stop()


@pytest.fixture(scope="module", params=["memory", "oxigraph"])
def depot(request: pytest.FixtureRequest, lived: Site) -> Iterator[Site]:
    """The same depot with its graphs in each store."""
    if request.param == "memory":
        yield lived
        return
    url = request.getfixturevalue("server").url
    settings = replace(lived.parts.settings, sparql_url=f"{url}/query", sparql_update_url=f"{url}/update")
    store = open_store(settings)
    store.replace({name: lived.parts.sparql.triples(name) for name in lived.parts.sparql.graph_names()})
    yield lived.over(settings=settings, sparql=store)
    store.close()


def asked(site: Site, name: str, query: str = "") -> list[dict[str, Any]]:
    """The rows, with numbers as numbers and resources by their identifiers."""
    answer = site.get(f"{QUERIES}/{name}", query=query, Accept="application/sparql-results+json")
    assert answer.status_code == 200, answer.text
    return [{key: _plain(term) for key, term in row.items()} for row in answer.json["results"]["bindings"]]


def _plain(term: dict[str, str]) -> Any:
    if term["type"] == "uri":
        return term["value"].rpartition("/")[2]
    is_number = term.get("datatype", "").rpartition("#")[2] in ("integer", "decimal", "double")
    return float(term["value"]) if is_number else term["value"]


def rows(site: Site, *columns: Any) -> list[Any]:
    """What the tables of the ledger have."""
    engine = open_engine(site.parts.settings.database_url)
    with engine.connect() as connection:
        found = list(connection.execute(select(*columns)))
    engine.dispose()
    return found


def documents(site: Site, kind: str) -> list[dict[str, Any]]:
    told = rows(site, tables.documents.c.body, tables.documents.c.identifier)
    return [orjson.loads(one.body) for one in told if one.identifier.startswith(f"{kind}_")]


# --- the numbers --------------------------------------------------------------------------------------------------------


def months(start: datetime, end: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    opens = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while opens < end:
        closes = (opens + 32 * DAY).replace(day=1)
        yield f"{opens:%Y-%m}", opens, closes
        opens = closes


def test_utilisation_is_what_was_held_of_what_there_is(depot: Site) -> None:
    start, end = OPENING - 40 * DAY, TODAY + 30 * DAY
    back = {
        int(one["identifier"][6:]): datetime.fromisoformat(one["returnedAt"])
        for reservation in documents(depot, "ra") for one in reservation.get("allocations", ()) if "returnedAt" in one
    }  # fmt: skip
    held: dict[tuple[str, str], float] = defaultdict(float)
    table = tables.allocations.c
    allocations = rows(depot, table.number, table.item_type, table.quantity, table.status, table.allocated_from, table.allocated_to)
    for one in allocations:
        for month, opens, closes in months(start, end):
            seconds = (min(back.get(one.number, one.allocated_to), closes) - max(one.allocated_from, opens)).total_seconds()
            held[month, one.item_type] += max(0.0, seconds) * one.quantity * (one.status != "cancelled")
    units = {"itemType_1": 3 - sum(one["status"] != "available" for one in documents(depot, "asset")), "itemType_2": 9, "itemType_3": 0}
    found = asked(depot, "utilisation-per-month", f"from={written(start)}&until={written(end)}")
    by_name = ("itemType_2", "itemType_1", "itemType_3")
    assert [(one["month"], one["itemType"]) for one in found] == [(month, item) for month, _, _ in months(start, end) for item in by_name]
    hours = {month: (closes - opens) / HOUR for month, opens, closes in months(start, end)}
    for one in found:
        wanted = held[one["month"], one["itemType"]] / 3600
        assert one["unitHours"] == pytest.approx(wanted, abs=1e-6)
        assert one["units"] == units[one["itemType"]]
        assert one["utilisation"] == pytest.approx(wanted / (one["units"] * hours[one["month"]]) if one["units"] else 0, abs=1e-9)
    assert sum(one["unitHours"] > 0 for one in found) > 8


def test_utilisation_can_be_asked_of_one_item_type(depot: Site) -> None:
    found = asked(depot, "utilisation-per-month", f"from=2027-02-01T00:00:00Z&until=2027-04-01T00:00:00Z&itemType={BASE}/v1/x/itemType_1")
    assert [(one["month"], one["itemType"]) for one in found] == [("2027-02", "itemType_1"), ("2027-03", "itemType_1")]


def test_shortfalls_by_source_are_those_that_planning_computes(depot: Site) -> None:
    sources = {one["identifier"]: one["source"] for one in documents(depot, "demand")}
    sources |= {one["identifier"]: one.get("externalSource", "reservations") for one in documents(depot, "ra")}
    wanted: dict[str, list[Any]] = {}
    # two runs have asked for what was missing: where it falls short it does so still, until it is built
    for one in depot.get(SHORTFALLS, query=f"startFrom={written(TODAY + HOUR)}&limit=1000").json["member"]:
        for cause in one["causes"]:
            source = sources[(cause.get("demandSignal") or cause["rentAction"])["identifier"]]
            known = wanted.setdefault(source, [set(), set(), 0])
            known[0].add(one["@id"]), known[1].add(one["itemType"]["identifier"])
            known[2] += cause["quantity"]
    found = asked(depot, "shortfalls-by-source", f"from={written(TODAY)}")
    assert {one["source"]: (one["shortfalls"], one["itemTypes"], one["units"]) for one in found} == {
        source: (len(those), len(items), units) for source, (those, items, units) in wanted.items()
    }
    assert {"sgl", "crm", "manual"} <= wanted.keys()


def test_lead_times_are_those_of_the_events(depot: Site) -> None:
    made: dict[str, datetime] = {}
    days: dict[str, list[float]] = defaultdict(list)
    needed = {one["identifier"]: (one["itemType"]["identifier"], one["neededBy"]) for one in documents(depot, "build")}
    late: dict[str, int] = defaultdict(int)
    for (body,) in rows(depot, tables.outbox.c.body):
        event = orjson.loads(body)
        identifier, at = event.get("data", {}).get("identifier", ""), datetime.fromisoformat(event["occurredAt"])
        if event["type"] == "buildRequest.requested":
            made[identifier] = at
        elif event["type"] == "buildRequest.fulfilled":
            item, wanted = needed[identifier]
            days[item].append((at - made[identifier]) / DAY)
            late[item] += at > datetime.fromisoformat(wanted)
    found = asked(depot, "build-request-lead-times", "from=2027-01-01T00:00:00Z")
    assert {one["itemType"] for one in found} == set(days)
    for one in found:
        wanted_days = days[one["itemType"]]
        assert (one["fulfilled"], one["late"]) == (len(wanted_days), late[one["itemType"]])
        told = (one["fewestDays"], one["averageDays"], one["mostDays"])
        assert told == pytest.approx((min(wanted_days), sum(wanted_days) / len(wanted_days), max(wanted_days)), abs=1e-9)


def test_repairs_are_those_of_the_maintenance_logs(depot: Site) -> None:
    logs = documents(depot, "log")
    corrected = {one["corrects"]["identifier"] for one in logs if "corrects" in one}
    counts: dict[str, list[str]] = defaultdict(list)
    for one in logs:
        is_in_time = "2027-02-01" <= one["performedAt"] < "2027-06-01"
        if one["kind"] == "repair" and one["identifier"] not in corrected and is_in_time:
            counts[one["object"]["identifier"]].append(one["performedAt"])
    found = asked(depot, "repairs-per-asset", "from=2027-02-01T00:00:00Z&until=2027-06-01T00:00:00Z")
    assert corrected
    assert {one["asset"]: one["repairs"] for one in found} == {asset: len(several) for asset, several in counts.items()}
    assert {one["asset"]: datetime.fromisoformat(one["last"]) for one in found} == {
        asset: max(map(datetime.fromisoformat, several)) for asset, several in counts.items()
    }
    assert [one["repairs"] for one in found] == sorted((one["repairs"] for one in found), reverse=True)
    assert len(asked(depot, "repairs-per-asset", "limit=1")) == 1
    assert asked(depot, "repairs-per-asset", "itemType=itemType_2") == []


def test_contention_is_what_was_asked_for_and_not_had(depot: Site) -> None:
    table = tables.allocations.c
    got: dict[tuple[str, str], int] = defaultdict(int)
    for one in rows(depot, table.line, table.item_type, table.quantity, table.status, table.rent_action):
        got[f"{one.rent_action}{one.line.rpartition('#')[2]}", one.item_type] += one.quantity * (one.status != "cancelled")
    wanted: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for reservation in documents(depot, "ra"):
        if reservation["status"] not in ("approved", "fulfilled", "rejected"):
            continue
        for line in reservation["lineItems"]:
            several = [(one["itemType"]["identifier"], one["quantityPerKit"]) for one in line.get("madeOf", ())]
            for item, each in several or [(line["object"]["identifier"], 1)]:
                units = line["requestedQuantity"] * each
                is_rejected = reservation["status"] == "rejected"
                lacks = 0 if is_rejected else units - got[f"{reservation['identifier']}{line['@id'].rpartition('#')[2]}", item]
                sums = wanted[item]
                sums[0], sums[1], sums[2] = sums[0] + units, sums[1] + units * is_rejected, sums[2] + lacks
    found = asked(depot, "most-contended-items")
    told = {one["itemType"]: [one["requested"], one["rejected"], one["lacking"]] for one in found}
    assert told == {item: sums for item, sums in wanted.items() if sums[1] + sums[2]}
    assert any(sums[1] for sums in told.values()) and any(sums[2] for sums in told.values())
    order = [one["rejected"] + one["lacking"] for one in found]
    assert order == sorted(order, reverse=True)


def test_no_shows_are_reservations_whose_time_went_by(depot: Site) -> None:
    wanted = {
        one["identifier"]: one["allocatedQuantity"]
        for one in documents(depot, "ra")
        if one["status"] == "approved"
        and datetime.fromisoformat(one["endTime"]) < TODAY
        and not any("checkedOutAt" in each for each in one["allocations"])
    }
    found = asked(depot, "no-shows")
    assert {one["reservation"]: one["units"] for one in found} == wanted
    assert wanted and {one["requester"] for one in found} == {"Alice"}


def test_a_build_request_leads_to_the_numbers_that_caused_it(depot: Site) -> None:
    (request,) = [one for one in documents(depot, "build") if "snapshot" in one and one["itemType"]["identifier"] == "itemType_2"][:1]
    snapshot = depot.get(request["snapshot"]["@id"].removeprefix(BASE)).json
    found = asked(depot, "why-was-this-built", f"buildRequest={request['identifier']}")
    wanted = [
        (each["demand"], each["supply"], each["shortfallQuantity"], each["recommendedBuildQuantity"], cause["quantity"])
        for each in snapshot["shortfalls"] for cause in each["causes"]
    ]  # fmt: skip
    keys = ("demand", "supply", "missing", "recommended", "quantity")
    assert sorted(tuple(one[key] for key in keys) for one in found) == sorted(wanted) != []
    assert {one["snapshot"] for one in found} == {request["snapshot"]["identifier"]}


# --- the manners ----------------------------------------------------------------------------------------------------------


def test_every_query_is_listed_with_what_can_be_said_to_it(lived: Site) -> None:
    found = lived.get(QUERIES, key="analyst")
    assert [one["@id"] for one in found.json["member"]] == [f"{BASE}{QUERIES}/{name}" for name in NAMES]
    assert found.json["totalItems"] == len(NAMES) == 7
    for one in found.json["member"]:
        assert one["title"] and len(one["description"]) > 60 and all(each["description"] for each in one["search"]["mapping"])
    repairs = next(one for one in found.json["member"] if one["@id"].endswith("repairs-per-asset"))
    kinds = {each["variable"]: (each["range"].rpartition("#")[2], each["required"]) for each in repairs["search"]["mapping"]}
    assert kinds["from"] == ("dateTime", False) and kinds["limit"] == ("integer", False)
    for accept in ("text/turtle", "application/rdf+xml", "application/json"):
        assert lived.get(QUERIES, Accept=accept).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_every_query_answers_in_every_syntax(lived: Site, name: str) -> None:
    query = "buildRequest=build_1" if name == "why-was-this-built" else ""
    columns = lived.get(f"{QUERIES}/{name}", query=query).json["head"]["vars"]
    for accept, key in (("text/csv", "csv"), ("text/tab-separated-values", "tsv"), ("application/sparql-results+xml", "srx")):
        answer = lived.get(f"{QUERIES}/{name}", query=query, Accept=accept)
        assert answer.headers["content-type"].partition(";")[0] == accept
        assert lived.get(f"{QUERIES}/{name}", query=f"{query}&format={key}").content == answer.content
        if key == "csv":
            assert next(csv.reader(io.StringIO(answer.text))) == columns
    page = Page(lived.get(f"{QUERIES}/{name}", query=query, Accept="text/html").text)
    assert page.unclosed == [] and page.heading


def test_a_page_has_the_rows_links_and_a_form(lived: Site) -> None:
    answer = lived.get(f"{QUERIES}/no-shows", query="from=2027-01-01T00:00:00Z", Accept="text/html")
    rows_there = asked(lived, "no-shows", "from=2027-01-01T00:00:00Z")
    page = Page(answer.text)
    assert {f"{RESERVATIONS}/{one['reservation']}" for one in rows_there} <= set(page.links)
    assert f"{QUERIES}/no-shows?from=2027-01-01T00%3A00%3A00Z&format=csv" in page.links
    assert [one.attributes["value"] for one in page.all("input", name="from")] == ["2027-01-01T00:00:00Z"]


def test_the_page_of_the_list_asks_without_a_script(lived: Site) -> None:
    page = Page(lived.get(QUERIES, Accept="text/html").text)
    assert {one.attributes["action"] for one in page.all("form")} == {f"{QUERIES}/{name}" for name in NAMES}
    assert QUERIES in Page(lived.get("/", Accept="text/html").text).links


REFUSED = [
    ("no-shows", "from=yesterday", "from"), ("no-shows", "from=2027-01-01T00:00:00", "from"), ("no-shows", "limit=0", "limit"),
    ("no-shows", "limit=ten", "limit"), ("no-shows", "limit=99999999999999999999999", "limit"), ("no-shows", "limit=-1", "limit"),
    ("no-shows", "itemType=itemType_1", "itemType"), ("no-shows", "form=2027-01-01T00:00:00Z", "form"),
    ("no-shows", "limit=1&limit=2", "limit"), ("repairs-per-asset", "itemType=asset_1", "itemType"),
    ("repairs-per-asset", "itemType=http://x/itemType_1>%20}%20DROP%20ALL", "itemType"), ("why-was-this-built", "", "buildRequest"),
    ("repairs-per-asset", 'limit=1%20OFFSET%203', "limit"), ("no-shows", "format=docx", "format"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "query", "parameter"), REFUSED)
def test_what_is_no_value_is_refused_by_name(lived: Site, name: str, query: str, parameter: str) -> None:
    assert problem(lived.get(f"{QUERIES}/{name}", query=query), "invalid-parameter", 400)["parameter"] == parameter


def test_an_unknown_query_is_not_found_and_the_nearest_is_named(lived: Site) -> None:
    assert "no-shows" in problem(lived.get(f"{QUERIES}/no-show"), "not-found", 404)["detail"]
    problem(lived.get(f"{QUERIES}/no-shows", Accept="image/png"), "not-acceptable", 406)


@pytest.mark.parametrize("path", [QUERIES, f"{QUERIES}/no-shows"])
def test_queries_are_for_analysts(lived: Site, path: str) -> None:
    assert lived.get(path, key="analyst").status_code == 200
    problem(lived.get(path, key="planner"), "forbidden", 403)
    problem(lived.get(path, key=None), "unauthenticated", 401)


def test_a_query_sees_what_was_written_before_or_says_that_it_cannot(site: Site) -> None:
    waiting = site.over(settings=replace(site.parts.settings, sparql_wait=0.05))
    waiting.item_type("CAM")
    problem(waiting.get(f"{QUERIES}/no-shows"), "store-unavailable", 503)
    lenient = waiting.get(f"{QUERIES}/no-shows", Prefer="handling=lenient")
    assert (lenient.status_code, lenient.headers["x-projection-backlog"]) == (200, "1")
    Projector(site.parts, "test").run_once(site.parts.now())
    assert [one["itemType"] for one in asked(waiting, "utilisation-per-month", f"from={written(site.parts.now())}")] == ["itemType_1"]


def test_a_query_that_answers_too_much_is_refused(lived: Site) -> None:
    small = replace(lived.parts.settings, sparql_max_rows=3)
    store = open_store(small)
    store.replace({name: lived.parts.sparql.triples(name) for name in lived.parts.sparql.graph_names()})
    answer = lived.over(settings=small, sparql=store).get(f"{QUERIES}/utilisation-per-month", query="from=2027-01-01T00:00:00Z")
    problem(answer, "query-limit-exceeded", 400)
    store.close()
