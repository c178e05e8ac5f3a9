"""Several schedulers over one database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plugmesh.state.columns import string

revision = "0005"
down_revision = "0004"
beside = "0004"
"""Processes that know this schema may go on: nothing that they know is changed."""


def upgrade() -> None:
    """Add what is new; rows that are there keep their meaning."""
    op.create_table(
        "scheduler",
        sa.Column("id", string(64), primary_key=True),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("draining", sa.Integer(), nullable=False, server_default="0"),
    )
    op.create_table(
        "process",
        sa.Column("id", string(64), primary_key=True),
        sa.Column("role", string(32), nullable=False),
        sa.Column("host", string(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", string(64), nullable=False),
        sa.Column("knows", string(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
    )
    if op.get_context().dialect.name == "mysql":  # it has no indexes of some rows only
        op.create_index("run_unfinished_in_shard", "run", ["shard", "ended_at"])
        op.create_index("run_unfinished_first", "run", ["ended_at"])
        op.create_index("run_data_kept", "run_data", ["data_marked_at", "ended_at"])
