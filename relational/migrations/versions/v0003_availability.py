"""Availability: reservations that want units as soon as possible, places, periods in which a unit cannot be had, and counters."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

INSTANT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
BLOCKING = sa.text("status IN ('allocated', 'in_use')")
OUT = sa.text("status = 'in_use'")


def upgrade() -> None:
    {"postgresql": _loosen_windows, "sqlite": _rewrite_rent_actions}[op.get_bind().dialect.name]()
    op.create_index("rent_actions_by_location", "rent_actions", ["location", "number"])
    _unavailabilities()
    _allocations()
    _told()
    _counters()


def _added() -> tuple[sa.Column[Any], ...]:
    return sa.Column("duration_seconds", sa.BigInteger()), sa.Column("location", sa.Text())


def _loosen_windows() -> None:
    for column in ("start_time", "end_time"):
        op.alter_column("rent_actions", column, nullable=True)
    for added in _added():
        op.add_column("rent_actions", added)
    for index in ("rent_actions_by_start", "rent_actions_by_end"):
        op.drop_index(index, "rent_actions")
        op.create_index(index, "rent_actions", RENT_ACTION_INDEXES[index])


KEPT = (
    "identifier, number, status, priority, requester, created_by, approved_by, start_time, end_time, is_asap, external_source, "
    "external_ref, search_text, created_at, updated_at"
)


def _rewrite_rent_actions() -> None:
    """SQLite cannot take NOT NULL from a column: the table is made anew, while its rows, and the lines that refer to them, stand aside."""
    for table in ("rent_action_items", "rent_actions"):
        op.execute(f"CREATE TEMPORARY TABLE {table}_aside AS SELECT * FROM {table}")  # noqa: S608 (constants put together; values are parameters)
        op.execute(f"DELETE FROM {table}")  # noqa: S608 (constants put together; values are parameters)
    op.drop_table("rent_actions")
    _rent_actions()
    op.execute(f"INSERT INTO rent_actions ({KEPT}) SELECT {KEPT} FROM rent_actions_aside")  # noqa: S608 (constants put together; values are parameters)
    op.execute("INSERT INTO rent_action_items SELECT * FROM rent_action_items_aside")
    for table in ("rent_action_items", "rent_actions"):
        op.execute(f"DROP TABLE {table}_aside")


def _rent_actions() -> None:
    op.create_table(
        "rent_actions",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text()),
        sa.Column("approved_by", sa.Text()),
        sa.Column("start_time", INSTANT),
        sa.Column("end_time", INSTANT),
        *_added(),
        sa.Column("is_asap", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("external_source", sa.Text()),
        sa.Column("external_ref", sa.Text()),
        sa.Column("search_text", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", INSTANT, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("start_time < end_time", name="rent_action_starts_before_it_ends"),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="rent_action_has_a_document"),
        sa.PrimaryKeyConstraint("identifier", name="rent_actions_are_indexed_once"),
    )
    for index, columns in RENT_ACTION_INDEXES.items():
        op.create_index(index, "rent_actions", columns)


RENT_ACTION_INDEXES = {
    "rent_actions_by_end": ["end_time", "number"],
    "rent_actions_by_external_ref": ["external_ref", "number"],
    "rent_actions_by_external_source": ["external_source", "external_ref"],
    "rent_actions_by_number": ["number"],
    "rent_actions_by_priority": ["priority", "number"],
    "rent_actions_by_requester": ["requester", "number"],
    "rent_actions_by_start": ["start_time", "number", "end_time"],
    "rent_actions_by_status": ["status", "number"],
    "rent_actions_by_update": ["updated_at", "number"],
}


def _unavailabilities() -> None:
    op.create_table(
        "unavailabilities",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("asset_number", sa.BigInteger(), nullable=False),
        sa.Column("item_type", sa.Text(), nullable=False),
        sa.Column("unavailable_from", INSTANT, nullable=False),
        sa.Column("unavailable_to", INSTANT),
        sa.Column("reason", sa.Text()),
        sa.CheckConstraint("unavailable_from < unavailable_to", name="unavailability_starts_before_it_ends"),
        sa.ForeignKeyConstraint(["source"], ["documents.identifier"], name="unavailability_said_by_a_resource"),
        sa.ForeignKeyConstraint(["asset"], ["documents.identifier"], name="unavailability_of_an_asset"),
        sa.ForeignKeyConstraint(["item_type"], ["documents.identifier"], name="unavailability_within_an_item_type"),
        sa.PrimaryKeyConstraint("source", "part", name="unavailabilities_are_named_in_their_source"),
    )
    op.create_index("unavailabilities_by_asset", "unavailabilities", ["asset_number", "unavailable_from"])
    op.create_index("unavailabilities_by_item_type", "unavailabilities", ["item_type", "unavailable_from"])


def _allocations() -> None:
    op.create_index(
        "allocations_by_start",
        "allocations",
        ["stock_pool", "blocked_from", "quantity"],
        postgresql_where=BLOCKING,
        sqlite_where=BLOCKING,
    )
    op.create_index("allocations_that_are_out", "allocations", ["item_type", "allocated_to"], postgresql_where=OUT, sqlite_where=OUT)
    op.create_index("allocations_that_are_out_by_end", "allocations", ["allocated_to", "number"], postgresql_where=OUT, sqlite_where=OUT)


def _told() -> None:
    op.create_table(
        "told",
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("told_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("event", "subject", "cause", name="things_are_told_once"),
    )
    op.create_index("told_by_cause", "told", ["event", "cause"])


def _counters() -> None:
    op.create_table(
        "counters",
        sa.Column("stock_pool", sa.Text(), nullable=False),
        sa.Column("span", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("opening", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.Column("rise", sa.BigInteger(), nullable=False),
        sa.Column("fall", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("started >= 0 AND ended >= 0", name="counters_count"),
        sa.ForeignKeyConstraint(["stock_pool"], ["documents.identifier"], name="counter_of_a_stock_pool"),
        sa.PrimaryKeyConstraint("stock_pool", "span", "bucket", name="counters_stand_once_in_a_bucket"),
        sqlite_with_rowid=False,
    )
    engine = op.get_bind().dialect.name
    op.execute(HOURS.format(hour=HOUR[engine], second=SECOND[engine]))
    for span, ratio in ((86_400, 24), (2_764_800, 32)):
        op.execute(LONGER.format(span=span, shorter=span // ratio, ratio=ratio))


# --- what is there already --------------------------------------------------------------------------------------------

HOUR = {
    "postgresql": "CAST(floor(extract(epoch FROM at) / 3600) AS bigint)",
    "sqlite": "((at - ((at % 3600000000) + 3600000000) % 3600000000) / 3600000000)",
}
SECOND = {
    "postgresql": "extract(epoch FROM at) = hour * 3600",
    "sqlite": "at = hour * 3600000000",
}
"""The hour of an instant, counted from 1970; whether the instant is the first of its hour."""

HOURS = """
INSERT INTO counters (stock_pool, span, bucket, opening, started, ended, rise, fall)
SELECT stock_pool, 3600, hour, sum(CASE WHEN is_first THEN change ELSE 0 END), sum(started), sum(ended),
    CASE WHEN count(*) FILTER (WHERE is_first) = 0 AND max(height) < 0 THEN 0 ELSE max(height) END,
    CASE WHEN count(*) FILTER (WHERE is_first) = 0 AND min(height) > 0 THEN 0 ELSE min(height) END
