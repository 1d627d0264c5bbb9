"""The web application: every route with what its methods ask for, on one page, and what stands around them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import falcon
from falcon.routing import CompiledRouter

from ld_server.domain.scopes import Scope
from ld_server.domain.status import Step
from ld_server.http import links
from ld_server.http.authentication import ANY, Authentication, Needed
from ld_server.http.browsers import Browsers
from ld_server.http.conversation import Conversation
from ld_server.http.endpoints import deliveries, description, discovery
from ld_server.http.endpoints.attachments import Attachment, Attachments, Bytes, Completion, Initiation
from ld_server.http.endpoints.availability import FREE_UNITS, QUESTIONS, Answers, FreeUnits
from ld_server.http.endpoints.blobs import Blobs
from ld_server.http.endpoints.configuration import Configuration, Configurations
from ld_server.http.endpoints.custody import Conflicts, Custody
from ld_server.http.endpoints.deliveries import Deliveries, Delivery, Runs, Sending
from ld_server.http.endpoints.events import Event, Events
from ld_server.http.endpoints.export import PATH as EXPORT
from ld_server.http.endpoints.export import Export
from ld_server.http.endpoints.health import Live, Ready
from ld_server.http.endpoints.keys import Key, KeyRing
from ld_server.http.endpoints.looks import Looks
from ld_server.http.endpoints.maintenance import AssetHistory, AssetLog
from ld_server.http.endpoints.metrics import Metrics
from ld_server.http.endpoints.planning import DemandSignal, DemandSignals, Shortfalls
from ld_server.http.endpoints.queries import QUERIES, Queries, Query
from ld_server.http.endpoints.reservations import Allocations, ReservationStep
from ld_server.http.endpoints.resources import Collection, Item
from ld_server.http.endpoints.revisions import PastState, Revisions
from ld_server.http.endpoints.sparql import Sparql
from ld_server.http.endpoints.triggers import TRIGGER, Match
from ld_server.http.endpoints.webhooks import WEBHOOK, SecretRotation
from ld_server.http.errors import Problems
from ld_server.http.operation import Interface
from ld_server.http.operations import interface
from ld_server.http.requesters import Requesters
from ld_server.http.route import PUBLIC, Route
from ld_server.http.showing import pages_of
from ld_server.http.throttle import Throttle
from ld_server.resources import KINDS, PATCHED, POSTED
from ld_server.resources.attachment import ATTACHMENT
from ld_server.resources.demand_signal import DEMAND_SIGNAL
from ld_server.resources.maintenance_log import MAINTENANCE_LOG
from ld_server.resources.supply_snapshot import SUPPLY_SNAPSHOT
from ld_server.services.attachments import download_link, thumbnail_link
from ld_server.services.parts import Parts
from ld_server.services.planning import SHORTFALLS


def _interface() -> Interface:
    """Every method of every route, described."""
    return interface(ROUTES)


SORTS = (TRIGGER, WEBHOOK)
"""What is configured."""


ROUTES: tuple[Route, ...] = (
    Route("/", discovery.entry_point, {"GET": PUBLIC}),
    Route("/contexts", discovery.contexts, {"GET": PUBLIC}),
    Route("/contexts/{name}", discovery.context_pages, {"GET": PUBLIC}),
    Route("/shapes", discovery.shapes, {"GET": PUBLIC}),
    Route("/shapes/{name}", discovery.shape_pages, {"GET": PUBLIC}),
    Route("/ns/reservations", discovery.vocabulary, {"GET": PUBLIC}),
    Route("/problems", discovery.problems, {"GET": PUBLIC}),
    Route("/problems/{name}", discovery.problem_pages, {"GET": PUBLIC}),
    Route("/pages/{name}", Looks, {"GET": PUBLIC}),
    Route("/openapi.json", partial(description.openapi, interface=_interface), {"GET": PUBLIC}),
    Route("/docs", partial(description.docs, interface=_interface), {"GET": PUBLIC}),
    Route("/v1/api-documentation", partial(description.api_documentation, interface=_interface), {"GET": PUBLIC}),
    Route("/.well-known/void", description.void, {"GET": PUBLIC}),
    Route("/health/live", Live, {"GET": PUBLIC}),
    Route("/health/ready", Ready, {"GET": PUBLIC}),
    Route("/metrics", Metrics, {"GET": ANY}),
    Route("/v1/sparql", Sparql, {"GET": Scope.ANALYST, "POST": Scope.ANALYST}),
    Route(EXPORT, Export, {"GET": Scope.ANALYST}),
    Route(QUERIES, Queries, {"GET": Scope.ANALYST}),
    Route(f"{QUERIES}/{{name}}", Query, {"GET": Scope.ANALYST}),
    Route("/v1/events", Events, {"GET": ANY}),
    Route("/v1/events/{identifier}", Event, {"GET": ANY}),
    Route("/shapes/event-envelope.json", description.event_schema, {"GET": PUBLIC}),
    *(Route(sort.path, partial(Configurations, sort=sort), {"GET": Scope.ADMIN, "POST": Scope.ADMIN}) for sort in SORTS),
    *(
        Route(f"{sort.path}/{{identifier}}", partial(Configuration, sort=sort), dict.fromkeys(("GET", "PATCH", "DELETE"), Scope.ADMIN))
        for sort in SORTS
    ),
    Route("/v1/keys", KeyRing, {"GET": Scope.ADMIN, "POST": Scope.ADMIN}),
    Route("/v1/keys/{identifier}", Key, {"GET": Scope.ADMIN, "DELETE": Scope.ADMIN}),
    Route("/v1/triggers/{identifier}/match", Match, {"POST": Scope.ADMIN}),
    Route("/v1/triggers/{identifier}/run", partial(Sending, again=deliveries.run_now), {"POST": Scope.ADMIN}),
    Route("/v1/triggers/{identifier}/runs", Runs, {"GET": Scope.ADMIN}),
    Route("/v1/webhooks/{identifier}/rotate-secret", SecretRotation, {"POST": Scope.ADMIN}),
    Route("/v1/deliveries", Deliveries, {"GET": Scope.ADMIN}),
    Route("/v1/deliveries/{identifier}", Delivery, {"GET": Scope.ADMIN}),
    Route("/v1/deliveries/{identifier}/redeliver", partial(Sending, again=deliveries.redelivery), {"POST": Scope.ADMIN}),
    Route("/v1/events/{identifier}/replay", partial(Sending, again=deliveries.event_replay), {"POST": Scope.ADMIN}),
    Route("/v1/events/replay", partial(Sending, again=deliveries.range_replay, takes=deliveries.RANGE), {"POST": Scope.ADMIN}),
    Route("/v1/webhooks/{identifier}/test", partial(Sending, again=deliveries.webhook_test), {"POST": Scope.ADMIN}),
    Route(
        "/v1/webhooks/{identifier}/recover",
        partial(Sending, again=deliveries.recovery, takes=deliveries.RECOVERY),
        {"POST": Scope.ADMIN},
    ),
    Route(DEMAND_SIGNAL.path, partial(DemandSignals, kind=DEMAND_SIGNAL), {"GET": ANY, "POST": Scope.PLANNER}),
    Route(
        f"{DEMAND_SIGNAL.path}/{{identifier}}",
        partial(DemandSignal, kind=DEMAND_SIGNAL),
        {"GET": ANY, "PATCH": Scope.PLANNER, "DELETE": Scope.PLANNER},
    ),
    *(
        Route(kind.path, partial(Collection, kind=kind), {"GET": ANY, "POST": Scope(kind.create_scope)})
        for kind in POSTED.values()
        if kind is not DEMAND_SIGNAL
    ),
    *(
        Route(f"{kind.path}/{{identifier}}", partial(Item, kind=kind), {"GET": ANY, "PATCH": Scope(kind.create_scope)})
        for kind in PATCHED.values()
        if kind is not DEMAND_SIGNAL
    ),
    Route(MAINTENANCE_LOG.path, partial(Collection, kind=MAINTENANCE_LOG), {"GET": ANY}),
    Route(f"{MAINTENANCE_LOG.path}/{{identifier}}", partial(Item, kind=MAINTENANCE_LOG), {"GET": ANY}),
    Route("/v1/assets/{identifier}/maintenance-logs", AssetLog, {"GET": ANY, "POST": Scope.TECHNICIAN}),
    Route("/v1/assets/{identifier}/history", AssetHistory, {"GET": ANY}),
    Route(ATTACHMENT.path, partial(Attachments, kind=ATTACHMENT), {"GET": ANY, "POST": Scope.TECHNICIAN}),
    Route(f"{ATTACHMENT.path}/initiate", Initiation, {"POST": Scope.TECHNICIAN}),
    Route(f"{ATTACHMENT.path}/complete", Completion, {"POST": Scope.TECHNICIAN}),
    Route(f"{ATTACHMENT.path}/{{identifier}}", partial(Attachment, kind=ATTACHMENT), {"GET": ANY, "DELETE": Scope.TECHNICIAN}),
    Route(f"{ATTACHMENT.path}/{{identifier}}/content", partial(Bytes, link=download_link), {"GET": ANY}),
    Route(f"{ATTACHMENT.path}/{{identifier}}/thumbnail", partial(Bytes, link=thumbnail_link), {"GET": ANY}),
    Route("/v1/blobs/{name}", Blobs, {"GET": PUBLIC, "PUT": PUBLIC}),
    Route(SUPPLY_SNAPSHOT.path, partial(Collection, kind=SUPPLY_SNAPSHOT), {"GET": ANY}),
    Route(f"{SUPPLY_SNAPSHOT.path}/{{identifier}}", partial(Item, kind=SUPPLY_SNAPSHOT), {"GET": ANY}),
    Route(SHORTFALLS, Shortfalls, {"GET": ANY}),
    *(Route(f"{kind.path}/{{identifier}}/revisions", partial(Revisions, kind=kind), {"GET": ANY}) for kind in KINDS.values()),
    *(Route(f"{kind.path}/{{identifier}}/revisions/{{number}}", partial(PastState, kind=kind), {"GET": ANY}) for kind in KINDS.values()),
    *(Route(path, partial(Answers, question=question, path=path), {"GET": ANY}) for path, question in QUESTIONS.items()),
    Route(FREE_UNITS, FreeUnits, {"GET": ANY}),
    Route("/v1/rent-actions/{identifier}/submit", partial(ReservationStep, step=Step.SUBMIT), {"POST": Scope.PLANNER}),
    Route("/v1/rent-actions/{identifier}/approve", partial(ReservationStep, step=Step.APPROVE), {"POST": Scope.APPROVER}),
    Route("/v1/rent-actions/{identifier}/reject", partial(ReservationStep, step=Step.REJECT), {"POST": Scope.APPROVER}),
    Route("/v1/rent-actions/{identifier}/cancel", partial(ReservationStep, step=Step.CANCEL), {"POST": Scope.APPROVER}),
    Route("/v1/rent-actions/{identifier}/check-out", partial(Custody, step=Step.CHECK_OUT), {"POST": Scope.ALLOCATOR}),
    Route("/v1/rent-actions/{identifier}/return", partial(Custody, step=Step.RETURN), {"POST": Scope.ALLOCATOR}),
    Route("/v1/rent-actions/{identifier}/fulfill", partial(ReservationStep, step=Step.FULFILL), {"POST": Scope.ALLOCATOR}),
    Route("/v1/rent-actions/{identifier}/allocate", partial(ReservationStep, step=Step.ALLOCATE), {"POST": Scope.ALLOCATOR}),
    Route("/v1/rent-actions/{identifier}/release-allocations", partial(ReservationStep, step=Step.RELEASE), {"POST": Scope.ALLOCATOR}),
    Route("/v1/rent-actions/{identifier}/allocations", Allocations, {"GET": ANY}),
    Route(
        "/v1/rent-actions/{identifier}/allocations/{allocation}/swap", partial(ReservationStep, step=Step.SWAP), {"POST": Scope.ALLOCATOR}
    ),
    Route("/v1/rent-actions/{identifier}/conflicts", Conflicts, {"GET": ANY}),
)


class Router(CompiledRouter):
    """Opens exactly the methods that a route lists, with HEAD beside GET and OPTIONS everywhere: no method is open by oversight."""

    def map_http_methods(self, resource: object, **options: Any) -> dict[str, Any]:
        """Method → responder, for the methods of `route`."""
        route: Route = options["route"]
        responders = {method: getattr(resource, f"on_{method.lower()}") for method in route.needs}
        if "GET" in responders:
            responders["HEAD"] = responders["GET"]
        named = {name: attribute for name, (method, attribute) in _ACCEPTED.items() if method in route.needs}
        accepted = {name: ", ".join(getattr(resource, attribute)) for name, attribute in named.items() if hasattr(resource, attribute)}
        opened = discovery.PREFLIGHT if getattr(resource, "is_published", False) else {}
        answer = partial(_options_answer, headers={"Allow": ", ".join(route.methods), **accepted, **opened})
        return {**responders, "OPTIONS": answer}


_ACCEPTED = {"Accept-Post": ("POST", "accept_post"), "Accept-Patch": ("PATCH", "accept_patch")}
"""Header of OPTIONS → the method it is about, and the attribute of an endpoint that has its media types."""


def _options_answer(_req: falcon.Request, resp: falcon.Response, headers: Mapping[str, str], **_fields: str) -> None:
    resp.status = falcon.HTTP_204
    resp.set_headers(dict(headers))


def needs_of(routes: tuple[Route, ...]) -> Mapping[str, Mapping[str, Needed]]:
    """Template → method → what it asks for, HEAD included."""
    return {route.template: {**route.needs, **({"HEAD": route.needs["GET"]} if "GET" in route.needs else {})} for route in routes}


def create_app(parts: Parts) -> "falcon.App[falcon.Request, falcon.Response]":
    """The WSGI application over these parts."""
    conversation = Conversation(links.of_everything(parts.settings.base_iri), parts.meters)
    around: list[Any] = [
        Browsers(parts.settings),
        conversation,
        Authentication(parts, needs_of(ROUTES), Requesters(parts), Throttle(parts.settings)),
    ]
    app = falcon.App(router=Router(), middleware=around)
    Problems(parts.settings.base_iri, {route.template: route.methods for route in ROUTES}, pages_of(parts)).install(app)
    for route in ROUTES:
        app.add_route(route.template, route.endpoint(parts), route=route)
    return app
