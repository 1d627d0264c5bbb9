"""What the projector has still to bring to the SPARQL store: one row per revision, deleted when it is there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, literal, select

from relational import tables
from relational.wire import Statement, Wire

_P = tables.projections.c
_NEWEST = Statement(select(func.max(_P.position).label("newest")))
_WAITING = Statement(select(exists().where(_P.position <= bindparam("position")).label("waits")))


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many revisions wait, and since when the oldest does."""

    count: int
    oldest_at: datetime | None


class Unprojected:
    """The gateway to how far the projector is."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def newest(self) -> int:
        """The highest waiting position, or 0: once nothing up to it waits, all that is committed now has been applied."""
        return int(self._wire.rows(_NEWEST, {})[0][0] or 0)

    def waiting(self, position: int) -> bool:
        """Whether anything up to and including a position still waits."""
        return bool(self._wire.rows(_WAITING, {"position": position})[0][0])


class Projections(Unprojected):
    """
    The gateway to pending projections. Positions rise and are never used again.

    A position is drawn before its transaction commits, so that on Postgres a lower one may appear late: take what is
    pending as a set, and acknowledge exactly the positions that were applied.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(Wire.of(connection))
        self._connection = connection

    def pending(self, limit: int) -> list[tuple[int, str]]:
        """The first `limit` waiting positions with the identifiers of their resources, lowest first."""
        query = select(_P.position, _P.identifier).order_by(_P.position).limit(limit)
        return [(row.position, row.identifier) for row in self._connection.execute(query)]

    def done(self, positions: Iterable[int]) -> None:
        """Take applied positions off the list."""
        applied = sorted(positions)
        if applied:
            self._connection.execute(delete(tables.projections).where(_P.position.in_(applied)))

    def enqueue_all(self, at: datetime | None = None) -> int:
        """Put every resource on the list, for a rebuild, as of `at` (now); how many that were."""
        everything = select(tables.documents.c.identifier, literal(at or datetime.now(UTC), tables.Instant))
        ordered = everything.order_by(tables.documents.c.kind, tables.documents.c.number)
        put = insert(tables.projections).from_select(["identifier", "enqueued_at"], ordered)
        return self._connection.execute(put, execution_options={"preserve_rowcount": True}).rowcount

    def backlog(self) -> Backlog:
        """How much waits, and since when."""
        row = self._connection.execute(select(func.count(), func.min(_P.enqueued_at))).one()
        return Backlog(*row)
