"""HTTP Digest authentication as a client (RFC 7616), as far as Virtuoso asks for it: one account, quality of protection `auth`."""

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from itertools import count
from secrets import token_hex

_HASHES: Mapping[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),  # what Virtuoso knows
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
_MEMBER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


class Account:
    """A user with a password who answers challenges of one server. Threads may share it."""

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password
        self._challenge: Mapping[str, str] = {}
        self._numbers = count(1)
        self._taking = threading.Lock()

    def take(self, challenge: str) -> bool:
        """Remember what a server asked for in `WWW-Authenticate`; whether that can be answered."""
        scheme, _, rest = challenge.partition(" ")
        members = {name.lower(): quoted or bare for name, quoted, bare in _MEMBER.findall(rest)}
        if scheme.lower() != "digest" or members.get("algorithm", "MD5") not in _HASHES or "auth" not in members.get("qop", "").split(","):
            return False
        with self._taking:
            self._challenge, self._numbers = members, count(1)
        return True

    def answer(self, method: str, path: str) -> dict[str, str]:
        """The header `Authorization` of a request for a path with its query; nothing before there was a challenge."""
        with self._taking:
            asked, number = self._challenge, f"{next(self._numbers):08x}"
        if not asked:
            return {}
        digest, once = _HASHES[asked.get("algorithm", "MD5")], token_hex(16)
        secret = digest(f"{self._user}:{asked['realm']}:{self._password}".encode())
        told = digest(f"{secret}:{asked['nonce']}:{number}:{once}:auth:{digest(f'{method}:{path}'.encode())}".encode())
        members = {"username": self._user, "realm": asked["realm"], "nonce": asked["nonce"], "uri": path, "cnonce": once, "response": told}
        members |= {"opaque": asked["opaque"]} if "opaque" in asked else {}
        quoted = ", ".join(f'{name}="{value}"' for name, value in members.items())
        return {"Authorization": f"Digest {quoted}, qop=auth, nc={number}, algorithm={asked.get('algorithm', 'MD5')}"}
