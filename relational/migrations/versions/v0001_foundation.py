"""The foundation: documents and their revisions, the index of item types, assets and reservations, allocations, the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INSTANT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BLOCKING = sa.text("status IN ('allocated', 'in_use')")

BESIDES = {
    "postgresql": (
        """
ALTER TABLE allocations ADD CONSTRAINT asset_is_never_promised_twice EXCLUDE USING gist (
    int8range(asset_number, asset_number, '[]') WITH &&,
    tstzrange(blocked_from, blocked_to) WITH &&
) WHERE (asset_number IS NOT NULL AND status IN ('allocated', 'in_use'))""",
        "CREATE SEQUENCE numbers_of_itemtype",
        "CREATE SEQUENCE numbers_of_asset",
        "CREATE SEQUENCE numbers_of_rentaction",
        "CREATE SEQUENCE numbers_of_allocation",
        "CREATE SEQUENCE numbers_of_key",
    ),
    "sqlite": (
        """
CREATE TRIGGER asset_is_never_promised_twice_insert BEFORE INSERT ON allocations
WHEN NEW.asset_number IS NOT NULL AND NEW.status IN ('allocated', 'in_use') AND (
    SELECT blocked_to FROM allocations
    WHERE asset_number = NEW.asset_number AND number <> NEW.number
        AND status IN ('allocated', 'in_use') AND blocked_from < NEW.blocked_to
    ORDER BY blocked_from DESC LIMIT 1
) > NEW.blocked_from
BEGIN SELECT RAISE(ABORT, 'asset_is_never_promised_twice'); END""",
        """
