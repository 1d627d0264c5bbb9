"""PATCH: every kind, in both sorts of patches, under preconditions, by who may."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import pytest
from falcon import testing
from pyoxigraph import parse

from ld_server.domain.scopes import Scope
from ld_server.http.body import JSON_PATCH, MERGE_PATCH, PATCHABLE
from ld_server.http.endpoints.patching import READERS, TRIES
from ld_server.rdf.formats import FORMATS, Format
from ld_server.resources import KINDS, PATCHED
from relational.documents import Authorship, Head
from tests import factories
from tests.http.conftest import ASSETS, ITEM_TYPES, LD_JSON, RESERVATIONS, Site, problem

STOCK_POOLS, KIT_TEMPLATES = "/v1/catalog/stock-pools", "/v1/catalog/kit-templates"
PLACES = {
    "itemType": (f"{ITEM_TYPES}/itemType_1", "catalog_admin"),
    "asset": (f"{ASSETS}/asset_1", "catalog_admin"),
    "stockPool": (f"{STOCK_POOLS}/pool_1", "catalog_admin"),
    "kitTemplate": (f"{KIT_TEMPLATES}/kit_1", "catalog_admin"),
    "rentAction": (f"{RESERVATIONS}/ra_1", "planner"),
    "demandSignal": ("/v1/planning/demand-signals/demand_1", "planner"),
    "buildRequest": ("/v1/planning/build-requests/build_1", "planner"),
}
every_kind = pytest.mark.parametrize("kind", PLACES)


def staged(site: Site) -> Site:
    """One of each kind, and two units."""
    timer, cable = site.item_type("TN-2"), site.item_type("CABLE", kind="fungible")
    site.asset(timer, assetTag="TN-0001", serialNumber=None)
    site.asset(timer, assetTag="TN-0002", serialNumber=None)
    site.made(STOCK_POOLS, factories.stock_pool(cable, 40))
    site.made(KIT_TEMPLATES, factories.kit_template((timer, 2), (cable, 5)))
    site.reservation(timer)
    site.made("/v1/planning/demand-signals", factories.demand_signal(timer))
    site.made("/v1/planning/build-requests", factories.build_request(timer))
    return site


@pytest.fixture
def fleet(site: Site) -> Site:
    return staged(site)


@pytest.fixture
def either(either_site: Site) -> Site:
    return staged(either_site)


def patch(site: Site, path: str, body: Any, media_type: str = MERGE_PATCH, **more: Any) -> testing.Result:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return site.ask("PATCH", path, body=content, **{"Content_Type": media_type, **more})


# --- every kind -------------------------------------------------------------------------------------------------------


def test_every_kind_is_tried() -> None:
    assert set(PLACES) == set(PATCHED)


@every_kind
def test_a_merge_patch_changes_a_resource(either: Site, kind: str) -> None:
    path, scope = PLACES[kind]
    before = either.get(path).json
    answer = patch(either, path, {"description": "As seen at the spring fair", "metadata": {"row": 7}}, key=scope)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["etag"], answer.headers["content-type"], answer.headers["vary"]) == ('"2-jsonld"', LD_JSON, "Accept")
    assert answer.headers["content-location"] == before["@id"]
    assert {
        **before,
        "description": "As seen at the spring fair",
        "metadata": {"row": 7},
        "updatedAt": answer.json["updatedAt"],
    } == answer.json
    assert answer.json["updatedAt"] > before["updatedAt"]
    assert either.get(path).content == answer.content


@every_kind
def test_a_json_patch_changes_a_resource(either: Site, kind: str) -> None:
    path, scope = PLACES[kind]
    operations = [
        {"op": "test", "path": "/identifier", "value": path.rpartition("/")[2]},
        {"op": "add", "path": "/metadata", "value": {"rows": [1]}},
        {"op": "add", "path": "/metadata/rows/-", "value": 2},
    ]
    answer = patch(either, path, operations, JSON_PATCH, key=scope)
    assert (answer.status_code, answer.json["metadata"]) == (200, {"rows": [1, 2]})


@every_kind
def test_plain_json_is_a_merge_patch(fleet: Site, kind: str) -> None:
    path, scope = PLACES[kind]
    assert fleet.ask("PATCH", path, body={"metadata": 5}, key=scope).json["metadata"] == 5
    assert "metadata" not in patch(fleet, path, {"metadata": None}, "application/json; charset=utf-8").json


@every_kind
def test_what_was_read_can_be_sent_back(fleet: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    read = fleet.get(path)
    written = fleet.written()
    answer = patch(fleet, path, read.content)
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (200, read.content, '"1-jsonld"')
    assert patch(fleet, path, [], JSON_PATCH).headers["etag"] == '"1-jsonld"'
    assert patch(fleet, path, {}).headers["etag"] == '"1-jsonld"'
    assert patch(fleet, path, {**read.json, "unheardOf": None}).headers["etag"] == '"1-jsonld"'
    assert fleet.written() == written
    altered = patch(fleet, path, {**read.json, "description": "Altered"})
    assert (altered.headers["etag"], altered.json["description"]) == ('"2-jsonld"', "Altered")


@every_kind
def test_null_takes_a_value_out(fleet: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    patch(fleet, path, {"description": "To go", "http://vocabulary.example/colour": "red"})
    answer = patch(fleet, path, {"description": None})
    assert "description" not in answer.json
    assert answer.json["http://vocabulary.example/colour"] == "red"


@every_kind
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_a_patch_is_answered_in_every_syntax(fleet: Site, kind: str, form: Format) -> None:
    path, _ = PLACES[kind]
    answer = patch(fleet, path, {"description": "Spring fair"}, Accept=form.media_type)
    assert answer.headers["content-type"].split(";")[0] == form.media_type
    assert answer.headers["etag"] == f'"2-{form.key}"'
    assert "Spring fair" in answer.text
    assert form.json or list(parse(answer.content, form.rdf))


@every_kind
def test_an_event_tells_of_the_change(fleet: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    identifier = path.rpartition("/")[2]
    patch(fleet, path, {"description": "Spring fair"}, X_Correlation_Id="order-78")
    with fleet.parts.ledger.read() as uow:
        last = uow.outbox.of_subject(identifier)[-1].entry
    told = orjson.loads(last.body)
    area = "catalog." if PLACES[kind][1] == "catalog_admin" else ""
    assert told["type"] == f"{area}{kind}.updated"
    assert told["data"] == fleet.get(path).json
    assert told["meta"]["correlationId"] == "order-78"


@every_kind
def test_who_may_create_may_change_and_nobody_else(fleet: Site, kind: str) -> None:
    path, scope = PLACES[kind]
    for name in fleet.keys:
        answer = patch(fleet, path, {"description": name}, key=name)
        if name in (scope, "admin"):
            assert answer.status_code == 200, answer.text
        elif name == Scope.REQUESTER and kind == "rentAction":
            problem(answer, "not-found", 404)  # somebody else's
        else:
            assert problem(answer, "forbidden", 403)["scope"] == scope
    problem(patch(fleet, path, {}, key=None), "unauthenticated", 401)


@every_kind
def test_options_say_that_there_are_patches(fleet: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    answer = fleet.ask("OPTIONS", path, key=None)
    assert "PATCH" in answer.headers["allow"].split(", ")
    assert answer.headers["accept-patch"].split(", ") == list(PATCHABLE)
    assert "accept-patch" not in fleet.ask("OPTIONS", path.rpartition("/")[0], key=None).headers


def test_every_media_type_of_a_patch_has_a_reader() -> None:
    assert tuple(READERS) == PATCHABLE


# --- what is refused --------------------------------------------------------------------------------------------------

UNREADABLE = ["text/turtle", "application/ld+json", "text/plain", "application/merge-patch", "", "application/json; charset=utf-16"]


@pytest.mark.parametrize("media_type", UNREADABLE)
def test_other_media_types_are_refused_with_those_that_there_are(fleet: Site, media_type: str) -> None:
    answer = patch(fleet, f"{RESERVATIONS}/ra_1", {}, media_type)
    assert problem(answer, "unsupported-media-type", 415)["supported"] == list(PATCHABLE)
    assert answer.headers["accept-patch"].split(", ") == list(PATCHABLE)
    assert "accept-post" not in answer.headers


MALFORMED = [
    (MERGE_PATCH, b"", None),
    (MERGE_PATCH, b"{", None),
    (MERGE_PATCH, b"[]", ""),
    ("application/json", b"null", ""),
    (MERGE_PATCH, b'{"metadata":' + b"[" * 80 + b"]" * 80 + b"}", None),
    (JSON_PATCH, b"{}", ""),
    (JSON_PATCH, b'[{"op": "add"}]', "/0/path"),
    (JSON_PATCH, b'[{"op": "test", "path": "/identifier", "value": "ra_1"}, {"op": "remove", "path": "/nothing"}]', "/1/path"),
    (JSON_PATCH, b'[{"op": "replace", "path": "", "value": 5}]', None),
]


@pytest.mark.parametrize(("media_type", "body", "pointer"), MALFORMED)
def test_a_patch_that_is_none_is_refused_with_the_place(fleet: Site, media_type: str, body: bytes, pointer: str | None) -> None:
    found = problem(patch(fleet, f"{RESERVATIONS}/ra_1", body, media_type), "malformed-body", 400)
    assert found.get("pointer") == pointer


def test_a_place_that_does_not_exist_is_named(fleet: Site) -> None:
    found = problem(patch(fleet, PLACES["asset"][0], [{"op": "remove", "path": "/colour"}], JSON_PATCH), "malformed-body", 400)
    assert (found["operation"], found["path"]) == (0, "/colour")
    assert "'/colour'" in found["detail"]


def test_a_test_that_fails_is_a_precondition_that_fails(fleet: Site) -> None:
    operations = [{"op": "add", "path": "/description", "value": "x"}, {"op": "test", "path": "/location", "value": "Depot B"}]
    found = problem(patch(fleet, PLACES["asset"][0], operations, JSON_PATCH), "precondition-failed", 412)
    assert (found["operation"], found["path"]) == (1, "/location")


@every_kind
def test_what_only_the_server_says_is_refused_by_name(fleet: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    wrong = {
        "@id": "http://elsewhere.example/",
        "@type": "Event",
        "identifier": "x",
        "createdAt": None,
        "updatedAt": "2020-01-01T00:00:00Z",
    }
    written = fleet.written()
    found = problem(patch(fleet, path, {**wrong, "description": "fine"}), "shape-violation", 422)
    assert {one["pointer"] for one in found["violations"]} == {f"/{key}" for key in wrong}
    assert all(one["message"].startswith(one["pointer"][1:]) and one["path"] for one in found["violations"] if one["pointer"] != "/@id")
    assert fleet.written() == written


def test_the_status_of_a_reservation_is_changed_by_its_steps(fleet: Site) -> None:
    found = problem(patch(fleet, f"{RESERVATIONS}/ra_1", {"status": "approved"}), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == ["/status"]
    assert "steps" in found["detail"]


@every_kind
def test_the_whole_result_is_checked(fleet: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    found = problem(patch(fleet, path, {"metadata": 1, "descriptoin": "typo"}), "unknown-term", 422)
    assert found["suggestion"] == "description"
    found = problem(patch(fleet, path, {"description": 5}), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == ["/description"]


@every_kind
def test_what_is_not_there_is_not_found(fleet: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    for identifier in (f"{KINDS[kind].prefix}_99", "alloc_1", "nonsense"):
        problem(patch(fleet, f"{path.rpartition('/')[0]}/{identifier}", {}), "not-found", 404)


def test_a_bad_accept_is_refused_before_anything_is_written(fleet: Site) -> None:
    written = fleet.written()
    problem(patch(fleet, PLACES["asset"][0], {"description": "x"}, Accept="image/png"), "not-acceptable", 406)
    problem(patch(fleet, PLACES["asset"][0], {"description": "x"}, query="colour=red"), "invalid-parameter", 400)
    assert fleet.written() == written


def test_a_patch_is_bounded(fleet: Site) -> None:
    small = fleet.over(settings=replace(fleet.parts.settings, max_body_bytes=2_000))
    problem(patch(small, PLACES["asset"][0], {"metadata": "x" * 2_000}), "payload-too-large", 413)
    copies = [{"op": "copy", "from": "", "path": f"/x{number}"} for number in range(8)]
    problem(patch(small, PLACES["asset"][0], copies, JSON_PATCH), "payload-too-large", 413)


def test_a_value_that_another_resource_has_is_refused(fleet: Site) -> None:
    assert problem(patch(fleet, PLACES["asset"][0], {"assetTag": "TN-0002"}), "duplicate", 409)["resource"] == "asset_2"
    assert problem(patch(fleet, PLACES["itemType"][0], {"code": "CABLE"}), "duplicate", 409)["resource"] == "itemType_2"


def test_what_the_catalog_rests_on_stays(fleet: Site) -> None:
    assert problem(patch(fleet, PLACES["itemType"][0], {"kind": "fungible"}), "in-use", 409)["pointer"] == "/kind"
    assert problem(patch(fleet, PLACES["asset"][0], {"itemTypeId": "itemType_99"}), "unknown-reference", 422)["pointer"] == "/isVariantOf"
    inside = {"kitComponents": [{"kitTemplateId": "kit_1", "quantityPerKit": 1}]}
    found = problem(patch(fleet, PLACES["kitTemplate"][0], inside), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == ["/kitComponents/0/itemType"]


# --- once, and not at all ---------------------------------------------------------------------------------------------


def test_a_repeated_patch_gets_the_answer_of_the_first(fleet: Site) -> None:
    """Although it could not be carried out again: what it tests is another thing by now, and its If-Match as well."""
    path = PLACES["asset"][0]
    operations = [{"op": "test", "path": "/assetTag", "value": "TN-0001"}, {"op": "replace", "path": "/assetTag", "value": "TN-0009"}]
    first, second, third = (patch(fleet, path, operations, JSON_PATCH, Idempotency_Key="k1", If_Match='"1-jsonld"') for _ in range(3))
    assert (first.status_code, second.status_code, second.content) == (200, 200, first.content)
    assert (second.headers["idempotency-replayed"], third.headers["idempotency-replayed"]) == ("true", "true")
    problem(patch(fleet, path, operations, JSON_PATCH, Idempotency_Key="k2"), "precondition-failed", 412)
    problem(patch(fleet, path, {"assetTag": "TN-0010"}, Idempotency_Key="k1"), "idempotency-mismatch", 422)


@every_kind
def test_a_patch_can_be_tried_without_being_carried_out(either: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    before, written = either.get(path).content, either.written()
    answer = patch(either, path, {"description": "tried"}, Prefer="handling=validate-only")
    assert (answer.status_code, answer.json["description"]) == (200, "tried")
    assert answer.headers["preference-applied"] == "handling=validate-only"
    problem(patch(either, path, {"@type": None}, query="validate=only"), "shape-violation", 422)
    assert (either.get(path).content, either.written()) == (before, written)


# --- reservations -----------------------------------------------------------------------------------------------------


def test_an_approved_reservation_is_planned_anew(either: Site) -> None:
    path = f"{RESERVATIONS}/ra_1"
    either.post(f"{path}/approve")
    answer = patch(either, path, {"startTime": "2027-03-01T12:00:00+01:00", "requestedQuantity": 2}, key="planner")
    assert answer.status_code == 200, answer.text
    assert (answer.json["status"], answer.json["allocatedQuantity"]) == ("approved", 2)
    standing = [one for one in answer.json["allocations"] if one["status"] == "allocated"]
    assert [(one["asset"]["name"], one["allocatedFrom"]) for one in standing] == [
        ("TN-0001", "2027-03-01T11:00:00Z"),
        ("TN-0002", "2027-03-01T11:00:00Z"),
    ]
    with either.parts.ledger.read() as uow:
        assert [one.entry.type for one in uow.outbox.of_subject("ra_1")][-2:] == ["rentAction.updated", "rentAction.allocation.changed"]


def test_a_change_that_does_not_fit_leaves_everything(either: Site) -> None:
    path = f"{RESERVATIONS}/ra_1"
    either.post(f"{path}/approve")
    before, written = either.get(path), either.written()
    found = problem(patch(either, path, {"requestedQuantity": 3}), "insufficient-availability", 409)
    assert [(one["requested"], one["available"], one["pointer"]) for one in found["lines"]] == [(3, 2, "/lineItems/0")]
    assert (either.get(path).content, either.written()) == (before.content, written)


def test_a_reservation_that_has_ended_takes_no_patch(fleet: Site) -> None:
    path = f"{RESERVATIONS}/ra_1"
    fleet.post(f"{path}/cancel")
    found = problem(patch(fleet, path, {"description": "late"}), "transition-refused", 409)
    assert (found["allowedSteps"], "cancelled" in found["detail"]) == ([], True)


def test_a_reservation_can_be_changed_and_then_taken_on(fleet: Site) -> None:
    path = f"{RESERVATIONS}/ra_1"
    tag = patch(fleet, path, {"lineItems": [{"object": "itemType_1", "requestedQuantity": 2}]}).headers["etag"]
    approved = fleet.post(f"{path}/approve", If_Match=tag)
    assert (approved.status_code, approved.json["allocatedQuantity"]) == (200, 2)


# --- preconditions ----------------------------------------------------------------------------------------------------


@every_kind
def test_if_match_is_compared(either: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    tag = either.get(path, Accept="text/turtle").headers["etag"]
    first = patch(either, path, {"description": "one"}, If_Match=tag)
    assert first.status_code == 200
    problem(patch(either, path, {"description": "two"}, If_Match=tag), "precondition-failed", 412)
    problem(patch(either, path, {"description": "one"}, If_Match=f"W/{first.headers['etag']}"), "precondition-failed", 412)
    assert patch(either, path, {"description": "two"}, If_Match=f'"7-jsonld", {first.headers["etag"]}').headers["etag"] == '"3-jsonld"'
    assert patch(either, path, {"description": "three"}, If_Match="*").headers["etag"] == '"4-jsonld"'
    problem(patch(either, path, {}, If_Match="nonsense"), "invalid-parameter", 400)


def at_once(actions: list[Callable[[], testing.Result]]) -> list[testing.Result]:
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], testing.Result]) -> testing.Result:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def test_of_two_patches_of_one_state_one_wins(either: Site) -> None:
    path = PLACES["asset"][0]
    for revision in range(1, 6):
        bodies = [{"location": f"Depot {revision}"}, {"assignedTo": f"crew {revision}"}]
        answers = at_once([partial(patch, either, path, body, If_Match=f'"{revision}-jsonld"') for body in bodies])
        assert sorted(answer.status_code for answer in answers) == [200, 412]


def test_patches_without_a_precondition_are_all_carried_out(either: Site) -> None:
    """Who comes second is applied to what the first has made: nobody's change is lost."""
    path = PLACES["asset"][0]
    keys = [f"http://vocabulary.example/p{number}" for number in range(6)]
    assert len(keys) <= TRIES, "each of them can be overtaken by every other one"
    answers = at_once([partial(patch, either, path, {key: "here"}) for key in keys])
    assert [answer.status_code for answer in answers] == [200] * len(keys)
    found = either.get(path)
    assert {found.json[key] for key in keys} == {"here"}
    assert found.headers["etag"] == f'"{len(keys) + 1}-jsonld"'


def test_who_is_always_overtaken_gives_up(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    read, states = fleet.parts.ledger.head, []

    def overtaken(identifier: str) -> Head | None:
        """What is read is outdated as soon as it has been read."""
        head = read(identifier)
        assert head is not None
        with fleet.parts.ledger.write() as uow:
            newer = Head(head.identifier, head.kind, head.number, head.revision + 1, head.body)
            uow.documents.replace(newer, Authorship("somebody", fleet.parts.now(), "faster"))
        states.append(head.revision)
        return head

    monkeypatch.setattr(fleet.parts.ledger, "head", overtaken)
    problem(patch(fleet, PLACES["asset"][0], {"location": "Depot B"}), "precondition-failed", 412)
    assert states == list(range(1, TRIES + 1))
