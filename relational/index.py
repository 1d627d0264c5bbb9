"""The index: typed columns, derived from documents, that answer list filters and keep codes and tags unique."""

import operator
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union_all,
)

from ld_server.domain.errors import Duplicate
from relational import dangers, tables
from relational.documents import HEAD, Head
from relational.locks import Lock, taking
from relational.owners import owned_by
from relational.upsert import upsert
from relational.wire import VIOLATIONS, Statement, Wire

TABLES = {
    table.name: table
    for table in (
        tables.item_types,
        tables.assets,
        tables.stock_pools,
        tables.kit_templates,
        tables.rent_actions,
        tables.maintenance_logs,
        tables.attachments,
        tables.demand_signals,
        tables.build_requests,
        tables.supply_snapshots,
    )
}
"""The index tables that have one row per resource."""

_LINES, _COMPONENTS = tables.rent_action_items.c, tables.kit_template_items.c


def _with_kits_around(item: str) -> Select[Any]:
    """An item, the kits that it belongs to, the kits that those belong to, and so on."""
    around = select(literal(item, Text).label("item")).cte("around", recursive=True)
    around = around.union(select(_COMPONENTS.kit_template).where(_COMPONENTS.item == around.c.item))
    return select(around.c.item)


OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda column, values: column.in_(values),
    "starts with": lambda column, part: column.startswith(part, autoescape=True),
    "contains": lambda column, part: column.contains(part, autoescape=True),
    "written since": lambda column, position: column.in_(_written_since(position)),
    "not written since": lambda column, position: column.not_in(_written_since(position)),
    "has a component of": lambda column, item: column.in_(select(_COMPONENTS.kit_template).where(_COMPONENTS.item == item)),
    "has a line for": lambda column, item: column.in_(select(_LINES.rent_action).where(_LINES.item.in_(_with_kits_around(item)))),
    "belongs to": lambda column, owner: column.in_(owned_by(owner)),
    "is overdue": lambda column, asked: _among(column, dangers.overdue(asked[1]), asked[0]),
    "is at risk": lambda column, asked: _among(column, dangers.endangered(asked[1]), asked[0]),
}
"""How a condition compares a column with its value; where it depends on the time, that is whether it is to hold, and when."""


def _written_since(position: int) -> Select[Any]:
    return select(tables.revisions.c.identifier).where(tables.revisions.c.written_in >= position)


def _among(column: Any, found: Select[Any], is_wanted: bool) -> ColumnElement[bool]:
    among: ColumnElement[bool] = column.in_(found) if is_wanted else column.not_in(found)
    return among


UNIQUE = {
    "item_types": ("code", "code"),
    "assets": ("asset_tag", "assetTag"),
    "kit_templates": ("code", "code"),
    "maintenance_logs": ("corrects", "corrects"),
}
"""The column of a table that may hold a value only once, and the key of the document in which people know it."""

LARGEST_NUMBER = 2**63 - 1
"""Of a column; a cursor that somebody made up may be larger."""

_ROWS_AT_ONCE = 1000

Condition = tuple[str, str, Any]
"""Column, operator, value."""

Order = tuple[str, bool]
"""Column, and whether it falls: the largest value comes first."""

_DELETE_LINES = Statement(delete(tables.rent_action_items).where(_LINES.rent_action == bindparam("of")))
_INSERT_LINES = Statement(insert(tables.rent_action_items), [column.name for column in _LINES])
_DELETE_COMPONENTS = delete(tables.kit_template_items).where(_COMPONENTS.kit_template == bindparam("of"))
_INSERT_COMPONENTS = insert(tables.kit_template_items)
_DELETE_UNAVAILABILITIES = delete(tables.unavailabilities).where(tables.unavailabilities.c.source == bindparam("of"))
_INSERT_UNAVAILABILITIES = insert(tables.unavailabilities)


