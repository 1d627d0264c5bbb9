"""Schedules: when triggers run next, and every run of them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

INSTANT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
UNFINISHED = sa.text("status IN ('waiting', 'running')")


def upgrade() -> None:
    """Schedules that were there before have missed a run: they run once, and then at their times."""
    op.add_column("triggers", sa.Column("next_run_at", INSTANT))
    op.create_index("triggers_by_next_run", "triggers", ["next_run_at"])
    op.execute("UPDATE triggers SET next_run_at = updated_at WHERE source = 'schedule' AND enabled")
    op.create_table(
        "runs",
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("job_type", sa.Text()),
        sa.Column("due_at", INSTANT),
        sa.Column("asked_by", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT),
        sa.Column("lease_until", INSTANT),
        sa.Column("finished_at", INSTANT),
        sa.Column("summary", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("event_id", sa.Text()),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("identifier", name="runs_have_one_row"),
        sa.UniqueConstraint("number", name="runs_are_numbered"),
        sa.UniqueConstraint("trigger", "due_at", name="a_trigger_runs_once_when_due"),
        sa.CheckConstraint("status IN ('waiting', 'running', 'completed', 'failed')", name="run_status_is_known"),
    )
    op.create_index("runs_by_trigger", "runs", ["trigger", "number"])
    op.create_index("runs_unfinished", "runs", ["number"], postgresql_where=UNFINISHED, sqlite_where=UNFINISHED)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE numbers_of_run")
