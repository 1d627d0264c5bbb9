"""
Entity tags and what requests say about them: RFC 9110, sections 8.8.3 and 13.1.

A tag names a revision and a syntax, `"3-jsonld"`: strong, because equal tags mean equal bytes. The tag of a page for people
also names the edition of the templates, `"3-html-0c5d12ab"`; so does that of what says something for a while only, such as a link.
"""

import hashlib
import re

import falcon

from ld_server.domain.errors import InvalidParameter, Stale
from ld_server.http.negotiation import HTML, RESOURCE_OFFERS, Choice

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|\Z)')
_SYNTAXES = "|".join(sorted({one.key for one in RESOURCE_OFFERS.values()}))
_OURS = re.compile(rf"([1-9][0-9]{{0,17}})-(?:(?:{_SYNTAXES})(?:-[0-9a-f]{{8}})?|{HTML.key}-[0-9a-f]{{8}})\Z")


def entity_tag(revision: int, wanted: Choice, edition: str = "") -> str:
    """The tag of a revision as the client wants it; `edition` is that of the templates, where they have a part in it."""
    return f'"{revision}-{wanted.key}-{edition}"' if edition else f'"{revision}-{wanted.key}"'


def content_tag(content: bytes, wanted: Choice) -> str:
    """The tag of what has no revision: from its bytes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}-{wanted.key}"'


def not_modified(req: falcon.Request, resp: falcon.Response, tag: str) -> bool:
    """
    Says the tag and, when the client has what it names, answers 304 and returns True.

    A GET under `If-Match` that does not hold raises Stale.
    """
    resp.set_header("ETag", tag)
    env = req.env
    if "HTTP_IF_MATCH" in env and not _strongly_matches(env["HTTP_IF_MATCH"], tag):
        raise Stale("The resource is not in the state that If-Match names.")
    if "HTTP_IF_NONE_MATCH" not in env or not weakly_matches(env["HTTP_IF_NONE_MATCH"], tag):
        return False
    resp.status = falcon.HTTP_304
    return True


def weakly_matches(header: str, tag: str) -> bool:
    """Whether a list of tags, or `*`, has the tag, weak or strong. A list that cannot be read has nothing."""
    if header.strip() == "*":
        return True
    return any(f'"{opaque}"' == tag for _, opaque in _tags(header) or ())


def _strongly_matches(header: str, tag: str) -> bool:
    if header.strip() == "*":
        return True
    return any(f'"{opaque}"' == tag for weak, opaque in _tags(header) or () if not weak)


def expected_revisions(header: str | None) -> frozenset[int] | None:
    """
    The revisions that `If-Match` allows; None when any will do.

    A tag of any syntax names its revision. Weak tags and tags that are not ours match nothing (strong comparison).
    Raises InvalidParameter for a header that is not a list of tags.
    """
    if header is None or header.strip() == "*":
        return None
    tags = _tags(header)
    if tags is None:
        raise InvalidParameter('If-Match must be `*` or a list of entity tags in double quotes, as in "3-jsonld".', parameter="If-Match")
    return frozenset(int(ours[1]) for weak, opaque in tags if not weak and (ours := _OURS.match(opaque)))


def _tags(header: str) -> list[tuple[bool, str]] | None:
    """Weakness and text of each tag of a list, or None when it is not one."""
    found, position = [], 0
    while position < len(header):
        match = _TAG.match(header, position)
        if match is None:
            return None
        found.append((match[1] is not None, match[2]))
        position = match.end()
    return found or None
