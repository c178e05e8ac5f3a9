"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plugmesh.state.columns import KEY, TEXT, string

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "attempt",
        sa.Column("run", KEY, autoincrement=False, nullable=False),
        sa.Column("step", string(250), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", string(16), nullable=False),
        sa.Column("instance", string(64), nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("log", TEXT, nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("run", "step", "epoch", "state"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "command",
        sa.Column("id", string(64), nullable=False),
        sa.Column("run", string(64), nullable=False),
        sa.Column("kind", string(32), nullable=False),
        sa.Column("actor", string(200), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("applied_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_command_run"), "command", ["run"], unique=False)
    op.create_table(
        "contract",
        sa.Column("name", string(200), nullable=False),
        sa.Column("version", string(64), nullable=False),
        sa.Column("digest", string(80), nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "event",
        sa.Column("run", KEY, autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("changes", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("run", "seq"),
    )
    op.create_table(
        "file",
        sa.Column("key", KEY, nullable=False),
        sa.Column("namespace", string(100), nullable=False),
        sa.Column("name", string(300), nullable=False),
        sa.Column("object", string(512), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("hash", string(100), nullable=False),
        sa.Column("media_type", string(200), nullable=False),
        sa.Column("actor", string(200), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("object"),
    )
    op.create_index("file_versions", "file", ["namespace", "name", "key"], unique=False)
    op.create_table(
        "mesh",
        sa.Column("name", string(64), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "revision",
        sa.Column("key", KEY, nullable=False),
        sa.Column("digest", string(80), nullable=False),
        sa.Column("namespace", string(100), nullable=False),
        sa.Column("name", string(200), nullable=False),
        sa.Column("flow", TEXT, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "shard",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", string(64), nullable=True),
        sa.Column("term", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("position", string(200), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "step",
        sa.Column("run", KEY, autoincrement=False, nullable=False),
        sa.Column("id", string(250), nullable=False),
        sa.Column("state", string(16), nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("instance", string(64), nullable=True),
        sa.Column("version", string(64), nullable=True),
        sa.Column("outputs", TEXT, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("stats", TEXT, nullable=True),
        sa.Column("log", TEXT, nullable=True),
        sa.Column("ready_at", sa.Double(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("wake_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("run", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run",
        sa.Column("key", KEY, nullable=False),
        sa.Column("id", string(64), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("namespace", string(100), nullable=False),
        sa.Column("flow", string(200), nullable=False),
        sa.Column("revision", KEY, nullable=False),
        sa.Column("state", string(16), nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("inputs", TEXT, nullable=False),
        sa.Column("params", TEXT, nullable=False),
        sa.Column("labels", TEXT, nullable=False),
        sa.Column("outputs", TEXT, nullable=True),
        sa.Column("idempotency_key", string(200), nullable=True),
        sa.Column("actor", string(200), nullable=False),
        sa.Column("origin", string(64), nullable=True),
        sa.Column("timeout_s", sa.Double(), nullable=True),
        sa.Column("submitted_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["revision"],
            ["revision.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("namespace", "idempotency_key"),
    )
    op.create_index("run_recent", "run", ["namespace", "submitted_at"], unique=False)
    op.create_index(
        "run_unfinished",
        "run",
        ["shard"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "run_unfinished_newest",
        "run",
        ["key"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
