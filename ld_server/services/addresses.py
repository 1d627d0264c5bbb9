"""
Where we may send what others have configured: addresses on the public internet, and what the operator allows besides.

A webhook's URL is written by somebody else, and our network may open doors to us that are shut to them (SSRF). So every address that
a name resolves to is judged, when the webhook is registered and again at every connection, and the address that was judged is the
one that is connected to. URLs are read strictly: what different readers would read differently is refused.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import SplitResult, urlsplit

from ld_server.settings import InvalidSetting, Settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""Host and port → the texts of its addresses. Raises OSError where there are none."""

DEFAULT_PORTS = {"http": 80, "https": 443}
RESOLVING_SECONDS = 3.0
"""How long a registration waits for the name service."""


class AddressRefused(ValueError):
    """We do not send there; the message is a sentence that says why, for whoever wrote the URL."""


@dataclass(frozen=True)
class Allowed:
    """What the operator allows besides the public internet: hosts by name, and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def has(self, host: str, address: Address) -> bool:
        """Whether this address may be connected to under this name, wherever it is."""
        return host in self.hosts or any(address in network for network in self.networks if network.version == address.version)


@dataclass(frozen=True)
class Place:
    """Where a URL leads: scheme, host as it is looked up, port."""

    scheme: str
    host: str
    port: int


def allowed_by(settings: Settings) -> Allowed:
    """What LD_WEBHOOK_ALLOW says: hosts, addresses and networks, separated by commas. Raises InvalidSetting."""
    entries = [one.strip().rstrip(".").lower() for one in settings.webhook_allow.split(",") if one.strip()]
    networks = {entry: _network(entry) for entry in entries}
    for entry, network in networks.items():
        if network is None and not _NAME.match(entry):
            raise InvalidSetting(f"LD_WEBHOOK_ALLOW: {entry!r} is neither a host nor an address nor a network such as 10.1.0.0/16")
    found = tuple(network for network in networks.values() if network is not None)
    return Allowed(frozenset(entry for entry, network in networks.items() if network is None), found)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's name service knows. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def check(url: str, allowed: Allowed, resolve: Resolve = system_resolver) -> Place:
    """
    Where a URL leads that may be registered. Raises AddressRefused.

    A name that cannot be resolved now is not refused where nothing else speaks against it: it is judged again at every connection.
    """
    place = place_of(url, DEFAULT_PORTS)
    addresses = _resolved_in_time(place, resolve)
    if addresses:
        judge(place.host, addresses, allowed)
    if place.scheme == "http":
        _refuse_open_speech(place.host, addresses, allowed)
    return place


def _resolved_in_time(place: Place, resolve: Resolve) -> Sequence[str]:
    """The addresses of a place, or none where the name service does not give any soon."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="resolve")
    try:
        return pool.submit(resolve, place.host, place.port).result(RESOLVING_SECONDS)
    except (OSError, UnicodeError, TooSlow):
        return []
    finally:
        pool.shutdown(wait=False)


def connectable(place: Place, allowed: Allowed, resolve: Resolve = system_resolver) -> Sequence[str]:
    """The addresses that may be connected to now, each of them judged. Raises AddressRefused, and OSError where there are none."""
    addresses = resolve(place.host, place.port)
    judge(place.host, addresses, allowed)
    if place.scheme == "http":
        _refuse_open_speech(place.host, addresses, allowed)
    return addresses


def judge(host: str, addresses: Sequence[str], allowed: Allowed) -> None:
    """Raises AddressRefused unless every one of the addresses that a host resolves to may be connected to."""
    for text in addresses:
        reason = refusal_of(host, text, allowed)
        if reason is not None:
            raise AddressRefused(f"{host} leads to {text}, which is {reason}. The operator can allow it with LD_WEBHOOK_ALLOW.")


def _refuse_open_speech(host: str, addresses: Sequence[str], allowed: Allowed) -> None:
    if host in allowed.hosts or (addresses and all(allowed.has(host, ipaddress.ip_address(one)) for one in addresses)):
        return
    raise AddressRefused("The address must start with https:; http is for hosts alone that the operator has allowed.")


# --- brokers --------------------------------------------------------------------------------------------------------------

