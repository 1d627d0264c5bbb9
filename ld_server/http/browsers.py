"""
What browsers are told beside an answer: that they come back by TLS where there is TLS, and which sites' pages may read it.

What is published may be loaded by any page. Everything else takes a key, and is for the pages of those sites alone that LD_CORS_ORIGINS
names. Cookies there are none, so that no site makes a browser say who it is.
"""

import re
from collections.abc import Mapping

import falcon

from ld_server.settings import InvalidSetting, Settings

_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")

TLS: Mapping[str, str] = {"Strict-Transport-Security": "max-age=31536000"}

READABLE = "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Correlation-Id"
SENDABLE = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, X-Api-Key, X-Correlation-Id"
)
"""Headers that pages of the named sites may read, and send."""


class Browsers:
    """Middleware: says this with every answer, refusals included."""

    def __init__(self, settings: Settings) -> None:
        """Raises InvalidSetting for an origin that is none."""
        self._always = TLS if settings.base_iri.startswith("https://") else {}
        self._origins = origins_of(settings)

    def process_response(self, req: falcon.Request, resp: falcon.Response, _resource: object, _succeeded: bool) -> None:
        resp.set_headers(dict(self._always))
        if not self._origins:
            return
        resp.append_header("Vary", "Origin")
        origin = req.env.get("HTTP_ORIGIN", "")
        if origin in self._origins:
            resp.set_headers({"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": READABLE, **_preflight(req, resp)})


def _preflight(req: falcon.Request, resp: falcon.Response) -> dict[str, str]:
    """What a browser wants to know before it sends what a form could not (Fetch, section 3.3.2)."""
    if req.method != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in req.env:
        return {}
    return {
        "Access-Control-Allow-Methods": resp.get_header("Allow") or "",
        "Access-Control-Allow-Headers": SENDABLE,
        "Access-Control-Max-Age": "600",
    }


def origins_of(settings: Settings) -> frozenset[str]:
    """The sites whose pages may ask. Raises InvalidSetting, also for `*`: a key is not for everybody's pages."""
    found = frozenset(one.strip() for one in settings.cors_origins.split(",") if one.strip())
    for one in found:
        if not _ORIGIN.fullmatch(one):
            raise InvalidSetting(f"LD_CORS_ORIGINS must be origins such as https://fleet.example.org with commas between, not {one!r}")
    return found
