"""Exports: which revisions have become visible since an earlier one."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0009"


def upgrade() -> None:
    """Revisions that are there already have become visible before any export."""
    op.add_column("revisions", sa.Column("written_in", sa.BigInteger()))
    op.create_index("revisions_by_writing", "revisions", ["written_in"])
