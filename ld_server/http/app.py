"""The web application: every route with what its methods ask for, on one page, and what stands around them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import falcon
from falcon.routing import CompiledRouter

from ld_server.domain.scopes import Scope
from ld_server.domain.status import Step
from ld_server.http.authentication import ANY, Authentication, Needed
from ld_server.http.conversation import Conversation
from ld_server.http.endpoints import discovery
from ld_server.http.endpoints.health import Live, Ready
from ld_server.http.endpoints.reservations import Allocations, ReservationStep
from ld_server.http.endpoints.resources import Collection, Item
from ld_server.http.endpoints.sparql import Sparql
from ld_server.http.errors import Problems
from ld_server.resources import KINDS
from ld_server.services.parts import Parts

PUBLIC = None


@dataclass(frozen=True)
class Route:
    """A path, what makes its endpoint, and what each of its methods asks for. HEAD goes with GET; OPTIONS is public."""

    template: str
    endpoint: Callable[[Parts], object]
    needs: Mapping[str, Needed]

    @property
    def methods(self) -> list[str]:
        """Every method that the route takes."""
        return sorted({*self.needs, "OPTIONS"} | ({"HEAD"} if "GET" in self.needs else set()))


ROUTES: tuple[Route, ...] = (
    Route("/", discovery.entry_point, {"GET": PUBLIC}),
    Route("/contexts", discovery.contexts, {"GET": PUBLIC}),
    Route("/contexts/{name}", discovery.context_pages, {"GET": PUBLIC}),
    Route("/shapes", discovery.shapes, {"GET": PUBLIC}),
    Route("/shapes/{name}", discovery.shape_pages, {"GET": PUBLIC}),
    Route("/ns/reservations", discovery.vocabulary, {"GET": PUBLIC}),
    Route("/problems", discovery.problems, {"GET": PUBLIC}),
    Route("/problems/{name}", discovery.problem_pages, {"GET": PUBLIC}),
    Route("/health/live", lambda parts: Live(), {"GET": PUBLIC}),
    Route("/health/ready", Ready, {"GET": PUBLIC}),
    Route("/v1/sparql", Sparql, {"GET": Scope.ANALYST, "POST": Scope.ANALYST}),
    *(Route(kind.path, partial(Collection, kind=kind), {"GET": ANY, "POST": Scope(kind.create_scope)}) for kind in KINDS.values()),
    *(Route(f"{kind.path}/{{identifier}}", partial(Item, kind=kind), {"GET": ANY}) for kind in KINDS.values()),
    Route("/v1/rent-actions/{identifier}/submit", partial(ReservationStep, step=Step.SUBMIT), {"POST": Scope.PLANNER}),
    Route("/v1/rent-actions/{identifier}/approve", partial(ReservationStep, step=Step.APPROVE), {"POST": Scope.APPROVER}),
    Route("/v1/rent-actions/{identifier}/reject", partial(ReservationStep, step=Step.REJECT), {"POST": Scope.APPROVER}),
    Route("/v1/rent-actions/{identifier}/cancel", partial(ReservationStep, step=Step.CANCEL), {"POST": Scope.APPROVER}),
    Route("/v1/rent-actions/{identifier}/allocations", Allocations, {"GET": ANY}),
)


class Router(CompiledRouter):
    """Opens exactly the methods that a route lists, with HEAD beside GET and OPTIONS everywhere: no method is open by oversight."""

    def map_http_methods(self, resource: object, **options: Any) -> dict[str, Any]:
        """Method → responder, for the methods of `route`."""
        route: Route = options["route"]
        responders = {method: getattr(resource, f"on_{method.lower()}") for method in route.needs}
        if "GET" in responders:
            responders["HEAD"] = responders["GET"]
        answer = partial(_options_answer, allow=", ".join(route.methods), accept_post=", ".join(_accept_post(resource)))
        return {**responders, "OPTIONS": answer}


def _accept_post(resource: object) -> Iterator[str]:
    yield from getattr(resource, "accept_post", ())


def _options_answer(_req: falcon.Request, resp: falcon.Response, allow: str, accept_post: str, **_fields: str) -> None:
    resp.status = falcon.HTTP_204
    resp.set_header("Allow", allow)
    if accept_post:
        resp.set_header("Accept-Post", accept_post)


def needs_of(routes: tuple[Route, ...]) -> Mapping[str, Mapping[str, Needed]]:
    """Template → method → what it asks for, HEAD included."""
    return {route.template: {**route.needs, **({"HEAD": route.needs["GET"]} if "GET" in route.needs else {})} for route in routes}


def create_app(parts: Parts) -> "falcon.App[falcon.Request, falcon.Response]":
    """The WSGI application over these parts."""
    around: list[Any] = [Conversation(), Authentication(parts, needs_of(ROUTES))]
    app = falcon.App(router=Router(), middleware=around)
    Problems(parts.settings.base_iri, {route.template: route.methods for route in ROUTES}).install(app)
    for route in ROUTES:
        app.add_route(route.template, route.endpoint(parts), route=route)
    return app
