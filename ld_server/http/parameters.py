"""Query parameters: each known, each once, each readable. What is given without a value counts as not given."""

import difflib
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl

from ld_server.domain.errors import InvalidParameter

_MOST_PARAMETERS = 50

WITHOUT_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]*$"
"""What the value of a parameter looks like, as a regular expression that OpenAPI understands, too."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def query_parameters(query_string: str, known: Collection[str] = ()) -> dict[str, str]:
    """The parameters of a query string. Raises InvalidParameter for an unknown, a repeated or an unreadable one."""
    if not query_string:
        return {}
    found: dict[str, str] = {}
    for name, value in pairs(query_string):
        if name not in known:
            raise _unknown(name, known)
        if name in found:
            raise InvalidParameter(f"The parameter {name} is given more than once.", parameter=name)
        found[name] = _readable(name, value)
    return {name: value for name, value in found.items() if value}


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that was probably meant."""
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def pairs(text: str, most: int = _MOST_PARAMETERS) -> list[tuple[str, str]]:
    """Names and values of a query string or a form, in their order. Raises InvalidParameter, also for more than `most` of them."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=most)
    except UnicodeDecodeError:
        raise InvalidParameter("The parameters are not UTF-8.") from None
    except ValueError:
        raise InvalidParameter(f"There are more than {most} parameters.") from None


def hint(name: str, known: Collection[str]) -> tuple[str, dict[str, Any]]:
    """What to say about an unknown name: a sentence, and members for the problem document."""
    suggestion = nearest(name, known)
    if suggestion:
        return f"Did you mean {suggestion}?", {"suggestion": suggestion, "known": list(known)}
    return (f"Known are {', '.join(known)}." if known else "There is none."), {"known": list(known)}


def _unknown(name: str, known: Collection[str]) -> InvalidParameter:
    sentence, members = hint(name, known)
    return InvalidParameter(f"There is no parameter {name!r} here. {sentence}", parameter=name, **members)


def _readable(name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise InvalidParameter(f"The value of {name} has control characters.", parameter=name)
    return value
