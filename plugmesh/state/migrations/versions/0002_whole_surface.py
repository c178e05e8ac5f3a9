"""Saved flows, labels, pins, progress, artifacts, switches, settings and notifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plugmesh.state.columns import KEY, TEXT, string

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what is new; rows that are there keep their meaning."""
    for column in (
        sa.Column("request_hash", string(64), nullable=True),
        sa.Column("flow_revision", sa.Integer(), nullable=True),
        sa.Column("notify", TEXT, nullable=True),
        sa.Column("data_gone_at", sa.Double(), nullable=True),
    ):
        op.add_column("run", column)
    op.drop_index("run_recent", table_name="run")
    op.create_index("run_submitted", "run", ["submitted_at"], unique=False)
    op.create_index("run_of_namespace", "run", ["namespace", "key"], unique=False)
    op.create_index("run_of_flow", "run", ["flow", "key"], unique=False)
    for name in ("progress", "artifacts"):
        op.add_column("step", sa.Column(name, TEXT, nullable=True))
    op.add_column("attempt", sa.Column("stats", TEXT, nullable=True))
    op.add_column("file", sa.Column("deleted_at", sa.Double(), nullable=True))
    _runs()
    _flows()
    _operations()
    _retention()


def _runs() -> None:
    op.create_table(
        "run_label",
        sa.Column("name", string(100), nullable=False),
        sa.Column("value", string(200), nullable=False),
        sa.Column("run", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name", "value", "run"),
        sqlite_with_rowid=False,
    )
    op.create_index("run_label_run", "run_label", ["run"], unique=False)
    op.create_table(
        "run_pin",
        sa.Column("run", string(64), nullable=False),
        sa.Column("actor", string(200), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("run"),
    )
    op.create_table(
        "notification",
        sa.Column("id", string(80), nullable=False),
        sa.Column("run", string(64), nullable=False),
        sa.Column("namespace", string(100), nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("state", string(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_notification_run"), "notification", ["run"], unique=False)
    due = sa.text("next_at IS NOT NULL")
    op.create_index("notification_due", "notification", ["next_at"], sqlite_where=due, postgresql_where=due)


def _flows() -> None:
    op.create_table(
        "saved_flow",
        sa.Column("namespace", string(100), nullable=False),
        sa.Column("name", string(200), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("namespace", "name"),
    )
    op.create_table(
        "saved_revision",
        sa.Column("namespace", string(100), nullable=False),
        sa.Column("name", string(200), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", KEY, nullable=False),
        sa.Column("media_type", string(100), nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("actor", string(200), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["revision"], ["revision.key"]),
        sa.PrimaryKeyConstraint("namespace", "name", "number"),
    )


def _operations() -> None:
    op.create_table(
        "module_switch",
        sa.Column("module", string(200), nullable=False),
        sa.Column("version", string(64), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("actor", string(200), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("module", "version"),
    )
    op.create_table(
        "setting",
        sa.Column("name", string(100), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("actor", string(200), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _retention() -> None:
    op.create_table(
        "run_data",
        sa.Column("run", string(64), nullable=False),
        sa.Column("namespace", string(100), nullable=False),
        sa.Column("flow", string(200), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("log_objects", sa.Integer(), nullable=False),
        sa.Column("log_bytes", sa.BigInteger(), nullable=False),
        sa.Column("measured_at", sa.Double(), nullable=False),
        sa.Column("data_marked_at", sa.Double(), nullable=True),
        sa.Column("data_released_at", sa.Double(), nullable=True),
        sa.Column("logs_marked_at", sa.Double(), nullable=True),
        sa.Column("logs_released_at", sa.Double(), nullable=True),
        sa.Column("events_gone_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("run"),
    )
    kept = sa.text("data_marked_at IS NULL")
    op.create_index("run_data_oldest", "run_data", ["ended_at", "run"], sqlite_where=kept, postgresql_where=kept)
    op.create_table(
        "run_borrow",
        sa.Column("run", string(64), nullable=False),
        sa.Column("lender", string(512), nullable=False),
        sa.PrimaryKeyConstraint("run", "lender"),
    )
    op.create_index("run_borrow_lender", "run_borrow", ["lender"], unique=False)
