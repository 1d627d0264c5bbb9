"""Triggers: events are numbered in the order in which they become visible; webhooks, triggers, deliveries and their attempts."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

INSTANT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
UNNUMBERED = sa.text("sequence IS NULL")
UNFINISHED = sa.text("status IN ('pending', 'sending')")
DELIVERIES_BY = {
    "status": ["status", "number"],
    "trigger": ["trigger", "action_index", "due_at"],
    "webhook": ["webhook", "number"],
    "endpoint": ["endpoint", "event_id"],
}
NUMBERED = ("trigger", "webhook", "delivery")


def upgrade() -> None:
    _sequence()
    _configuration()
    _deliveries()
    if op.get_bind().dialect.name == "postgresql":
        for kind in NUMBERED:
            op.execute(f"CREATE SEQUENCE numbers_of_{kind}")


def _sequence() -> None:
    op.add_column("outbox", sa.Column("sequence", sa.BigInteger()))
    op.execute(
        "UPDATE outbox SET sequence = placed.place FROM "
        "(SELECT position AS at, row_number() OVER (ORDER BY position) AS place FROM outbox) AS placed WHERE placed.at = outbox.position"
    )
    op.create_index("outbox_by_sequence", "outbox", ["sequence"], unique=True)
    op.create_index("outbox_by_type", "outbox", ["type", "sequence"])
    op.create_index("outbox_by_time", "outbox", ["occurred_at"])
    op.create_index("outbox_without_sequence", "outbox", ["position"], postgresql_where=UNNUMBERED, sqlite_where=UNNUMBERED)


def _configuration() -> None:
    op.create_table(
        "webhooks",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret_current", sa.Text(), nullable=False),
        sa.Column("secret_previous", sa.Text()),
        sa.Column("previous_until", INSTANT),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("rate_limit", sa.Integer()),
        sa.Column("rate_seconds", sa.Integer()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint("concurrency >= 1", name="webhook_concurrency_is_a_count"),
        sa.PrimaryKeyConstraint("identifier", name="webhooks_have_one_row"),
        sa.UniqueConstraint("number", name="webhooks_are_numbered"),
    )
    op.create_table(
        "triggers",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sees_after", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint("source IN ('event', 'schedule')", name="trigger_source_is_known"),
        sa.PrimaryKeyConstraint("identifier", name="triggers_have_one_row"),
        sa.UniqueConstraint("number", name="triggers_are_numbered"),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("trigger", sa.Text()),
        sa.Column("action_index", sa.Integer(), nullable=False),
        sa.Column("webhook", sa.Text()),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("next_attempt_at", INSTANT),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("replayed_by", sa.Text()),
        sa.Column("replayed_at", INSTANT),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_error", sa.Text()),
        sa.CheckConstraint("status IN ('pending', 'sending', 'delivered', 'dead', 'cancelled')", name="delivery_status_is_known"),
        sa.PrimaryKeyConstraint("identifier", name="deliveries_have_one_row"),
        sa.UniqueConstraint("event_id", "trigger", "action_index", name="an_event_is_delivered_once"),
        sa.UniqueConstraint("number", name="deliveries_are_numbered"),
    )
    partial: dict[str, Any] = {"postgresql_where": UNFINISHED, "sqlite_where": UNFINISHED}
    op.create_index("deliveries_due", "deliveries", ["endpoint", "next_attempt_at"], **partial)
    op.create_index("deliveries_in_order", "deliveries", ["endpoint", "subject_id", "sequence", "number"], **partial)
    for name, columns in DELIVERIES_BY.items():
        op.create_index(f"deliveries_by_{name}", "deliveries", columns)
    _attempts()
    _endpoints()


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("request_headers", sa.Text(), nullable=False),
        sa.Column("response_head", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.ForeignKeyConstraint(["delivery"], ["deliveries.identifier"], name="attempt_at_a_delivery"),
        sa.PrimaryKeyConstraint("delivery", "attempt", name="attempts_are_numbered"),
    )
    op.create_table(
        "replays",
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("replay", sa.Integer(), nullable=False),
        sa.Column("asked_for", sa.Text(), nullable=False),
        sa.Column("replayed_by", sa.Text(), nullable=False),
        sa.Column("replayed_at", INSTANT, nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["delivery"], ["deliveries.identifier"], name="replay_of_a_delivery"),
        sa.PrimaryKeyConstraint("delivery", "replay", name="replays_are_numbered"),
    )


def _endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", INSTANT),
        sa.Column("open_until", INSTANT),
        sa.Column("next_slot_at", INSTANT),
        sa.PrimaryKeyConstraint("endpoint", name="endpoints_have_one_row"),
    )
