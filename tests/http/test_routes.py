"""The table of routes: complete, closed by default, and kept by the application."""

from itertools import product

import orjson
import pytest
from falcon import testing

from ld_server.domain.scopes import Scope
from ld_server.http.app import PUBLIC, ROUTES, Route
from ld_server.http.authentication import ANY
from ld_server.http.requesters import OPEN, is_open
from ld_server.resources import KINDS, POSTED
from ld_server.resources.kind import Kind
from tests.http.conftest import Site, problem

STEP_SCOPES = {"submit": Scope.PLANNER, "approve": Scope.APPROVER, "reject": Scope.APPROVER, "cancel": Scope.APPROVER}
CREATE_SCOPES = dict.fromkeys(("itemType", "asset", "stockPool", "kitTemplate"), Scope.CATALOG_ADMIN) | {
    **dict.fromkeys(("rentAction", "demandSignal", "buildRequest"), Scope.PLANNER),
    "attachment": Scope.TECHNICIAN,
    "maintenanceLog": Scope.TECHNICIAN,
}
MARKED = {"demandSignal": {"DELETE": Scope.PLANNER}}
"""What DELETE marks, and leaves where it is."""
EVERY = [pytest.param(route, method, id=f"{method} {route.template}") for route in ROUTES for method in route.needs]


def path_of(route: Route) -> str:
    return route.template.replace("{identifier}", "ra_1").replace("{name}", "v1").replace("{number}", "1")


def test_no_path_stands_twice() -> None:
    assert len({route.template for route in ROUTES}) == len(ROUTES)


def test_scopes_are_those_of_the_contract() -> None:
    needs = {route.template: route.needs for route in ROUTES}
    for name, kind in KINDS.items():
        posted = {"POST": CREATE_SCOPES[name]} if kind.is_posted or name == "attachment" else {}
        changed = {"PATCH": CREATE_SCOPES[name]} if kind.is_patched else {"DELETE": CREATE_SCOPES[name]} if name == "attachment" else {}
        assert needs[kind.path] == {"GET": ANY, **posted}
        assert needs[f"{kind.path}/{{identifier}}"] == {"GET": ANY, **changed, **MARKED.get(name, {})}
        assert needs[f"{kind.path}/{{identifier}}/revisions"] == {"GET": ANY}
        assert needs[f"{kind.path}/{{identifier}}/revisions/{{number}}"] == {"GET": ANY}
    for step, scope in STEP_SCOPES.items():
        assert needs[f"/v1/rent-actions/{{identifier}}/{step}"] == {"POST": scope}
    assert needs["/v1/assets/{identifier}/maintenance-logs"] == {"GET": ANY, "POST": Scope.TECHNICIAN}
    for step in ("initiate", "complete"):
        assert needs[f"/v1/attachments/{step}"] == {"POST": Scope.TECHNICIAN}
    assert needs["/v1/sparql"] == {"GET": Scope.ANALYST, "POST": Scope.ANALYST}


def test_only_what_the_contract_names_is_public() -> None:
    public = {route.template for route in ROUTES if PUBLIC in route.needs.values()}
    assert {template for template in public if template.startswith("/v1")} == {"/v1/api-documentation", "/v1/blobs/{name}"}


@pytest.mark.parametrize(("route", "method"), EVERY)
def test_a_route_without_a_key_is_either_public_or_refused(site: Site, route: Route, method: str) -> None:
    answer = site.ask(method, path_of(route), key=None)
    if route.needs[method] is PUBLIC:
        assert answer.status_code in (200, 404)
    else:
        problem(answer, "unauthenticated", 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("route", "method"), EVERY)
def test_each_scope_opens_what_needs_it(site: Site, route: Route, method: str) -> None:
    needed = route.needs[method]
    methods = [method, "HEAD"] if method == "GET" else [method]
    for name, asked in product(site.keys, methods):
        answer = site.ask(asked, path_of(route), key=name)
        allowed = needed in (PUBLIC, ANY, name) or name == Scope.ADMIN
        if name == Scope.REQUESTER and needed is not PUBLIC:
            allowed = is_open(route.template, asked)
        assert (answer.status_code == 403) is not allowed, (name, answer.text)
        if not allowed and asked != "HEAD":
            assert problem(answer, "forbidden", 403).get("scope") == (None if needed == ANY else needed)


