"""scripts/servers as people and CI call it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from scripts.real_servers.catalog import SERVERS, servers
from scripts.real_servers.folders import START_VARIABLE, STATE_VARIABLE, Folders

ROOT = Path(__file__).resolve().parents[3]
NAMES = [kind.name for kind in SERVERS]


def call(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts" / "servers"), *arguments]
    environ = {**os.environ, STATE_VARIABLE: str(state)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=600)


def test_status_knows_all_servers_also_where_none_runs(tmp_path: Path) -> None:
    done = call("status", "--json", state=tmp_path)
    found = json.loads(done.stdout)
    assert list(found) == NAMES
    assert not any(server["running"] for server in found.values())


def test_an_unknown_server_is_named_with_those_there_are(tmp_path: Path) -> None:
    done = call("start", "kafka", "oracle", state=tmp_path)
    assert done.returncode == 1
    assert "no server oracle here" in done.stderr
    assert all(name in done.stderr for name in NAMES)


@pytest.mark.servers
def test_a_command_gets_a_folder_for_servers_and_its_exit_code_is_passed_on(tmp_path: Path) -> None:
    done = call("run", "sh", "-c", f"echo ${STATE_VARIABLE} ${START_VARIABLE}; exit 7", state=tmp_path)
    folder, started = done.stdout.split()
    assert (done.returncode, started) == (7, "1")
    assert folder != str(tmp_path)
    assert not Path(folder).exists()


@pytest.mark.servers
@pytest.mark.parametrize("name", NAMES)
def test_a_server_is_started_found_stopped_and_started_again(name: str, tmp_path: Path) -> None:
    (server,) = servers([name], Folders.of(os.environ))
    if not server.installed() and os.environ.get("CI") != "true":
        pytest.skip(f"{name} is not installed: scripts/servers install {name}")
    try:
        first = call("start", name, state=tmp_path)
        assert first.returncode == 0, first.stderr
        status = json.loads(call("status", "--json", name, state=tmp_path).stdout)[name]
        assert status["ready"]
        assert status["memory_mib"] > 0
        assert call("stop", name, state=tmp_path).stdout.split() == [name, "stopped"]
        assert call("stop", name, state=tmp_path).stdout.split() == [name, "was", "not", "running"]
        again = call("start", name, state=tmp_path)
        assert again.stdout == first.stdout
        addresses = call("status", "--env", name, state=tmp_path).stdout
        assert all(f"export {variable}={url}\n" in addresses for variable, url in status["urls"].items())
        call("stop", name, state=tmp_path)
        for port in tmp_path.glob(f"{name}/port.*"):  # as if somebody else had taken them
            port.unlink()
        elsewhere = call("start", name, state=tmp_path)
        assert elsewhere.returncode == 0, elsewhere.stderr
    finally:
        call("stop", "--wipe", name, state=tmp_path)
