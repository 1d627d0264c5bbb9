"""History: every state of every resource, as it was, with who brought it there."""

import orjson
import pytest
from pyoxigraph import NamedNode, parse

from ld_server.rdf import vocab
from ld_server.rdf.formats import FORMATS, Format
from tests.http.conftest import BASE, RESERVATIONS, Site, problem
from tests.http.test_patching import PLACES, every_kind, patch, staged


@pytest.fixture
def fleet(site: Site) -> Site:
    return staged(site)


@pytest.fixture
def either(either_site: Site) -> Site:
    return staged(either_site)


@every_kind
def test_every_state_can_be_read_again(either: Site, kind: str) -> None:
    path, scope = PLACES[kind]
    states = [either.get(path).content]
    for number in range(3):
        states.append(patch(either, path, {"description": f"state {number}"}, key=scope).content)
    for number, state in enumerate(states, start=1):
        answer = either.get(f"{path}/revisions/{number}", key="reader")
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (200, state, f'"{number}-jsonld"')


@every_kind
def test_the_history_says_who_changed_what_when(fleet: Site, kind: str) -> None:
    path, scope = PLACES[kind]
    answer = patch(fleet, path, {"description": "changed"}, key=scope, X_Correlation_Id="order-78")
    found = fleet.get(f"{path}/revisions", key="reader").json
    iri = BASE + path
    assert (found["@id"], found["@type"], found["totalItems"]) == (f"{iri}/revisions", "Collection", 2)
    assert found["member"][0]["changedBy"] == "admin"
    assert found["member"][1] == {
        "@id": f"{iri}/revisions/2",
        "@type": "Revision",
        "revision": 2,
        "revisionOf": iri,
        "changedBy": scope,
        "changedAt": answer.json["updatedAt"],
        "correlationId": "order-78",
    }


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_the_history_is_read_in_every_syntax(fleet: Site, form: Format) -> None:
    answer = fleet.get(f"{RESERVATIONS}/ra_1/revisions", Accept=form.media_type)
    assert answer.headers["content-type"].split(";")[0] == form.media_type
    if not form.json:
        revision = NamedNode(f"{BASE}{RESERVATIONS}/ra_1/revisions/1")
        said = {quad.predicate.value: quad.object for quad in parse(answer.content, form.rdf) if quad.subject == revision}
        assert said[vocab.TYPE] == NamedNode(vocab.REVISION)
        assert said[vocab.REVISION_OF] == NamedNode(f"{BASE}{RESERVATIONS}/ra_1")
        assert said[vocab.REVISION_NUMBER].value == "1"
        assert said[vocab.CHANGED_BY].value == "admin"
        assert said[vocab.CHANGED_AT].datatype.value == vocab.DATE_TIME
        assert said[vocab.CORRELATION_ID].value


@every_kind
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_a_past_state_is_read_in_every_syntax(fleet: Site, kind: str, form: Format) -> None:
    path, _ = PLACES[kind]
    first = fleet.get(path, Accept=form.media_type)
    patch(fleet, path, {"description": "changed"})
    answer = fleet.get(f"{path}/revisions/1", Accept=form.media_type)
    assert answer.headers["content-type"] == first.headers["content-type"]
    assert answer.headers["etag"] == first.headers["etag"]
    if form.quads:
        assert {quad.graph_name.value for quad in parse(answer.content, form.rdf)} == {f"{BASE}{path}/revisions/1"}
    else:
        assert answer.content == first.content


