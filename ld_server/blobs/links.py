"""
Links that work without a key until they expire, signed with a secret of the deployment: HMAC-SHA256 over everything that they say.

What a link allows stands in the link: the method, the blob, and what goes with it (size and media type of an upload, name of a download).
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from ld_server.domain.errors import LinkRefused

PATH = "/v1/blobs/"
EXPIRES, SIGNATURE = "expires", "signature"

_PURPOSE = b"link to a blob, 1\n"
"""So that no signature made with the same secret for something else is one of ours."""


@dataclass(frozen=True)
class Links:
    """Links under `base_iri`. `secrets` gives the secrets when one is first made or checked: the first signs, each of them is accepted."""

    base_iri: str
    secrets: Callable[[], Sequence[bytes]]

    def made(self, method: str, key: str, until: datetime, **said: str) -> str:
        """A link by which the method is allowed on the blob until then."""
        told = {EXPIRES: str(int(until.timestamp())), **said}
        return f"{self.base_iri}{PATH}{key}?{urlencode({**told, SIGNATURE: self._signatures(method, key, told)[0]})}"

    def opened(self, method: str, key: str, parameters: Mapping[str, str], now: datetime) -> Mapping[str, str]:
        """What a link says, once it is known to be ours. Raises LinkRefused when it is not, or when it has expired."""
        told = {name: value for name, value in parameters.items() if name != SIGNATURE}
        given = parameters.get(SIGNATURE, "").encode()
        if not any(hmac.compare_digest(given, one.encode()) for one in self._signatures(method, key, told)):
            raise LinkRefused("The link was not made here, or has been changed.", reason="tampered")
        if now.timestamp() >= int(told[EXPIRES]):
            raise LinkRefused("The link has expired; ask for a new one.", reason="expired")
        return told

    def _signatures(self, method: str, key: str, told: Mapping[str, str]) -> list[str]:
        """By each of the secrets, the newest first."""
        message = _PURPOSE + "\n".join((method, key, urlencode(sorted(told.items())))).encode("utf-8", "surrogatepass")
        return [hmac.digest(secret, message, hashlib.sha256).hex() for secret in self.secrets()]
