"""Parts of a resource: nodes without a name in the world, which are named after the resource they belong to (`#line-1`, `#line-2`, …)."""

from collections.abc import Set
from typing import Any, NoReturn

from pyoxigraph import Literal, NamedNode

from ld_server.domain.errors import ShapeViolation, Violation
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Draft, Node


def name_parts(draft: Draft, property_: str, word: str, class_: str, key: str) -> list[NamedNode]:
    """
    Gives the values of a property of the root the names `#word-1`, `#word-2`, … and their class. `key` is the property's in JSON.

    Raises ShapeViolation when something else has one of these names.
    """
    nodes: list[Node] = [one for one in draft.values(draft.root, property_) if not isinstance(one, Literal)]
    names = {node: part(draft, f"{word}-{number}") for number, node in enumerate(nodes, start=1)}
    _refuse_taken(draft, set(names.values()) - set(nodes), property_, word, key)
    draft.rename(dict(names))
    for position, name in enumerate(names.values()):
        draft.say(name, vocab.TYPE, NamedNode(class_))
        draft.pointers[name.value] = f"/{key}/{position}"
    return list(names.values())


def _refuse_taken(draft: Draft, names: Set[NamedNode], property_: str, word: str, key: str) -> None:
    for name in names:
        if draft.of(name):
            refuse(f"/{key}", property_, name.value, f"#{word}-N names what stands in {key} only")


def part(draft: Draft, fragment: str) -> NamedNode:
    """The name of a part of the root."""
    return NamedNode(f"{iri(draft)}#{fragment}")


def iri(draft: Draft) -> str:
    """The name of the root."""
    return draft.root.value if isinstance(draft.root, NamedNode) else str(draft.root)


def refuse(pointer: str, path: str, value: Any, message: str) -> NoReturn:
    """Raises ShapeViolation with this one violation."""
    raise ShapeViolation(message[0].upper() + message[1:] + ".", [Violation(pointer, path, value, message)])