def test_a_past_state_may_be_kept_for_good(fleet: Site) -> None:
    path = f"{RESERVATIONS}/ra_1/revisions/1"
    answer = fleet.get(path)
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Accept"
    again = fleet.get(path, If_None_Match=answer.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == answer.headers["cache-control"]
    assert fleet.get(f"{RESERVATIONS}/ra_1").headers["cache-control"] == "private, no-cache"


def links(site: Site, number: int) -> dict[str, str]:
    answer = site.get(f"{RESERVATIONS}/ra_1/revisions/{number}")
    found = (one.partition(">; rel=") for one in answer.headers["link"].split(", <"))
    return {rel.strip('"'): target.lstrip("<").removeprefix(f"{BASE}{RESERVATIONS}/") for target, _, rel in found if "version" in rel}


def test_a_past_state_leads_to_those_around_it(fleet: Site) -> None:
    """RFC 5829."""
    for number in range(2):
        patch(fleet, f"{RESERVATIONS}/ra_1", {"description": f"state {number}"})
    always = {"latest-version": "ra_1", "version-history": "ra_1/revisions"}
    assert links(fleet, 1) == {**always, "successor-version": "ra_1/revisions/2"}
    assert links(fleet, 2) == {**always, "predecessor-version": "ra_1/revisions/1", "successor-version": "ra_1/revisions/3"}
    assert links(fleet, 3) == {**always, "predecessor-version": "ra_1/revisions/2"}


@every_kind
def test_a_resource_leads_to_its_history(fleet: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    for answer in (fleet.get(path), patch(fleet, path, {"description": "changed"})):
        assert f'<{BASE}{path}/revisions>; rel="version-history"' in answer.headers["link"]


def test_the_history_has_pages(either: Site) -> None:
    path = f"{RESERVATIONS}/ra_1"
    for number in range(4):
        patch(either, path, {"description": f"state {number}"})
    answer = either.get(f"{path}/revisions", query="limit=2")
    seen = [one["revision"] for one in answer.json["member"]]
    patch(either, path, {"description": "late"})
    while "next" in answer.json["view"]:
        assert f"<{answer.json['view']['next']}>" in answer.headers["link"]
        answer = either.get(f"{path}/revisions", query=answer.json["view"]["next"].partition("?")[2])
        seen += [one["revision"] for one in answer.json["member"]]
    assert seen == [1, 2, 3, 4, 5, 6]
    assert answer.json["totalItems"] == 6


@pytest.mark.parametrize("query", ["limit=0", "after=nonsense", "after=cmE6MQ", "status=pending"])
def test_a_page_that_there_cannot_be_is_refused(fleet: Site, query: str) -> None:
    problem(fleet.get(f"{RESERVATIONS}/ra_1/revisions", query=query), "invalid-parameter", 400)


def test_a_cursor_belongs_to_one_history(fleet: Site) -> None:
    patch(fleet, f"{RESERVATIONS}/ra_1", {"description": "x"})
    following = fleet.get(f"{RESERVATIONS}/ra_1/revisions", query="limit=1").json["view"]["next"].partition("?")[2]
    problem(fleet.get(PLACES["asset"][0] + "/revisions", query=following), "invalid-parameter", 400)


NOWHERE = ["0", "2", "01", "-1", "x", "1x", "99999999999", "999999999999999999999", "%D9%A1", "1%00"]


@pytest.mark.parametrize("number", NOWHERE)
def test_a_state_that_never_was_is_not_found(either: Site, number: str) -> None:
    problem(either.get(f"{RESERVATIONS}/ra_1/revisions/{number}"), "not-found", 404)


@every_kind
def test_what_is_not_there_has_no_history(fleet: Site, kind: str) -> None:
    path, _ = PLACES[kind]
    for identifier in ("alloc_1", "nonsense", path.rpartition("/")[2].rpartition("_")[0] + "_99"):
        for tail in ("revisions", "revisions/1"):
            problem(fleet.get(f"{path.rpartition('/')[0]}/{identifier}/{tail}"), "not-found", 404)


def test_history_is_read_only(fleet: Site) -> None:
    for path in (f"{RESERVATIONS}/ra_1/revisions", f"{RESERVATIONS}/ra_1/revisions/1"):
        for method in ("POST", "PATCH", "PUT", "DELETE"):
            problem(fleet.ask(method, path, body={}), "method-not-allowed", 405)


def test_steps_are_in_the_history_too(fleet: Site) -> None:
    path = f"{RESERVATIONS}/ra_1"
    fleet.post(f"{path}/approve", key="approver")
    fleet.post(f"{path}/cancel", key="approver")
    assert [fleet.get(f"{path}/revisions/{number}").json["status"] for number in (1, 2, 3)] == ["pending", "approved", "cancelled"]
    assert [one["changedBy"] for one in fleet.get(f"{path}/revisions").json["member"]] == ["admin", "approver", "approver"]


def test_a_past_state_can_be_brought_back_by_a_patch(fleet: Site) -> None:
    """A merge patch of what may be changed, made from a past state."""
    path = PLACES["asset"][0]
    patch(fleet, path, {"location": "Depot B"})
    before = fleet.get(f"{path}/revisions/1").json
    answer = patch(fleet, path, orjson.dumps({key: before.get(key) for key in ("location", "assetTag", "isVariantOf")}))
    assert answer.status_code == 200
    assert {**answer.json, "updatedAt": before["updatedAt"]} == before
