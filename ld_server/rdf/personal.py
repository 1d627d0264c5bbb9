"""
What is personal: everything that is said of the agent of a reservation but what kind of agent it is, and e-mail addresses wherever
they stand.

Where people are not to be known, a pseudonym stands in place of each such value: the same for the same value, so that reservations can
still be counted by person, and nothing in it can be compared, searched or sorted. HIDDEN is how pseudonyms look, in every syntax.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from pyoxigraph import BlankNode, Literal, NamedNode, Triple

from ld_server.rdf import vocab

Hide = Callable[[str], str]
"""A text → what stands in its place."""

PREFIX = "urn:ld-reservations:hidden:"
HIDDEN = re.compile(rb"urn:ld-reservations:hidden:[A-Za-z0-9_-]+")

_PART = r"[^\s@%<>\"'(),:;\[\]\\/{}|]+"
_ADDRESS = re.compile(rf"{_PART}(?:@|%40){_PART}", re.IGNORECASE)
"""What may be an e-mail address; rather too much than too little."""


def without_persons(triples: Sequence[Triple], hide: Hide) -> list[Triple]:
    """The same graph with pseudonyms in place of what is personal."""
    agents = {one.object for one in triples if one.predicate.value == vocab.AGENT}
    return [_hidden(one, one.subject in agents and one.predicate.value != vocab.TYPE, hide) for one in triples]


def _hidden(triple: Triple, is_of_agent: bool, hide: Hide) -> Triple:
    subject, value = getattr(triple.subject, "value", ""), getattr(triple.object, "value", "")
    if not (is_of_agent or _may_have_address(subject) or _may_have_address(value)):
        return triple
    found = hide(triple.object.value) if is_of_agent and isinstance(triple.object, Literal) else None
    return Triple(_term(triple.subject, None, hide), triple.predicate, _term(triple.object, found, hide))


def _term(term: Any, instead: str | None, hide: Hide) -> Any:
    """A term with another value, or without the addresses in its own."""
    if isinstance(term, BlankNode) or (instead is None and not _may_have_address(getattr(term, "value", ""))):
        return term
    value = without_addresses(term.value, hide) if instead is None else instead
    if isinstance(term, NamedNode):
        return NamedNode(value)
    return Literal(value, language=term.language) if term.language else Literal(value, datatype=term.datatype)


def _may_have_address(text: str) -> bool:
    return "@" in text or "%40" in text


def without_addresses(text: str, hide: Hide) -> str:
    """A text with a pseudonym in place of each e-mail address."""
    return _ADDRESS.sub(lambda match: hide(match[0]), text) if _may_have_address(text) else text


def document_without_persons(body: str, hide: Hide) -> str:
    """The same for a document as it is stored."""
    document = orjson.loads(body)
    if isinstance(document.get("agent"), dict):
        body = orjson.dumps({**document, "agent": _agent(document["agent"], hide)}).decode()
    return without_addresses(body, hide)


def _agent(value: Any, hide: Hide) -> Any:
    if isinstance(value, dict):
        return {key: one if key in ("@id", "@type") else _agent(one, hide) for key, one in value.items()}
    if isinstance(value, list):
        return [_agent(one, hide) for one in value]
    return hide(value) if isinstance(value, str) else value


def with_persons(content: bytes, show: Callable[[str], str | None]) -> bytes:
    """Results in JSON, or a graph in N-Triples, with the values behind the pseudonyms; one that nobody can read stays."""
    return HIDDEN.sub(lambda match: _shown(match[0], show), content) if PREFIX.encode() in content else content


def _shown(pseudonym: bytes, show: Callable[[str], str | None]) -> bytes:
    found = show(pseudonym.decode())
    return pseudonym if found is None else orjson.dumps(found)[1:-1].replace(b"\x7f", b"\\u007F")
