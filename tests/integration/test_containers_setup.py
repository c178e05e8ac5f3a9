"""What the scripts around containers say and write where there is no engine; the engine itself: tests/containers."""

import http.server
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.real_containers import service
from scripts.real_containers.engine import base_file, podman_settings, status
from scripts.real_containers.images import compose_files
from scripts.real_containers.places import Places
from scripts.real_containers.programs import RECIPES, stage
from scripts.real_containers.settings import write_settings
from scripts.real_servers.problem import Problem

ROOT = Path(__file__).parent.parent.parent
HEALTH = ROOT / "compose" / "health.py"


def _places(folder: Path) -> Places:
    return Places(folder / "cache", folder / "run")


def _run(*command: str | Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def test_without_an_engine_status_says_what_to_do(tmp_path: Path) -> None:
    nobody = {"DOCKER_HOST": f"unix://{tmp_path}/none", "XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = _run(ROOT / "scripts" / "containers", "status", "--json", **nobody)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert not found["ready"]
    assert "scripts/containers" in found["why"]


def test_a_socket_that_nobody_serves_is_no_engine(tmp_path: Path) -> None:
    places = _places(tmp_path)
    places.run.mkdir()
    places.socket.touch()
    (places.run / "service").write_text("1 nobody\n")
    assert "unix" not in status(places).environment.get("DOCKER_HOST", "")


def test_any_podman_that_is_started_gets_settings_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("podman", "docker"):
        (commands / name).write_text("#!/bin/sh\nexit 0\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    places = _places(tmp_path)
    with pytest.raises(Problem):  # this one ends at once
        service.start(places)
    assert podman_settings(places).keys() == {"CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"}


def test_settings_stay_below_the_limits_of_this_process(tmp_path: Path) -> None:
    places = _places(tmp_path)
    write_settings(places)
    text = places.settings.read_text()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    (files,) = re.findall(r"nofile=(\d+):\1", text)
    assert hard == resource.RLIM_INFINITY or int(files) <= hard
    assert ('runtime = "runc"' in text) == (shutil.which("runc") is not None)
    assert str(places.cache / "images") in places.storage.read_text()


def test_images_of_others_are_replaced_only_where_none_can_be_pulled(tmp_path: Path) -> None:
    places = _places(tmp_path)
    assert [Path(word).name for word in compose_files(places)[1::2]] == ["mesh.yml"]
    base_file(places).parent.mkdir()
    base_file(places).write_text("localhost/python:1\n")
    assert [Path(word).name for word in compose_files(places)[1::2]] == ["mesh.yml", "ci.override.yml"]


def test_every_image_that_is_built_here_has_its_recipe_and_no_leftovers(tmp_path: Path) -> None:
    places = _places(tmp_path)
    stage(places)
    old = places.programs / "kafka" / "old"
    old.touch()
    stage(places)
    assert not old.exists()
    assert {folder.name for folder in places.programs.iterdir()} == {folder.name for folder in RECIPES.iterdir()}
    assert all((folder / "Dockerfile").is_file() for folder in places.programs.iterdir())


def test_a_server_that_answers_is_well() -> None:
    with _server(200) as port:
        assert _run(sys.executable, HEALTH, MESH_HEALTH_PORT=str(port)).returncode == 0


def test_a_server_that_answers_with_an_error_or_not_at_all_is_not_well() -> None:
    with _server(503) as port:
        assert _run(sys.executable, HEALTH, MESH_HEALTH_PORT=str(port)).returncode == 1
    assert _run(sys.executable, HEALTH, MESH_HEALTH_PORT=str(port)).returncode == 1


@contextmanager
def _server(answer: int) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    Handler.protocol_version = "HTTP/1.1"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
