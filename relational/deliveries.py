"""
Deliveries: what has to be brought where, what was tried, and who had it done again.

A delivery is due when its `next_attempt_at` has come. Whoever claims it moves that to the end of a lease, so that one whose worker dies
becomes due again by itself. Deliveries to one endpoint about one subject are claimed in the order of their events.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, delete, false, func, insert, or_, select, text, update

from relational import tables
from relational.given import Given
from relational.upsert import INSERT
from relational.wire import Statement, Wire

_D = tables.deliveries.c
_E = tables.endpoints.c
_A = tables.attempts.c
_R = tables.replays.c

UNFINISHED = ("pending", "sending")


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    An event on its way to one place.

    `plan` is the JSON of what is to be done, `message_id` what the receiver knows the message by. `attempts` counts all attempts,
    `failures` those since it was last replayed. `due_at` is when it was to be sent first.
    """

    identifier: str
    number: int
    event_id: str
    event_type: str
    sequence: int
    trigger: str | None
    action_index: int
    webhook: str | None
    endpoint: str
    subject_id: str
    message_id: str
    plan: str
    status: str
    attempts: int
    failures: int
    due_at: datetime
    next_attempt_at: datetime | None
    lease_owner: str | None
    replayed_by: str | None
    replayed_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `request_headers` is a JSON object without secrets, `response_head` the beginning of the answer's body."""

    delivery: str
    attempt: int
    started_at: datetime
    duration_ms: int
    status: int | None
    request_headers: str
    response_head: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Replay:
    """Somebody had a delivery sent again. `asked_for` says by what: the delivery itself, its event, a range, a webhook."""

    delivery: str
    replay: int
    asked_for: str
    replayed_by: str
    replayed_at: datetime
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a receiver fares: failures in a row and since when, until when it is left alone, when its rate allows the next message."""

    endpoint: str
    failures: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None
    next_slot_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A delivery that is due, and the one of its subject that is first in line at the endpoint, with the status of that one and the time when
    it is due, or its lease ends.
    """

    identifier: str
    first: str
    first_status: str
    first_due: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many deliveries are not finished, how many are dead, and since when the oldest that is due waits."""

    unfinished: int
    dead: int
    oldest_due: datetime | None


_NAMES = tuple(one.name for one in fields(Delivery))
_ROWS: Select[Any] = select(*(_D[name] for name in _NAMES))
_ENDPOINTS: Select[Any] = select(*(_E[one.name] for one in fields(Endpoint)))
_IS_UNFINISHED = text("status IN ('pending', 'sending')")
"""As the partial indexes say it: with bound values SQLite would not use them."""
_IS_NOT_SENDING = _D.status != "sending"
"""Of what is not finished, what is pending: by that status SQLite would look through all that are."""

_NOW, _UNTIL = bindparam("now", type_=tables.Instant), bindparam("until", type_=tables.Instant)

# What every exchange with the ledger asks goes straight to the driver: putting a statement together costs as much as running it.

_WINDOW = Statement(
    text(
        "SELECT w.identifier, f.identifier AS first, f.status AS first_status, f.next_attempt_at AS first_due FROM "
        "(SELECT identifier, endpoint, subject_id, next_attempt_at, number FROM deliveries WHERE status IN ('pending', 'sending') "
        "AND endpoint = :endpoint AND next_attempt_at <= :now ORDER BY next_attempt_at, number LIMIT :limit) AS w "
        "JOIN deliveries AS f ON f.identifier = (SELECT b.identifier FROM deliveries AS b WHERE b.status IN ('pending', 'sending') "
        "AND b.endpoint = w.endpoint AND b.subject_id = w.subject_id ORDER BY b.sequence, b.number LIMIT 1) "
        "ORDER BY w.next_attempt_at, w.number"
    )
    .bindparams(_NOW)
    .columns(_D.identifier, first=_D.identifier.type, first_status=_D.status.type, first_due=tables.Instant)
)

_SOMETHING = select(_D.identifier).where(_IS_UNFINISHED, _D.endpoint == _E.endpoint, _D.next_attempt_at <= _NOW).exists()
_IS_SHUT = func.coalesce(or_(_E.open_until > _NOW, _E.next_slot_at > _NOW), false())
_OPEN_ENDPOINTS = _ENDPOINTS.where(~_IS_SHUT, _SOMETHING)
_IS_DUE = Statement(select(_OPEN_ENDPOINTS.exists().label("is_due")))
_HOLD_ENDPOINTS = Statement(_OPEN_ENDPOINTS.order_by(_E.endpoint).with_for_update(of=tables.endpoints, skip_locked=True))

_ENGINES = ("postgresql", "sqlite")
_PLACES = Given("places", {"endpoint": "text"})
_UNDER_WAY = Statement(
    {
        engine: text(
            f"SELECT p.endpoint, (SELECT count(*) FROM deliveries AS d WHERE d.endpoint = p.endpoint AND d.status = 'sending' "  # noqa: S608 (constants put together; values are parameters)
            f"AND d.status IN ('pending', 'sending') AND d.next_attempt_at > :now) AS sending FROM ({_PLACES.select(engine)}) AS p"
        ).bindparams(_NOW)
        for engine in _ENGINES
    }
)
_THESE = Given("these", {"identifier": "text"})
_ATTEMPTS = Given("attempts", {"identifier": "text", "attempt": "whole"})


def _held(engine: str) -> str:
    """Deliveries that an owner is still sending, at these attempts; locked by number, where rows are locked."""
    locking = " FOR UPDATE" if engine == "postgresql" else ""
    return (
        f"SELECT identifier FROM deliveries WHERE (identifier, attempts) IN ({_ATTEMPTS.select(engine)}) "  # noqa: S608 (constants put together; values are parameters)
        f"AND status = 'sending' AND lease_owner = :owner ORDER BY number{locking}"
    )


def _finish_held(engine: str) -> str:
    return (
        f"WITH held AS ({_held(engine)}) UPDATE deliveries SET status = 'delivered', finished_at = :now, "  # noqa: S608 (constants put together; values are parameters)
        "last_status = :answered, last_error = NULL, next_attempt_at = NULL, lease_owner = NULL "
        "WHERE identifier IN (SELECT identifier FROM held) RETURNING identifier"
    )


def _due(engine: str) -> str:
    """Those of some deliveries that are due. But for the `+` SQLite would look through all that wait, by their status."""
    locking, status = (" FOR UPDATE SKIP LOCKED", "status") if engine == "postgresql" else ("", "+status")
    return (
        f"SELECT {', '.join(_NAMES)} FROM deliveries WHERE identifier IN ({_THESE.select(engine)}) "  # noqa: S608 (constants put together; values are parameters)
        f"AND {status} IN ('pending', 'sending') AND next_attempt_at <= :now ORDER BY number{locking}"
    )


_TAKE = (
    "UPDATE deliveries SET status = 'sending', lease_owner = :owner, next_attempt_at = :until, attempts = attempts + 1 WHERE identifier IN"
)
_CLAIM = Statement(
    {
        "postgresql": text(
            f"WITH due AS ({_due('postgresql')}), taken AS ({_TAKE} (SELECT identifier FROM due)) "  # noqa: S608 (constants put together; values are parameters)
            f"SELECT {', '.join(_NAMES)} FROM due ORDER BY number"
        )
        .bindparams(_NOW, _UNTIL)
        .columns(*_ROWS.selected_columns),
        "sqlite": text(_due("sqlite")).bindparams(_NOW).columns(*_ROWS.selected_columns),
    }
)
"""Gives what is due as it was. Postgres takes it in the same statement, SQLite by `_TAKEN`."""

_TAKEN = Statement({"sqlite": text(f"{_TAKE} ({_THESE.select('sqlite')})").bindparams(_UNTIL)})
_HELD = Statement({engine: text(_held(engine)).columns(_D.identifier) for engine in _ENGINES})
_FINISH_HELD = Statement({engine: text(_finish_held(engine)).bindparams(_NOW).columns(_D.identifier) for engine in _ENGINES})
_NOTE = Statement(insert(tables.attempts), [one.name for one in fields(Attempt)])


class Deliveries:
    """The gateway to deliveries, their attempts and replays, and the endpoints they go to."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._wire = Wire.of(connection)
        self._engine = self._wire.engine

    # --- what there is ----------------------------------------------------------------------------------------------------

    def find(self, identifier: str) -> Delivery | None:
        """The delivery with this identifier, or None."""
        return next(iter(self._read(_ROWS.where(_D.identifier == identifier))), None)

    def locked(self, identifiers: Collection[str]) -> list[Delivery]:
        """Those of the deliveries that exist, by number; nobody else changes them until this transaction ends."""
        return self._read(_ROWS.where(_D.identifier.in_(identifiers)).order_by(_D.number).with_for_update())

    def of_events(self, events: Collection[str]) -> list[Delivery]:
        """Every delivery of these events, by number; nobody else changes them until this transaction ends."""
        return self._read(_ROWS.where(_D.event_id.in_(events)).order_by(_D.number).with_for_update())

    def page(self, before: int | None, limit: int, having: Mapping[str, Any]) -> list[Delivery]:
        """At most `limit` deliveries with these values in these columns, the newest first, below a number."""
        query = _having(_ROWS, having).order_by(_D.number.desc()).limit(limit)
        return self._read(query if before is None else query.where(_D.number < before))

    def count(self, having: Mapping[str, Any]) -> int:
        """How many deliveries have these values in these columns."""
        return int(self._connection.execute(_having(select(func.count()).select_from(tables.deliveries), having)).scalar_one())

    def attempts(self, delivery: str) -> list[Attempt]:
        """Every attempt at a delivery, the first one first."""
        query = select(tables.attempts).where(_A.delivery == delivery).order_by(_A.attempt)
        return [Attempt(*row) for row in self._connection.execute(query)]

    def replays(self, delivery: str) -> list[Replay]:
        """Every replay of a delivery, the first one first."""
        query = select(tables.replays).where(_R.delivery == delivery).order_by(_R.replay)
        return [Replay(*row) for row in self._connection.execute(query)]

    def waiting(self, now: datetime) -> Waiting:
        """What is not finished, and what never will be."""
        counts = select(func.count(), func.min(_D.next_attempt_at).filter(_D.next_attempt_at <= now)).where(_IS_UNFINISHED)
        unfinished, oldest = self._connection.execute(counts).one()
        return Waiting(unfinished, self.count({"status": "dead"}), oldest)

    def last_due(self, trigger: str, action_index: int, place: int) -> datetime | None:
        """When the last delivery but `place` of an action of a trigger was to be sent; None where there are not so many."""
        query = select(_D.due_at).where(_D.trigger == trigger, _D.action_index == action_index)
        return self._connection.execute(query.order_by(_D.due_at.desc()).offset(place).limit(1)).scalar()

    def messages(self, event: str, endpoint: str) -> int:
        """How many deliveries of an event go to an endpoint."""
        query = select(func.count()).where(_D.endpoint == endpoint, _D.event_id == event)
        return int(self._connection.execute(query).scalar_one())

    # --- what is asked for ------------------------------------------------------------------------------------------------

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Write new deliveries, and the endpoints they go to where those are new. One that is there already stays as it is."""
        if not deliveries:
            return
        self._know_endpoints({one.endpoint for one in deliveries})
        rows = INSERT[self._engine](tables.deliveries).on_conflict_do_nothing()
        self._connection.execute(rows, [{name: getattr(one, name) for name in _NAMES} for one in deliveries])

    def rearm(self, delivery: Delivery) -> None:
        """
        Send a delivery again, with the `plan`, the `webhook` and the `endpoint` that it has now, at its `replayed_at`.

        One that is being sent just now is left alone.
        """
        names = ("plan", "webhook", "endpoint", "replayed_by", "replayed_at")
        again = {"status": "pending", "failures": 0, "finished_at": None, "next_attempt_at": delivery.replayed_at}
        changed = again | {name: getattr(delivery, name) for name in names}
        where = and_(_D.identifier == delivery.identifier, _IS_NOT_SENDING)
        self._connection.execute(update(tables.deliveries).where(where).values(changed))
        self._know_endpoints({delivery.endpoint})

    def note_replays(self, replays: Sequence[Replay]) -> None:
        """Write down who had deliveries sent again."""
        if replays:
            self._connection.execute(
                insert(tables.replays), [{one.name: getattr(row, one.name) for one in fields(Replay)} for row in replays]
            )

    def replayed(self, identifiers: Collection[str]) -> dict[str, int]:
        """Delivery → how often it has been sent again, for those that have been."""
        query = select(_R.delivery, func.max(_R.replay)).where(_R.delivery.in_(identifiers)).group_by(_R.delivery)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def cancel(self, now: datetime, why: str, **having: str) -> int:
        """
        Give up what still waits with these values in these columns, also when it is its turn to be changed; how many that were.

        What waited behind it is due now.
        """
        changed = {"status": "cancelled", "finished_at": now, "next_attempt_at": None, "lease_owner": None, "last_error": why}
        waiting = _having(select(_D.identifier).where(_D.status == "pending"), having)
        places = self._hold(waiting.with_only_columns(_D.endpoint))
        if not places:
            return 0
        where = and_(_D.identifier.in_(waiting), _IS_NOT_SENDING, _D.finished_at.is_(None))
        cancelled = self._connection.execute(update(tables.deliveries).where(where).values(changed)).rowcount
        self._let_follow(_put_off(places, now), now)
        return cancelled

    def forget(self, events: Collection[str]) -> None:
        """Take away every delivery of these events, with all that is written of it."""
        these = select(_D.identifier).where(_D.event_id.in_(events))
        self._connection.execute(delete(tables.attempts).where(_A.delivery.in_(these)))
        self._connection.execute(delete(tables.replays).where(_R.delivery.in_(these)))
        self._connection.execute(delete(tables.deliveries).where(_D.event_id.in_(events)))

    # --- claiming ---------------------------------------------------------------------------------------------------------

    def is_due(self, now: datetime) -> bool:
        """Whether there is an endpoint that something may be sent to now."""
        return bool(self._wire.rows(_IS_DUE, {"now": now})[0][0])

    def hold_endpoints(self, now: datetime) -> dict[Endpoint, int]:
        """
        The endpoints that something may be sent to now, without those that others hold, and how many deliveries are being sent there.

        Nobody else claims there until we commit. Only then are these counted, by a statement of their own: the one that takes hold may
        have begun before another worker committed, and would not see what that one claimed.
        """
        held = [Endpoint(*row) for row in self._wire.rows(_HOLD_ENDPOINTS, {"now": now})]
        if not held:
            return {}
        places = _PLACES.values(self._engine, [(one.endpoint,) for one in held])
        under_way: dict[str, int] = {row[0]: row[1] for row in self._wire.rows(_UNDER_WAY, {**places, "now": now})}
        return {one: under_way[one.endpoint] for one in held}

    def candidates(self, endpoint: str, now: datetime, limit: int) -> list[Candidate]:
        """The first `limit` deliveries that are due at an endpoint, each with the one that must go before it, which may be itself."""
        return [Candidate(*row) for row in self._wire.rows(_WINDOW, {"endpoint": endpoint, "now": now, "limit": limit})]

    def postpone(self, identifiers: Collection[str], until: datetime) -> None:
        """Do not look at these before an instant: what must go before them is not due earlier."""
        where = and_(_D.identifier.in_(identifiers), _IS_NOT_SENDING, _D.next_attempt_at.is_not(None))
        self._connection.execute(update(tables.deliveries).where(where).values(next_attempt_at=until))

    def claim(self, identifiers: Collection[str], owner: str, now: datetime, until: datetime) -> list[Delivery]:
        """Take those of the deliveries that are due, until the end of a lease; they are given back as they were before, by number."""
        if not identifiers:
            return []
        taking = {"owner": owner, "until": until}
        rows = self._wire.rows(_CLAIM, {**self._these(identifiers), **taking, "now": now})
        if self._engine == "sqlite":
            self._wire.run(_TAKEN, {**self._these(row[0] for row in rows), **taking})
        return [Delivery(*row) for row in rows]

    # --- what came of it --------------------------------------------------------------------------------------------------

    def note(self, attempts: Iterable[Attempt]) -> None:
        """Write attempts down."""
        self._wire.run_each(_NOTE, [{one.name: getattr(row, one.name) for one in fields(Attempt)} for row in attempts])

    def held(self, attempts: Mapping[str, int], owner: str) -> set[str]:
        """Those of the deliveries that this owner is still sending, at this attempt. Nobody takes them until this transaction ends."""
        return {row[0] for row in self._wire.rows(_HELD, {**self._attempts(attempts), "owner": owner})}

    def finish_held(self, attempts: Mapping[str, int], owner: str, now: datetime, last_status: int | None) -> set[str]:
        """The same ones, which are delivered now."""
        said = {"owner": owner, "now": now, "answered": last_status}
        return {row[0] for row in self._wire.rows(_FINISH_HELD, {**self._attempts(attempts), **said})}

    def finish(self, identifiers: Collection[str], status: str, now: datetime, last_status: int | None, error: str | None) -> None:
        """Nothing more is to be done for these."""
        changed = {"status": status, "finished_at": now, "last_status": last_status, "last_error": error}
        nobody = {"next_attempt_at": None, "lease_owner": None}
        self._connection.execute(update(tables.deliveries).where(_D.identifier.in_(identifiers)).values(changed | nobody))

    def retry(self, identifier: str, failures: int, at: datetime, last_status: int | None, error: str | None) -> None:
        """Try this one again at an instant."""
        changed = {"status": "pending", "failures": failures, "next_attempt_at": at, "last_status": last_status, "last_error": error}
        self._connection.execute(update(tables.deliveries).where(_D.identifier == identifier).values(changed | {"lease_owner": None}))

    def let_follow(self, endpoint: str, subjects: Collection[str], now: datetime) -> None:
        """What waited at an endpoint behind deliveries of these subjects, which are finished, is due now."""
        if subjects:
            self._hold([endpoint])
            self._let_follow(and_(_D.endpoint == endpoint, _D.subject_id.in_(subjects)), now)

    def let_all_follow(self, endpoints: Collection[str], now: datetime) -> None:
        """The same for all subjects, at endpoints from which deliveries were taken away."""
        if endpoints:
            self._let_follow(_put_off(self._hold(endpoints), now), now)

    def begin_anew(self, endpoint: str, now: datetime) -> None:
        """Forget how an endpoint has fared, and let what waits there for another attempt be due now. Its rate stays as it was."""
        forgotten = {"failures": 0, "failing_since": None, "open_until": None}
        self._connection.execute(update(tables.endpoints).where(_E.endpoint == endpoint).values(forgotten))
        self._hurry(_put_off([endpoint], now), now)

    def _let_follow(self, place: ColumnElement[bool], now: datetime) -> None:
        """What has not failed itself was put off for what it waits behind."""
        self._hurry(and_(place, _D.failures == 0), now)

    def _hurry(self, place: ColumnElement[bool], now: datetime) -> None:
        """Whoever claims at the endpoint may have seen what was, and be about to put this off: call it while holding that."""
        where = and_(_IS_UNFINISHED, place, _IS_NOT_SENDING, _D.due_at <= now)
        self._connection.execute(update(tables.deliveries).where(where).values(next_attempt_at=now))

    def _hold(self, endpoints: Select[Any] | Collection[str]) -> Sequence[str]:
        """
        Those endpoints, at which nobody else claims until this transaction ends.

        They are held in their order, so that two who hold several do not wait for each other.
        """
        query = select(_E.endpoint).where(_E.endpoint.in_(endpoints)).order_by(_E.endpoint).with_for_update()
        return self._connection.execute(query).scalars().all()

    def endpoint(self, endpoint: str) -> Endpoint:
        """How an endpoint fares; nobody else changes it until this transaction ends."""
        row = self._connection.execute(_ENDPOINTS.where(_E.endpoint == endpoint).with_for_update()).first()
        return Endpoint(*row) if row is not None else Endpoint(endpoint)

    def set_endpoint(self, state: Endpoint) -> None:
        """Write how an endpoint fares."""
        changed = {one.name: getattr(state, one.name) for one in fields(Endpoint)}
        self._connection.execute(update(tables.endpoints).where(_E.endpoint == state.endpoint).values(changed))

    def _know_endpoints(self, names: Collection[str]) -> None:
        places = INSERT[self._engine](tables.endpoints).on_conflict_do_nothing()
        self._connection.execute(places, [{"endpoint": one} for one in sorted(names)])

    def _these(self, identifiers: Iterable[str]) -> dict[str, Any]:
        return _THESE.values(self._engine, [(one,) for one in identifiers])

    def _attempts(self, attempts: Mapping[str, int]) -> dict[str, Any]:
        return _ATTEMPTS.values(self._engine, attempts.items())

    def _read(self, query: Select[Any]) -> list[Delivery]:
        return [Delivery(*row) for row in self._connection.execute(query)]


def _put_off(endpoints: Collection[str], now: datetime) -> ColumnElement[bool]:
    """What is at these endpoints and not due. Where a subject is known, SQLite would look through all of it rather than by that."""
    return and_(_D.endpoint.in_(endpoints), _D.next_attempt_at > now)


def _having(query: Select[Any], having: Mapping[str, Any]) -> Select[Any]:
    return query.where(*(_D[name] == value for name, value in having.items()))
