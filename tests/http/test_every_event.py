"""
Every type of event, and every way in which it can happen: told once, in the transaction of what it tells about, to the letter.

A way is a row: what has happened before, the request or the job that it is about, and everything that this tells, in its order. A type
of event without a row fails the test.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from falcon import testing
from jsonschema import Draft202012Validator

from ld_server.domain.events import EVENTS
from ld_server.domain.triggers import JOB_TYPES
from ld_server.http.event_schemas import ENVELOPE
from ld_server.services.feed import number
from tests import factories
from tests.contract.test_event_shape import conforms
from tests.http.conftest import ASSETS, ITEM_TYPES, RESERVATIONS, Site
from tests.http.test_attachments import form
from tests.http.test_deliveries import work
from tests.pictures import picture
from tests.receivers import Reply, receiving
from workers.app import TASKS
from workers.jobs import JOBS

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
POOLS, KITS = "/v1/catalog/stock-pools", "/v1/catalog/kit-templates"
SIGNALS, BUILDS = "/v1/planning/demand-signals", "/v1/planning/build-requests"
LOGS, ATTACHMENTS, TRIGGERS = "/v1/assets/asset_1/maintenance-logs", "/v1/attachments", "/v1/triggers"

Ask = tuple[Any, ...]
"""Method, path and body of a request; the media type where it is not JSON."""


@dataclass(frozen=True)
class Way:
    """How something happens. `tells` is everything that it tells, in its order: types, each with the identifier of its subject."""

    name: str
    ask: Ask
    tells: str
    before: Sequence[Ask] = ()

    @property
    def told(self) -> list[tuple[str, str]]:
        words = self.tells.split()
        return list(zip(words[::2], words[1::2], strict=True))


# --- words ----------------------------------------------------------------------------------------------------------------


def post(path: str, body: Any = None, media_type: str = "application/json") -> Ask:
    return "POST", path, body, media_type


def patch(path: str, **changes: Any) -> Ask:
    return "PATCH", path, changes, "application/merge-patch+json"


def delete(path: str) -> Ask:
    return "DELETE", path, None, "application/json"


def step(name: str, body: Any = None, of: str = "ra_1") -> Ask:
    return post(f"{RESERVATIONS}/{of}/{name}", body)


def job(name: str, at: datetime = NOW, **config: Any) -> Ask:
    return "JOB", name, config, at


def booked(quantity: int = 1, item: str = "itemType_1", of: str = "ra_1", **changes: Any) -> list[Ask]:
    """A reservation of this morning that is approved."""
    return [asked(quantity, item, **changes), step("approve", of=of)]


def asked(quantity: int = 1, item: str = "itemType_1", **changes: Any) -> Ask:
    window = {"startTime": "2027-03-01T08:00:00Z", "endTime": "2027-03-01T18:00:00Z"}
    return post(RESERVATIONS, factories.reservation(item, quantity, **{**window, **changes}))


OUT = [*booked(2), step("check-out")]
TOMORROW = {"startTime": "2027-03-02T08:00:00Z", "endTime": "2027-03-02T18:00:00Z"}
LATE = NOW + timedelta(days=1)
UNDER = {"allocationPolicy": "allow_under_allocation"}
SHORT = [asked(3), step("approve", UNDER)]
SIGNAL = post(SIGNALS, factories.demand_signal())
BUILD = post(BUILDS, factories.build_request())
DONE = {"kind": "repair", "summary": "Replaced the lens", "performedAt": "2027-02-20T09:00:00Z"}
PLANNED = {"kind": "inspection", "summary": "Yearly", "plannedStart": "2027-03-01T06:00:00Z", "plannedEnd": "2027-03-01T08:00:00Z"}
PHOTO = picture()
FORM = form({"ownerKind": "asset", "ownerId": "asset_1"}, PHOTO)
ATTACH = post(ATTACHMENTS, *FORM)
CLOSED = "the closed receiver"
HOOK = post("/v1/webhooks", {"url": CLOSED})


def schedule(**said: Any) -> Ask:
    return post(TRIGGERS, {"name": "Now and then", "source": "schedule", "schedule": {"type": "cron", "expr": "0 2 * * *"}, **said})


STATES = {
    "submitted": ("submitted",),
    "accepted": ("submitted", "accepted"),
    "rejected": ("submitted", "rejected"),
    "failed": ("submitted", "failed"),
    "fulfilled": ("submitted", "accepted", "fulfilled"),
    "cancelled": ("cancelled",),
}
"""State of a build request → the way to it."""

TELL = {"name": "Tell", "eventTypes": ["catalog.itemType.*"], "actions": [{"type": "webhook", "webhookId": "hook_1"}]}


@dataclass
class Fleet:
    """A site at which requests are made and jobs are done, and what it tells. `closed` is where nobody wants anything."""

    site: Site
    closed: str
    mark: int = 0

    def do(self, ask: Ask, **more: str) -> Any:
        """The answer to a request; None where it is the work of a worker."""
        does = {"JOB": self._job, "RUN": self._run, "DELIVER": self._deliver}.get(ask[0])
        return does(*ask[1:]) if does else self._request(*ask, **more)

    def _request(self, method: str, path: str, body: Any, media_type: str, **more: str) -> testing.Result:
        return self.site.ask(method, path, body=self.closed_in(body), Content_Type=media_type, **more)

    def closed_in(self, body: Any) -> Any:
        return {**body, "url": self.closed} if isinstance(body, dict) and body.get("url") == CLOSED else body

    def _job(self, name: str, config: dict[str, Any], at: datetime) -> None:
        JOBS[name](replace(self.site.parts, now=lambda: at), config, at)

    def _run(self) -> None:
        assert TASKS["run_schedules"](self.site.parts) == 1

    def _deliver(self) -> None:
        assert work(self.site) == 1

    def newest(self) -> int:
        number(self.site.parts.ledger)
        with self.site.parts.ledger.read() as uow:
            return uow.outbox.newest()

    @contextmanager
    def telling(self) -> Iterator[list[dict[str, Any]]]:
        """What is told until the block ends, as the feed has it then."""
        told: list[dict[str, Any]] = []
        self.mark = self.newest()
        yield told
        told += self.site.get("/v1/events", query=f"since={self.mark}").json["member"]

    def heads(self) -> tuple[Any, ...]:
        """Everything that there is, and in which state."""
        with self.site.parts.ledger.engine.connect() as connection:
            states = connection.exec_driver_sql("SELECT identifier, revision FROM documents ORDER BY identifier").all()
            others = connection.exec_driver_sql("SELECT identifier, status FROM deliveries ORDER BY identifier").all()
        return (*states, *others)

    def numbered(self, told: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """What is told, with its numbers where those are sure: on Postgres a creation that is rolled back has used one up."""
        is_sure = self.site.parts.ledger.engine.dialect.name == "sqlite"
        return told if is_sure else [(event, subject.rpartition("_")[0]) for event, subject in told]

    @contextmanager
    def breaking(self, table: str) -> Iterator[None]:
        """Nothing can be written into a table until the block ends: the transaction fails there."""
        engine = self.site.parts.ledger.engine
        break_it, mend_it = BROKEN[engine.dialect.name]
        with engine.begin() as connection:
            connection.exec_driver_sql(break_it.format(table=table))
        yield
        with engine.begin() as connection:
            connection.exec_driver_sql(mend_it.format(table=table))


BROKEN = {
    "sqlite": ("CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'on_purpose'); END", "DROP TRIGGER broken"),
    "postgresql": (
        "ALTER TABLE {table} ADD CONSTRAINT on_purpose CHECK (false) NOT VALID",
        "ALTER TABLE {table} DROP CONSTRAINT on_purpose",
    ),
}
"""Engine → what makes every insert into a table fail, and what ends that."""

# --- the table --------------------------------------------------------------------------------------------------------------

WAYS = [
    Way("an item type", post(ITEM_TYPES, factories.item_type("TN-3")), "catalog.itemType.created itemType_3"),
    Way(
        "two item types at once",
        post(ITEM_TYPES, [factories.item_type("TN-3"), factories.item_type("TN-4")]),
        "catalog.itemType.created itemType_3 catalog.itemType.created itemType_4",
    ),
    Way("another name", patch(f"{ITEM_TYPES}/itemType_1", name="TimerNode 2"), "catalog.itemType.updated itemType_1"),
    Way("a unit", post(ASSETS, factories.asset(serialNumber="SN-3")), "catalog.asset.created asset_3"),
    Way("a unit that moves", patch(f"{ASSETS}/asset_1", location="Depot B"), "catalog.asset.updated asset_1"),
    Way("a pool", post(POOLS, factories.stock_pool("itemType_2", location="Depot B")), "catalog.stockPool.updated pool_2"),
    Way("a larger pool", patch(f"{POOLS}/pool_1", quantityTotal=50), "catalog.stockPool.updated pool_1"),
    Way("a kit", post(KITS, factories.kit_template(("itemType_1", 1))), "catalog.kitTemplate.updated kit_1"),
    Way(
        "another kit",
        patch(f"{KITS}/kit_1", name="Start line"),
        "catalog.kitTemplate.updated kit_1",
        [post(KITS, factories.kit_template(("itemType_1", 1)))],
    ),
    # reservations
    Way("a reservation", asked(), "rentAction.created ra_1"),
    Way("a draft", asked(status="draft"), "rentAction.created ra_1"),
    Way("two at once", post(RESERVATIONS, [asked()[2], asked()[2]]), "rentAction.created ra_1 rentAction.created ra_2"),
    Way("a purpose", patch(f"{RESERVATIONS}/ra_1", purpose="race"), "rentAction.updated ra_1", [asked()]),
    Way("a purpose of what is approved", patch(f"{RESERVATIONS}/ra_1", purpose="race"), "rentAction.updated ra_1", booked()),
    Way(
        "another window of what is approved",
        patch(f"{RESERVATIONS}/ra_1", endTime="2027-03-01T20:00:00Z"),
        "rentAction.updated ra_1 rentAction.allocation.changed ra_1",
        booked(),
    ),
    Way(
        "more of what is approved",
        patch(f"{RESERVATIONS}/ra_1", requestedQuantity=2),
        "rentAction.updated ra_1 rentAction.allocation.changed ra_1",
        booked(),
    ),
    Way(
        "a draft is handed in",
        step("submit"),
        "rentAction.status.changed ra_1 rentAction.submitted ra_1",
        [asked(status="draft")],
    ),
    Way(
        "approval",
        step("approve"),
        "rentAction.status.changed ra_1 rentAction.approved ra_1 rentAction.allocation.created ra_1",
        [asked()],
    ),
    Way(
        "approval of what is there",
        step("approve", UNDER),
        "rentAction.status.changed ra_1 rentAction.approved ra_1 rentAction.allocation.created ra_1 availability.shortfall.detected ra_1",
        [asked(3)],
    ),
    Way(
        "approval of what is not there at all",
        step("approve", UNDER, of="ra_2"),
        "rentAction.status.changed ra_2 rentAction.approved ra_2 availability.shortfall.detected ra_2",
        [*booked(2), asked()],
    ),
    Way("rejection", step("reject"), "rentAction.status.changed ra_1 rentAction.rejected ra_1", [asked()]),
    Way("a draft is cancelled", step("cancel"), "rentAction.status.changed ra_1 rentAction.cancelled ra_1", [asked(status="draft")]),
    Way("what waits is cancelled", step("cancel"), "rentAction.status.changed ra_1 rentAction.cancelled ra_1", [asked()]),
    Way(
        "what is approved is cancelled",
        step("cancel"),
        "rentAction.status.changed ra_1 rentAction.cancelled ra_1 rentAction.allocation.released ra_1",
        booked(),
    ),
    Way(
        "what is missing is there now",
        step("allocate"),
        "rentAction.allocation.created ra_1",
        [*SHORT, post(ASSETS, factories.asset(serialNumber="SN-3"))],
    ),
    Way("units are let go", step("release-allocations"), "rentAction.allocation.released ra_1", booked()),
    Way("another unit", step("allocations/alloc_1/swap"), "rentAction.allocation.changed ra_1", booked()),
    Way("units go out", step("check-out"), "rentAction.checkedOut ra_1", booked(2)),
    Way("a unit goes out", step("check-out", {"allocations": [{"id": "alloc_1"}]}), "rentAction.checkedOut ra_1", booked(2)),
    Way("a unit comes back", step("return", {"allocations": [{"id": "alloc_1"}]}), "rentAction.returned ra_1", OUT),
    Way(
        "the last unit comes back",
        step("return"),
        "rentAction.status.changed ra_1 rentAction.fulfilled ra_1 rentAction.returned ra_1",
        OUT,
    ),
    Way(
        "a unit comes back damaged",
        step("return", {"allocations": [{"id": "alloc_1", "condition": "damaged"}]}),
        "catalog.asset.updated asset_1 rentAction.returned ra_1",
        OUT,
    ),
    Way(
        "units of a pool are lost",
        step("return", {"allocations": [{"id": "alloc_1", "quantity": 1, "condition": "lost"}]}),
        "catalog.stockPool.updated pool_1 rentAction.returned ra_1",
        [*booked(2, "itemType_2"), step("check-out")],
    ),
    Way(
        "nothing is out any more",
        step("fulfill"),
        "rentAction.status.changed ra_1 rentAction.fulfilled ra_1 rentAction.allocation.released ra_1",
        booked(),
    ),
    # by time
    Way("it starts soon", job("notifications.starts_soon_scan", NOW), "rentAction.starts.soon ra_1", booked(**TOMORROW)),
    Way("it ends soon", job("notifications.ends_soon_scan", NOW), "rentAction.ends.soon ra_1", booked()),
    Way("it is late", job("maintenance.overdue_scan", LATE), "rentAction.overdue ra_1", OUT),
    Way(
        "it is late, and another waits for the unit",
        job("maintenance.overdue_scan", LATE + timedelta(hours=1)),
        "rentAction.overdue ra_1 rentAction.atRisk ra_2",
        [*OUT, *booked(1, of="ra_2", startTime="2027-03-02T12:00:00Z", endTime="2027-03-02T18:00:00Z")],
    ),
    Way(
        "a promised unit is kept back",
        patch(f"{ASSETS}/asset_1", status="hold"),
        "catalog.asset.updated asset_1 rentAction.atRisk ra_1",
        booked(2, **TOMORROW),
    ),
    # planning
    Way("a demand", SIGNAL, "demandSignal.created demand_1"),
    Way("another quantity", patch(f"{SIGNALS}/demand_1", quantityRequired=9), "demandSignal.updated demand_1", [SIGNAL]),
    Way(
        "a demand told anew",
        post(SIGNALS, factories.demand_signal(quantity=15)),
        "demandSignal.superseded demand_1 demandSignal.created demand_2",
        [SIGNAL],
    ),
    Way(
        "a demand is called off",
        patch(f"{SIGNALS}/demand_1", status="cancelled"),
        "demandSignal.updated demand_1 demandSignal.cancelled demand_1",
        [SIGNAL],
    ),
    Way("a demand is deleted", delete(f"{SIGNALS}/demand_1"), "demandSignal.updated demand_1 demandSignal.cancelled demand_1", [SIGNAL]),
    Way("a build request", BUILD, "buildRequest.requested build_1"),
    Way("a place to build", patch(f"{BUILDS}/build_1", location="Depot B"), "buildRequest.updated build_1", [BUILD]),
    *(
        Way(
            f"a build request is {state}",
            patch(f"{BUILDS}/build_1", status=state),
            f"buildRequest.updated build_1 buildRequest.{state} build_1",
            [BUILD, *(patch(f"{BUILDS}/build_1", status=one) for one in way[:-1])],
        )
        for state, way in STATES.items()
    ),
    Way(
        "planning finds too little",
        job("planning.shortfall_scan"),
        "availability.shortfall.detected snap_1",
        [SIGNAL],
    ),
    Way(
        "planning asks for more",
        job("planning.shortfall_scan", createBuildRequests=True),
        "availability.shortfall.detected snap_1 buildRequest.requested build_1",
        [SIGNAL],
    ),
    # maintenance
    Way("work", post(LOGS, DONE), "maintenanceLog.created log_1"),
    Way(
        "work that keeps a unit back",
        post(LOGS, {**DONE, "nextAction": "hold"}),
        "catalog.asset.updated asset_1 maintenanceLog.created log_1",
    ),
    Way("work is planned", post(LOGS, PLANNED), "maintenanceLog.created log_1"),
    Way("planned work was forgotten", job("maintenance.overdue_scan"), "maintenance.overdue log_1", [post(LOGS, PLANNED)]),
    # attachments
    Way("a photo", ATTACH, "attachment.created att_1"),
    Way("a photo is deleted", delete(f"{ATTACHMENTS}/att_1"), "attachment.deleted att_1", [ATTACH]),
    # runs
    *(
        Way(f"{one} by a schedule", ("RUN",), f"{one}.completed trig_1", [schedule(jobType=one), post(f"{TRIGGERS}/trig_1/run")])
        for one in JOB_TYPES
    ),
    Way(
        "a schedule without a job",
        ("RUN",),
        "schedule.due trig_1",
        [schedule(actions=[{"type": "invoke_internal", "handler": "log"}]), post(f"{TRIGGERS}/trig_1/run")],
    ),
    # webhooks
    Way("a webhook is tested", post("/v1/webhooks/hook_1/test"), "webhook.test hook_1", [HOOK]),
    Way(
        "a receiver wants nothing any more",
        ("DELIVER",),
        "webhook.disabled hook_1",
        [HOOK, post(TRIGGERS, TELL), post(ITEM_TYPES, factories.item_type("TN-3"))],
    ),
]


def test_no_type_of_event_is_without_a_way() -> None:
    assert {event for way in WAYS for event, _ in way.told} == set(EVENTS)


# --- a fleet to which things happen ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed() -> Iterator[str]:
    """The address of a receiver that wants nothing any more."""
    with receiving(lambda _got: Reply(410)) as receiver:
        yield receiver.url


@pytest.fixture
def fleet(site: Site, closed: str) -> Fleet:
    """On the first of March 2027 at nine: itemType_1 with two units, itemType_2 with a pool of forty."""
    settings = replace(site.parts.settings, webhook_allow="127.0.0.1", webhook_timeout=5.0)
    fleet = Fleet(site.over(now=lambda: NOW, settings=settings), closed)
    item = fleet.site.item_type("TN")
    for tag in ("T-1", "T-2"):
        fleet.site.asset(item, serialNumber=f"SN of {tag}", assetTag=tag)
    fleet.site.made(POOLS, factories.stock_pool(fleet.site.item_type("CABLE", kind="fungible")))
    return fleet


def prepared(fleet: Fleet, way: Way) -> None:
    for ask in way.before:
        answer = fleet.do(ask)
        assert answer is not None and answer.status_code in (200, 201, 202), answer.text


# --- what is told, and what is not --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS, ids=lambda one: one.name)
def test_what_happens_is_told_once_and_to_the_letter_and_what_does_not_happen_is_not(fleet: Fleet, way: Way) -> None:
    prepared(fleet, way)
    with fleet.telling() as told:
        in_vain(fleet, way)
    assert told == []
    with fleet.telling() as told:
        answer = fleet.do(way.ask, **KEYED.get(way.ask[0], {}))
    assert fleet.numbered([(one["type"], one["subject"]["id"]) for one in told]) == fleet.numbered(way.told)
    assert len({one["id"] for one in told}) == len(told)
    for event in told:
        is_to_the_letter(event)
        tells_how_it_is(event, fleet, answer)
    with fleet.telling() as told:
        again(fleet, way)
    assert told == []


KEYED = {"POST": {"Idempotency_Key": "once"}}


def in_vain(fleet: Fleet, way: Way) -> None:
    """All that comes to nothing: what is refused, what is only tried, and what fails at the very end of its transaction."""
    before, method = fleet.heads(), way.ask[0]
    if method == "JOB":
        with fleet.breaking("outbox"), pytest.raises(Exception, match="on_purpose"):
            fleet.do(way.ask)
    if method in ("POST", "PATCH", "DELETE"):
        assert fleet.do(way.ask, key="reader").status_code == 403
        with fleet.breaking("outbox"):
            assert fleet.do(way.ask).status_code >= 500, "what cannot be told does not happen"
    if method in ("POST", "PATCH"):
        assert fleet.do(way.ask, query="validate=only").status_code == 200
        with fleet.breaking("idempotency"):
            assert fleet.do(way.ask, Idempotency_Key="never").status_code >= 500
    if method == "PATCH":
        assert fleet.do(way.ask, If_Match='"99-jsonld"').status_code == 412
    assert fleet.heads() == before


def again(fleet: Fleet, way: Way) -> None:
    """What says what is so already: a change, a request under its key, a job."""
    if way.ask[0] in ("POST", "PATCH", "JOB"):
        answer = fleet.do(way.ask, **KEYED.get(way.ask[0], {}))
        assert answer is None or answer.status_code in (200, 201, 202)


def tells_how_it_is(event: dict[str, Any], fleet: Fleet, answer: testing.Result | None) -> None:
    """The subject as the change has left it, in the course of the request that made the change."""
    head = fleet.site.parts.ledger.head(event["subject"]["id"])
    assert event["data"] == orjson.loads(head.body) if head else event["data"]["identifier"] == event["subject"]["id"]
    assert answer is None or event["meta"]["correlationId"] == answer.headers["x-correlation-id"]


def is_to_the_letter(event: dict[str, Any]) -> None:
    """The envelope of the specification with a sequence, by the schema and by the shape that are published."""
    assert list(event) == ["id", "type", "occurredAt", "subject", "data", "meta"]
    assert list(event["subject"]) == ["type", "id"]
    assert list(event["meta"]) == ["tenant", "correlationId", "version", "sequence"]
    assert (event["meta"]["tenant"], event["meta"]["version"]) == ("default", 1)
    assert datetime.fromisoformat(event["occurredAt"]).tzinfo is not None and event["occurredAt"].endswith("Z")
    assert event["data"]["@context"][0] == "https://schema.org"
    ENVELOPE_SCHEMA.validate(event)
    assert conforms(event)


ENVELOPE_SCHEMA = Draft202012Validator(ENVELOPE, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_an_event_stays_as_it_was_told_whatever_becomes_of_its_subject(fleet: Fleet) -> None:
    with fleet.telling() as told:
        fleet.do(asked())
    created = told[0]
    for ask in (patch(f"{RESERVATIONS}/ra_1", purpose="race"), step("approve"), step("cancel")):
        fleet.do(ask)
    assert fleet.site.get(f"/v1/events/{created['id']}", Accept="application/json").json == created
    assert created["data"]["status"] == "pending" and "purpose" not in created["data"]
