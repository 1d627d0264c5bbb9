"""
What belongs to every exchange, whatever it is about: its correlation id, the link to what describes the interface, its line in the
access log, and that it is counted.

The line is one JSON object on the logger `ld_server.access`. It has no query string and no key: those may be secrets.
"""

import logging
import re
import secrets
import time
from datetime import UTC, datetime

import falcon
import orjson

from ld_server.services.correlation import correlation
from ld_server.services.meters import REFUSALS, REQUEST_SECONDS, REQUESTS, Meters

ACCESS = "ld_server.access"
access_log = logging.getLogger(ACCESS)

_CORRELATION_ID = re.compile(r"[\x21-\x7e]{1,128}\Z")


class Conversation:
    """
    Middleware: gives each request its correlation id, says it in the answer, logs the two, and counts the exchange. Every answer has
    `link` as a link.
    """

    def __init__(self, link: str, meters: Meters) -> None:
        self._link = link
        self._meters = meters

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Takes the correlation id of the request, when it is one, or makes a new one. Links may be replaced and added to afterwards."""
        resp.set_header("Link", self._link)
        given = req.env.get("HTTP_X_CORRELATION_ID")
        req.context.started = time.perf_counter()
        req.context.correlation_id = given if given is not None and _CORRELATION_ID.match(given) else new_correlation_id()
        correlation.set(req.context.correlation_id)

    def process_response(self, req: falcon.Request, resp: falcon.Response, _resource: object, _succeeded: bool) -> None:
        """Runs for every answer, errors included."""
        resp.set_header("X-Correlation-Id", getattr(req.context, "correlation_id", "") or new_correlation_id())
        if access_log.isEnabledFor(logging.INFO):
            access_log.info(access_line(req, resp))
        self._count(req, resp)
        correlation.set(None)

    def _count(self, req: falcon.Request, resp: falcon.Response) -> None:
        """What no route has is counted as one, and so are methods that nobody knows: whoever asks does not choose what is counted."""
        method = req.method if req.method in _METHODS else "other"
        route = req.uri_template or "none"
        self._meters.count(REQUESTS, method, route, str(resp.status_code))
        self._meters.observe(REQUEST_SECONDS, _seconds(req), method, route)
        problem = getattr(req.context, "problem", None)
        if problem is not None:
            self._meters.count(REFUSALS, problem)


_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"))


def _seconds(req: falcon.Request) -> float:
    """What the exchange took inside this process so far."""
    now = time.perf_counter()
    return now - float(getattr(req.context, "started", now))


def new_correlation_id() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


def access_line(req: falcon.Request, resp: falcon.Response) -> str:
    """The JSON object of one exchange. `milliseconds` is what it took inside this process."""
    known = req.context
    principal = getattr(known, "principal", None)
    line = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": "INFO",
        "logger": ACCESS,
        "method": req.method,
        "path": req.path,
        "status": resp.status_code,
        "problem": getattr(known, "problem", None),
        "bytes": len(resp.data or b""),
        "milliseconds": round(_seconds(req) * 1000, 2),
        "principal": principal.name if principal else None,
        "correlationId": getattr(known, "correlation_id", None),
    }
    return orjson.dumps(line).decode()
