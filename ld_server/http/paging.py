"""
Pages of a collection: keyset paging by the number of the resource, so that pages stay stable under writes.

The cursor is opaque to clients; inside it names the collection and the last number that was shown.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ld_server.domain.errors import InvalidParameter
from ld_server.resources.kind import Filter

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
PAGE_PARAMETERS = ("limit", "after")

_LIMIT = re.compile(r"[0-9]{1,9}\Z")
_CURSOR = re.compile(r"([A-Za-z_0-9]+):([0-9]{1,18})\Z")


@dataclass(frozen=True)
class Page:
    """How many members are shown, and after which number; None starts at the beginning."""

    limit: int = DEFAULT_LIMIT
    after: int | None = None


def page_of(parameters: Mapping[str, str], collection: str) -> Page:
    """The page that `limit` and `after` ask for. Raises InvalidParameter."""
    limit = _limit(parameters["limit"]) if "limit" in parameters else DEFAULT_LIMIT
    return Page(limit, read_cursor(parameters["after"], collection) if "after" in parameters else None)


def _limit(text: str) -> int:
    if not _LIMIT.match(text) or not 1 <= int(text) <= LARGEST_LIMIT:
        raise InvalidParameter(f"limit must be a whole number from 1 to {LARGEST_LIMIT}.", parameter="limit")
    return int(text)


def cursor(collection: str, number: int) -> str:
    """What `after` takes to go on behind this number."""
    return base64.urlsafe_b64encode(f"{collection}:{number}".encode()).rstrip(b"=").decode()


def read_cursor(text: str, collection: str) -> int:
    """The number in a cursor of this collection. Raises InvalidParameter for anything else."""
    match = _CURSOR.match(_decoded(text))
    if match is None or match[1] != collection:
        raise InvalidParameter("after must be a cursor that this collection gave out; take it from the next link.", parameter="after")
    return int(match[2])


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""


def conditions(parameters: Mapping[str, str], filters: Mapping[str, Filter]) -> list[tuple[str, str, Any]]:
    """Column, operator and value for every filter that is given. Raises InvalidParameter for a value that it does not take."""
    given = ((name, text, filters[name]) for name, text in parameters.items() if name in filters)
    return [(one.column, one.operator, _value(name, text, one)) for name, text, one in given]


def _value(name: str, text: str, one: Filter) -> Any:
    if one.allowed and text not in one.allowed:
        raise InvalidParameter(f"{name} must be one of {', '.join(one.allowed)}, not {text!r}.", parameter=name, allowed=list(one.allowed))
    try:
        return one.read(text)
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(f"{name} cannot be {text!r}: {error}.{_plus_hint(text)}", parameter=name) from None


def _plus_hint(text: str) -> str:
    return " (In a query string `+` means a blank; write %2B.)" if " " in text else ""


@dataclass(frozen=True)
class CollectionPage:
    """
    One page of a collection as it is shown. `iri` is the collection's, `filters` the parameters that narrow it,
    `total` the number of members on all pages, `next_after` the cursor of the next page, if there is one.
    """

    iri: str
    filters: Mapping[str, str]
    page: Mapping[str, str]
    total: int
    next_after: str | None

    @property
    def next(self) -> str | None:
        """The IRI of the next page."""
        if self.next_after is None:
            return None
        limit = {"limit": self.page["limit"]} if "limit" in self.page else {}
        return _with_query(self.iri, {**self.filters, **limit, "after": self.next_after})

    def document(self, context: object) -> dict[str, Any]:
        """Everything but the members, in Hydra's terms."""
        view = {"@id": _with_query(self.iri, {**self.filters, **self.page}), "@type": "PartialCollectionView"}
        return {
            "@context": context,
            "@id": _with_query(self.iri, self.filters),
            "@type": "Collection",
            "totalItems": self.total,
            "view": {**view, "next": self.next} if self.next else view,
        }


def collection_page(iri: str, parameters: Mapping[str, str], total: int, next_after: str | None) -> CollectionPage:
    """The page that a request with these parameters asked for."""
    page = {name: parameters[name] for name in PAGE_PARAMETERS if name in parameters}
    filters = {name: value for name, value in parameters.items() if name not in PAGE_PARAMETERS}
    return CollectionPage(iri, filters, page, total, next_after)


def cut(numbers: Sequence[int], page: Page, collection: str) -> tuple[int, str | None]:
    """How many of `limit + 1` found members are shown, and the cursor behind the last of them when more follow."""
    if len(numbers) <= page.limit:
        return len(numbers), None
    return page.limit, cursor(collection, numbers[page.limit - 1])


def _with_query(iri: str, parameters: Mapping[str, str]) -> str:
    return f"{iri}?{urlencode(parameters)}" if parameters else iri
