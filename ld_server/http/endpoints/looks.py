"""`/pages/…`: the style sheet and the icon of the pages for people. They are ours, small, and all that a page loads."""

from collections.abc import Mapping

import falcon

from ld_server.domain.errors import NotFound
from ld_server.http.negotiation import Medium
from ld_server.http.pages.pages import STATIC
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import content_tag, not_modified
from ld_server.services.parts import Parts

MEDIA: Mapping[str, Medium] = {".css": Medium("css", "text/css"), ".svg": Medium("svg", "image/svg+xml")}
"""What is served, by the extension of its file."""

CACHE_CONTROL = "public, no-cache"
"""Kept, and asked for again each time: an upgrade of the server changes pages and style sheet together."""

HEADERS: Mapping[str, str] = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"}


class Looks:
    """The files, kept in memory."""

    def __init__(self, _parts: Parts) -> None:
        """They look alike in every deployment."""
        self._files = {file.name: (MEDIA[file.suffix], file.read_bytes()) for file in STATIC.iterdir() if file.suffix in MEDIA}

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """A file by its name."""
        query_parameters(req.query_string)
        if name not in self._files:
            raise NotFound(f"There is no {name!r} among the files of the pages.")
        medium, content = self._files[name]
        resp.set_headers({**HEADERS, "Cache-Control": CACHE_CONTROL})
        if not_modified(req, resp, content_tag(content, medium)):
            return
        resp.content_type = medium.content_type
        resp.data = content
