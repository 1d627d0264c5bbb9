"""
Links that work without a key until they expire, signed with a secret of the deployment: HMAC-SHA256 over everything that they say.

What a link allows stands in the link: the method, the blob, and what goes with it (size and media type of an upload, name of a download).
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
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
    """Links under `base_iri`. `secret` gives the secret when one is first made or checked."""

    base_iri: str
    secret: Callable[[], bytes]

    def made(self, method: str, key: str, until: datetime, **said: str) -> str:
        """A link by which the method is allowed on the blob until then."""
        told = {EXPIRES: str(int(until.timestamp())), **said}
        return f"{self.base_iri}{PATH}{key}?{urlencode({**told, SIGNATURE: self._signature(method, key, told)})}"

    def opened(self, method: str, key: str, parameters: Mapping[str, str], now: datetime) -> Mapping[str, str]:
        """What a link says, once it is known to be ours. Raises LinkRefused when it is not, or when it has expired."""
        told = {name: value for name, value in parameters.items() if name != SIGNATURE}
        if not hmac.compare_digest(parameters.get(SIGNATURE, "").encode(), self._signature(method, key, told).encode()):
            raise LinkRefused("The link was not made here, or has been changed.", reason="tampered")
        if now.timestamp() >= int(told[EXPIRES]):
            raise LinkRefused("The link has expired; ask for a new one.", reason="expired")
        return told

    def _signature(self, method: str, key: str, told: Mapping[str, str]) -> str:
        message = "\n".join((method, key, urlencode(sorted(told.items()))))
        return hmac.digest(self.secret(), _PURPOSE + message.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()
