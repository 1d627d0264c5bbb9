"""
The system that builds, as far as planning knows it: a port, and InvenTree behind it, by its REST API.

An order carries the address of our build request as its link, by which it is found again: whoever does not know whether an order was
placed looks for it first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from time import monotonic
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson
import urllib3
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError


class Progress(StrEnum):
    """How far an order is."""

    PLACED = "placed"
    UNDER_WAY = "under way"
    DONE = "done"
    CALLED_OFF = "called off"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be built: so many of the part with this code, because of the build request with this address."""

    identifier: str
    iri: str
    code: str
    quantity: int
    needed_by: date | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order: what the system calls it, and how far it is."""

    ref: str
    progress: Progress


class Unreachable(Exception):
    """The system gave no answer that says anything: nobody knows whether it did what it was asked. Try again later."""


class Refused(Exception):
    """The system has understood and says no; asking again will not help."""


class BuildSystem(Protocol):
    """A system that builds. Each method raises Unreachable and Refused."""

    name: str

    def placed(self, wanted: Wanted) -> Order | None:
        """The order that was placed for this build request, if there is one."""

    def place(self, wanted: Wanted) -> Order:
        """Places an order; whoever calls has looked whether there is one."""

    def order(self, ref: str) -> Order:
        """The order that the system calls so, as it is now."""


PROGRESS: Mapping[int, Progress] = {
    10: Progress.PLACED,
    20: Progress.UNDER_WAY,
    25: Progress.UNDER_WAY,
    30: Progress.CALLED_OFF,
    40: Progress.DONE,
}
"""InvenTree's BuildStatus: pending, production, on hold, cancelled, complete."""

PAGE, MOST_PAGES = 100, 100
"""Members of a page that is asked for, and pages of a list."""

LIST_SECONDS = 60.0
"""For all pages of a list: two lists and an order take less than the lease of a run."""

LARGEST_ANSWER = 4_000_000
"""Bytes."""

MOST_TOLD = 300
"""Characters of an answer that are told."""


class InvenTree:
    """An InvenTree server at an address, spoken to with a token."""

    name = "inventree"

    def __init__(self, url: str, token: str, patience: float) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Token {token}", "Accept": "application/json"}
        self._patience = patience
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(total=patience), retries=False)

    def placed(self, wanted: Wanted) -> Order | None:
        """Titles begin with our identifier and a colon, and are searched; the link decides."""
        found = self._every("/api/build/", search=f"{wanted.identifier}:")
        return next((_order(one) for one in found if one.get("link") == wanted.iri), None)

    def place(self, wanted: Wanted) -> Order:
        """A build order for the part whose IPN is the code of the item type."""
        alike = self._every("/api/part/", IPN=wanted.code)  # InvenTree's filter takes capitals and small letters for the same
        parts = [one for one in alike if one.get("IPN") == wanted.code]
        if len(parts) != 1:
            raise Refused(f"There is {'no part' if not parts else 'more than one part'} with the IPN {wanted.code}.")
        due = {"target_date": wanted.needed_by.isoformat()} if wanted.needed_by else {}
        title = f"{wanted.identifier}: {wanted.quantity} x {wanted.code}"[:100]
        return _order(
            self._ask(
                "POST", "/api/build/", {"part": parts[0]["pk"], "quantity": wanted.quantity, "title": title, "link": wanted.iri, **due}
            )
        )

    def order(self, ref: str) -> Order:
        """By its primary key."""
        return _order(self._ask("GET", f"/api/build/{int(ref)}/"))

    def _every(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """
        The members of a list, page by page. The next page is counted, not followed: an address that an answer names gets no token.

        Raises Unreachable for a list that is too long: whoever has not seen all of it does not know what is there.
        """
        seen, until = 0, monotonic() + LIST_SECONDS
        for _ in range(MOST_PAGES):
            answer = self._ask("GET", f"{path}?{urlencode({**query, 'limit': PAGE, 'offset': seen})}")
            results = _results(answer)
            yield from results
            seen += len(results)
            if not isinstance(answer, dict) or not answer.get("next"):
                return
            if not results or monotonic() > until:
                break
        raise Unreachable(f"GET {path}: the list does not end.")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else orjson.dumps(body)
        headers = self._headers if content is None else {**self._headers, "Content-Type": "application/json"}
        try:
            answer = self._http.request(method, self._url + path, body=content, headers=headers, preload_content=False, redirect=False)
            data = _taken(answer, monotonic() + self._patience)
        except (HTTPError, OSError) as error:
            raise Unreachable(f"{method} {path}: {type(error).__name__}.") from error
        return _read(f"{method} {path}", answer.status, data)


def _taken(answer: BaseHTTPResponse, until: float) -> bytes:
    """The body. Raises HTTPError for one that is too large, or that comes so slowly: urllib3 measures each read alone."""
    found = b""
    while piece := answer.read1(65_536, decode_content=False):
        found += piece
        if monotonic() > until or len(found) > LARGEST_ANSWER:
            answer.close()
            raise HTTPError("The answer does not end.")
    answer.release_conn()
    return found


def _read(what: str, status: int, data: bytes) -> Any:
    """What an answer says. What is wrong with the request itself is refused; the rest, keys included, can be put right meanwhile."""
    if status in (400, 404, 409, 422):
        raise Refused(f"{what}: {status} {data.decode(errors='replace')[:MOST_TOLD]}")
    if not 200 <= status < 300:
        raise Unreachable(f"{what}: {status}.")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Unreachable(f"{what}: the answer is no JSON.") from None


def _results(answer: Any) -> list[dict[str, Any]]:
    """The members of a list, which InvenTree gives with or without a page around it."""
    found = answer.get("results", []) if isinstance(answer, dict) else answer
    return [one for one in found if isinstance(one, dict)]


def _order(answer: Any) -> Order:
    try:
        return Order(str(answer["pk"]), PROGRESS.get(answer["status"], Progress.PLACED))
    except (KeyError, TypeError):
        raise Unreachable("The answer is no build order.") from None
