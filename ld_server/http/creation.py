"""What is posted to a collection: one resource, or many of them, which are created all together or not at all."""

import falcon

from ld_server.domain.commands import CreateMany, Creation
from ld_server.domain.errors import Refusal
from ld_server.http import remarks
from ld_server.http.body import format_of, read_body
from ld_server.http.execution import execute, execute_many, wanted_by
from ld_server.http.parameters import query_parameters
from ld_server.http.preferences import VALIDATE
from ld_server.rdf.codecs import Limits
from ld_server.resources.intake import Arrivals, Arrived, take_in_all
from ld_server.resources.kind import Kind
from ld_server.services.parts import Parts


def create(req: falcon.Request, resp: falcon.Response, parts: Parts, kind: Kind) -> None:
    """
    Makes what was posted: 201, for one resource with its address and its representation, for many with a collection of them.

    Raises what is wrong with it in the words of who sent it.
    """
    wanted_by(req)
    query_parameters(req.query_string, (VALIDATE,))
    form = format_of(req)
    body = read_body(req, parts.settings.max_body_bytes)
    arrivals = take_in_all(body, form, kind, parts.naming, parts.contexts, parts.validator, limits_of(parts))
    try:
        if len(arrivals.resources) == 1:
            execute(req, resp, parts, kind.to_create(arrivals.only()), body, status=201)
        else:
            execute_many(req, resp, parts, creations_of(arrivals, kind), body)
    except Refusal as refusal:
        raise arrivals.in_their_words(refusal) from None
    remarks.tell(resp, arrivals.remarks)


def limits_of(parts: Parts) -> Limits:
    """How much a body may bring."""
    settings = parts.settings
    return Limits(settings.max_json_depth, settings.max_triples, settings.max_resources, lines=settings.max_lines)


def creations_of(arrivals: Arrivals, kind: Kind) -> CreateMany:
    """The commands that make what has arrived, and the refusals of what cannot be made."""
    return CreateMany(tuple(_creation(one, kind) for one in arrivals.resources))


def _creation(arrived: Arrived, kind: Kind) -> Creation | Refusal:
    if isinstance(arrived.outcome, Refusal):
        return arrived.outcome
    try:
        creation: Creation = kind.to_create(arrived.outcome)
    except Refusal as refusal:
        return refusal
    return creation
