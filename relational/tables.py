"""
The schema, on one page.

`documents` is the truth about every resource; the index tables (`item_types`, `assets`, `stock_pools`, `kit_templates`,
`kit_template_items`, `rent_actions`, `rent_action_items`) hold typed columns derived from the documents, by which lists are
filtered and rules are checked. References are identifiers (`itemType_7`). Every constraint has a name that says what it means:
it is what a violation is recognised by. Column names follow the seed (3.2 to 3.8) where it has them.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Dialect,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeDecorator, TypeEngine

KINDS = (
    "itemType",
    "asset",
    "stockPool",
    "kitTemplate",
    "rentAction",
    "allocation",
    "key",
    "trigger",
    "webhook",
    "delivery",
    "attachment",
    "maintenanceLog",
    "demandSignal",
    "buildRequest",
    "supplySnapshot",
    "run",
)
"""What has numbers of its own. Numbers rise per kind; one that was drawn and not used leaves a gap."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware datetime: `timestamptz` on Postgres, microseconds since 1970 in UTC on SQLite. Read back in UTC."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == "postgresql" else BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Raises ValueError for a datetime without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a zone")
        return value if dialect.name == "postgresql" else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return value.astimezone(UTC) if value else None
        return EPOCH + int(value) * MICROSECOND