BROKER_PORTS = {"amqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379, "sqs": 443}


def check_broker(url: str, allowed: Allowed, resolve: Resolve = system_resolver) -> None:
    """Raises AddressRefused for a broker that may not be registered; one whose name cannot be resolved now may be, as in `check`."""
    place = broker_of(url)
    if place is not None:
        judge(place.host, _resolved_in_time(place, resolve), allowed)


def broker_of(url: str) -> Place | None:
    """
    Where the URL of a broker leads, user and password aside; None for Amazon's own queues, which need no host.

    Raises AddressRefused for several addresses in one: kombu goes on to the next where the first does not answer.
    """
    if not _VISIBLE.match(url) or set(url) & set(";\\"):
        raise AddressRefused("The address must be a single URL of at most 2000 visible ASCII characters, without ; and \\.")
    try:
        parts = urlsplit(url)
        host, port = parts.netloc.rpartition("@")[2], parts.port or BROKER_PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise AddressRefused("The address is not the URL of a broker.") from None
    return Place("broker", _host_of(parts._replace(netloc=host)), port) if host else None


# --- URLs ---------------------------------------------------------------------------------------------------------------

_VISIBLE = re.compile(r"[\x21-\x7e]{1,2000}\Z")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\Z")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z")


def place_of(url: str, ports: dict[str, int]) -> Place:
    """Where a URL of one of these schemes leads; `ports` are their usual ports. Raises AddressRefused for what is not written plainly."""
    if not _VISIBLE.match(url) or "\\" in url:
        raise AddressRefused("The address must be a URL of at most 2000 visible ASCII characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("The address is not a URL.") from None
    if parts.scheme not in ports:
        raise AddressRefused(f"The address must start with {' or '.join(f'{scheme}:' for scheme in reversed(ports))}.")
    if port == 0:
        raise AddressRefused("There is no port 0.")
    return Place(parts.scheme, _host_of(parts), port or ports[parts.scheme])


def _host_of(parts: SplitResult) -> str:
    if "@" in parts.netloc:
        raise AddressRefused("The address must not have a user or a password in it.")
    host = (parts.hostname or "").removesuffix(".")
    if parts.netloc.startswith("["):
        return _literal(host)
    last = host.rpartition(".")[2]
    if _NUMERIC.match(last):
        return _literal(host)
    if not _NAME.match(host):
        raise AddressRefused("The address has no host, or one that is not written as names are in the domain name system.")
    return host


def _literal(host: str) -> str:
    """An address in its usual form. `127.1`, `0x7f.0.0.1`, `017700000001` and `2130706433` are others, which readers read differently."""
    try:
        return str(ipaddress.ip_address(host.replace("%", "/")))
    except ValueError:
        raise AddressRefused(
            "The host looks like an address and is not one in its usual form, such as 192.0.2.1 or [2001:db8::1]."
        ) from None


# --- addresses ------------------------------------------------------------------------------------------------------------

REFUSED: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "of no host"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "private to a provider"),
    ("127.0.0.0/8", "this machine itself"),
    ("169.254.0.0/16", "link-local, where clouds keep their secrets"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "for documentation"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "for measurements"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "of no host"),
    ("::1/128", "this machine itself"),
    ("100::/64", "discarded"),
    ("2001:db8::/32", "for documentation"),
    ("3fff::/20", "for documentation"),
    ("5f00::/16", "reserved"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "private"),
    ("ff00::/8", "multicast"),
)
"""What is not on the public internet, by the registries of special addresses (RFC 6890 and what came after)."""

CARRIERS: tuple[tuple[str, int], ...] = (
    ("::ffff:0:0/96", 0),
    ("::ffff:0:0:0/96", 0),
    ("::/96", 0),
    ("64:ff9b::/96", 0),
    ("64:ff9b:1::/48", 0),
    ("2002::/16", 80),
)
"""IPv6 networks whose addresses lead to an IPv4 address, which is in the 32 bits above this one."""

_REFUSED = tuple((ipaddress.ip_network(network), reason) for network, reason in REFUSED)
_GIVEN_OUT = IPv6Network("2000::/3")
_CARRIERS = tuple((IPv6Network(network), lowest_bit) for network, lowest_bit in CARRIERS)


def refusal_of(host: str, text: str, allowed: Allowed) -> str | None:
    """Why an address is not connected to, as what follows "which is"; None when it is."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "no address"
    if allowed.has(host, address):
        return None
    return next((reason for one in (address, *_carried(address)) if (reason := _special(one))), None)


def _carried(address: Address) -> list[Address]:
    """The IPv4 addresses that an IPv6 address leads to, as far as one can see from it."""
    if not isinstance(address, IPv6Address):
        return []
    number = int(address)
    return [IPv4Address(number >> lowest_bit & 0xFFFFFFFF) for network, lowest_bit in _CARRIERS if address in network]


def _special(address: Address) -> str | None:
    named = (reason for network, reason in _REFUSED if network.version == address.version and address in network)
    return next(named, None if _is_public(address) else "not on the public internet")


def _is_public(address: Address) -> bool:
    """Of a carrier it is for the carried address to say. Of IPv6, nothing but 2000::/3 has been given out."""
    if isinstance(address, IPv4Address):
        return address.is_global
    return any(address in network for network, _ in _CARRIERS) or (address.is_global and address in _GIVEN_OUT)
