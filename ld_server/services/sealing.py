"""
Secrets at rest: what must be known in full to be used, such as the secret of a webhook, is sealed in the ledger (Fernet).

The key comes from the secret of the deployment. The ledger records a fingerprint of it, so that a node with another one is told so before
it seals what the others could not open.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from ld_server.blobs.secret import listed, secrets_of
from ld_server.domain.errors import StoreUnavailable
from ld_server.rdf.personal import PREFIX
from ld_server.settings import InvalidSetting, Settings
from relational.unit_of_work import UnitOfWork

FACT = "secret_key"
"""The fact that has the fingerprint of the key with which this deployment seals."""

REMEMBERED = 1024

_PADDED = 32

SHORTEST = 16
"""Characters of a secret that somebody chose."""


_ADVICE = (
    "this ledger belongs to a deployment with another secret key than the one here; set LD_SECRET_KEY to it, which the node that made it "
    "has in its settings or in the file secret-key of its data directory; to change keys, put the new one before it"
)


class WrongSecretKey(Exception):
    """What was sealed here was sealed with another key; the message says what to do."""


class Sealing:
    """Seals with the first key, and opens with any. The secret is read, or made, only when it is needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises InvalidSetting for a secret that could be guessed."""
        self._settings = settings
        if any(len(one) < SHORTEST for one in listed(settings.secret_key)):
            raise InvalidSetting(f"LD_SECRET_KEY must be a random text of at least {SHORTEST} characters, or several with commas between")

    def seal(self, text: str) -> str:
        """What only this deployment can open."""
        return self._fernet.encrypt(text.encode()).decode()

    def opened(self, sealed: str) -> str:
        """The text that was sealed. Raises StoreUnavailable when it was sealed with a key that is not known here."""
        return self._opened(sealed)

    @cached_property
    def _opened(self) -> Callable[[str], str]:
        """The last texts are remembered: a webhook has the same secret for each of its deliveries."""
        return lru_cache(maxsize=REMEMBERED)(self._open)

    def _open(self, sealed: str) -> str:
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise StoreUnavailable("A secret cannot be opened with the key of this server.") from error

    def pseudonym(self, text: str) -> str:
        """
        What stands for a personal value in the SPARQL store: the same for the same value, and nothing can be told from it (RFC 5297).

        Not even the length can, up to a multiple of 32 bytes.
        """
        content = text.encode()
        padded = content + bytes(-len(content) % _PADDED or _PADDED)
        return PREFIX + base64.urlsafe_b64encode(self._hiding[0].encrypt(padded, None)).decode().rstrip("=")

    def person(self, pseudonym: str) -> str | None:
        """The value behind a pseudonym; None where it is none of ours."""
        token = pseudonym.removeprefix(PREFIX)
        for one in self._hiding:
            with suppress(InvalidTag, ValueError):
                return one.decrypt(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), None).rstrip(b"\0").decode()
        return None

    def settle(self, uow: UnitOfWork) -> None:
        """
        Record the key with which this deployment seals.

        Raises WrongSecretKey while something is sealed that none of ours opens, and where a node made up a key of its own for a ledger
        that others may share.
        """
        recorded = uow.facts.get(FACT)
        if recorded == self._fingerprints[0]:
            return
        if self._is_of_others(recorded) and (_is_anything_sealed(uow) or self._is_made_up_for_many):
            raise WrongSecretKey(_ADVICE)
        uow.facts.set(FACT, self._fingerprints[0])

    def agree(self, uow: UnitOfWork) -> None:
        """Raises WrongSecretKey where this deployment has settled on a key that is none of ours: what a node seals is for all of them."""
        if self._is_of_others(uow.facts.get(FACT)):
            raise WrongSecretKey(_ADVICE)

    def _is_of_others(self, recorded: str | None) -> bool:
        return recorded is not None and recorded not in self._fingerprints

    @property
    def _is_made_up_for_many(self) -> bool:
        return not self._settings.secret_key and not self._settings.database_url.startswith("sqlite")

    @cached_property
    def _fingerprints(self) -> list[str]:
        return [_derived(key, "fingerprint").hex() for key in self._secrets]

    @cached_property
    def _hiding(self) -> list[AESSIV]:
        return [AESSIV(_derived(one, "hide") + _derived(one, "authenticate")) for one in self._secrets]

    @cached_property
    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(one, "seal"))) for one in self._secrets])

    @cached_property
    def _secrets(self) -> list[bytes]:
        return secrets_of(self._settings)


def _derived(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose: what is known of one tells nothing about another. The secret is random, so there is nothing to guess."""
    return hmac.digest(secret, f"ld-server {purpose}".encode(), hashlib.sha256)


def _is_anything_sealed(uow: UnitOfWork) -> bool:
    return uow.webhooks.count() > 0 or uow.triggers.has_sealed()
