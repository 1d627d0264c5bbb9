"""Request bodies: bounded, in UTF-8, in a syntax that can be read. Nothing beyond the limit is ever taken from the wire."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import falcon

from ld_server.domain.errors import MalformedBody, ShapeViolation, TooLarge, UnknownTerm, UnsupportedMediaType, Violation
from ld_server.http.negotiation import MediaRange, parse
from ld_server.http.parameters import hint
from ld_server.rdf import codecs, vocab
from ld_server.rdf.formats import BY_MEDIA_TYPE, JSON, JSON_LD, Format
from ld_server.settings import Settings

_BOM = b"\xef\xbb\xbf"
_UTF8_NAMES = frozenset({"utf-8", "utf8", "us-ascii"})


def read_body(req: falcon.Request, limit: int) -> bytes:
    """
    The bytes of the body, without a byte order mark; at most `limit` of them.

    Raises TooLarge, MalformedBody when it ends early or is not UTF-8, UnsupportedMediaType when it is compressed.
    """
    _refuse_compressed(req)
    announced = req.content_length
    if announced is not None and announced > limit:
        raise _too_large(limit)
    body = _take(req, announced, limit)
    if len(body) > limit:
        raise _too_large(limit)
    if announced is not None and len(body) < announced:
        raise MalformedBody(f"The body ended after {len(body)} of {announced} bytes.")
    return _in_utf8(body)


def _take(req: falcon.Request, announced: int | None, limit: int) -> bytes:
    """A chunked body has no announced length; without that either there is no body (RFC 9112, section 6.3)."""
    if announced is None and "chunked" not in req.env.get("HTTP_TRANSFER_ENCODING", "").lower():
        return b""
    wanted = limit + 1 if announced is None else announced
    chunks: list[bytes] = []
    try:
        while wanted > 0 and (chunk := req.stream.read(wanted)):
            chunks.append(chunk)
            wanted -= len(chunk)
    except Exception as error:  # each web server has its own, for chunks that are none and for connections that break
        raise MalformedBody("The body could not be read to its end.") from error
    return b"".join(chunks)


def _in_utf8(body: bytes) -> bytes:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: byte {error.start} does not fit.") from None
    return body.removeprefix(_BOM)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body has more than {limit} bytes.", limit=limit)


def _refuse_compressed(req: falcon.Request) -> None:
    if req.env.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("The body must not be compressed.")


READABLE: tuple[str, ...] = tuple(BY_MEDIA_TYPE)
"""The media types that a new resource may be posted in."""

STEP_READABLE: tuple[str, ...] = (JSON.media_type, JSON_LD.media_type)
"""The media types of the options of a step."""


MERGE_PATCH, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"

PATCHABLE: tuple[str, ...] = (MERGE_PATCH, JSON_PATCH, JSON.media_type)
"""The media types of patches; plain JSON is read as a merge patch."""


def format_of(req: falcon.Request, readable: Sequence[str] = READABLE) -> Format:
    """The syntax that Content-Type names. Raises UnsupportedMediaType when it is missing, not among these, or not in UTF-8."""
    return BY_MEDIA_TYPE[media_type_of(req, readable)]


def media_type_of(req: falcon.Request, readable: Sequence[str]) -> str:
    """The media type that Content-Type names, without its parameters. Raises UnsupportedMediaType as `format_of` does."""
    media_type = parse(req.content_type or "")
    if media_type is None or media_type.essence not in readable:
        said = f"{req.content_type!r} cannot be read here" if req.content_type else "Content-Type is missing"
        raise UnsupportedMediaType(f"{said}; send {', '.join(readable)}.", supported=list(readable))
    _refuse_charset(media_type, readable)
    return media_type.essence


def _refuse_charset(media_type: MediaRange, readable: Sequence[str]) -> None:
    charset = media_type.parameters.get("charset", "utf-8")
    if charset.lower() not in _UTF8_NAMES:
        raise UnsupportedMediaType(f"The charset {charset!r} cannot be read here; send UTF-8.", supported=list(readable))


@dataclass(frozen=True)
class Shaped:
    """
    An option that is more than a word. `check(value, pointer)` gives what is wrong with a value; `schema` is a JSON Schema of what is
    right, and `example` is right.
    """

    check: Callable[[Any, str], Iterator[Violation]]
    schema: Mapping[str, Any]
    example: Any


Known = Mapping[str, tuple[str, ...] | Shaped | None]
"""The options of a step: name → allowed values, or what else they are; None for any text."""


def read_options(req: falcon.Request, settings: Settings, known: Known) -> tuple[bytes, dict[str, Any]]:
    """
    The body of a step, and the options in it: a JSON object of known options, or nothing at all.

    Raises what read_body and format_of raise, UnknownTerm for an unknown key, ShapeViolation for a wrong value.
    """
    body = read_body(req, settings.max_body_bytes)
    if not body.strip():
        return b"", {}
    format_of(req, STEP_READABLE)
    options = codecs.read_json(body, settings.max_json_depth)
    if not isinstance(options, dict):
        raise MalformedBody("The body must be a JSON object.")
    options.pop("@context", None)
    for name, value in options.items():
        _check_option(name, value, known)
    return body, options


def _check_option(name: str, value: Any, known: Known) -> None:
    if name not in known:
        sentence, members = hint(name, known)
        raise UnknownTerm(f"There is no option {name!r} here. {sentence}", term=name, pointer=f"/{name}", **members)
    violations = list(_complaints(name, value, known[name]))
    if violations:
        raise ShapeViolation(f"{violations[0].message}.", violations)


def _complaints(name: str, value: Any, wanted: tuple[str, ...] | Shaped | None) -> Iterator[Violation]:
    if isinstance(wanted, Shaped):
        yield from wanted.check(value, f"/{name}")
    elif message := _complaint(name, value, wanted):
        yield Violation(f"/{name}", vocab.RSV + name, value, message)


def _complaint(name: str, value: Any, allowed: tuple[str, ...] | None) -> str | None:
    if allowed is not None:
        return None if isinstance(value, str) and value in allowed else f"{name} must be one of {', '.join(allowed)}"
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_OPTION:
        return f"{name} must be a text of 1 to {_LONGEST_OPTION} characters"
    return f"{name} must not have control characters" if _CONTROL.search(value) else None


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LONGEST_OPTION = 10_000
"""Characters of a reason: more than anyone writes, less than a page of the log."""