Position = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database gives; SQLite counts only in columns it calls INTEGER."""


class _Epoch(ColumnElement[datetime]):
    """1970, as each engine writes it: a default by which a column of instants can be added to a table that has rows."""

    inherit_cache = True


@compiles(_Epoch, "postgresql")
def _epoch_on_postgres(_element: _Epoch, _compiler: Any, **_options: Any) -> str:
    return "'1970-01-01 00:00:00+00'"


@compiles(_Epoch, "sqlite")
def _epoch_on_sqlite(_element: _Epoch, _compiler: Any, **_options: Any) -> str:
    return "0"


def _findable() -> tuple[Column[Any], ...]:
    """What every list can be searched and sorted by: the texts that `q` looks at, and when the resource was made and last changed."""
    return (
        Column("search_text", Text, nullable=False, server_default=""),
        Column("created_at", Instant, nullable=False, server_default=_Epoch()),
        Column("updated_at", Instant, nullable=False, server_default=_Epoch()),
    )


schema = MetaData()

documents = Table(
    "documents",
    schema,
    Column("identifier", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("identifier", name="documents_have_one_head"),
    UniqueConstraint("kind", "number", name="numbers_are_unique_per_kind"),
    CheckConstraint("revision >= 1", name="revisions_start_at_one"),
)

tallies = Table(
    "tallies",
    schema,
    Column("kind", Text, nullable=False),
    Column("slot", SmallInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("kind", "slot", name="resources_are_tallied_by_slot"),
)
"""How many documents of a kind there are: the sum over the slots, of which there are several so that writers need not wait in one row."""

revisions = Table(
    "revisions",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="revision_of_a_document"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("written_in", BigInteger),
    PrimaryKeyConstraint("identifier", "revision", name="revisions_are_numbered"),
    Index("revisions_by_writing", "written_in"),
)
"""`written_in` names the transaction that wrote the revision (see relational.documents); those older than the column have none."""

projections = Table(
    "projections",
    schema,
    Column("position", Position, Identity(), nullable=False),
    Column("identifier", Text, nullable=False),
    Column("enqueued_at", Instant, nullable=False),
    PrimaryKeyConstraint("position", name="projections_are_in_order"),
    sqlite_autoincrement=True,
)

item_types = Table(
    "item_types",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="item_type_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("capacity_rule", Text),
    Column("turnaround_before_seconds", Integer, nullable=False, server_default="0"),
    Column("turnaround_after_seconds", Integer, nullable=False, server_default="0"),
    Column("buffer_quantity", Integer, nullable=False, server_default="0"),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="item_types_are_indexed_once"),
    UniqueConstraint("code", name="item_type_code_is_unique"),
    CheckConstraint("turnaround_before_seconds >= 0 AND turnaround_after_seconds >= 0", name="turnaround_is_not_negative"),
    Index("item_types_by_number", "number"),
    Index("item_types_by_kind", "kind", "number"),
    Index("item_types_by_is_active", "is_active", "number"),
    Index("item_types_by_name", "name", "number"),
    Index("item_types_by_update", "updated_at", "number"),
)

assets = Table(
    "assets",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="asset_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("item_type", Text, ForeignKey("item_types.identifier", name="asset_has_an_item_type"), nullable=False),
    Column("asset_tag", Text),
    Column("serial_number", Text),
    Column("status", Text, nullable=False),
    Column("location", Text),
    Column("assigned_to", Text),
    Column("mesh_node_id", Text),
    Column("wireguard_hostname", Text),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="assets_are_indexed_once"),
    UniqueConstraint("asset_tag", name="asset_tag_is_unique"),
    Index("assets_by_number", "number"),
    Index("assets_by_item_type", "item_type", "number"),
    Index("assets_by_item_type_and_status", "item_type", "status", "number", "location"),
    Index("assets_by_status", "status", "number"),
    Index("assets_by_location", "location", "number"),
    Index("assets_by_serial_number", "serial_number", "number"),
    Index("assets_by_update", "updated_at", "number"),
)

stock_pools = Table(
    "stock_pools",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="stock_pool_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("item_type", Text, ForeignKey("item_types.identifier", name="stock_pool_has_an_item_type"), nullable=False),
    Column("name", Text),
    Column("location", Text),
    Column("quantity_total", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="stock_pools_are_indexed_once"),
    CheckConstraint("quantity_total >= 0", name="stock_pool_quantity_is_a_count"),
    Index("stock_pools_by_number", "number"),
    Index("stock_pools_by_item_type", "item_type", "number"),
    Index("stock_pools_by_is_active", "is_active", "number"),
    Index("stock_pools_by_location", "location", "number"),
    Index("stock_pools_by_update", "updated_at", "number"),
)

kit_templates = Table(
    "kit_templates",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="kit_template_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="kit_templates_are_indexed_once"),
    UniqueConstraint("code", name="kit_template_code_is_unique"),
    Index("kit_templates_by_number", "number"),
    Index("kit_templates_by_is_active", "is_active", "number"),
    Index("kit_templates_by_name", "name", "number"),
    Index("kit_templates_by_update", "updated_at", "number"),
)

kit_template_items = Table(
    "kit_template_items",
    schema,
    Column("kit_template", Text, ForeignKey("kit_templates.identifier", name="component_of_a_kit_template"), nullable=False),
    Column("component", Text, nullable=False),
    Column("item", Text, ForeignKey("documents.identifier", name="component_is_an_item"), nullable=False),
    Column("quantity_per_kit", Integer, nullable=False),
    PrimaryKeyConstraint("kit_template", "component", name="components_are_named_in_their_kit_template"),
    UniqueConstraint("kit_template", "item", name="an_item_stands_once_in_a_kit_template"),
    CheckConstraint("quantity_per_kit >= 1", name="quantity_per_kit_is_a_count"),
    Index("kit_template_items_by_item", "item", "kit_template"),
)
"""What kits are put together from: an item is an item type, or another kit template."""

rent_actions = Table(
    "rent_actions",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="rent_action_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("created_by", Text),
    Column("approved_by", Text),
    Column("start_time", Instant),
    Column("end_time", Instant),
    Column("duration_seconds", BigInteger),
    Column("location", Text),
    Column("is_asap", Boolean, nullable=False, server_default=text("false")),
    Column("external_source", Text),
    Column("external_ref", Text),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="rent_actions_are_indexed_once"),
    CheckConstraint("start_time < end_time", name="rent_action_starts_before_it_ends"),
    Index("rent_actions_by_number", "number"),
    Index("rent_actions_by_status", "status", "number"),
    Index("rent_actions_by_status_and_start", "status", "start_time", "number"),
    Index("rent_actions_by_start", "start_time", "number", "end_time"),
    Index("rent_actions_by_end", "end_time", "number"),
    Index("rent_actions_by_external_source", "external_source", "external_ref"),
    Index("rent_actions_by_external_ref", "external_ref", "number"),
    Index("rent_actions_by_requester", "requester", "number"),
    Index("rent_actions_by_creator", "created_by", "number"),
    Index("rent_actions_by_priority", "priority", "number"),
    Index("rent_actions_by_location", "location", "number"),
    Index("rent_actions_by_update", "updated_at", "number"),
)
"""One that wants its units as soon as possible, for so many seconds, has no window before it is approved."""

rent_action_items = Table(
    "rent_action_items",
    schema,
    Column("rent_action", Text, ForeignKey("rent_actions.identifier", name="line_of_a_rent_action"), nullable=False),
    Column("line", Text, nullable=False),
    Column("item_kind", Text, nullable=False),
    Column("item", Text, ForeignKey("documents.identifier", name="line_asks_for_an_item"), nullable=False),
    Column("requested_quantity", Integer, nullable=False),
    Column("allocated_quantity", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("rent_action", "line", name="lines_are_named_in_their_rent_action"),
    CheckConstraint("requested_quantity >= 1 AND allocated_quantity >= 0", name="line_quantities_are_counts"),
    Index("rent_action_items_by_item", "item", "rent_action"),
)

_active = text("status = 'active'")

demand_signals = Table(
    "demand_signals",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="demand_signal_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_ref", Text),
    Column("status", Text, nullable=False),
    Column("item", Text, ForeignKey("documents.identifier", name="demand_signal_asks_for_an_item"), nullable=False),
    Column("quantity_required", Integer, nullable=False),
    Column("start_time", Instant, nullable=False),
    Column("end_time", Instant, nullable=False),
    Column("location", Text),
    Column("priority", Text, nullable=False),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="demand_signals_are_indexed_once"),
    CheckConstraint("start_time < end_time", name="demand_starts_before_it_ends"),
    CheckConstraint("quantity_required >= 1", name="quantity_required_is_a_count"),
    Index("a_demand_is_active_once", "source", "source_ref", "item", unique=True, postgresql_where=_active, sqlite_where=_active),
    Index("demand_signals_by_number", "number"),
    Index("demand_signals_by_window", "start_time", "end_time", "number"),
    Index("demand_signals_by_end", "end_time", "number"),
    Index("demand_signals_by_item", "item", "start_time"),
    Index("demand_signals_by_source", "source", "source_ref", "number"),
    Index("demand_signals_by_source_ref", "source_ref", "number"),
    Index("demand_signals_by_status", "status", "number"),
    Index("demand_signals_by_update", "updated_at", "number"),
)

build_requests = Table(
    "build_requests",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="build_request_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("item_type", Text, ForeignKey("item_types.identifier", name="build_request_for_an_item_type"), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("needed_by", Instant),
    Column("reason", Text, nullable=False),
    Column("location", Text),
    Column("external_system", Text),
    Column("external_ref", Text),
    Column("demand_signal", Text),
    Column("trigger_event_id", Text),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="build_requests_are_indexed_once"),
    CheckConstraint("quantity >= 1", name="build_quantity_is_a_count"),
    Index("build_requests_by_number", "number"),
    Index("build_requests_by_status", "status", "number"),
    Index("build_requests_by_item_type", "item_type", "number"),
    Index("build_requests_by_needed_by", "needed_by", "number"),
    Index("build_requests_by_external_system", "external_system", "external_ref"),
    Index("build_requests_by_update", "updated_at", "number"),
)

supply_snapshots = Table(
    "supply_snapshots",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="supply_snapshot_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("as_of_time", Instant, nullable=False),
    Column("start_time", Instant, nullable=False),
    Column("end_time", Instant, nullable=False),
    Column("item_type", Text, ForeignKey("item_types.identifier", name="supply_snapshot_of_an_item_type"), nullable=False),
    Column("location", Text),
    Column("total_capacity", BigInteger, nullable=False),
    Column("reserved_capacity", BigInteger, nullable=False),
    Column("available_capacity", BigInteger, nullable=False),
    Column("shortfall_quantity", BigInteger, nullable=False),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="supply_snapshots_are_indexed_once"),
    CheckConstraint("start_time < end_time", name="supply_snapshot_starts_before_it_ends"),
    Index("supply_snapshots_by_number", "number"),
    Index("supply_snapshots_by_time", "as_of_time", "number"),
    Index("supply_snapshots_by_window", "start_time", "end_time", "number"),
    Index("supply_snapshots_by_item_type", "item_type", "number"),
)
"""What planning runs saw (seed 3.9.2)."""

unavailabilities = Table(
    "unavailabilities",
    schema,
    Column("source", Text, ForeignKey("documents.identifier", name="unavailability_said_by_a_resource"), nullable=False),
    Column("part", Text, nullable=False),
    Column("asset", Text, ForeignKey("documents.identifier", name="unavailability_of_an_asset"), nullable=False),
    Column("asset_number", BigInteger, nullable=False),
    Column("item_type", Text, ForeignKey("documents.identifier", name="unavailability_within_an_item_type"), nullable=False),
    Column("unavailable_from", Instant, nullable=False),
    Column("unavailable_to", Instant),
    Column("reason", Text),
    PrimaryKeyConstraint("source", "part", name="unavailabilities_are_named_in_their_source"),
    CheckConstraint("unavailable_from < unavailable_to", name="unavailability_starts_before_it_ends"),
    Index("unavailabilities_by_asset", "asset_number", "unavailable_from"),
    Index("unavailabilities_by_item_type", "item_type", "unavailable_from"),
)
"""When a unit cannot be had whatever its status; without an end, from then on. `source` is the resource that says so, by its part."""

maintenance_logs = Table(
    "maintenance_logs",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="maintenance_log_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("asset", Text, ForeignKey("documents.identifier", name="maintenance_log_of_an_asset"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("outcome", Text),
    Column("performed_by", Text, nullable=False),
    Column("performed_at", Instant),
    Column("planned_start", Instant),
    Column("planned_end", Instant),
    Column("corrects", Text, ForeignKey("documents.identifier", name="maintenance_log_corrects_another")),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="maintenance_logs_are_indexed_once"),
    UniqueConstraint("corrects", name="a_maintenance_log_is_corrected_once"),
    CheckConstraint("planned_start < planned_end", name="planned_work_starts_before_it_ends"),
    Index("maintenance_logs_by_number", "number"),
    Index("maintenance_logs_by_asset", "asset", "number"),
    Index("maintenance_logs_by_kind", "kind", "number"),
    Index("maintenance_logs_by_performance", "performed_at", "number"),
    Index("maintenance_logs_by_planned_end", "planned_end", "number"),
    Index("maintenance_logs_by_update", "updated_at", "number"),
)

attachments = Table(
    "attachments",
    schema,
    Column("identifier", Text, ForeignKey("documents.identifier", name="attachment_has_a_document"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("owner_kind", Text, nullable=False),
    Column("owner", Text, ForeignKey("documents.identifier", name="attachment_has_an_owner"), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("storage_key", Text, nullable=False),
    Column("is_deleted", Boolean, nullable=False, server_default=text("false")),
    *_findable(),
    PrimaryKeyConstraint("identifier", name="attachments_are_indexed_once"),
    UniqueConstraint("storage_key", name="storage_key_is_unique"),
    CheckConstraint("byte_size >= 0", name="attachment_size_is_a_count"),
    Index("attachments_by_number", "is_deleted", "number"),
    Index("attachments_by_owner", "owner", "is_deleted", "number"),
    Index("attachments_by_owner_kind", "owner_kind", "is_deleted", "number"),
    Index("attachments_by_content_type", "content_type", "is_deleted", "number"),
    Index("attachments_by_update", "updated_at", "number"),
)

attachment_drafts = Table(
    "attachment_drafts",
    schema,
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("token", Text, nullable=False),
    Column("owner", Text, ForeignKey("documents.identifier", name="attachment_draft_has_an_owner"), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("checksum", Text),
    Column("metadata", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("number", name="attachment_drafts_are_numbered"),
    UniqueConstraint("token", name="attachment_draft_token_is_unique"),
    Index("attachment_drafts_by_age", "created_at"),
)
"""What was announced and has not been completed: no resource yet, and nothing that anybody sees."""

BLOCKING = ("allocated", "in_use")
"""The statuses of an allocation that keep others away."""

_blocking = text("status IN ('allocated', 'in_use')")
_out = text("status = 'in_use'")
_of_asset = text("asset_number IS NOT NULL")

allocations = Table(
    "allocations",
    schema,
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("rent_action", Text, ForeignKey("documents.identifier", name="allocation_for_a_rent_action"), nullable=False),
    Column("line", Text, nullable=False),
    Column("item_type", Text, ForeignKey("documents.identifier", name="allocation_of_an_item_type"), nullable=False),
    Column("asset", Text, ForeignKey("documents.identifier", name="allocation_of_an_asset")),
    Column("asset_number", BigInteger),
    Column("stock_pool", Text, ForeignKey("documents.identifier", name="allocation_from_a_stock_pool")),
    Column("quantity", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("allocated_from", Instant, nullable=False),
    Column("allocated_to", Instant, nullable=False),
    Column("blocked_from", Instant, nullable=False),
    Column("blocked_to", Instant, nullable=False),
    PrimaryKeyConstraint("number", name="allocations_are_numbered"),
    CheckConstraint("quantity >= 1", name="allocation_quantity_is_a_count"),
    CheckConstraint("status IN ('allocated', 'in_use', 'returned', 'cancelled')", name="allocation_status_is_known"),
    CheckConstraint(
        "blocked_from <= allocated_from AND allocated_from < allocated_to AND allocated_to <= blocked_to",
        name="allocation_blocks_its_window",
    ),
    CheckConstraint("(asset IS NULL) = (asset_number IS NULL)", name="allocated_asset_has_its_number"),
    CheckConstraint("asset IS NULL OR quantity = 1", name="an_asset_is_one_unit"),
    Index("allocations_by_rent_action", "rent_action", "number"),
    Index("allocations_by_asset", "asset_number", "blocked_from", postgresql_where=_blocking, sqlite_where=_blocking),
    Index("allocations_by_item_type", "item_type", "blocked_from", postgresql_where=_blocking, sqlite_where=_blocking),
    Index(
        "allocations_by_stock_pool",
        "stock_pool",
        "blocked_to",
        "blocked_from",
        "quantity",
        postgresql_where=_blocking,
        sqlite_where=_blocking,
    ),
    Index("allocations_by_start", "stock_pool", "blocked_from", "quantity", postgresql_where=_blocking, sqlite_where=_blocking),
    Index("allocations_that_are_out", "item_type", "allocated_to", postgresql_where=_out, sqlite_where=_out),
    Index("allocations_of_asset", "asset_number", "number", postgresql_where=_of_asset, sqlite_where=_of_asset),
    Index("allocations_that_are_out_by_end", "allocated_to", "number", postgresql_where=_out, sqlite_where=_out),
)

_unnumbered = text("sequence IS NULL")
_unfinished = text("status IN ('pending', 'sending')")

counters = Table(
    "counters",
    schema,
    Column("stock_pool", Text, ForeignKey("documents.identifier", name="counter_of_a_stock_pool"), nullable=False),
    Column("span", Integer, nullable=False),
    Column("bucket", BigInteger, nullable=False),
    Column("opening", BigInteger, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("rise", BigInteger, nullable=False),
    Column("fall", BigInteger, nullable=False),
    PrimaryKeyConstraint("stock_pool", "span", "bucket", name="counters_stand_once_in_a_bucket"),
    CheckConstraint("started >= 0 AND ended >= 0", name="counters_count"),
    sqlite_with_rowid=False,
)
"""What promises add up to (see relational.counters): `bucket` counts spans of so many seconds from 1970."""

outbox = Table(
    "outbox",
    schema,
    Column("position", Position, Identity(), nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("sequence", BigInteger),
    PrimaryKeyConstraint("position", name="events_are_in_order"),
    UniqueConstraint("id", name="event_id_is_unique"),
    Index("outbox_by_subject", "subject_id", "position"),
    Index("outbox_by_subject_and_sequence", "subject_id", "sequence"),
    Index("outbox_by_sequence", "sequence", unique=True),
    Index("outbox_by_type", "type", "sequence"),
    Index("outbox_by_time", "occurred_at"),
    Index("outbox_without_sequence", "position", postgresql_where=_unnumbered, sqlite_where=_unnumbered),
    sqlite_autoincrement=True,
)
"""`position` is the order of writing, `sequence` the order in which events became visible: none appears below one that was read."""

webhooks = Table(
    "webhooks",
    schema,
    Column("identifier", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret_current", Text, nullable=False),
    Column("secret_previous", Text),
    Column("previous_until", Instant),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("concurrency", Integer, nullable=False),
    Column("rate_limit", Integer),
    Column("rate_seconds", Integer),
    Column("body", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    PrimaryKeyConstraint("identifier", name="webhooks_have_one_row"),
    UniqueConstraint("number", name="webhooks_are_numbered"),
    CheckConstraint("concurrency >= 1", name="webhook_concurrency_is_a_count"),
)
"""Where events may be sent. Secrets are sealed; `body` is what its owner said of it beyond the columns."""

triggers = Table(
    "triggers",
    schema,
    Column("identifier", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("sees_after", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("next_run_at", Instant),
    PrimaryKeyConstraint("identifier", name="triggers_have_one_row"),
    UniqueConstraint("number", name="triggers_are_numbered"),
    CheckConstraint("source IN ('event', 'schedule')", name="trigger_source_is_known"),
    Index("triggers_by_next_run", "next_run_at"),
)
"""What is done when something happens. A trigger sees the events whose sequence is above `sees_after`."""

_unfinished_run = text("status IN ('waiting', 'running')")

runs = Table(
    "runs",
    schema,
    Column("identifier", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("job_type", Text),
    Column("due_at", Instant),
    Column("asked_by", Text),
    Column("status", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("lease_until", Instant),
    Column("finished_at", Instant),
    Column("summary", Text),
    Column("error", Text),
    Column("event_id", Text),
    Column("revision", Integer, nullable=False),
    PrimaryKeyConstraint("identifier", name="runs_have_one_row"),
    UniqueConstraint("number", name="runs_are_numbered"),
    UniqueConstraint("trigger", "due_at", name="a_trigger_runs_once_when_due"),
    CheckConstraint("status IN ('waiting', 'running', 'completed', 'failed')", name="run_status_is_known"),
    Index("runs_by_trigger", "trigger", "number"),
    Index("runs_by_end", "finished_at"),
    Index("runs_unfinished", "number", postgresql_where=_unfinished_run, sqlite_where=_unfinished_run),
)
"""One row for each run of a scheduled trigger: that was due, or was asked for by somebody."""

deliveries = Table(
    "deliveries",
    schema,
    Column("identifier", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("trigger", Text),
    Column("action_index", Integer, nullable=False),
    Column("webhook", Text),
    Column("endpoint", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("due_at", Instant, nullable=False),
    Column("next_attempt_at", Instant),
    Column("lease_owner", Text),
    Column("replayed_by", Text),
    Column("replayed_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("last_status", Integer),
    Column("last_error", Text),
    PrimaryKeyConstraint("identifier", name="deliveries_have_one_row"),
    UniqueConstraint("number", name="deliveries_are_numbered"),
    UniqueConstraint("event_id", "trigger", "action_index", name="an_event_is_delivered_once"),
    CheckConstraint("status IN ('pending', 'sending', 'delivered', 'dead', 'cancelled')", name="delivery_status_is_known"),
    Index("deliveries_due", "endpoint", "next_attempt_at", postgresql_where=_unfinished, sqlite_where=_unfinished),
    Index("deliveries_in_order", "endpoint", "subject_id", "sequence", "number", postgresql_where=_unfinished, sqlite_where=_unfinished),
    Index("deliveries_by_status", "status", "number"),
    Index("deliveries_by_trigger", "trigger", "action_index", "due_at"),
    Index("deliveries_by_webhook", "webhook", "number"),
    Index("deliveries_by_endpoint", "endpoint", "event_id"),
)
"""
One row for each action of a trigger that brings an event somewhere. `plan` is what is to be done, `message_id` what the receiver knows
the message by. While it is being sent, `next_attempt_at` is when another worker may take it over. `failures` counts since the last replay.
"""

attempts = Table(
    "attempts",
    schema,
    Column("delivery", Text, ForeignKey("deliveries.identifier", name="attempt_at_a_delivery"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("request_headers", Text, nullable=False),
    Column("response_head", Text),
    Column("error", Text),
    PrimaryKeyConstraint("delivery", "attempt", name="attempts_are_numbered"),
)

replays = Table(
    "replays",
    schema,
    Column("delivery", Text, ForeignKey("deliveries.identifier", name="replay_of_a_delivery"), nullable=False),
    Column("replay", Integer, nullable=False),
    Column("asked_for", Text, nullable=False),
    Column("replayed_by", Text, nullable=False),
    Column("replayed_at", Instant, nullable=False),
    Column("correlation_id", Text, nullable=False),
    PrimaryKeyConstraint("delivery", "replay", name="replays_are_numbered"),
)
"""Who had a delivery sent again, when, and in the course of which request."""

endpoints = Table(
    "endpoints",
    schema,
    Column("endpoint", Text, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failing_since", Instant),
    Column("open_until", Instant),
    Column("next_slot_at", Instant),
    PrimaryKeyConstraint("endpoint", name="endpoints_have_one_row"),
)
"""How receivers fare: failures in a row, since when; until when nothing is sent there; when the rate allows the next one."""

idempotency = Table(
    "idempotency",
    schema,
    Column("principal", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    PrimaryKeyConstraint("principal", "key", name="an_idempotency_key_has_one_answer"),
    Index("idempotency_by_expiry", "expires_at"),
)

keys = Table(
    "keys",
    schema,
    Column("identifier", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    PrimaryKeyConstraint("identifier", name="keys_have_one_row"),
    UniqueConstraint("number", name="keys_are_numbered"),
    UniqueConstraint("hash", name="key_hash_is_unique"),
)

leases = Table(
    "leases",
    schema,
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
    PrimaryKeyConstraint("name", name="a_lease_has_one_owner"),
)

facts = Table(
    "facts",
    schema,
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("name", name="a_fact_has_one_value"),
)

told = Table(
    "told",
    schema,
    Column("event", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("told_at", Instant, nullable=False),
    PrimaryKeyConstraint("event", "subject", "cause", name="things_are_told_once"),
    Index("told_by_cause", "event", "cause"),
)
"""What was told about a subject because of something, and is not told again while that lasts."""

NEVER_TWICE = "asset_is_never_promised_twice"
"""The name of the rule, and the constraint, that a unit has no two overlapping blocking allocations."""

_EXCLUSION = f"""
ALTER TABLE allocations ADD CONSTRAINT {NEVER_TWICE} EXCLUDE USING gist (
    int8range(asset_number, asset_number, '[]') WITH &&,
    tstzrange(blocked_from, blocked_to) WITH &&
) WHERE (asset_number IS NOT NULL AND status IN ('allocated', 'in_use'))"""
"""Without the first condition a quantity from a pool would clash with everything: a range from NULL to NULL is unbounded."""

_TRIGGER = """
CREATE TRIGGER {name} BEFORE {event} ON allocations
WHEN NEW.asset_number IS NOT NULL AND NEW.status IN ('allocated', 'in_use') AND (
    SELECT blocked_to FROM allocations
    WHERE asset_number = NEW.asset_number AND number <> NEW.number
        AND status IN ('allocated', 'in_use') AND blocked_from < NEW.blocked_to
    ORDER BY blocked_from DESC LIMIT 1
) > NEW.blocked_from
BEGIN SELECT RAISE(ABORT, '{rule}'); END"""
"""Blocking allocations of one unit never overlap, so only the last that starts before the new one ends can clash."""

_NUMBERS = "CREATE TABLE numbers (kind TEXT NOT NULL CONSTRAINT numbers_rise_per_kind PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID"


def sequence_of(kind: str) -> str:
    """The name of the Postgres sequence that numbers a kind."""
    return f"numbers_of_{kind.lower()}"


BESIDES = {
    "postgresql": (_EXCLUSION,),
    "sqlite": (
        _TRIGGER.format(name=f"{NEVER_TWICE}_insert", event="INSERT", rule=NEVER_TWICE),
        _TRIGGER.format(name=f"{NEVER_TWICE}_update", event="UPDATE OF asset_number, status, blocked_from, blocked_to", rule=NEVER_TWICE),
        _NUMBERS,
    ),
}
"""What each engine needs besides its tables. Postgres numbers by sequences, SQLite by a table."""

sequences = tuple(Sequence(sequence_of(kind), metadata=schema) for kind in KINDS)


def create(connection: Connection) -> None:
    """Make the whole schema in an empty database. Deployments migrate instead; a test holds the two equal."""
    schema.create_all(connection)
    for statement in BESIDES[connection.dialect.name]:
        connection.exec_driver_sql(statement)
