"""Where units change hands, `check-out` and `return`, and what endangers a reservation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import falcon
import orjson

from ld_server.domain.commands import CheckOutUnits, Command, Document, Expected, ReturnUnits
from ld_server.domain.custody import Handover
from ld_server.domain.status import Step
from ld_server.http import links
from ld_server.http.body import STEP_READABLE
from ld_server.http.execution import execute, occasion_of, wanted_by
from ld_server.http.finding import check_identifier, head_of
from ld_server.http.handovers import COMING_BACK, GOING_OUT, read_handovers
from ld_server.http.paging import PAGE_PARAMETERS, collection_page, cut, page_of
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import expected_revisions
from ld_server.http.preferences import VALIDATE
from ld_server.http.showing import asked, may_be_listed, show_page
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import conflicts
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts


@dataclass(frozen=True)
class Handing:
    """How a step by which units change hands becomes a command, and what its body says of an allocation."""

    make: Callable[[str, Expected, tuple[Handover, ...]], Command]
    known: tuple[str, ...]


HANDINGS: Mapping[Step, Handing] = {
    Step.CHECK_OUT: Handing(CheckOutUnits, GOING_OUT),
    Step.RETURN: Handing(ReturnUnits, COMING_BACK),
}


class Custody:
    """`POST /v1/rent-actions/{identifier}/check-out` and `…/return`: all units, or some."""

    accept_post = STEP_READABLE

    def __init__(self, parts: Parts, step: Step) -> None:
        self._parts = parts
        self._handing = HANDINGS[step]
        self._links = links.of_resource(RENT_ACTION, parts.settings.base_iri)

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """The body may be empty. `If-Match` is compared inside the transaction."""
        wanted_by(req)
        query_parameters(req.query_string, (VALIDATE,))
        check_identifier(self._parts, RENT_ACTION, identifier)
        expected = expected_revisions(req.env.get("HTTP_IF_MATCH"))
        iri = self._parts.naming.iri(identifier)
        body, handovers = read_handovers(req, self._parts.settings, iri, self._handing.known)
        execute(req, resp, self._parts, self._handing.make(identifier, expected, handovers), body)
        resp.set_header("Link", self._links)


class Conflicts:
    """`GET /v1/rent-actions/{identifier}/conflicts`: what endangers the reservation, or keeps it from being approved."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """A page of the conflicts as they are now. They have no numbers that last: a page begins behind so many of them."""
        may_be_listed(req)
        parameters = asked(req, PAGE_PARAMETERS)
        document: Document = orjson.loads(head_of(self._parts, RENT_ACTION, identifier).body)
        bodies = [orjson.dumps(one).decode() for one in self._every(document, occasion_of(req, self._parts))]
        page = page_of(parameters, f"{identifier}_conflicts")
        after = page.after or 0
        numbers = list(range(after + 1, len(bodies) + 1))
        count, following = cut(numbers, page, f"{identifier}_conflicts")
        shown = collection_page(f"{self._parts.naming.iri(identifier)}/conflicts", parameters, len(bodies), following)
        rest = bodies[after:]
        show_page(req, resp, shown, rest[:count], RENT_ACTION, self._parts, lambda: rest)

    def _every(self, document: Document, occasion: Occasion) -> list[Document]:
        with self._parts.ledger.read() as uow:
            return conflicts.of(uow, document, occasion)
