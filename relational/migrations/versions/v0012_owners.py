"""Owners: reservations are found by who made them."""

from alembic import op

revision = "0012"
down_revision = "0013"


def upgrade() -> None:
    """Who made a reservation has been in the index from the beginning."""
    op.create_index("rent_actions_by_creator", "rent_actions", ["created_by", "number"])