FROM (
    SELECT stock_pool, hour, started, ended, started - ended AS change, {second} AS is_first,
        sum(started - ended) OVER (PARTITION BY stock_pool, hour ORDER BY at) AS height
    FROM (
        SELECT stock_pool, {hour} AS hour, at, sum(started) AS started, sum(ended) AS ended FROM (
            SELECT stock_pool, blocked_from AS at, quantity AS started, 0 AS ended FROM allocations
            WHERE stock_pool IS NOT NULL AND status IN ('allocated', 'in_use')
            UNION ALL
            SELECT stock_pool, blocked_to, 0, quantity FROM allocations
            WHERE stock_pool IS NOT NULL AND status IN ('allocated', 'in_use')
        ) AS changes GROUP BY stock_pool, at
    ) AS instants
) AS running GROUP BY stock_pool, hour
"""

LONGER = """
INSERT INTO counters (stock_pool, span, bucket, opening, started, ended, rise, fall)
SELECT stock_pool, {span}, longer, sum(CASE WHEN bucket = longer * {ratio} THEN opening ELSE 0 END), sum(started), sum(ended),
    CASE WHEN min(bucket) > longer * {ratio} AND max(before + rise) < 0 THEN 0 ELSE max(before + rise) END,
    CASE WHEN min(bucket) > longer * {ratio} AND min(before + fall) > 0 THEN 0 ELSE min(before + fall) END
FROM (
    SELECT placed.*, sum(started - ended) OVER (PARTITION BY stock_pool, longer ORDER BY bucket) - (started - ended) AS before
    FROM (
        SELECT counters.*, (bucket - ((bucket % {ratio}) + {ratio}) % {ratio}) / {ratio} AS longer FROM counters WHERE span = {shorter}
    ) AS placed
) AS running GROUP BY stock_pool, longer
"""