CREATE TRIGGER asset_is_never_promised_twice_update BEFORE UPDATE OF asset_number, status, blocked_from, blocked_to ON allocations
WHEN NEW.asset_number IS NOT NULL AND NEW.status IN ('allocated', 'in_use') AND (
    SELECT blocked_to FROM allocations
    WHERE asset_number = NEW.asset_number AND number <> NEW.number
        AND status IN ('allocated', 'in_use') AND blocked_from < NEW.blocked_to
    ORDER BY blocked_from DESC LIMIT 1
) > NEW.blocked_from
BEGIN SELECT RAISE(ABORT, 'asset_is_never_promised_twice'); END""",
        "CREATE TABLE numbers (kind TEXT NOT NULL CONSTRAINT numbers_rise_per_kind PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
    ),
}


def upgrade() -> None:
    _documents()
    _index()
    _allocations()
    _messages()
    _deployment()
    for statement in BESIDES[op.get_bind().dialect.name]:
        op.execute(statement)


def _documents() -> None:
    op.create_table(
        "documents",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint("revision >= 1", name="revisions_start_at_one"),
        sa.PrimaryKeyConstraint("identifier", name="documents_have_one_head"),
        sa.UniqueConstraint("kind", "number", name="numbers_are_unique_per_kind"),
    )
    op.create_table(
        "revisions",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="revision_of_a_document"),
        sa.PrimaryKeyConstraint("identifier", "revision", name="revisions_are_numbered"),
    )
    op.create_table(
        "projections",
        sa.Column("position", POSITION, sa.Identity(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("enqueued_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("position", name="projections_are_in_order"),
        sqlite_autoincrement=True,
    )


def _index() -> None:
    op.create_table(
        "item_types",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("capacity_rule", sa.Text()),
        sa.Column("turnaround_before_seconds", sa.Integer(), server_default="0", nullable=False),
        sa.Column("turnaround_after_seconds", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("turnaround_before_seconds >= 0 AND turnaround_after_seconds >= 0", name="turnaround_is_not_negative"),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="item_type_has_a_document"),
        sa.PrimaryKeyConstraint("identifier", name="item_types_are_indexed_once"),
        sa.UniqueConstraint("code", name="item_type_code_is_unique"),
    )
    op.create_index("item_types_by_is_active", "item_types", ["is_active", "number"])
    op.create_index("item_types_by_kind", "item_types", ["kind", "number"])
    op.create_index("item_types_by_name", "item_types", ["name", "number"])
    op.create_index("item_types_by_number", "item_types", ["number"])
    op.create_table(
        "assets",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("item_type", sa.Text(), nullable=False),
        sa.Column("asset_tag", sa.Text()),
        sa.Column("serial_number", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("location", sa.Text()),
        sa.Column("assigned_to", sa.Text()),
        sa.Column("mesh_node_id", sa.Text()),
        sa.Column("wireguard_hostname", sa.Text()),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="asset_has_a_document"),
        sa.ForeignKeyConstraint(["item_type"], ["item_types.identifier"], name="asset_has_an_item_type"),
        sa.PrimaryKeyConstraint("identifier", name="assets_are_indexed_once"),
        sa.UniqueConstraint("asset_tag", name="asset_tag_is_unique"),
    )
    op.create_index("assets_by_item_type", "assets", ["item_type", "number"])
    op.create_index("assets_by_item_type_and_status", "assets", ["item_type", "status", "number"])
    op.create_index("assets_by_location", "assets", ["location", "number"])
    op.create_index("assets_by_number", "assets", ["number"])
    op.create_index("assets_by_serial_number", "assets", ["serial_number", "number"])
    op.create_index("assets_by_status", "assets", ["status", "number"])
    op.create_table(
        "rent_actions",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text()),
        sa.Column("approved_by", sa.Text()),
        sa.Column("start_time", INSTANT, nullable=False),
        sa.Column("end_time", INSTANT, nullable=False),
        sa.Column("is_asap", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("external_source", sa.Text()),
        sa.Column("external_ref", sa.Text()),
        sa.CheckConstraint("start_time < end_time", name="rent_action_starts_before_it_ends"),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="rent_action_has_a_document"),
        sa.PrimaryKeyConstraint("identifier", name="rent_actions_are_indexed_once"),
    )
    op.create_index("rent_actions_by_end", "rent_actions", ["end_time"])
    op.create_index("rent_actions_by_external_ref", "rent_actions", ["external_ref", "number"])
    op.create_index("rent_actions_by_external_source", "rent_actions", ["external_source", "external_ref"])
    op.create_index("rent_actions_by_number", "rent_actions", ["number"])
    op.create_index("rent_actions_by_priority", "rent_actions", ["priority", "number"])
    op.create_index("rent_actions_by_requester", "rent_actions", ["requester", "number"])
    op.create_index("rent_actions_by_start", "rent_actions", ["start_time", "end_time"])
    op.create_index("rent_actions_by_status", "rent_actions", ["status", "number"])
    op.create_table(
        "rent_action_items",
        sa.Column("rent_action", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("item_kind", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("requested_quantity", sa.Integer(), nullable=False),
        sa.Column("allocated_quantity", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("requested_quantity >= 1 AND allocated_quantity >= 0", name="line_quantities_are_counts"),
        sa.ForeignKeyConstraint(["item"], ["documents.identifier"], name="line_asks_for_an_item"),
        sa.ForeignKeyConstraint(["rent_action"], ["rent_actions.identifier"], name="line_of_a_rent_action"),
        sa.PrimaryKeyConstraint("rent_action", "line", name="lines_are_named_in_their_rent_action"),
    )
    op.create_index("rent_action_items_by_item", "rent_action_items", ["item", "rent_action"])


def _allocations() -> None:
    op.create_table(
        "allocations",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rent_action", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("item_type", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text()),
        sa.Column("asset_number", sa.BigInteger()),
        sa.Column("stock_pool", sa.Text()),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("allocated_from", INSTANT, nullable=False),
        sa.Column("allocated_to", INSTANT, nullable=False),
        sa.Column("blocked_from", INSTANT, nullable=False),
        sa.Column("blocked_to", INSTANT, nullable=False),
        sa.CheckConstraint("status IN ('allocated', 'in_use', 'returned', 'cancelled')", name="allocation_status_is_known"),
        sa.CheckConstraint("(asset IS NULL) = (asset_number IS NULL)", name="allocated_asset_has_its_number"),
        sa.CheckConstraint("asset IS NULL OR quantity = 1", name="an_asset_is_one_unit"),
        sa.CheckConstraint(
            "blocked_from <= allocated_from AND allocated_from < allocated_to AND allocated_to <= blocked_to",
            name="allocation_blocks_its_window",
        ),
        sa.CheckConstraint("quantity >= 1", name="allocation_quantity_is_a_count"),
        sa.ForeignKeyConstraint(["asset"], ["documents.identifier"], name="allocation_of_an_asset"),
        sa.ForeignKeyConstraint(["item_type"], ["documents.identifier"], name="allocation_of_an_item_type"),
        sa.ForeignKeyConstraint(["rent_action"], ["documents.identifier"], name="allocation_for_a_rent_action"),
        sa.ForeignKeyConstraint(["stock_pool"], ["documents.identifier"], name="allocation_from_a_stock_pool"),
        sa.PrimaryKeyConstraint("number", name="allocations_are_numbered"),
    )
    op.create_index(
        "allocations_by_asset", "allocations", ["asset_number", "blocked_from"], postgresql_where=BLOCKING, sqlite_where=BLOCKING
    )
    op.create_index(
        "allocations_by_item_type", "allocations", ["item_type", "blocked_from"], postgresql_where=BLOCKING, sqlite_where=BLOCKING
    )
    op.create_index("allocations_by_rent_action", "allocations", ["rent_action", "number"])


def _messages() -> None:
    op.create_table(
        "outbox",
        sa.Column("position", POSITION, sa.Identity(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="events_are_in_order"),
        sa.UniqueConstraint("id", name="event_id_is_unique"),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_by_subject", "outbox", ["subject_id", "position"])
    op.create_table(
        "idempotency",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name="an_idempotency_key_has_one_answer"),
    )
    op.create_index("idempotency_by_expiry", "idempotency", ["expires_at"])


def _deployment() -> None:
    op.create_table(
        "keys",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT),
        sa.Column("revoked_at", INSTANT),
        sa.Column("last_used_at", INSTANT),
        sa.PrimaryKeyConstraint("identifier", name="keys_have_one_row"),
        sa.UniqueConstraint("hash", name="key_hash_is_unique"),
        sa.UniqueConstraint("number", name="keys_are_numbered"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="a_lease_has_one_owner"),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="a_fact_has_one_value"),
    )
