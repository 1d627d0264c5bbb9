"""Posts an event to an address, signed. 2xx is success; redirects are not followed; nothing but a judged address is connected to."""

import asyncio
import socket
import ssl
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from ld_server.services.addresses import DEFAULT_PORTS, AddressRefused, Allowed, Place, Resolve, connectable, judge, place_of
from ld_server.services.messages import Post, post, target_of
from workers.actions.job import Job, Means, Outcome
from workers.backoff import wished

LONGEST_HEAD = 1024
"""Bytes of an answer that are read and kept."""

GONE = 410


class JudgedResolver(AbstractResolver):
    """Gives aiohttp the addresses that may be connected to, and no others: what is judged is what is connected to."""

    def __init__(self, allowed: Allowed, resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Raises OSError, which AddressRefused is not: `send` tells the two apart."""
        name = host.removesuffix(".").lower()
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(None, self._resolve, name, port)
        judge(name, addresses, self._allowed)
        return [_found(host, address, port) for address in addresses]

    async def close(self) -> None:
        """There is nothing to close."""


def _found(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)


def open_session(allowed: Allowed, resolve: Resolve, patience: float) -> aiohttp.ClientSession:
    """
    Connections to webhooks. Must be called where an event loop runs. Proxies, cookies and compressed answers are not for us.

    Certificates are verified against the authorities of the machine, or those in the file that SSL_CERT_FILE names.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        ssl=ssl.create_default_context(),
        use_dns_cache=False,
        resolver=JudgedResolver(allowed, resolve),
        keepalive_timeout=5,
        happy_eyeballs_delay=None,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=patience),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept-Encoding", "Accept"),
    )


async def send(job: Job, means: Means) -> Outcome:
    """Posts the message of a job. Whatever goes wrong is told in the outcome."""
    now = means.parts.now()
    if "webhookId" in job.config and job.webhook is None:
        return Outcome(error="The webhook is no longer there.", is_final=True)
    url, secrets = target_of(job.config, job.webhook, means.parts.sealing, now)
    request = post(url, secrets, job.delivery.message_id, job.body(), now)
    try:
        return await _posted(request, means)
    except AddressRefused as refused:
        return Outcome(error=str(refused), headers=request.headers)
    except TimeoutError:
        return Outcome(error=f"The receiver took longer than {means.patience:g} s.", headers=request.headers)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Outcome(error=_told(error), headers=request.headers)


async def _posted(request: Post, means: Means) -> Outcome:
    async with asyncio.timeout(means.patience):
        place = place_of(request.url, DEFAULT_PORTS)
        await _refuse_literal(place, means)
        try:
            return await _answered(request, means)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            return await _answered(request, means)


async def _refuse_literal(place: Place, means: Means) -> None:
    """
    Addresses that stand in the URL itself are not resolved by anybody, so they are judged here.

    Names whose addresses allow nothing but https are refused here, too, before anything is said to them in the open.
    """
    if not _is_name(place.host):
        connectable(place, means.allowed, lambda host, _port: [host])
    elif place.scheme == "http":
        await asyncio.get_running_loop().run_in_executor(None, connectable, place, means.allowed, means.resolve)


def _is_name(host: str) -> bool:
    return ":" not in host and not host.replace(".", "").isdigit()


async def _answered(request: Post, means: Means) -> Outcome:
    """A kept connection may have been closed by the receiver just then; `_posted` tries once more."""
    async with means.session.post(request.url, data=request.body, headers=request.headers, allow_redirects=False) as answer:
        head = await _beginning(answer)
        return _outcome(answer, request, head, means)


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """The first bytes of an answer. What follows is not read; the connection is closed then."""
    found = b""
    while len(found) < LONGEST_HEAD and (chunk := await answer.content.read(LONGEST_HEAD - len(found))):
        found += chunk
    return found


def _outcome(answer: aiohttp.ClientResponse, request: Post, head: bytes, means: Means) -> Outcome:
    told: dict[str, Any] = {"status": answer.status, "headers": request.headers, "head": head.decode("utf-8", "replace").replace("\0", "�")}
    if 200 <= answer.status < 300:
        return Outcome(**told)
    wish = wished(answer.headers.get("Retry-After"), means.parts.now())
    is_gone = answer.status == GONE
    said = "redirects are not followed" if 300 <= answer.status < 400 else "success is 2xx"
    return Outcome(**told, error=f"The receiver answered {answer.status}; {said}.", wish=wish, is_gone=is_gone, is_final=is_gone)


def _told(error: Exception) -> str:
    """What went wrong, without what only we know about our own machine."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "The receiver's certificate or its TLS is not accepted."
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorDNSError | socket.gaierror):
        return "The receiver cannot be reached."
    return f"The exchange with the receiver failed: {type(error).__name__}."
