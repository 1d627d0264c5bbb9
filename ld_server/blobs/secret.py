"""The secret of a deployment: from its settings, or made once and kept in its data directory, where all its processes find it."""

import os
import secrets
from pathlib import Path

from ld_server.settings import Settings

FILE = "secret-key"


def secret_of(settings: Settings) -> bytes:
    """The secret; made when there is none. Two processes that make one at the same time end up with the same."""
    if settings.secret_key:
        return settings.secret_key.encode()
    file = settings.data_dir / FILE
    if not file.exists():
        _make(file)
    return file.read_bytes()


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{FILE}-{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(secrets.token_hex(32).encode())
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass  # another process was first
    finally:
        draft.unlink()
