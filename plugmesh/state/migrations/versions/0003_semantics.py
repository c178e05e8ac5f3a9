"""Priorities, deadlines, permits and reruns; convictions and quarantine of modules; dead letters."""

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
    rerun = sa.text("origin IS NOT NULL")
    op.create_index("run_origin", "run", ["origin"], sqlite_where=rerun, postgresql_where=rerun)
    op.add_column("run_borrow", sa.Column("at", sa.Double(), nullable=True))
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
    op.add_column("module_switch", sa.Column("kind", sa.String(length=16), nullable=False, server_default="disabled"))
    op.create_table(
        "conviction",
        sa.Column("module", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("step", sa.String(length=250), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("module", "version", "run"),
        sqlite_with_rowid=False,
    )
    op.create_index("conviction_run", "conviction", ["run"], unique=False)
    op.create_table(
        "dead_letter",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=320), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("namespace", sa.String(length=100), nullable=False),
        sa.Column("flow", sa.String(length=200), nullable=False),
        sa.Column("step", sa.String(length=250), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("module", sa.String(length=270), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("edited", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("redrive", sa.String(length=64), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_dead_letter_run", "dead_letter", ["run"], unique=False)
    op.create_index("dead_letter_state", "dead_letter", ["state", "key"], unique=False)
    op.create_index("dead_letter_flow", "dead_letter", ["flow", "key"], unique=False)