class Index:
    """The gateway to the index. Tables and columns are named as in relational.tables; an unknown one raises KeyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """
        Write the row of one resource, or replace it. `number` is taken from `identifier` unless it is given.

        Raises Duplicate(field, resource) when another resource has the code or the asset tag; the transaction stays usable.
        """
        if table not in UNIQUE:
            self._put(TABLES[table], row)
            return
        try:
            with self._connection.begin_nested():
                self._put(TABLES[table], row)
        except VIOLATIONS as error:
            raise self._duplicate(table, row) or error from error

    def put_lines(self, rent_action: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the lines of a reservation; the rows need no `rent_action`."""
        wire = Wire.of(self._connection)
        wire.run(_DELETE_LINES, {"of": rent_action})
        wire.run_each(_INSERT_LINES, [{"allocated_quantity": 0, **row, "rent_action": rent_action} for row in rows])

    def put_components(self, kit_template: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the components of a kit template; the rows need no `kit_template`."""
        self._connection.execute(_DELETE_COMPONENTS, {"of": kit_template})
        values = [{**row, "kit_template": kit_template} for row in rows]
        if values:
            self._connection.execute(_INSERT_COMPONENTS, values)

    def put_unavailabilities(self, source: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the periods in which this resource says that units cannot be had; the rows need no `source` and no `asset_number`."""
        self._connection.execute(_DELETE_UNAVAILABILITIES, {"of": source})
        values = [
            {"unavailable_to": None, "reason": None, **row, "source": source, "asset_number": number_of(row["asset"])} for row in rows
        ]
        if values:
            self._connection.execute(_INSERT_UNAVAILABILITIES, values)

    def kits_with(self, item: str) -> list[str]:
        """The kit templates that have this item type or kit among their components."""
        query = select(_COMPONENTS.kit_template).where(_COMPONENTS.item == item).order_by(_COMPONENTS.kit_template)
        return list(self._connection.execute(query).scalars())

    def components_of(self, kit_templates: Iterable[str]) -> list[tuple[str, str]]:
        """Kit template and item, for each component of these kit templates."""
        query = select(_COMPONENTS.kit_template, _COMPONENTS.item).where(_COMPONENTS.kit_template.in_(sorted(set(kit_templates))))
        return [(row.kit_template, row.item) for row in self._connection.execute(query.order_by(_COMPONENTS.item))]

    def hold_compositions(self) -> None:
        """Make others who put kits into kits wait until this transaction ends: two changes, each harmless, could close a circle."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(taking(Lock.COMPOSITIONS))

    def hold_signals(self) -> None:
        """Make others who tell of demand wait until this transaction ends: two could find no signal of a source, and each make one."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(taking(Lock.SIGNALS))

    def page(
        self,
        table: str,
        conditions: Sequence[Condition],
        after: int | None,
        limit: int,
        order: Sequence[Order] = (),
        values: Sequence[Any] = (),
    ) -> list[Head]:
        """
        The resources that meet every condition, at most `limit`, from the first behind the one with the number `after`.

        They come by the columns of `order`, where empty ones stand last, and among equals by number, in the direction of the last column.
        `values` are those that the resource with the number `after` had in these columns: the place does not move when it changes.
        """
        query = _listed(HEAD, TABLES[table], conditions, after, limit, order, values)
        return [Head(*row) for row in self._connection.execute(query)]

    def states(
        self,
        table: str,
        conditions: Sequence[Condition],
        after: int | None = None,
        order: Sequence[Order] = (),
        values: Sequence[Any] = (),
    ) -> "array[int]":
        """
        Number and revision, by turns, of every resource that `page` would give if it had no limit: 16 bytes for each.

        Revisions stay as they are, so that whoever has these can read the list afterwards, at leisure, as it is now.
        """
        wanted = (tables.documents.c.number, tables.documents.c.revision)
        query = _listed(wanted, TABLES[table], conditions, after, None, order, values)
        found = array("q")
        for row in self._connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)):
            found.extend(row)
        return found

    def pieces(self, table: str, conditions: Sequence[Condition]) -> Iterator["array[int]"]:
        """What `states` gives, by number and some thousand at a time, for more than should be in memory at once."""
        wanted = (tables.documents.c.number, tables.documents.c.revision)
        query = _listed(wanted, TABLES[table], conditions, None, None, (), ())
        for rows in self._connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)).partitions():
            yield array("q", (value for row in rows for value in row))

    def count(self, table: str, conditions: Sequence[Condition] = ()) -> int:
        """How many resources meet every condition."""
        index = TABLES[table]
        query = select(func.count()).select_from(index).where(*_compared(index, conditions))
        return int(self._connection.execute(query).scalar_one())

    def count_up_to(self, most: int, table: str, conditions: Sequence[Condition]) -> int | None:
        """How many resources meet every condition; None for more than `most`: nobody looks how many more, so that it costs no more."""
        index = TABLES[table]
        some = select(index.c.number).where(*_compared(index, conditions)).limit(most + 1).subquery()
        found = int(self._connection.execute(select(func.count()).select_from(some)).scalar_one())
        return found if found <= most else None

    def find(self, table: str, column: str, value: Any) -> str | None:
        """The identifier of the first resource, by number, that has this value; or None."""
        index = TABLES[table]
        query = select(index.c.identifier).where(index.c[column] == value).order_by(index.c.number).limit(1)
        found: str | None = self._connection.execute(query).scalar()
        return found

    def plans_without_outcome(self, now: datetime, limit: int) -> list[Head]:
        """Planned work whose time was over before `now`, of which nobody has said what came of it, the longest over first."""
        logs, later = tables.maintenance_logs, tables.maintenance_logs.alias()
        is_corrected = select(later.c.number).where(later.c.corrects == logs.c.identifier).exists()
        query = select(*HEAD).join_from(logs, tables.documents, tables.documents.c.identifier == logs.c.identifier)
        query = query.where(logs.c.planned_end <= now, logs.c.outcome.is_(None), ~is_corrected)
        rows = self._connection.execute(query.order_by(logs.c.planned_end, logs.c.number).limit(limit))
        return [Head(*row) for row in rows]

    def having(self, table: str, column: str, values: Sequence[Any], conditions: Sequence[Condition] = ()) -> set[Any]:
        """Those of these values that a resource has which meets every condition."""
        index = TABLES[table]
        query = select(index.c[column]).where(index.c[column].in_(values), *_compared(index, conditions))
        return set(self._connection.execute(query).scalars())

    def clear(self) -> None:
        """Empty the index, to be filled again in this transaction: others read the old rows, and wait before they write or hold."""
        parts = (tables.rent_action_items, tables.kit_template_items, tables.unavailabilities)
        emptied = (*parts, *reversed(TABLES.values()))
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text(f"LOCK TABLE {', '.join(table.name for table in emptied)} IN EXCLUSIVE MODE"))
        for table in emptied:
            self._connection.execute(delete(table))

    def _put(self, table: Table, row: Mapping[str, Any]) -> None:
        values = {"number": number_of(row["identifier"]), **row}
        upsert(self._connection, table, values, "identifier")

    def _duplicate(self, table: str, row: Mapping[str, Any]) -> Duplicate | None:
        column, field = UNIQUE[table]
        value = row.get(column)
        resource = self.find(table, column, value) if value is not None else None
        if resource is None or resource == row["identifier"]:
            return None
        return self.duplicate(field, value, resource)

    @staticmethod
    def duplicate(field: str, value: Any, resource: str) -> Duplicate:
        """The refusal of a value that another resource has."""
        return Duplicate(f"{field} {value!r} belongs to {resource} already.", field=field, resource=resource)


