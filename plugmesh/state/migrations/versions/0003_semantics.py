"""Priorities, deadlines, permits and reruns."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what is new; rows that are there keep their meaning."""
    for column in (
        sa.Column("priority", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("deadline", sa.Double(), nullable=True),
        sa.Column("permit", sa.Text(), nullable=True),
        sa.Column("rerun", sa.Text(), nullable=True),
    ):
        op.add_column("run", column)
    op.create_table(
        "permit",
        sa.Column("namespace", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", "place"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_permit_run", "permit", ["run"], unique=False)
