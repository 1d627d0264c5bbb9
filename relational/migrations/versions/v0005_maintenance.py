"""Maintenance logs; attachments, and those that were announced and have not been uploaded."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

INSTANT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
EPOCH = {"postgresql": "'1970-01-01 00:00:00+00'", "sqlite": "0"}
NUMBERED = ("attachment", "maintenancelog")


OF_ASSET = sa.text("asset_number IS NOT NULL")


def upgrade() -> None:
    op.create_index("allocations_of_asset", "allocations", ["asset_number", "number"], postgresql_where=OF_ASSET, sqlite_where=OF_ASSET)
    _logs()
    _attachments()
    _drafts()
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


def _logs() -> None:
    op.create_table(
        "maintenance_logs",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("performed_by", sa.Text(), nullable=False),
        sa.Column("performed_at", INSTANT),
        sa.Column("planned_start", INSTANT),
        sa.Column("planned_end", INSTANT),
        sa.Column("corrects", sa.Text()),
        *_findable(),
        sa.CheckConstraint("planned_start < planned_end", name="planned_work_starts_before_it_ends"),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="maintenance_log_has_a_document"),
        sa.ForeignKeyConstraint(["asset"], ["documents.identifier"], name="maintenance_log_of_an_asset"),
        sa.ForeignKeyConstraint(["corrects"], ["documents.identifier"], name="maintenance_log_corrects_another"),
        sa.PrimaryKeyConstraint("identifier", name="maintenance_logs_are_indexed_once"),
        sa.UniqueConstraint("corrects", name="a_maintenance_log_is_corrected_once"),
    )
    op.create_index("maintenance_logs_by_asset", "maintenance_logs", ["asset", "number"])
    op.create_index("maintenance_logs_by_kind", "maintenance_logs", ["kind", "number"])
    op.create_index("maintenance_logs_by_number", "maintenance_logs", ["number"])
    op.create_index("maintenance_logs_by_performance", "maintenance_logs", ["performed_at", "number"])
    op.create_index("maintenance_logs_by_planned_end", "maintenance_logs", ["planned_end", "number"])
    op.create_index("maintenance_logs_by_update", "maintenance_logs", ["updated_at", "number"])


def _attachments() -> None:
    op.create_table(
        "attachments",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("owner_kind", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("byte_size", sa.BigInteger(), nullable=False),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        *_findable(),
        sa.CheckConstraint("byte_size >= 0", name="attachment_size_is_a_count"),
        sa.ForeignKeyConstraint(["identifier"], ["documents.identifier"], name="attachment_has_a_document"),
        sa.ForeignKeyConstraint(["owner"], ["documents.identifier"], name="attachment_has_an_owner"),
        sa.PrimaryKeyConstraint("identifier", name="attachments_are_indexed_once"),
        sa.UniqueConstraint("storage_key", name="storage_key_is_unique"),
    )
    op.create_index("attachments_by_number", "attachments", ["is_deleted", "number"])
    op.create_index("attachments_by_owner", "attachments", ["owner", "is_deleted", "number"])
    op.create_index("attachments_by_owner_kind", "attachments", ["owner_kind", "is_deleted", "number"])
    op.create_index("attachments_by_content_type", "attachments", ["content_type", "is_deleted", "number"])
    op.create_index("attachments_by_update", "attachments", ["updated_at", "number"])


def _drafts() -> None:
    op.create_table(
        "attachment_drafts",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("byte_size", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.Text()),
        sa.Column("metadata", sa.Text()),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["owner"], ["documents.identifier"], name="attachment_draft_has_an_owner"),
        sa.PrimaryKeyConstraint("number", name="attachment_drafts_are_numbered"),
        sa.UniqueConstraint("token", name="attachment_draft_token_is_unique"),
    )
    op.create_index("attachment_drafts_by_age", "attachment_drafts", ["created_at"])
