"""`notifications.starts_soon_scan` and `notifications.ends_soon_scan`: tell of reservations that are about to start or to end."""

from collections.abc import Callable, Mapping, Sequence
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
        """
        One scan. `config`: `within`, the lead times as ISO 8601 durations. Each reservation is told of once for each of them.

        Raises ValueError for what is no duration.
        """
        return {"told": sum(_told(parts, reminder, within, now) for within in _lead_times(config.get("within", LEAD_TIME)))}

    return run


def _lead_times(said: str | Sequence[str]) -> list[timedelta]:
    """The longest first, as they come."""
    return sorted({timedelta(seconds=seconds(one)) for one in ([said] if isinstance(said, str) else said)}, reverse=True)


def _told(parts: Parts, reminder: Reminder, within: timedelta, now: datetime) -> int:
    with parts.ledger.write() as uow:
        return reminders.remind(uow, reminder, within, occasion_of_worker(parts, now))


starts_soon: Run = _scan(reminders.STARTS_SOON)
ends_soon: Run = _scan(reminders.ENDS_SOON)
