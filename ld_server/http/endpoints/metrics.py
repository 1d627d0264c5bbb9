"""`/metrics`: what was counted by every process of this node, and what waits in the ledger now, as Prometheus reads it."""

from collections.abc import Iterator
from datetime import datetime

import falcon

from ld_server.services.meters import Moment, exposed, gauge
from ld_server.services.parts import Parts
from ld_server.services.waiting import SORTS, lag


class Metrics:
    """The numbers of this deployment, for a monitor; there is nothing secret in them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Raises StoreUnavailable while the ledger cannot say what waits in it."""
        registry = self._parts.meters.gather(moments(self._parts, self._parts.now()))
        resp.data, resp.content_type = exposed(registry, req.env.get("HTTP_ACCEPT", ""))
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("Vary", "Accept")


def moments(parts: Parts, now: datetime) -> Iterator[Moment]:
    """What is so at the moment: how much waits, for how long, and how many connections to the ledger this process uses."""
    with parts.ledger.read() as uow:
        waiting, dead = {part: lag(uow, part, now) for part in SORTS}, uow.deliveries.count({"status": "dead"})
    yield gauge("ld_waiting", "What waits, by part.", {part: one.backlog.count for part, one in waiting.items()}, "part")
    seconds = {part: one.seconds(now) for part, one in waiting.items()}
    yield gauge("ld_lag_seconds", "For how long the oldest that is due has been waiting, by part.", seconds, "part")
    yield gauge("ld_deliveries_dead", "Deliveries that were given up.", {"": dead})
    connections = parts.ledger.connections()
    yield gauge("ld_ledger_connections", "Connections of the answering process to the ledger, by state.", connections, "state")
