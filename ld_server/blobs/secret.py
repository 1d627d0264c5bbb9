"""
The secrets of a deployment: from its settings, or one that is made once and kept in its data directory, where all its processes find it.

The first is the newest. While secrets are exchanged for new ones, what was made with an older one is still known as ours.
"""

import os
import secrets
from pathlib import Path

from ld_server.settings import Settings

FILE = "secret-key"


def secrets_of(settings: Settings) -> list[bytes]:
    """The secrets, the newest first; one is made when there is none. Two processes that make one at the same time end up with the same."""
    chosen = listed(settings.secret_key)
    if chosen:
        return [one.encode() for one in chosen]
    file = settings.data_dir / FILE
    if not file.exists():
        _make(file)
    return [file.read_bytes()]


def listed(text: str) -> list[str]:
    """The secrets in a setting, which has commas between them."""
    return [one.strip() for one in text.split(",") if one.strip()]


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
