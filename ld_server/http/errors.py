"""
How a refusal leaves the house: ONE table from the classes of `ld_server.domain.errors` to slug and status, and the
renderer of problem documents (RFC 9457). Falcon's own errors and everything unexpected leave the same way.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import falcon
import orjson
from falcon.constants import HTTP_METHODS

from ld_server.domain import errors
from ld_server.domain.errors import Refusal, Report, ResourcesRefused, ShapeViolation
from ld_server.http.authentication import BASIC_CHALLENGE, BROWSABLE
from ld_server.http.body import PATCHABLE
from ld_server.http.negotiation import HTML, Wanted, negotiate
from ld_server.http.pages.pages import PAGE_HEADERS, Pages
from ld_server.rdf import codecs
from ld_server.rdf.formats import BY_MEDIA_TYPE, FORMATS, JSON
from ld_server.rdf.validation import merged_reports

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """A kind of problem: the last segment of its type, its status, and what the client can do about it."""

    slug: str
    status: int
    advice: str


PROBLEMS: Mapping[type[Refusal], Problem] = {
    errors.MalformedRequest: Problem("malformed-request", 400, "Send a request line and headers that RFC 9112 allows, and shorter ones."),
    errors.MalformedBody: Problem("malformed-body", 400, "Send a body that is well-formed in the media type that Content-Type names."),
    errors.UnknownContext: Problem("unknown-context", 400, "Name one of the contexts under /contexts, or write the definitions inline."),
    errors.InvalidParameter: Problem("invalid-parameter", 400, "Correct the parameter or header that the detail names."),
    errors.QueryRefused: Problem("query-refused", 400, "Send a SELECT, ASK, CONSTRUCT or DESCRIBE query without SERVICE."),
    errors.QueryLimitExceeded: Problem("query-limit-exceeded", 400, "Ask for less: a LIMIT, a narrower pattern, a shorter window."),
    errors.Unauthenticated: Problem("unauthenticated", 401, "Send a valid key as `Authorization: Bearer …` or `X-Api-Key: …`."),
    errors.Forbidden: Problem("forbidden", 403, "Use a key that has the scope which the problem names."),
    errors.OwnReservation: Problem("own-reservation", 403, "Ask somebody to approve it who has neither made it nor is to get it."),
    errors.LinkRefused: Problem("link-refused", 403, "Ask for a new link: GET the attachment, or initiate the upload again."),
    errors.NotFound: Problem("not-found", 404, "Check the path and the identifier; `/` lists what there is."),
    errors.MethodNotAllowed: Problem("method-not-allowed", 405, "Use one of the methods in the Allow header."),
    errors.NotAcceptable: Problem("not-acceptable", 406, "Accept one of the media types that the problem lists."),
    errors.TransitionRefused: Problem("transition-refused", 409, "Take one of the steps that the problem lists."),
    errors.InsufficientAvailability: Problem("insufficient-availability", 409, "Ask for fewer units, or another window."),
    errors.Duplicate: Problem("duplicate", 409, "Use another value, or change the resource that has it already."),
    errors.NotUploaded: Problem("not-uploaded", 409, "Upload the file to `uploadUrl` first, all of it, and then complete."),
    errors.InUse: Problem("in-use", 409, "Free what the problem names first, or deactivate the resource and make another one."),
    errors.NotDeliverable: Problem("not-deliverable", 409, "Enable the webhook first, or send to another one."),
    errors.IdempotencyInProgress: Problem("idempotency-in-progress", 409, "Wait a moment and send the same request again."),
    errors.Gone: Problem("gone", 410, "Read its revisions, if you want to know what was there."),
    errors.NoLongerKept: Problem("no-longer-kept", 410, "Read the resources for what you have missed, and go on where the problem says."),
    errors.Stale: Problem("precondition-failed", 412, "Read the resource again and decide anew, then send its new ETag."),
    errors.TooLarge: Problem("payload-too-large", 413, "Send less in one request."),
    errors.UnsupportedMediaType: Problem("unsupported-media-type", 415, "Send a media type that Accept-Post or Accept-Patch lists."),
    errors.RangeNotSatisfiable: Problem("range-not-satisfiable", 416, "Ask for bytes that are there: Content-Range says how many."),
    errors.ShapeViolation: Problem("shape-violation", 422, "Correct the values that `violations` lists; the shapes are under /shapes."),
    errors.ContentRefused: Problem("content-refused", 422, "Send the file that was announced: a sound one, of an allowed type."),
    errors.UnknownReference: Problem("unknown-reference", 422, "Refer to a resource that exists."),
    errors.UnknownTerm: Problem("unknown-term", 422, "Use the term that is suggested, or define your own in an inline context."),
    errors.ResourcesRefused: Problem("resources-refused", 422, "Correct the resources that `reports` lists, and send all of them again."),
    errors.IdempotencyMismatch: Problem("idempotency-mismatch", 422, "Use a new Idempotency-Key for a new request."),
    errors.RateLimited: Problem("rate-limited", 429, "Wait as long as Retry-After says."),
    errors.StoreUnavailable: Problem("store-unavailable", 503, "Wait as long as Retry-After says; /health/ready says what is down."),
}  # fmt: skip

INTERNAL = Problem("internal-error", 500, "Try again; if it persists, tell the operator the correlation id.")
INTERNAL_TITLE = "Something went wrong here"

TITLES: Mapping[str, tuple[str, Problem]] = {
    **{problem.slug: (refusal.title(), problem) for refusal, problem in PROBLEMS.items()},
    INTERNAL.slug: (INTERNAL_TITLE, INTERNAL),
}
"""Slug → title and problem, for the pages under /problems."""


def _allow(refusal: Refusal) -> dict[str, str]:
    return {"Allow": ", ".join(refusal.members.get("allowed", ()))}


def _accepted(refusal: Refusal) -> dict[str, str]:
    """What could be sent instead: RFC 9110, section 15.5.16, asks for Accept-Encoding where it was the coding."""
    supported = refusal.members.get("supported", ())
    header = "Accept-Patch" if tuple(supported) == PATCHABLE else "Accept-Post"
    return {header: ", ".join(supported)} if supported else {"Accept-Encoding": "identity"}


def _challenge(_refusal: Refusal) -> dict[str, str]:
    return {"WWW-Authenticate": 'Bearer realm="ld-server"'}


def _scope_challenge(refusal: Refusal) -> dict[str, str]:
    scope = f', scope="{refusal.members["scope"]}"' if "scope" in refusal.members else ""
    return {"WWW-Authenticate": f'Bearer realm="ld-server", error="insufficient_scope"{scope}'}


def _size(refusal: Refusal) -> dict[str, str]:
    return {"Content-Range": f"bytes */{refusal.members.get('size', 0)}", "Accept-Ranges": "bytes"}


def _retry_after(refusal: Refusal) -> dict[str, str]:
    return {"Retry-After": str(getattr(refusal, "retry_after", 1))}


HEADERS: Mapping[type[Refusal], Callable[[Refusal], dict[str, str]]] = {
    errors.MethodNotAllowed: _allow,
    errors.UnsupportedMediaType: _accepted,
    errors.Unauthenticated: _challenge,
    errors.Forbidden: _scope_challenge,
    errors.RangeNotSatisfiable: _size,
    errors.StoreUnavailable: _retry_after,
    errors.RateLimited: _retry_after,
    errors.IdempotencyInProgress: _retry_after,
}
"""The headers that HTTP wants beside some of the problems."""

FROM_FALCON: Mapping[int, type[Refusal]] = {
    400: errors.InvalidParameter,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
}

REPORT_OFFERS = (PROBLEM_JSON, *(form.media_type for form in (JSON, *(one for one in FORMATS if one is not JSON))))
"""What a shape violation is offered as; plain JSON means the problem document, RDF the SHACL report."""


PROBLEM_OFFERS = (*REPORT_OFFERS, HTML.media_type)
"""What a client may like best when it reads a problem: the page only where it stands above everything else, as a browser has it."""


def unreadable(base_iri: str, status: int, detail: str, correlation_id: str) -> bytes:
    """The problem document for a request that the server could not even read; `status` says what was wrong with it."""
    problem = PROBLEMS[errors.MalformedRequest]
    document = {
        "type": f"{base_iri}/problems/{problem.slug}",
        "status": status,
        "title": errors.MalformedRequest.title(),
        "detail": detail,
        "correlationId": correlation_id,
    }
    return orjson.dumps(document)


class Problems:
    """Renders every exception that leaves an endpoint, as a document under `<base_iri>/problems/`."""

    def __init__(self, base_iri: str, allowed: Mapping[str, Sequence[str]], pages: Pages) -> None:
        self._base = f"{base_iri}/problems/"
        self._pages = pages
        self._allowed = allowed
        """Template of a route → its methods, for the methods that HTTP itself does not know."""

    def install(self, app: "falcon.App[Any, Any]") -> None:
        """Takes over from Falcon's own handlers."""
        app.add_error_handler(Exception, self.unexpected)
        app.add_error_handler(falcon.HTTPError, self.from_falcon)
        app.add_error_handler(Refusal, self.refused)

    def refused(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal, _params: Any) -> None:
        """A refusal of ours."""
        problem = problem_of(type(refusal))
        resp.set_headers(HEADERS.get(type(refusal), _no_headers)(refusal))
        if _report(req, resp, refusal, problem):
            return
        reports = {"reports": [self._told(one) for one in refusal.reports]} if isinstance(refusal, ResourcesRefused) else {}
        self._render(req, resp, problem, {"title": refusal.title(), "detail": refusal.detail}, {**refusal.members, **reports})

    def _told(self, report: Report) -> dict[str, Any]:
        """One of many refusals, as it would have been told alone."""
        problem, refusal = problem_of(type(report.refusal)), report.refusal
        place = {name: value for name, value in (("pointer", report.pointer), ("focus", report.focus)) if value}
        said = {"type": self._base + problem.slug, "title": refusal.title(), "status": problem.status, "detail": refusal.detail}
        return {**refusal.members, "index": report.index, **place, **said}

    def from_falcon(self, req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: Any) -> None:
        """An error that Falcon raised: an unknown route or method, a header that cannot be read."""
        refusal = self._unknown_method(req) or _as_refusal(req, error)
        if refusal is None:
            self.unexpected(req, resp, error, params)
        else:
            self.refused(req, resp, refusal, params)

    def _unknown_method(self, req: falcon.Request) -> Refusal | None:
        if req.method in HTTP_METHODS:
            return None
        allowed = self._allowed.get(req.uri_template or "", ())
        return errors.MethodNotAllowed(f"{req.method!r} is not a method that this server knows.", allowed=allowed)

    def unexpected(self, req: falcon.Request, resp: falcon.Response, error: Exception, _params: Any) -> None:
        """Our own mistake: the log gets the traceback, the client a correlation id."""
        log.error("%s %s failed (correlation id %s)", req.method, req.path, correlation_id(req), exc_info=error)
        self._render(req, resp, INTERNAL, {"title": INTERNAL_TITLE, "detail": "The error has been logged under the correlation id."}, {})

    def _render(
        self, req: falcon.Request, resp: falcon.Response, problem: Problem, said: Mapping[str, Any], members: Mapping[str, Any]
    ) -> None:
        document = {"type": self._base + problem.slug, "status": problem.status, **said, "correlationId": correlation_id(req)}
        whole = {**document, **{name: value for name, value in members.items() if name not in document}}
        if negotiate(req.env.get("HTTP_ACCEPT"), PROBLEM_OFFERS) == HTML.media_type:
            self._render_page(req, resp, problem, whole)
        else:
            _answer(req, resp, problem, PROBLEM_JSON, as_json(whole))

    def _render_page(self, req: falcon.Request, resp: falcon.Response, problem: Problem, document: Mapping[str, Any]) -> None:
        """The same for people. A browser that lacks a key is told the one way in which it can bring one."""
        wants_key = problem.status == 401 and req.method in BROWSABLE
        page = self._pages.problem(orjson.loads(as_json(document)), problem.advice, wants_key)
        _answer(req, resp, problem, HTML.content_type, page.encode())
        resp.set_headers({**PAGE_HEADERS, **(BASIC_CHALLENGE if wants_key else {})})


