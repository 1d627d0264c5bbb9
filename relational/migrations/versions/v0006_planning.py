"""Planning: demand signals, build requests, and what planning runs saw."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

INSTANT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
EPOCH = {"postgresql": "'1970-01-01 00:00:00+00'", "sqlite": "0"}
ACTIVE = sa.text("status = 'active'")
NUMBERED = ("demandsignal", "buildrequest", "supplysnapshot")
INDEXES = {
    "demand_signals": {
        "number": ["number"],
        "window": ["start_time", "end_time", "number"],
        "end": ["end_time", "number"],
        "item": ["item", "start_time"],
        "source": ["source", "source_ref", "number"],
        "source_ref": ["source_ref", "number"],
        "status": ["status", "number"],
        "update": ["updated_at", "number"],
    },
    "build_requests": {
        "number": ["number"],
        "status": ["status", "number"],
        "item_type": ["item_type", "number"],
        "needed_by": ["needed_by", "number"],
        "external_system": ["external_system", "external_ref"],
        "update": ["updated_at", "number"],
    },
    "supply_snapshots": {
        "number": ["number"],
        "time": ["as_of_time", "number"],
        "window": ["start_time", "end_time", "number"],
        "item_type": ["item_type", "number"],
    },
}


def upgrade() -> None:
    op.add_column("item_types", sa.Column("buffer_quantity", sa.Integer(), server_default="0", nullable=False))
    _demand_signals()
    _build_requests()
    _supply_snapshots()
    for table, indexes in INDEXES.items():
        for name, columns in indexes.items():
            op.create_index(f"{table}_by_{name}", table, columns)
    op.create_index(
        "a_demand_is_active_once",
        "demand_signals",
        ["source", "source_ref", "item"],
        unique=True,
        postgresql_where=ACTIVE,
        sqlite_where=ACTIVE,
    )
    if op.get_bind().dialect.name == "postgresql":
        for kind in NUMBERED:
            op.execute(f"CREATE SEQUENCE numbers_of_{kind}")


def _findable() -> tuple[sa.Column[Any], ...]:
    epoch = sa.text(EPOCH[op.get_bind().dialect.name])
    return (
        sa.Column("search_text", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", INSTANT, server_default=epoch, nullable=False),
        sa.Column("updated_at", INSTANT, server_default=epoch, nullable=False),
    )


def _demand_signals() -> None:
    op.create_table(
        "demand_signals",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_ref", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("quantity_required", sa.Integer(), nullable=False),
        sa.Column("start_time", INSTANT, nullable=False),
        sa.Column("end_time", INSTANT, nullable=False),
        sa.Column("location", sa.Text()),
        sa.Column("priority", sa.Text(), nullable=False),
        *_findable(),
        sa.CheckConstraint("start_time < end_time", name="demand_starts_before_it_ends"),
        sa.CheckConstraint("quantity_required >= 1", name="quantity_required_is_a_count"),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="demand_signal_has_a_document"),
        sa.ForeignKeyConstraint(["item"], ["documents.identifier"], name="demand_signal_asks_for_an_item"),
        sa.PrimaryKeyConstraint("identifier", name="demand_signals_are_indexed_once"),
    )


def _build_requests() -> None:
    op.create_table(
        "build_requests",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("item_type", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("needed_by", INSTANT),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("location", sa.Text()),
        sa.Column("external_system", sa.Text()),
        sa.Column("external_ref", sa.Text()),
        sa.Column("demand_signal", sa.Text()),
        sa.Column("trigger_event_id", sa.Text()),
        *_findable(),
        sa.CheckConstraint("quantity >= 1", name="build_quantity_is_a_count"),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="build_request_has_a_document"),
        sa.ForeignKeyConstraint(["item_type"], ["item_types.identifier"], name="build_request_for_an_item_type"),
        sa.PrimaryKeyConstraint("identifier", name="build_requests_are_indexed_once"),
    )


def _supply_snapshots() -> None:
    op.create_table(
        "supply_snapshots",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("as_of_time", INSTANT, nullable=False),
        sa.Column("start_time", INSTANT, nullable=False),
        sa.Column("end_time", INSTANT, nullable=False),
        sa.Column("item_type", sa.Text(), nullable=False),
        sa.Column("location", sa.Text()),
        sa.Column("total_capacity", sa.BigInteger(), nullable=False),
        sa.Column("reserved_capacity", sa.BigInteger(), nullable=False),
        sa.Column("available_capacity", sa.BigInteger(), nullable=False),
        sa.Column("shortfall_quantity", sa.BigInteger(), nullable=False),
        *_findable(),
        sa.CheckConstraint("start_time < end_time", name="supply_snapshot_starts_before_it_ends"),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="supply_snapshot_has_a_document"),
        sa.ForeignKeyConstraint(["item_type"], ["item_types.identifier"], name="supply_snapshot_of_an_item_type"),
        sa.PrimaryKeyConstraint("identifier", name="supply_snapshots_are_indexed_once"),
    )
