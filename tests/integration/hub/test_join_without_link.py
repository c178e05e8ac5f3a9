"""Joining with URLs that were given: no gateway is asked."""

from __future__ import annotations

import os

import pytest

from module_sdk.launch import Launch
from module_sdk.serving import take_backends
from plugmesh.errors import ConfigurationError
from plugmesh.join import Backends, join
from plugmesh.runtime import SystemRuntime


@pytest.mark.parametrize(
    "backends",
    [Backends(bus="kafka://u:geheim@h/m"), Backends(discovery="consul://:geheim@h/m", bus="embedded://")],
)
async def test_half_of_a_distributed_mesh_is_refused(backends: Backends) -> None:
    with pytest.raises(ConfigurationError, match="PLUGMESH_BUS and PLUGMESH_DISCOVERY both") as failed:
        await join("http://127.0.0.1:1", SystemRuntime(), backends=backends)
    assert "geheim" not in str(failed.value)


async def test_a_bus_and_discovery_without_objects_are_refused() -> None:
    backends = Backends("kafka://h/m", "consul://h/m")
    with pytest.raises(ConfigurationError, match="set PLUGMESH_OBJECTS as well"):
        await join("http://127.0.0.1:1", SystemRuntime(), backends=backends)


async def test_given_services_are_opened_without_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("plugmesh.join.open_bus", lambda url, runtime: opened.append(url))
    monkeypatch.setattr("plugmesh.join.open_discovery", lambda url, runtime: opened.append(url))
    monkeypatch.setenv("WHO", "ann")
    backends = Backends("kafka://${WHO}@h/m", "consul://h/m", "s3://bucket")
    joined = await join("http://127.0.0.1:1", SystemRuntime(), backends=backends)
    assert joined.link is None
    assert (joined.objects_url, opened) == ("s3://bucket", ["kafka://ann@h/m", "consul://h/m"])


def test_authors_code_and_what_it_starts_see_no_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BUS", "DISCOVERY", "OBJECTS"):
        monkeypatch.setenv(f"PLUGMESH_{name}", f"{name.lower()}://secret@h")
    taken = take_backends()
    assert taken == ("bus://secret@h", "discovery://secret@h", "objects://secret@h")
    assert take_backends() == ("", "", "")
    launch = Launch((), "http://x", backends=taken)
    assert "secret" not in repr(launch)
    assert Launch.decode(launch.encode()).backends == taken


def test_authors_code_sees_no_variable_that_a_url_names_nor_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "PLUGMESH_BUS": "kafka://${WHO}:${KAFKA_PW}@h/m",
        "PLUGMESH_OBJECTS": "s3://me:${S3_PW}@bucket?cache=${HOME}/cache",
        "PLUGMESH_STATE": "postgresql://me:${PG_PW}@h/db",
        "WHO": "ann",
        "KAFKA_PW": "k/1",
        "S3_PW": "${PG_PW}",
        "PG_PW": "p-1",
        "HOME": "/home/ann",
        "OTHER": "stays",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert take_backends() == ("kafka://ann:k%2F1@h/m", "", "s3://me:%24%7BPG_PW%7D@bucket?cache=%2Fhome%2Fann/cache")
    left = {name: value for name, value in given.items() if name in os.environ}
    assert left == {"HOME": "/home/ann", "OTHER": "stays"}


def test_a_variable_that_is_not_set_is_told_by_who_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUGMESH_BUS", "kafka://me:${NOPE}@${HOST}/m")
    monkeypatch.setenv("HOST", "h")
    (bus, *_) = take_backends()
    with pytest.raises(ConfigurationError, match="uses the variable NOPE"):
        Backends(bus).completed()
