"""Settings that were changed while a mesh ran."""

from __future__ import annotations

import sqlalchemy as sa

from plugmesh.state.reads import Reader
from plugmesh.state.schema import setting
from plugmesh.state.writes import Writer


def save_setting(writer: Writer, name: str, value: str, actor: str, at: float) -> None:
    """Keep a changed setting; `value` is JSON text."""

    def body() -> None:
        writer.connection.execute(sa.delete(setting).where(setting.c.name == name))
        writer.connection.execute(sa.insert(setting).values(name=name, value=value, actor=actor, at=at))

    writer.transaction("setting", body)


def drop_setting(writer: Writer, name: str) -> None:
    """Forget a changed setting; nothing happens if it was not changed."""
    writer.transaction("setting", lambda: writer.connection.execute(sa.delete(setting).where(setting.c.name == name)))


def changed_settings(reader: Reader) -> dict[str, str]:
    """The JSON text of each changed setting, by name."""
    return {str(row["name"]): str(row["value"]) for row in reader.documents(sa.select(setting))}
