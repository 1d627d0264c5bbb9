"""
How often who may ask: so many requests in a minute, counted in buckets that fill up again as time goes by.

A principal has a bucket, and so has an address for requests without a key and for keys that are none. Each web server process counts for
itself. Whoever has too much is told when to come back, in the header fields of draft-ietf-httpapi-ratelimit-headers-11.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import falcon

from ld_server.domain.errors import RateLimited
from ld_server.settings import InvalidSetting, Settings

WINDOW = 60
"""Seconds for which limits are said."""

MOST_BUCKETS = 10_000
"""Those that were used least recently are forgotten, and so are full."""

FREE = frozenset(("/health/live", "/health/ready"))
"""What monitors ask, whose answer must not depend on what others do from behind the same address."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Standing:
    """What is left of a quota, and the seconds until there is one more; none while something is left."""

    left: int
    wait: float


class Buckets:
    """A bucket for each name, all of one size. `seconds` is a clock that only goes forward."""

    def __init__(self, size: int, seconds: Callable[[], float] = time.monotonic) -> None:
        self.size = size
        self._seconds = seconds
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._changing = Lock()

    def take(self, name: str) -> Standing:
        """Takes one out, where there is one."""
        with self._changing:
            level, now = self._level(name), self._seconds()
            self._levels[name] = (max(level - 1, 0.0) if level >= 1 else level), now
            self._levels.move_to_end(name)
            if len(self._levels) > MOST_BUCKETS:
                self._levels.popitem(last=False)
        return self._standing(level - 1)

    def look(self, name: str) -> Standing:
        """As `take`, and takes nothing."""
        with self._changing:
            level = self._level(name)
        return self._standing(level - 1)

    def _level(self, name: str) -> float:
        level, at = self._levels.get(name, (float(self.size), 0.0))
        return min(float(self.size), level + (self._seconds() - at) * self.size / WINDOW)

    def _standing(self, left: float) -> Standing:
        return Standing(math.floor(max(left, 0.0)), 0.0 if left >= 0 else -left * WINDOW / self.size)


class Throttle:
    """The limits of a deployment; a limit of 0 is none."""

    def __init__(self, settings: Settings) -> None:
        """Raises InvalidSetting for proxies that cannot be read."""
        self._principals = Buckets(settings.rate_limit) if settings.rate_limit else None
        self._addresses = Buckets(settings.rate_limit_address) if settings.rate_limit_address else None
        self._guesses = Buckets(settings.failed_keys) if settings.failed_keys else None
        self._proxies = proxies_of(settings)

    def admit(self, principal: str, resp: falcon.Response) -> None:
        """Counts a request of a principal. Raises RateLimited."""
        _admit(self._principals, "principal", principal, resp)

    def admit_unknown(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Counts a request without a key. Raises RateLimited."""
        if req.uri_template not in FREE:
            _admit(self._addresses, "address", self._address(req), resp)

    def refuse_guessing(self, req: falcon.Request) -> None:
        """Raises RateLimited where too many keys from this address were none: no more are looked up."""
        if self._guesses is not None:
            _refuse(self._guesses.look(self._address(req)), "Too many keys from this address were none.")

    def count_guess(self, req: falcon.Request) -> None:
        """A key was none."""
        if self._guesses is not None:
            self._guesses.take(self._address(req))

    def _address(self, req: falcon.Request) -> str:
        return client_of(req.remote_addr, req.env.get("HTTP_X_FORWARDED_FOR", ""), self._proxies)


def _admit(buckets: Buckets | None, policy: str, name: str, resp: falcon.Response) -> None:
    if buckets is None:
        return
    standing = buckets.take(name)
    resp.set_header("RateLimit-Policy", f'"{policy}";q={buckets.size};w={WINDOW}')
    resp.set_header("RateLimit", f'"{policy}";r={standing.left};t={math.ceil(standing.wait) or WINDOW}')
    _refuse(standing, "Too many requests in too short a time.")


def _refuse(standing: Standing, detail: str) -> None:
    if standing.wait > 0:
        raise RateLimited(detail, retry_after=math.ceil(standing.wait))


# --- addresses ------------------------------------------------------------------------------------------------------------


def proxies_of(settings: Settings) -> tuple[Network, ...]:
    """The proxies that are believed. Raises InvalidSetting."""
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in settings.trusted_proxies.split(",") if one.strip())
    except ValueError as error:
        raise InvalidSetting(f"LD_TRUSTED_PROXIES must be addresses or networks with commas between: {error}") from None


def client_of(peer: str, forwarded: str, proxies: tuple[Network, ...]) -> str:
    """
    The address that a request comes from: the last in X-Forwarded-For that is no proxy of ours, where our proxies have written it.

    Of IPv6 it is the network of 64 bits, since whoever has one has all of it.
    """
    chain = [*(one.strip() for one in forwarded.split(",")), peer] if forwarded else [peer]
    while len(chain) > 1 and _is_within(chain[-1], proxies):
        chain.pop()
    return _network(chain[-1])


def _is_within(address: str, proxies: tuple[Network, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in one for one in proxies)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)
