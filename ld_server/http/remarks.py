"""What shapes say of a resource without refusing it (sh:Warning, sh:Info): a header `Warning: 299` for each (RFC 7234, section 5.5)."""

from collections.abc import Sequence

import falcon

from ld_server.domain.errors import Violation

HEADER = "Warning"
MOST = 20
"""A header has little room; `?validate=only` tells the same of fewer resources."""


def tell(resp: falcon.Response, remarks: Sequence[Violation]) -> None:
    """Adds what is to be said to an answer: the JSON pointer, and the message of the shape."""
    for one in remarks[:MOST]:
        resp.append_header(HEADER, f'299 ld-server "{_quoted(f"{one.pointer}: {one.message}" if one.pointer else one.message)}"')


def _quoted(text: str) -> str:
    """As it may stand between quotes in a header (RFC 9110, section 5.6.4); what is not ASCII is written as `\\u` and its number."""
    plain = " ".join(text.split()).encode("ascii", "backslashreplace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"')
