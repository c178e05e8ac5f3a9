"""`plugmesh doctor` over real servers: what works is left as it was, and what is wrong names its setting and no secret."""

import asyncio
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from plugmesh.bus.kafka.bus import KafkaBus
from plugmesh.cli.commands.doctor.check import Check, Verdict
from plugmesh.cli.commands.doctor.services import tried_services
from plugmesh.objects.open import open_store
from plugmesh.runtime import SystemRuntime
from plugmesh.state.store import State

RUNTIME = SystemRuntime()
SECRET = "not-the-password"
NOBODY = "http://127.0.0.1:1"


def tried(folder: Path, known: int = 0, **urls: str) -> dict[str, Check]:
    """The checks by setting."""
    environment = {f"PLUGMESH_{name.upper()}": url for name, url in urls.items()}
    checks = tried_services(folder, NOBODY, RUNTIME, served=False, known=known, environment=environment)
    assert all(SECRET not in f"{check}" for check in checks)
    return {check.setting: check for check in checks}


def with_password(url: str, password: str = SECRET) -> str:
    parts = urlsplit(url)
    user = parts.username or ""
    return url.replace(parts.netloc, f"{user}:{quote(password)}@{parts.netloc.rpartition('@')[2]}", 1)


async def used(kafka: str, objects: str, state: str) -> None:
    """Leave what a mesh leaves."""
    bus = KafkaBus(kafka, RUNTIME)
    await bus.end("runs", 0)
    await bus.close()
    writer = open_store(objects, RUNTIME).create("contracts/a")
    writer.write(b"{}")
    writer.commit()
    await (await State.open(state, RUNTIME)).close()


def test_what_a_mesh_uses_works_from_end_to_end(
    tmp_path: Path, kafka_url: str, minio_url: str, consul_url: str, postgres_url: str
) -> None:
    asyncio.run(used(kafka_url, minio_url, postgres_url))
    for _ in range(2):
        found = tried(tmp_path, bus=kafka_url, objects=minio_url, discovery=consul_url, state=postgres_url)
        assert list(found) == ["bus", "discovery", "objects", "state"]
        assert {check.verdict for check in found.values()} == {Verdict.OK}, found
        assert all(check.seconds and check.seconds < 20 for check in found.values())
        assert "0 others are there" in found["discovery"].found
    assert [one.key for one in open_store(minio_url, RUNTIME).list("")] == ["contracts/a"]


def test_places_that_no_mesh_has_used_are_told(
    tmp_path: Path, kafka_url: str, versitygw_url: str, consul_url: str, mariadb_url: str
) -> None:
    found = tried(tmp_path, 3, bus=kafka_url, objects=versitygw_url, discovery=consul_url, state=mariadb_url)
    assert {check.verdict for check in found.values()} == {Verdict.WARNING}, found
    assert "prefix" in found["bus"].todo
    assert "name of the mesh" in found["discovery"].todo
    assert "bucket" in found["objects"].todo
    assert "name of the database" in found["state"].todo


def test_wrong_passwords_are_told(
    tmp_path: Path, kafka_sasl_url: str, minio_url: str, consul_url: str, postgres_url: str
) -> None:
    found = tried(
        tmp_path,
        bus=with_password(kafka_sasl_url),
        objects=with_password(minio_url),
        discovery=with_password(consul_url),
        state=with_password(postgres_url),
    )
    assert {check.verdict for check in found.values()} == {Verdict.PROBLEM}, found
    for setting, check in found.items():
        assert f"correct the setting `{setting}` (it stands in: PLUGMESH_{setting.upper()})" in check.todo
        assert setting in check.found
    assert "refuses the user or the password" in found["bus"].found


def test_a_wrong_bucket_and_a_wrong_database_are_told(tmp_path: Path, minio_url: str, postgres_url: str) -> None:
    bucket = urlsplit(minio_url).hostname or ""
    database = urlsplit(postgres_url).path
    found = tried(
        tmp_path, objects=minio_url.replace(bucket, "no-such-bucket"), state=postgres_url.replace(database, "/nowhere")
    )
    assert {check.verdict for check in found.values()} == {Verdict.PROBLEM}, found
    assert "no-such-bucket" in found["objects"].found
    assert "nowhere" in found["state"].found


@pytest.mark.full
def test_servers_that_are_not_there_are_told(tmp_path: Path) -> None:
    found = tried(
        tmp_path,
        bus="kafka://127.0.0.1:1/x",
        objects=f"s3://a:b@bucket?endpoint={NOBODY}",
        discovery="consul://127.0.0.1:1/x",
        state="postgresql://u@127.0.0.1:1/x",
    )
    assert {check.verdict for check in found.values()} == {Verdict.PROBLEM}, found
    assert all("see whether it runs" in check.todo for check in found.values()), found


def test_settings_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    (check,) = tried_services(
        tmp_path, NOBODY, RUNTIME, served=False, known=0, environment={"PLUGMESH_BUS": "kafka://127.0.0.1:1/x"}
    )
    assert (check.part, check.verdict) == ("settings", Verdict.PROBLEM)
    assert "PLUGMESH_DISCOVERY" in check.found