def _listed(
    columns: Sequence[Column[Any]],
    index: Table,
    conditions: Sequence[Condition],
    after: int | None,
    limit: int | None,
    order: Sequence[Order],
    values: Sequence[Any],
) -> Select[Any]:
    """These columns of the documents that `Index.page` describes."""
    if not order:
        return _by_number(columns, index, conditions, after).limit(limit)
    terms = [_term(index.c[column], falls) for column, falls in order]
    terms.append(_term(index.c.number, terms[-1].falls))
    place = None if after is None else [*values, min(after, LARGEST_NUMBER)]
    compared = _compared(index, conditions)
    named = [index.c.identifier, *(one.column for one in terms)]
    stretches = [stretch.limited(named, compared, limit) for stretch in _stretches(terms, place)]
    found = union_all(*(select(one.subquery()) for one in stretches)).subquery()
    query = select(*columns).join_from(found, tables.documents, tables.documents.c.identifier == found.c.identifier)
    return query.order_by(*(one.ordering(found.c[one.column.name]) for one in terms)).limit(limit)


def _by_number(columns: Sequence[Column[Any]], index: Table, conditions: Sequence[Condition], after: int | None) -> Select[Any]:
    query = select(*columns).join_from(index, tables.documents, tables.documents.c.identifier == index.c.identifier)
    query = query.where(*_compared(index, conditions)).order_by(index.c.number)
    return query if after is None else query.where(index.c.number > min(after, LARGEST_NUMBER))


