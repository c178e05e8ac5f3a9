"""Rowwise nodes in pieces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add what is new; rows that are there keep their meaning."""
    op.add_column("step", sa.Column("pieces", sa.Text(), nullable=True))
