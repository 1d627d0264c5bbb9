"""`maintenance.overdue_scan`: tells of planned work whose time is over, and of reservations that ended and whose units are not back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from ld_server.services import maintenance, risk
from ld_server.services.deliveries import occasion_of_worker
from ld_server.services.parts import Parts

LEASE = "overdue_scan"

PAUSE = 30.0
"""Seconds after a scan by the clock in which no other one begins, whatever the number of workers and their clocks."""


def run(parts: Parts, _config: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """One scan: how many reservations and how much work is overdue. Each is told of once, however often this runs."""
    occasion = occasion_of_worker(parts, now)
    with parts.ledger.write() as uow:
        reservations = risk.overdue_scan(uow, occasion)
    with parts.ledger.write() as uow:
        return {"overdueReservations": reservations, "overdueWork": maintenance.overdue_scan(uow, occasion)}


def run_by_clock(parts: Parts) -> dict[str, Any] | None:
    """One scan, unless another one has begun just before; None then."""
    now = parts.now()
    with parts.ledger.write() as uow:
        is_ours = uow.leases.acquire(LEASE, str(uuid4()), now, PAUSE)
    return run(parts, {}, now) if is_ours else None
