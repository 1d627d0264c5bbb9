"""
The SPARQL 1.1 Protocol and the Graph Store Protocol as a client: what is sent, and what statuses and failures mean.

This is the only place that knows urllib3. Connections stay open between requests.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ld_server.domain.errors import InvalidParameter, QueryLimitExceeded, StoreUnavailable
from ld_server.sparql import results
from ld_server.sparql.dialects import Parameters, Reply
from ld_server.sparql.digest import Account
from ld_server.sparql.port import Limits

log = logging.getLogger(__name__)

CONNECT_SECONDS = 2.0
CHANGE_SECONDS = 60.0
"""How long one update may take: a batch of the projector is some hundred graphs."""
GRACE_SECONDS = 0.5
"""How much longer than the query's own timeout we listen, so that a server can say itself that it gave up."""
STALE_SECONDS = 1.0
"""A connection that was closed while nobody used it is lost within them."""
CHUNK = 64 * 1024
MOST_TARGETS = 1000
"""URLs that are kept ready: every graph of a graph store has one of its own."""
UNLIMITED = Limits(rows=1 << 62, octets=1 << 62)

GRAPH_WANTED = f"{results.N_TRIPLES}, text/turtle;q=0.5, application/rdf+xml;q=0.4"
_GAVE_UP = ("timeout", "timed out", "time limit", "time-out", "cancel")
"""How servers say that a query took too long, when their status does not."""


@dataclass(frozen=True)
class Endpoints:
    """
    Where a server takes queries and updates, where it keeps graphs, and where it takes quads of any number of graphs at once, all of them
    or none ("" where that is not to be used).
    """

    query: str
    update: str
    graph_store: str = ""
    quads: str = ""


@dataclass(frozen=True)
class _Target:
    """One URL of the server, ready to be asked."""

    pool: urllib3.HTTPConnectionPool
    path: str
    headers: Mapping[str, str]
    account: Account | None


class Wire:
    """
    Requests to one SPARQL server; threads may share it.

    `endpoints` is asked again after a connection failed: a managed server may come back elsewhere. A user in a URL is told to the server,
    or answers its challenges where that is `by_digest`.
    """

    def __init__(self, endpoints: Callable[[], Endpoints], by_digest: bool = False) -> None:
        self._find = endpoints
        self._by_digest = by_digest
        self._accounts: dict[str, Account] = {}
        self._found: Endpoints | None = None
        self._pools = urllib3.PoolManager(maxsize=16, block=False)
        self._targets: dict[str, _Target] = {}

    def query(self, parameters: Parameters, accept: str, timeout: float, limits: Limits) -> Reply:
        """
        A table or a graph, in one of the media types that `results` reads.

        Raises InvalidParameter for a syntax error, QueryLimitExceeded or StoreUnavailable.
        """
        headers = {"Accept": accept, "Content-Type": "application/x-www-form-urlencoded"}
        try:
            reply = self._send(
                "POST", lambda: self._endpoints().query, urlencode(parameters).encode(), headers, timeout + GRACE_SECONDS, limits
            )
        except ReadTimeoutError as error:
            raise results.took_too_long() from error
        _refuse_query(reply)
        return reply

    def update(self, update: str) -> None:
        """Raises StoreUnavailable, or ValueError when the server does not take what is sent."""
        self._change("POST", lambda: self._endpoints().update, update.encode(), "application/sparql-update")

    def put(self, graph: str, triples: bytes) -> None:
        """Replaces one graph by N-Triples, or drops it when there are none. Raises as `update`."""
        method = "PUT" if triples else "DELETE"
        self._change(method, lambda: f"{self._endpoints().graph_store}?graph={quote(graph, safe='')}", triples, "text/turtle")

    def add(self, quads: bytes) -> None:
        """Adds N-Quads to what there is. Raises as `update`."""
        self._change("POST", lambda: self._endpoints().quads, quads, "application/n-quads")

    def takes_quads(self) -> bool:
        return bool(self._endpoints().quads)

    def has_graph_store(self) -> bool:
        return bool(self._endpoints().graph_store)

    def close(self) -> None:
        self._pools.clear()

    def _endpoints(self) -> Endpoints:
        self._found = self._found or self._find()
        return self._found

    def _change(self, method: str, url: Callable[[], str], body: bytes, media_type: str) -> None:
        try:
            reply = self._send(method, url, body, {"Content-Type": media_type}, CHANGE_SECONDS, UNLIMITED)
        except ReadTimeoutError as error:
            raise StoreUnavailable("The SPARQL store does not answer in time.") from error
        if not (reply.status < 300 or (method == "DELETE" and reply.status == 404)):
            raise _refused_change(reply)

    def _send(self, method: str, url: Callable[[], str], body: bytes, headers: Mapping[str, str], timeout: float, limits: Limits) -> Reply:
        """
        The answer to a request. Once more when the connection was lost at once: all that we send may be sent twice, but what the server
        has ended at is not asked of it again.

        Raises ReadTimeoutError, QueryLimitExceeded or StoreUnavailable.
        """
        begin = time.monotonic()
        try:
            return self._exchange(method, url(), body, headers, timeout, limits)
        except ReadTimeoutError:
            raise
        except HTTPError as error:
            self._found = None
            if time.monotonic() - begin > STALE_SECONDS:
                raise StoreUnavailable("The SPARQL store broke off.") from error
        return self._again(method, url(), body, headers, timeout, limits)

    def _again(self, method: str, url: str, body: bytes, headers: Mapping[str, str], timeout: float, limits: Limits) -> Reply:
        try:
            return self._exchange(method, url, body, headers, timeout, limits)
        except ReadTimeoutError:
            raise
        except HTTPError as error:
            raise StoreUnavailable("The SPARQL store cannot be reached now.") from error

    def _exchange(self, method: str, url: str, body: bytes, headers: Mapping[str, str], timeout: float, limits: Limits) -> Reply:
        target = self._target(url)
        patience = urllib3.Timeout(connect=min(CONNECT_SECONDS, timeout), read=timeout)
        deadline = time.monotonic() + timeout
        response = self._begun(target, method, body, headers, patience)
        if target.account is not None and response.status == 401 and target.account.take(response.headers.get("WWW-Authenticate", "")):
            response.close()
            response = self._begun(target, method, body, headers, patience)
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, _ALSO_CALLED.get(media_type, media_type), _read(response, deadline, limits), headers)

    def _begun(
        self, target: _Target, method: str, body: bytes, headers: Mapping[str, str], patience: urllib3.Timeout
    ) -> urllib3.BaseHTTPResponse:
        """The answer, whose body is to be read."""
        who = target.account.answer(method, target.path) if target.account else target.headers
        return target.pool.urlopen(
            method, target.path, body, {**who, **headers}, retries=False, redirect=False, timeout=patience, preload_content=False
        )

    def _target(self, url: str) -> _Target:
        if url not in self._targets:
            if len(self._targets) >= MOST_TARGETS:
                self._targets.clear()
            self._targets[url] = self._new_target(url)
        return self._targets[url]

    def _new_target(self, url: str) -> _Target:
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        account = self._accounts.setdefault(parts.netloc, Account(user, password)) if user and self._by_digest else None
        basic = f"{user}:{password}" if user and account is None else None
        return _Target(self._pools.connection_from_url(url), path, urllib3.make_headers(basic_auth=basic), account)


