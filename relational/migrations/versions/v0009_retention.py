"""What happened to one subject is read in the order of the feed, and what is old is found by its end."""

from alembic import op

revision = "0009"
down_revision = "0007"


def upgrade() -> None:
    op.create_index("outbox_by_subject_and_sequence", "outbox", ["subject_id", "sequence"])
    op.create_index("runs_by_end", "runs", ["finished_at"])
