"""Priorities, deadlines, permits and reruns; convictions and quarantine of modules; dead letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plugmesh.state.columns import KEY, TEXT, string

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what is new; rows that are there keep their meaning."""
    for column in (
        sa.Column("priority", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("deadline", sa.Double(), nullable=True),
        sa.Column("permit", TEXT, nullable=True),
        sa.Column("rerun", TEXT, nullable=True),
    ):
        op.add_column("run", column)
    rerun = sa.text("origin IS NOT NULL")
    op.create_index("run_origin", "run", ["origin"], sqlite_where=rerun, postgresql_where=rerun)
    op.add_column("run_borrow", sa.Column("at", sa.Double(), nullable=True))
    op.create_table(
        "permit",
        sa.Column("namespace", string(100), nullable=False),
        sa.Column("name", string(500), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run", string(64), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", "place"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_permit_run", "permit", ["run"], unique=False)
    op.add_column("module_switch", sa.Column("kind", string(16), nullable=False, server_default="disabled"))
    op.create_table(
        "conviction",
        sa.Column("module", string(200), nullable=False),
        sa.Column("version", string(64), nullable=False),
        sa.Column("run", string(64), nullable=False),
        sa.Column("step", string(250), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("trace", TEXT, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("module", "version", "run"),
        sqlite_with_rowid=False,
    )
    op.create_index("conviction_run", "conviction", ["run"], unique=False)
    op.create_table(
        "dead_letter",
        sa.Column("key", KEY, nullable=False),
        sa.Column("id", string(320), nullable=False),
        sa.Column("run", string(64), nullable=False),
        sa.Column("namespace", string(100), nullable=False),
        sa.Column("flow", string(200), nullable=False),
        sa.Column("step", string(250), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("module", string(270), nullable=False),
        sa.Column("outcome", string(16), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("reasons", TEXT, nullable=False),
        sa.Column("ref", TEXT, nullable=False),
        sa.Column("edited", TEXT, nullable=True),
        sa.Column("state", string(16), nullable=False),
        sa.Column("redrive", string(64), nullable=True),
        sa.Column("actor", string(200), nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_dead_letter_run", "dead_letter", ["run"], unique=False)
    op.create_index("dead_letter_state", "dead_letter", ["state", "key"], unique=False)
    op.create_index("dead_letter_flow", "dead_letter", ["flow", "key"], unique=False)
