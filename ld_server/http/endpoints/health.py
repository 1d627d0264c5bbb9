"""Whether the process lives, and whether it can do its work. Both answer in JSON, whatever is accepted: monitors ask."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

import falcon
import orjson

from ld_server.domain.errors import StoreUnavailable
from ld_server.resources.kind import written
from ld_server.services.parts import Parts

log = logging.getLogger(__name__)

LONGEST_LAG = timedelta(seconds=60)
"""A revision that waits longer for the SPARQL store means that no projector is at work; the aim is 0.1 s."""

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
            "deliveries": lambda: tell_deliveries(parts),
        }

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        found = {name: _outcome(name, check) for name, check in self._checks.items()}
        ready = all(one["status"] == "ok" for one in found.values())
        _give(resp, 200 if ready else 503, {"status": "ok" if ready else "down", "parts": found})


def check_projection(parts: Parts) -> None:
    """Raises StoreUnavailable when revisions have been waiting too long for the SPARQL store."""
    with parts.ledger.read() as uow:
        backlog = uow.projections.backlog()
    if backlog.oldest_at is not None and parts.now() - backlog.oldest_at > LONGEST_LAG:
        raise StoreUnavailable(f"{backlog.count} revisions wait for the SPARQL store, the oldest since {backlog.oldest_at.isoformat()}.")


def tell_deliveries(parts: Parts) -> dict[str, object]:
    """
    How many deliveries are not done and how many never will be, and since when the oldest that is due waits.

    However many those are, this server is ready: receivers fail for reasons of their own.
    """
    with parts.ledger.read() as uow:
        waiting = uow.deliveries.waiting(parts.now())
    oldest = {} if waiting.oldest_due is None else {"oldestDueAt": written(waiting.oldest_due)}
    return {"waiting": waiting.unfinished, "dead": waiting.dead, **oldest}


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
