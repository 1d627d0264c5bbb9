"""
Signatures of what is sent to webhooks, as Standard Webhooks has them (standardwebhooks.com, 1.0): HMAC-SHA256 over id, time and body.

The id and the time are signed with the body, so that nobody can send an old message again as a new one.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

PREFIX = "whsec_"
SMALLEST, LARGEST = 24, 64
"""Bytes of a secret, as the specification bounds them."""


def new_secret() -> str:
    """A new secret: 256 random bits, as `whsec_…`."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret. Raises ValueError, with a sentence that does not repeat the secret, when there is none in it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else b""
    except (binascii.Error, ValueError):
        key = b""
    if not SMALLEST <= len(key) <= LARGEST:
        raise ValueError(f"A secret is {PREFIX} and {SMALLEST} to {LARGEST} bytes in Base64.")
    return key


def signed(message_id: str, at: datetime, body: bytes, valid_secrets: Sequence[str]) -> dict[str, str]:
    """The three headers of a message, with one signature for each secret: two of them while a secret is being exchanged."""
    stamp = str(int(at.timestamp()))
    content = f"{message_id}.{stamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key_of(secret), content, hashlib.sha256)).decode() for secret in valid_secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