def test_what_is_open_to_requesters_is_what_their_reservations_need() -> None:
    own = "/v1/rent-actions/{identifier}"
    steps = {template for template, methods in OPEN.items() if template.startswith(own) and "POST" in methods}
    assert steps == {f"{own}/submit", f"{own}/cancel"}
    assert {(template, method) for template, methods in OPEN.items() for method in methods if method not in ("GET", "POST")} == {
        (own, "PATCH")
    }
    needs = {route.template: route.needs for route in ROUTES}
    assert all(method in needs[template] for template, methods in OPEN.items() for method in methods)
    closed = ("revisions", "history", "maintenance", "planning", "sparql", "keys", "triggers", "webhooks", "deliveries")
    assert not [template for template in OPEN if any(word in template for word in closed) and not template.startswith(own)]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.template)
def test_options_says_what_a_route_takes(site: Site, route: Route) -> None:
    answer = site.ask("OPTIONS", path_of(route), key=None)
    expected = {*route.needs, "OPTIONS"} | ({"HEAD"} if "GET" in route.needs else set())
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.headers["allow"].split(", ")) == expected
    assert ("accept-post" in answer.headers) is ("POST" in route.needs)
    assert ("accept-patch" in answer.headers) is ("PATCH" in route.needs)


CHANGING = {"/metrics"}
"""What says something else each time."""


@pytest.mark.parametrize("route", [route for route in ROUTES if "GET" in route.needs], ids=lambda r: r.template)
def test_head_is_get_without_the_body(site: Site, route: Route) -> None:
    if "ra_1" in path_of(route) or "{identifier}" in route.template:
        item = site.item_type()
        site.asset(item)
        site.reservation(item)
    path = path_of(route).replace("item-types/ra_1", "item-types/itemType_1").replace("assets/ra_1", "assets/asset_1")
    got, head = site.get(path), site.ask("HEAD", path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    volatile = {"x-correlation-id", "content-length", "ratelimit"}
    assert {name: value for name, value in head.headers.items() if name not in volatile} == {
        name: value for name, value in got.headers.items() if name not in volatile
    }
    if got.status_code == 200 and "content-length" in got.headers and path not in CHANGING:
        assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/v1/rent-actions", "/v1/rent-actions/ra_1/revisions", "/v1/rent-actions/ra_1/approve"])
def test_a_method_that_a_route_does_not_take_is_named_with_those_it_takes(site: Site, method: str, path: str) -> None:
    answer = site.ask(method, path)
    found = problem(answer, "method-not-allowed", 405)
    assert found["allowed"] == answer.headers["allow"].split(", ")
    assert method in found["detail"]


@pytest.mark.parametrize("kind", [one for one in POSTED.values() if one.name not in MARKED], ids=lambda kind: kind.name)
def test_nothing_is_deleted(site: Site, kind: Kind) -> None:
    for path in (kind.path, f"{kind.path}/{kind.prefix}_1"):
        assert "DELETE" not in problem(site.ask("DELETE", path), "method-not-allowed", 405)["allowed"]


@pytest.mark.parametrize("method", ["get", "BREW", "WEBSOCKET", "G ET", ""])
def test_a_method_that_does_not_exist_is_refused(site: Site, method: str) -> None:
    environ = {**testing.create_environ("/v1/rent-actions"), "REQUEST_METHOD": method}
    answer = testing.StartResponseMock()
    body = b"".join(site.client.app(environ, answer))
    assert answer.status.startswith("405")
    assert "POST" in dict(answer.headers)["allow"] or method == "WEBSOCKET"
    assert orjson.loads(body)["type"] == "http://localhost:8000/problems/method-not-allowed"


@pytest.mark.parametrize(
    "path", ["/v1", "/v2/rent-actions", "/v1/rent-action", "/v1/rent-actions/ra_1/explode", "/%00", "/caf\u00e9", "/v1/rent-actions/"]
)
def test_an_unknown_path_is_not_found(site: Site, path: str) -> None:
    for key in ("admin", None):
        answer = site.get(path, key=key)
        if answer.status_code != 401:
            problem(answer, "not-found", 404)
