"""Where a server's database and data are: what the settings say, or the data folder."""

from __future__ import annotations

from pathlib import Path

from plugmesh.join import Backends
from plugmesh.settings.settings import Settings
from plugmesh.urls import completed

STATE, OBJECTS = "state.db", "objects"
"""What lies in the data folder: the database and the object store, unless the settings say otherwise."""


def state_url(data: Path, settings: Settings) -> str:
    """The database. Raises `ConfigurationError`."""
    return completed(settings.state or f"sqlite:///{data / STATE}?synchronous={settings.synchronous}")


def objects_url(data: Path, settings: Settings) -> str:
    """The object store. Raises `ConfigurationError`."""
    if settings.objects:
        return completed(settings.objects)
    durable = "&durable=true" if settings.durable else ""
    return f"{(data / OBJECTS).as_uri()}?pool_bytes={settings.pool_bytes}{durable}"


def backends_of(data: Path, settings: Settings) -> Backends:
    """Bus, discovery and objects. Raises `ConfigurationError`."""
    return Backends(completed(settings.bus), completed(settings.discovery), objects_url(data, settings))


def told_objects(url: str) -> str:
    """What modules are told of the object store: where its files are. Another one's URL may hold secrets: they get nothing,
    and go through the gateway."""
    return url if url.startswith("file:") else ""