_ALSO_CALLED = {"application/json": results.JSON, "application/xml": results.XML, "text/xml": results.XML, "text/plain": results.N_TRIPLES}
"""Names under which servers send what they were asked for under its own."""


def _read(response: urllib3.BaseHTTPResponse, deadline: float, limits: Limits) -> bytes:
    """The body of a response. The connection is kept for the next request only if the body was read to its end."""
    parts: list[bytes] = []
    size = 0
    try:
        for part in response.stream(CHUNK):
            parts.append(part)
            size += len(part)
            results.refuse_bytes(size, limits)
            if time.monotonic() > deadline:
                raise results.took_too_long()
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return b"".join(parts)


def _refuse_query(reply: Reply) -> None:
    if reply.status == 400:
        raise InvalidParameter(f"The query cannot be read: {reply.excuse().rstrip('.')}.", parameter="query")
    if reply.status in (408, 504):
        raise results.took_too_long()
    if reply.status >= 300:
        raise given_up(reply.excuse())
    if reply.media_type not in results.TABLES and reply.media_type not in results.GRAPHS:
        log.warning("the SPARQL store answers in %s", reply.media_type)
        raise StoreUnavailable("The SPARQL store answers in a media type that it was not asked for.")


_DATA_EXCEPTION = b"Error 22023"
"""How Virtuoso refuses data that it cannot hold, with 500: a literal of 64 KiB."""


def _refused_change(reply: Reply) -> ValueError | StoreUnavailable:
    if reply.status in (400, 413, 422) or _DATA_EXCEPTION in reply.body:
        return ValueError(f"the SPARQL store refuses an update: {reply.excuse()}")
    log.warning("the SPARQL store answers an update with %s: %s", reply.status, reply.excuse())
    return StoreUnavailable("The SPARQL store cannot be written now.")


def given_up(excuse: str) -> QueryLimitExceeded | StoreUnavailable:
    """What it means that a store did not bring an answer to its end, and said this about it."""
    if any(words in excuse.lower() for words in _GAVE_UP):
        return results.took_too_long()
    log.warning("the SPARQL store broke off an answer: %s", excuse)
    return StoreUnavailable("The SPARQL store broke off its answer.")
