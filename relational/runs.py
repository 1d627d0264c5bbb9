"""Runs of scheduled triggers: one for each time that was due, and one for each time that somebody asked for it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select, update

from relational import tables
from relational.rows import Rows

_R = tables.runs.c


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run. It was due at `due_at`, or asked for by `asked_by`. While it is `running`, nobody else takes it before `lease_until`."""

    identifier: str
    number: int
    trigger: str
    job_type: str | None
    due_at: datetime | None
    asked_by: str | None
    status: str
    created_at: datetime
    started_at: datetime | None
    lease_until: datetime | None
    finished_at: datetime | None
    summary: str | None
    error: str | None
    event_id: str | None
    revision: int


class Runs(Rows[RunRow]):
    """The gateway to runs."""

    table = tables.runs
    row = RunRow

    def open(self, now: datetime, limit: int) -> list[RunRow]:
        """Runs that wait, and those whose worker did not come back, the oldest first."""
        is_open = or_(_R.status == "waiting", (_R.status == "running") & (_R.lease_until <= now))
        query = self._rows().where(is_open).order_by(_R.number).limit(limit)
        return [RunRow(*one) for one in self._connection.execute(query)]

    def extend(self, run: RunRow, until: datetime) -> None:
        """Whoever has taken a run keeps it until then, if it is still theirs. It is no change of the run: the revision stays."""
        where = (_R.identifier == run.identifier, _R.status == "running", _R.revision == run.revision)
        self._connection.execute(update(tables.runs).where(*where).values(lease_until=until))

    def forget(self, before: datetime, limit: int) -> int:
        """Take away at most `limit` runs that ended before an instant; how many those were."""
        old = select(_R.identifier).where(_R.finished_at < before).order_by(_R.finished_at).limit(limit)
        return self._connection.execute(delete(tables.runs).where(_R.identifier.in_(old))).rowcount

    def newest(self, trigger: str, limit: int) -> list[RunRow]:
        """The last runs of a trigger, the newest first."""
        query = self._rows().where(_R.trigger == trigger).order_by(_R.number.desc()).limit(limit)
        return [RunRow(*one) for one in self._connection.execute(query)]
