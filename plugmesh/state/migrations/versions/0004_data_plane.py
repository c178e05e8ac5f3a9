"""Rowwise nodes in pieces; plans of columns, and what modules answered to the planner."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plugmesh.state.columns import TEXT, string

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add what is new; rows that are there keep their meaning."""
    op.add_column("step", sa.Column("pieces", TEXT, nullable=True))
    op.add_column("run", sa.Column("planned", TEXT, nullable=True))
    op.create_table(
        "plan_answer",
        sa.Column("question", string(64), primary_key=True),
        sa.Column("answer", TEXT, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_index("plan_answer_oldest", "plan_answer", ["at"])
