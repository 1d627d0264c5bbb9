"""
JSON-LD expansion that remembers where each node and each value object was written, and under which keys.

PyLD does the expansion; it is watched at the two places where it turns an object of the input into one of the output.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyld import jsonld
from pyld.context_resolver import ContextResolver

Json = dict[str, Any]


class Unexpandable(Exception):
    """PyLD does not take this document for JSON-LD."""


@dataclass(frozen=True)
class Written:
    """An object of the input: its JSON pointer, and the keys that it has, by what they expand to (an IRI or a keyword)."""

    pointer: str
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Traced:
    """An expanded document. `written(expanded)` gives the objects of the input that an object in it was made of."""

    document: list[Any]
    _origins: Mapping[int, list[Written]]

    def written(self, expanded: Json) -> list[Written]:
        return self._origins.get(id(expanded), [])


def expand(document: Any, base_iri: str) -> Traced:
    """The expanded form of a document whose contexts are all inline. Raises Unexpandable."""
    processor = _Tracing()
    options = {"base": base_iri, "documentLoader": _load_nothing, "contextResolver": ContextResolver({}, _load_nothing)}
    try:
        expanded = processor.expand(document, options)
    except (jsonld.JsonLdError, RecursionError, TypeError, AttributeError) as error:
        raise Unexpandable from error
    return Traced(expanded, processor.origins)


def _load_nothing(url: str, options: Any) -> Any:
    raise jsonld.JsonLdError("No context is ever fetched.", "jsonld.LoadDocumentError", {"url": url})


class _Tracing(jsonld.JsonLdProcessor):  # type: ignore[misc]  # PyLD has no types
    """PyLD's processor, for one expansion."""

    def __init__(self) -> None:
        super().__init__()
        self.origins: dict[int, list[Written]] = {}
        self._pointers: dict[int, str] = {}
        self._kept: list[Any] = []
        """What the numbers of objects stand for; they would be given again to others."""

    def _expand(self, active_ctx: Any, active_property: Any, element: Any, *arguments: Any, **options: Any) -> Any:
        if not self._pointers:
            self._kept.append(element)
            self._pointers = {id(one): place for one, place in _objects(element)} or {0: ""}
        return super()._expand(active_ctx, active_property, element, *arguments, **options)

    def _expand_object(
        self,
        active_ctx: Any,
        active_property: Any,
        expanded_active_property: Any,
        element: Json,
        expanded_parent: Json,
        *rest: Any,
        **options: Any,
    ) -> None:
        if id(element) in self._pointers:
            keys = {self._expand_iri(active_ctx, key, vocab=True): key for key in element if key != "@context"}
            self._kept.append(expanded_parent)
            self.origins.setdefault(id(expanded_parent), []).append(Written(self._pointers[id(element)], keys))
        super()._expand_object(active_ctx, active_property, expanded_active_property, element, expanded_parent, *rest, **options)


def _objects(value: Any) -> Iterator[tuple[Json, str]]:
    """Every object in a JSON value with its JSON pointer."""
    ahead: list[tuple[Any, str]] = [(value, "")]
    while ahead:
        one, place = ahead.pop()
        if isinstance(one, dict):
            yield one, place
            ahead.extend((child, f"{place}/{token(key)}") for key, child in one.items() if key != "@context")
        elif isinstance(one, list):
            ahead.extend((child, f"{place}/{position}") for position, child in enumerate(one))


def token(key: str) -> str:
    """A key as it stands in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def key(token: str) -> str:
    """And back."""
    return token.replace("~1", "/").replace("~0", "~")


def at(document: Any, pointer: str) -> Any:
    """What stands at a JSON pointer; None where nothing does."""
    for one in pointer.split("/")[1:]:
        if isinstance(document, list) and one.isdecimal() and int(one) < len(document):
            document = document[int(one)]
        elif isinstance(document, dict) and key(one) in document:
            document = document[key(one)]
        else:
            return None
    return document
