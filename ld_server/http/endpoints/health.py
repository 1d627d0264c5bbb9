"""Whether the process lives, and whether it can do its work. Both answer in JSON, whatever is accepted: monitors ask."""

import logging
from collections.abc import Callable, Mapping

import falcon
import orjson

from ld_server.domain.errors import StoreUnavailable
from ld_server.resources.kind import written
from ld_server.services.parts import Parts
from ld_server.services.waiting import Lag, lag, lag_of

log = logging.getLogger(__name__)

Check = Callable[[], dict[str, object] | None]
"""Raises StoreUnavailable, or gives what there is to tell."""


class Live:
    """`/health/live`: the process answers."""

    def __init__(self, _parts: Parts) -> None:
        """It answers whatever its parts are like."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        _give(resp, 200, {"status": "ok"})


class Ready:
    """`/health/ready`: 200 when every part works, else 503; each part says why not. Nothing in it is secret."""

    def __init__(self, parts: Parts) -> None:
        self._checks: Mapping[str, Check] = {
            "ledger": parts.ledger.ping,
            "sparql": parts.sparql.ping,
            "projection": lambda: check_projection(parts),
            "relay": lambda: tell_relay(parts),
            "deliveries": lambda: tell_deliveries(parts),
        }

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        found = {name: _outcome(name, check) for name, check in self._checks.items()}
        ready = all(one["status"] == "ok" for one in found.values())
        _give(resp, 200 if ready else 503, {"status": "ok" if ready else "down", "parts": found})


def check_projection(parts: Parts) -> None:
    """Raises StoreUnavailable when revisions have been waiting too long for the SPARQL store."""
    waits = lag_of(parts, "projection")
    if waits.is_long(parts.now()):
        raise StoreUnavailable(f"{waits.told}: {waits.cause}.")


def tell_relay(parts: Parts) -> dict[str, object]:
    """How many events wait for the relay, and since when the oldest does. However many those are, this server is ready."""
    return _waiting(lag_of(parts, "relay"), "oldestAt")


def tell_deliveries(parts: Parts) -> dict[str, object]:
    """
    How many deliveries are not done and how many never will be, and since when the oldest that is due waits.

    However many those are, this server is ready: receivers fail for reasons of their own.
    """
    with parts.ledger.read() as uow:
        dead = uow.deliveries.count({"status": "dead"})
        return {**_waiting(lag(uow, "deliveries", parts.now()), "oldestDueAt"), "dead": dead}


def _waiting(found: Lag, since: str) -> dict[str, object]:
    oldest = {} if found.backlog.oldest_at is None else {since: written(found.backlog.oldest_at)}
    return {"waiting": found.backlog.count, **oldest}


def _outcome(name: str, check: Check) -> dict[str, object]:
    try:
        found = check()
    except StoreUnavailable as refusal:
        return {"status": "down", "why": refusal.detail}
    except Exception:
        log.exception("the check of %s failed", name)
        return {"status": "down", "why": "The check failed; the log says why."}
    return {"status": "ok", **(found or {})}


def _give(resp: falcon.Response, status: int, content: Mapping[str, object]) -> None:
    resp.status = status
    resp.content_type = "application/json"
    resp.set_header("Cache-Control", "no-store")
    resp.data = orjson.dumps(content)
