"""
`/v1/blobs/{name}`: the bytes of attachments that are kept on our own disk. What opens the door is the link itself, which is signed and
expires; no key is asked for. Where the store speaks to clients by itself, there is nothing here.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import falcon

from ld_server.blobs.port import CHUNK
from ld_server.domain.errors import LinkRefused, MalformedBody, NotFound, RangeNotSatisfiable, TooLarge, UnsupportedMediaType
from ld_server.http.negotiation import parse
from ld_server.http.parameters import pairs
from ld_server.http.preconditions import weakly_matches
from ld_server.services.parts import Parts

_NAME = re.compile(r"[a-z]+-[0-9a-f]{32}\Z")
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*\Z", re.IGNORECASE)

HARMLESS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    "Cache-Control": "private, max-age=300",
    "Accept-Ranges": "bytes",
}
"""Whatever somebody has attached: a browser shows it as what it was said to be, and runs nothing of it."""


class Blobs:
    """One blob: written by a link for the upload, read by a link for the download."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """204 when all of it is on the disk; before that, nothing can be seen of it."""
        said = self._opened("PUT", req, name)
        _refuse_another_type(req, said["type"])
        size = int(said["size"])
        if req.content_length is not None and req.content_length != size:
            raise _another_size(req.content_length, size)
        self._parts.blobs.put(name, _exactly(size, req), said["type"])
        resp.status = falcon.HTTP_204

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """The bytes, or one range of them (RFC 9110, section 14)."""
        said = self._opened("GET", req, name)
        blob = self._parts.blobs.head(name)
        if blob is None:
            raise NotFound("The file is not there any more.")
        tag = f'"{name}-{blob.size}"'
        start, end = _range(req, tag, blob.size)
        resp.set_headers({**HARMLESS, "ETag": tag, "Content-Disposition": said["disposition"]})
        if weakly_matches(req.env.get("HTTP_IF_NONE_MATCH", ""), tag):
            resp.status = falcon.HTTP_304
            return
        if (start, end) != (0, blob.size):
            resp.status = falcon.HTTP_206
            resp.set_header("Content-Range", f"bytes {start}-{end - 1}/{blob.size}")
        resp.content_type = said["type"]
        resp.content_length = end - start
        if req.method != "HEAD":
            resp.stream = self._parts.blobs.get(name, start, end)

    def _opened(self, method: str, req: falcon.Request, name: str) -> Mapping[str, str]:
        """What the link says. Raises NotFound where no link leads here, LinkRefused."""
        links = self._parts.blobs.links
        if links is None or not _NAME.match(name):
            raise NotFound("There is no such file.")
        said = pairs(req.query_string)
        if len(dict(said)) != len(said):
            raise LinkRefused("The link was not made here, or has been changed.", reason="tampered")
        return links.opened(method, name, dict(said), self._parts.now())


def _refuse_another_type(req: falcon.Request, expected: str) -> None:
    given = parse(req.content_type or "")
    if given is None or given.essence != expected:
        raise UnsupportedMediaType(f"The file was said to be {expected}; send it with that Content-Type.", supported=[expected])


def _another_size(found: int, announced: int) -> TooLarge | MalformedBody:
    detail = f"The file was said to have {announced} bytes, and has {found}."
    return TooLarge(detail, limit=announced) if found > announced else MalformedBody(detail)


def _exactly(size: int, req: falcon.Request) -> Iterator[bytes]:
    """The chunks of a body. Raises MalformedBody when it ends early, TooLarge when it goes on; whoever takes them then keeps nothing."""
    left = size
    while left > 0:
        chunk = _read(req.stream, min(CHUNK, left))
        if not chunk:
            raise MalformedBody(f"The body ended after {size - left} of {size} bytes.")
        left -= len(chunk)
        yield chunk
    if req.content_length is None and _read(req.stream, 1):
        raise TooLarge(f"The file was said to have {size} bytes, and has more.", limit=size)


def _read(stream: Any, size: int) -> bytes:
    try:
        return bytes(stream.read(size))
    except Exception as error:  # each web server has its own, for chunks that are none and for connections that break
        raise MalformedBody("The body could not be read to its end.") from error


def _range(req: falcon.Request, tag: str, size: int) -> tuple[int, int]:
    """The first byte that is wanted and the one behind the last. What is no single range of bytes counts as not said."""
    wanted = _RANGE.match(req.env.get("HTTP_RANGE", ""))
    if wanted is None or req.method == "HEAD" or req.env.get("HTTP_IF_RANGE", tag).strip() != tag or not (wanted[1] or wanted[2]):
        return 0, size
    first, last = wanted[1], wanted[2]
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if first and last and int(last) < int(first):
        return 0, size
    if start >= end:
        raise RangeNotSatisfiable(f"The file has {size} bytes.", size=size)
    return start, end
