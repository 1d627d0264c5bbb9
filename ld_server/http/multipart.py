"""Forms with a file (RFC 7578), read from the wire part by part: the file is never held as a whole."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import falcon
from falcon.media.multipart import MultipartForm, MultipartFormHandler
from falcon.util.mediatypes import parse_header

from ld_server.domain.errors import MalformedBody, TooLarge
from ld_server.http.body import media_type_of

FORM_DATA = "multipart/form-data"
CHUNK = 256 * 1024
LONGEST_FIELD = 64 * 1024
"""Bytes of a field that is no file."""
MOST_PARTS = 20
UNKNOWN_LENGTH = 2**62


@dataclass(frozen=True)
class File:
    """The part with the file: its name, its media type, and its bytes, which can be taken once."""

    name: str
    content_type: str
    _stream: Any
    _digest: Any

    def chunks(self, limit: int, announced: int | None = None) -> Iterator[bytes]:
        """The bytes. Raises TooLarge for more than `limit`, or than were announced."""
        size = 0
        while chunk := self._stream.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"An attachment may have at most {limit} bytes.", limit=limit)
            if announced is not None and size > announced:
                raise TooLarge(f"The file was said to have {announced} bytes, and has more.", limit=announced)
            self._digest.update(chunk)
            yield chunk


@dataclass(frozen=True)
class Form:
    """What a form had: its fields, its file, the size of that and its SHA-256."""

    fields: Mapping[str, str]
    file: File | None
    size: int
    digest: str


def form_of(req: falcon.Request, keep: Callable[[File, Mapping[str, str]], int]) -> Form:
    """
    The form of a request. `keep` takes the file, with the fields before it, and gives its size while the rest is still on its way.

    Raises MalformedBody for what is no form, has two files, or ends early, UnsupportedMediaType for another body.
    """
    media_type_of(req, (FORM_DATA,))
    fields: dict[str, str] = {}
    file, size, digest = None, 0, hashlib.sha256()
    try:
        for part in _opened(req):
            name, file_name, content_type = _head(part)
            if file_name is None and name != "file":
                fields[name] = _text(part, name)
            elif file is not None:
                raise MalformedBody("The form has more than one file; attach one at a time.")
            else:
                file = File(file_name or "", content_type, part.stream, digest)
                size = keep(file, fields)
    except falcon.HTTPError as error:
        raise MalformedBody(f"The form cannot be read: {(error.description or error.title or '').rstrip('.')}.") from error
    return Form(fields, file, size, digest.hexdigest())


def _opened(req: falcon.Request) -> MultipartForm:
    _, options = parse_header(req.content_type or "")
    if not 1 <= len(options.get("boundary", "").rstrip()) <= 70:
        raise MalformedBody("Content-Type of a form must have a boundary of 1 to 70 characters.")
    handler = MultipartFormHandler()
    handler.parse_options.max_body_part_count = MOST_PARTS
    handler.parse_options.max_body_part_buffer_size = LONGEST_FIELD
    length = req.content_length
    if length is None:
        length = UNKNOWN_LENGTH if "chunked" in req.env.get("HTTP_TRANSFER_ENCODING", "").lower() else 0
    return handler.deserialize(_Wire(req.stream), req.content_type, length)


class _Wire:
    """The body of a request. A connection that breaks is a body that ends."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int | None = -1, /) -> bytes:
        """Raises MalformedBody when the client is gone."""
        try:
            return bytes(self._stream.read(size))
        except Exception as error:  # each web server has its own
            raise MalformedBody("The body could not be read to its end.") from error


def _head(part: Any) -> tuple[str, str | None, str]:
    """The name of the field, the name of the file where it is one, and the media type."""
    try:
        return part.name or "", part.filename, part.content_type
    except UnicodeDecodeError:
        raise MalformedBody("The head of a part of the form is not UTF-8.") from None


def _text(part: Any, name: str) -> str:
    try:
        return bytes(part.get_data()).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedBody(f"The field {name!r} is not UTF-8.") from None
