"""${message}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
beside = ${repr(down_revision)}
"""Processes that know this schema may go on."""


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
