"""What must hold of the files in compose/ without starting anything: nothing has a password, everything a version."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from module_sdk.launch import DRAIN_S
from plugmesh import __version__
from plugmesh.cli.server.serving import STOP_S
from scripts.real_containers import base
from scripts.real_servers import consul, kafka, minio

COMPOSE = Path(__file__).parent.parent.parent / "compose"
FILES = ("mesh.yml", "light.yml", "my-module.yml", "ci.override.yml")
SECRET = re.compile(r"\$\{(\w*(?:PASSWORD|TOKEN|SECRET)\w*)([^}]*)\}")


def _services(file: str) -> dict[str, Any]:
    services: dict[str, Any] = YAML(typ="safe", pure=True).load((COMPOSE / file).read_text())["services"]
    return services


@pytest.mark.parametrize("file", FILES)
def test_no_password_has_a_default(file: str) -> None:
    required = set()
    for name, default in SECRET.findall((COMPOSE / file).read_text()):
        assert not default or default.startswith(":?"), f"{name} has a default in {file}"
        required |= {name} if default else set()
    used = {name for name, _ in SECRET.findall((COMPOSE / file).read_text().replace("$${", ""))}
    assert used <= required, f"without {used - required} Compose would go on"


def test_the_example_names_every_secret_and_gives_none() -> None:
    lines = (COMPOSE / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    wanted = {name for file in FILES for name, _ in SECRET.findall((COMPOSE / file).read_text().replace("$${", ""))}
    assert set(given) == wanted
    assert not any(given.values())


def test_new_secrets_are_new_each_time() -> None:
    one, other = (_made() for _ in range(2))
    assert one.keys() == other.keys()
    assert all(len(one[name]) >= 32 and one[name] != other[name] for name in one)


@pytest.mark.parametrize("file", FILES[:2])
def test_every_image_of_others_has_a_version(file: str) -> None:
    for name, service in _services(file).items():
        image = service["image"]
        assert re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", image), f"{name}: {image}"


def test_versions_are_those_that_tests_run_on() -> None:
    services = _services("mesh.yml")
    assert services["kafka"]["image"].endswith(f":{kafka.VERSION}")
    assert services["consul"]["image"].endswith(f":{consul.VERSION.removeprefix('v')}")
    assert f"ARG MINIO_VERSION={minio.VERSION}\n" in (COMPOSE / "minio" / "Dockerfile").read_text()
    assert services["gateway"]["image"] == f"plugmesh:{__version__}"
    assert f"ARG PLUGMESH_IMAGE=plugmesh:{__version__}\n" in (COMPOSE / "module.Dockerfile").read_text()


def test_the_base_image_is_the_same_everywhere() -> None:
    named = base.PULLED.rpartition("/")[2]
    for file in COMPOSE.rglob("*Dockerfile"):
        for found in re.findall(r"^ARG BASE_IMAGE=(\S+)$", file.read_text(), re.MULTILINE):
            assert found == named, file
    for name in FILES:
        for found in re.findall(r"\$\{BASE_IMAGE:-([^}]+)\}", (COMPOSE / name).read_text()):
            assert found == named, name


def test_servers_and_modules_are_watched_restarted_and_on_the_networks_of_the_mesh() -> None:
    for name, service in _services("mesh.yml").items():
        assert service["networks"] == ["mesh"], name
        if name != "bucket":  # it ends by itself
            assert service["restart"] == "unless-stopped", name


def test_the_engine_lets_everybody_stop_in_their_own_time() -> None:
    services = _services("mesh.yml")
    grace_s = {
        name: float(one["stop_grace_period"][:-1]) for name, one in services.items() if "stop_grace_period" in one
    }
    needed_s = {"gateway": 2 * STOP_S, "scheduler-1": 2 * STOP_S, "scheduler-2": 2 * STOP_S, "builtins": DRAIN_S}
    assert not [name for name, least in needed_s.items() if grace_s[name] <= least]


def _made() -> dict[str, str]:
    done = subprocess.run([COMPOSE / "new-secrets"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if line and not line.startswith("#"))