def problem_of(refusal: type[Refusal]) -> Problem:
    """The row of a class of refusals, or of the nearest class above it."""
    return next((PROBLEMS[one] for one in refusal.__mro__ if one in PROBLEMS), INTERNAL)


def correlation_id(req: falcon.Request) -> str:
    """The correlation id of the request; empty only where Falcon refused it before anything of ours ran."""
    return str(getattr(req.context, "correlation_id", ""))


def as_json(value: Any) -> bytes:
    """JSON bytes, also of what orjson will not write (integers beyond 64 bits)."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:
        return json.dumps(value, default=str).encode()


def _no_headers(_refusal: Refusal) -> dict[str, str]:
    return {}


def _answer(req: falcon.Request, resp: falcon.Response, problem: Problem, media_type: str, body: bytes) -> None:
    req.context.problem = problem.slug
    resp.status = problem.status
    resp.content_type = media_type
    resp.set_header("Vary", "Accept")
    resp.set_header("Cache-Control", "no-store")
    resp.data = body


def _report(req: falcon.Request, resp: falcon.Response, refusal: Refusal, problem: Problem) -> bool:
    """Answers with the SHACL report when there is one and RDF is what the client likes best."""
    report = _shacl_report(refusal)
    chosen = negotiate(req.env.get("HTTP_ACCEPT"), REPORT_OFFERS)
    form = BY_MEDIA_TYPE.get(chosen or "", JSON)
    if report is None or form is JSON:
        return False
    _answer(req, resp, problem, Wanted(form).content_type, codecs.write(report, form))
    return True


def _shacl_report(refusal: Refusal) -> Any:
    """The SHACL report of a refusal; of several it is one report, if all of them have one."""
    if isinstance(refusal, ShapeViolation):
        return refusal.report
    reports = [_shacl_report(one.refusal) for one in refusal.reports] if isinstance(refusal, ResourcesRefused) else []
    return merged_reports(reports) if reports and None not in reports else None


def _as_refusal(req: falcon.Request, error: falcon.HTTPError) -> Refusal | None:
    kind = FROM_FALCON.get(error.status_code)
    if kind is None:
        return None
    return _DETAILS.get(kind, _described)(kind, req, error)


def _described(kind: type[Refusal], _req: falcon.Request, error: falcon.HTTPError) -> Refusal:
    return kind(error.description or error.title)


def _no_path(kind: type[Refusal], req: falcon.Request, _error: falcon.HTTPError) -> Refusal:
    return kind(f"Nothing has the path {req.path}; / lists what there is.")


def _no_method(kind: type[Refusal], req: falcon.Request, error: falcon.HTTPError) -> Refusal:
    allowed = [one.strip() for one in dict(error.headers or {}).get("Allow", "").split(",") if one.strip()]
    return kind(f"{req.path} does not take {req.method}; it takes {', '.join(allowed)}.", allowed=allowed)


_DETAILS: Mapping[type[Refusal], Callable[[type[Refusal], falcon.Request, falcon.HTTPError], Refusal]] = {
    errors.NotFound: _no_path,
    errors.MethodNotAllowed: _no_method,
}
