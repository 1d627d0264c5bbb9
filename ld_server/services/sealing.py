"""
Secrets at rest: what must be known in full to be used, such as the secret of a webhook, is sealed in the ledger (Fernet).

The key is LD_SECRET_KEY, or a file in the data directory that is made at the first start. The ledger records a fingerprint of it, so that
a node with another key is told so before it seals what the others could not open.
"""

import base64
import binascii
import hashlib
import os
from functools import cached_property
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ld_server.domain.errors import StoreUnavailable
from ld_server.settings import InvalidSetting, Settings
from relational.unit_of_work import UnitOfWork

FILE = "secret.key"
"""In the data directory; only its owner may read it."""

FACT = "secret_key"
"""The fact that has the fingerprint of the key with which this deployment seals."""

KEY_BYTES = 32


class WrongSecretKey(Exception):
    """What was sealed here was sealed with another key; the message says what to do."""


class Sealing:
    """Seals with the first key, and opens with any. Reads or makes the file only when it is needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises InvalidSetting for a key that is none."""
        self._file = settings.data_dir / FILE
        self._said = tuple(_key(one.strip()) for one in settings.secret_key.split(",") if one.strip())

    def seal(self, text: str) -> str:
        """What only this deployment can open."""
        return self._fernet.encrypt(text.encode()).decode()

    def opened(self, sealed: str) -> str:
        """The text that was sealed. Raises StoreUnavailable when it was sealed with a key that is not known here."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise StoreUnavailable("A secret cannot be opened with the key of this server.") from error

    def settle(self, uow: UnitOfWork) -> None:
        """Record the key with which this deployment seals. Raises WrongSecretKey when it is one that is not known here."""
        recorded, mine = uow.facts.get(FACT), [_fingerprint(key) for key in self._keys]
        if recorded == mine[0]:
            return
        if recorded is not None and recorded not in mine:
            raise WrongSecretKey(
                f"secrets in this ledger were sealed with another key than the one here; set LD_SECRET_KEY to it, which the node that "
                f"made it has in its setting or in {self._file.name} of its data directory; to change keys, put the new one before it"
            )
        uow.facts.set(FACT, mine[0])

    @cached_property
    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in self._keys])

    @cached_property
    def _keys(self) -> tuple[bytes, ...]:
        return self._said or (_key(_kept(self._file)),)


def new_key() -> str:
    """A new key: 256 random bits in Base64."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def _key(text: str) -> bytes:
    """The bytes of a key, in either alphabet of Base64. Raises InvalidSetting, which does not repeat it."""
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidSetting(f"LD_SECRET_KEY must be {KEY_BYTES} bytes in Base64, as `openssl rand -base64 {KEY_BYTES}` makes them")
    return key


def _fingerprint(key: bytes) -> str:
    """What tells keys apart and gives nothing of them away: they are random, so there is nothing to guess."""
    return hashlib.sha256(b"ld-server secret key\0" + key).hexdigest()[:32]


def _kept(file: Path) -> str:
    """The key in the file, which is made when there is none; of several processes that make it at once, one does."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = file.with_name(f"{file.name}.{os.getpid()}")
    if not file.exists():
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(new_key())
        try:
            os.link(made, file)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return file.read_text(encoding="ascii").strip()
