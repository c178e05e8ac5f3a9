"""What `plugmesh serve builtins` hands to the process that it becomes."""

import os
from pathlib import Path

import pytest

from plugmesh.cli.roles import process
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.given import settings_of


async def test_it_keeps_what_leads_to_bus_and_objects_and_nothing_that_leads_to_the_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    handed: dict[str, str] = {}

    def become(_path: str, _command: object, environment: dict[str, str]) -> None:
        handed.update(environment)

    monkeypatch.setattr(os, "execve", become)
    for name in ("PG_PASSWORD", "S3_PASSWORD", "SHARED_PASSWORD"):
        monkeypatch.setenv(name, "geheim")
    urls = {
        "state": "postgresql://me:${PG_PASSWORD}@h/${SHARED_PASSWORD}",
        "bus": "kafka://h/x",
        "discovery": "consul://:${SHARED_PASSWORD}@h/x",
        "objects": "s3://me:${S3_PASSWORD}@bucket",
    }
    settings = settings_of({}, None, tmp_path, urls, ())
    await process._builtins(settings, tmp_path, SystemRuntime())
    assert {"S3_PASSWORD", "SHARED_PASSWORD", "PLUGMESH_OBJECTS"} <= handed.keys()
    assert "PG_PASSWORD" not in handed
