"""The catalog, complete: stock pools and kit templates; tallies; columns by which every list can be searched and sorted."""

import json
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INSTANT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
BLOCKING = sa.text("status IN ('allocated', 'in_use')")
EPOCH = {"postgresql": "'1970-01-01 00:00:00+00'", "sqlite": "0"}
LISTED = {"item_types": "itemType", "assets": "asset", "rent_actions": "rentAction"}
"""Index table → kind of its resources, as there were before this version."""

BATCH = 1000


def upgrade() -> None:
    for table in LISTED:
        _make_findable(table)
    op.drop_index("assets_by_item_type_and_status", "assets")
    op.create_index("assets_by_item_type_and_status", "assets", ["item_type", "status", "number", "location"])
    _catalog()
    op.create_index(
        "allocations_by_stock_pool",
        "allocations",
        ["stock_pool", "blocked_to", "blocked_from", "quantity"],
        postgresql_where=BLOCKING,
        sqlite_where=BLOCKING,
    )
    _tallies()
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE numbers_of_stockpool")
        op.execute("CREATE SEQUENCE numbers_of_kittemplate")


def _findable() -> tuple[sa.Column[Any], ...]:
    epoch = sa.text(EPOCH[op.get_bind().dialect.name])
    return (
        sa.Column("search_text", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", INSTANT, server_default=epoch, nullable=False),
        sa.Column("updated_at", INSTANT, server_default=epoch, nullable=False),
    )


def _catalog() -> None:
    op.create_table(
        "stock_pools",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("item_type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("location", sa.Text()),
        sa.Column("quantity_total", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        *_findable(),
        sa.CheckConstraint("quantity_total >= 0", name="stock_pool_quantity_is_a_count"),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="stock_pool_has_a_document"),
        sa.ForeignKeyConstraint(["item_type"], ["item_types.identifier"], name="stock_pool_has_an_item_type"),
        sa.PrimaryKeyConstraint("identifier", name="stock_pools_are_indexed_once"),
    )
    op.create_index("stock_pools_by_is_active", "stock_pools", ["is_active", "number"])
    op.create_index("stock_pools_by_item_type", "stock_pools", ["item_type", "number"])
    op.create_index("stock_pools_by_location", "stock_pools", ["location", "number"])
    op.create_index("stock_pools_by_number", "stock_pools", ["number"])
    op.create_index("stock_pools_by_update", "stock_pools", ["updated_at", "number"])
    op.create_table(
        "kit_templates",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        *_findable(),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="kit_template_has_a_document"),
        sa.PrimaryKeyConstraint("identifier", name="kit_templates_are_indexed_once"),
        sa.UniqueConstraint("code", name="kit_template_code_is_unique"),
    )
    op.create_index("kit_templates_by_is_active", "kit_templates", ["is_active", "number"])
    op.create_index("kit_templates_by_name", "kit_templates", ["name", "number"])
    op.create_index("kit_templates_by_number", "kit_templates", ["number"])
    op.create_index("kit_templates_by_update", "kit_templates", ["updated_at", "number"])
    op.create_table(
        "kit_template_items",
        sa.Column("kit_template", sa.Text(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("quantity_per_kit", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity_per_kit >= 1", name="quantity_per_kit_is_a_count"),
        sa.ForeignKeyConstraint(["item"], ["documents.identifier"], name="component_is_an_item"),
        sa.ForeignKeyConstraint(["kit_template"], ["kit_templates.identifier"], name="component_of_a_kit_template"),
        sa.PrimaryKeyConstraint("kit_template", "component", name="components_are_named_in_their_kit_template"),
        sa.UniqueConstraint("kit_template", "item", name="an_item_stands_once_in_a_kit_template"),
    )
    op.create_index("kit_template_items_by_item", "kit_template_items", ["item", "kit_template"])


def _tallies() -> None:
    op.create_table(
        "tallies",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "slot", name="resources_are_tallied_by_slot"),
    )
    op.execute("INSERT INTO tallies (kind, slot, count) SELECT kind, 0, count(*) FROM documents GROUP BY kind")


# --- what is there already --------------------------------------------------------------------------------------------


def _make_findable(table: str) -> None:
    for column in _findable():
        op.add_column(table, column)
    moment = f"(SELECT changed_at FROM revisions WHERE revisions.identifier = {table}.identifier ORDER BY revision"  # noqa: S608 (constants put together; values are parameters)
    op.execute(f"UPDATE {table} SET created_at = {moment} LIMIT 1), updated_at = {moment} DESC LIMIT 1)")  # noqa: S608 (constants put together; values are parameters)
    change = sa.text(f"UPDATE {table} SET search_text = :found WHERE identifier = :identifier")  # noqa: S608 (constants put together; values are parameters)
    for rows in _documents(LISTED[table]):
        found = [{"identifier": identifier, "found": _search_text(table, json.loads(body))} for _, identifier, body in rows]
        op.get_bind().execute(change, found)
    op.create_index(f"{table}_by_update", table, ["updated_at", "number"])


def _documents(kind: str) -> Iterator[list[Any]]:
    """Number, identifier and body of every document of the kind, some at a time."""
    query = sa.text("SELECT number, identifier, body FROM documents WHERE kind = :kind AND number > :after ORDER BY number LIMIT :batch")
    after = 0
    while rows := list(op.get_bind().execute(query, {"kind": kind, "after": after, "batch": BATCH})):
        yield rows
        after = rows[-1][0]


def _search_text(table: str, document: dict[str, Any]) -> str:
    return "\n".join(_folded(" ".join(text.split())) for text in SEARCHED[table](document) if isinstance(text, str) and text)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _of_a_reservation(document: dict[str, Any]) -> list[Any]:
    agent = document.get("agent", {})
    return [document.get("description"), agent.get("identifier") or agent.get("@id"), agent.get("name"), document.get("externalRef")]


SEARCHED: dict[str, Callable[[dict[str, Any]], list[Any]]] = {
    "item_types": lambda document: [document.get("code"), document.get("name")],
    "assets": lambda document: [document.get("assetTag"), document.get("serialNumber"), document.get("name")],
    "rent_actions": _of_a_reservation,
}
