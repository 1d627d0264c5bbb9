"""`notifications.starts_soon_scan` and `notifications.ends_soon_scan`: tell of reservations that are about to start or to end."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ld_server.domain.duration import seconds
from ld_server.services import reminders
from ld_server.services.deliveries import occasion_of_worker
from ld_server.services.parts import Parts
from ld_server.services.reminders import Reminder

LEAD_TIME = "PT24H"

Run = Callable[[Parts, Mapping[str, Any], datetime], dict[str, Any]]


def _scan(reminder: Reminder) -> Run:
    def run(parts: Parts, config: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """One scan. `config`: `within`, an ISO 8601 duration. Raises ValueError for anything else."""
        within = timedelta(seconds=seconds(config.get("within", LEAD_TIME)))
        with parts.ledger.write() as uow:
            return {"told": reminders.remind(uow, reminder, within, occasion_of_worker(parts, now))}

    return run


starts_soon: Run = _scan(reminders.STARTS_SOON)
ends_soon: Run = _scan(reminders.ENDS_SOON)
