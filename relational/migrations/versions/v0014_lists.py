"""Lists: reservations in one state are read in the order of their start."""

from alembic import op

revision = "0014"
down_revision = "0012"


def upgrade() -> None:
    """Both columns have been in the index from the beginning."""
    op.create_index("rent_actions_by_status_and_start", "rent_actions", ["status", "start_time", "number"])