@dataclass(frozen=True, slots=True)
class _Term:
    """A column that rows are ordered by, and in which direction. `is_complete` says that every row in question has a value."""

    column: Column[Any]
    falls: bool
    is_complete: bool

    def ordering(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """How rows are ordered by this column, or by the same of a subquery."""
        directed = column.desc() if self.falls else column.asc()
        return directed if self.is_complete else directed.nulls_last()

    def behind(self, value: Any) -> ColumnElement[bool]:
        """Whether a row stands behind this value; behind an empty one stands nothing."""
        if value is None:
            return false()
        further: ColumnElement[bool] = self.column < value if self.falls else self.column > value
        return further if self.is_complete else or_(further, self.column.is_(None))

    def not_before(self, value: Any) -> ColumnElement[bool]:
        bounded: ColumnElement[bool] = self.column <= value if self.falls else self.column >= value
        return bounded


def _term(column: Column[Any], falls: bool) -> _Term:
    return _Term(column, falls, is_complete=not column.nullable)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a list whose rows can be read from an index in the order of these terms."""

    terms: Sequence[_Term]
    conditions: Sequence[ColumnElement[bool]]

    def limited(self, columns: Sequence[Column[Any]], conditions: Sequence[ColumnElement[bool]], limit: int | None) -> Select[Any]:
        """These columns, and no more, of its first rows that meet the conditions; of all where there is no limit."""
        chosen = select(*columns).where(*conditions, *self.conditions)
        return chosen.order_by(*(one.ordering(one.column) for one in self.terms)).limit(limit)


def _stretches(terms: Sequence[_Term], place: Sequence[Any] | None) -> list[_Stretch]:
    """
    The rows behind a place, None being the beginning: first those that have a value in the first term, then those that have none.

    Apart, because no index has the empty ones at its end whichever way it is read.
    """
    first, *others = terms
    if first.is_complete:
        return [_Stretch(terms, _behind(terms, place))]
    is_in_the_rest = place is not None and place[0] is None
    rest = _Stretch(others, [first.column.is_(None), *_behind(others, place[1:] if place and is_in_the_rest else None)])
    if is_in_the_rest:
        return [rest]
    filled = [replace(first, is_complete=True), *others]
    return [_Stretch(filled, [first.column.is_not(None), *_behind(filled, place)]), rest]


def _behind(terms: Sequence[_Term], place: Sequence[Any] | None) -> list[ColumnElement[bool]]:
    """
    Whether a row comes later than one with these values: it does in some term, and is equal in all before.

    Said once more of the first term alone, because that is what an index can start at.
    """
    if place is None:
        return []
    pairs = list(zip(terms, place, strict=True))
    later = [and_(*(one.column == same for one, same in pairs[:count]), term.behind(value)) for count, (term, value) in enumerate(pairs)]
    first, value = pairs[0]
    return [first.not_before(value), or_(*later)] if first.is_complete else [or_(*later)]


def number_of(identifier: str) -> int:
    """The number in an identifier: 7 in `itemType_7`. Raises ValueError when there is none."""
    return int(identifier.rpartition("_")[2])


def _compared(table: Table, conditions: Sequence[Condition]) -> list[ColumnElement[bool]]:
    return [OPERATORS[compare](table.c[column], value) for column, compare, value in [*conditions, *_implied(conditions)]]


def _implied(conditions: Sequence[Condition]) -> list[Condition]:
    """What ends by an instant has started before it: said, so that a search for what is within a window ends where the window does."""
    is_from_a_start = any((column, compare) == ("start_time", ">=") for column, compare, _ in conditions)
    ends = [end for column, compare, end in conditions if (column, compare) == ("end_time", "<=")]
    return [("start_time", "<", end) for end in ends if is_from_a_start]
