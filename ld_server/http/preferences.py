"""
Whether a request only wants to know what would happen: `Prefer: handling=validate-only` (RFC 7240), or `?validate=only`.

Such a request goes all the way, in a transaction that is rolled back at its end.
"""

import re

import falcon

from ld_server.domain.errors import InvalidParameter

VALIDATE = "validate"
"""The parameter of every request that changes something."""

APPLIED = {"Preference-Applied": "handling=validate-only"}
"""What the answer says of it."""

_VALIDATE_ONLY = re.compile(r'(?:^|,)\s*handling\s*=\s*"?validate-only"?\s*(?:[;,]|$)', re.IGNORECASE)


def is_rehearsal(req: falcon.Request) -> bool:
    """Whether nothing must be written. Raises InvalidParameter for a value of `validate` other than `only`."""
    wanted = req.get_param(VALIDATE)
    if wanted not in (None, "", "only"):
        raise InvalidParameter(f"validate can be `only` or be left out, not {wanted!r}.", parameter=VALIDATE, allowed=["only"])
    return wanted == "only" or _VALIDATE_ONLY.search(req.env.get("HTTP_PREFER", "")) is not None
