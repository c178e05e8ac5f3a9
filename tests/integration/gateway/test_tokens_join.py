"""Joining a mesh that asks for a token, over real sockets and with a real supervisor."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.app import create_app
from gateway.server import serve
from gateway.tokens import Tokens
from plugmesh.errors import ConfigurationError, Unauthorized
from plugmesh.join import join
from plugmesh.token_file import JOIN_TOKEN, TOKEN, find_token, local_file, read_token, replace_token
from tests.integration.gateway.house import House
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
AUTHORED = """
from module_sdk import module

@module("checks.noop")
def noop() -> dict:
    return {}
"""


@dataclass
class Open:
    house: House
    folder: Path
    url: str
    tokens: Tokens


@pytest.fixture
async def mesh(house: House, tmp_path: Path) -> AsyncIterator[Open]:
    tokens = Tokens(tmp_path, house.gateway.settings, house.runtime)
    app = create_app(house.gateway, house.hub, tokens=tokens)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.ensure_future(serve(app, "127.0.0.1", 0, house.runtime, stop=stop, on_started=port.set_result))
    yield Open(house, tmp_path, f"http://127.0.0.1:{await port}", tokens)
    await house.hub.close()
    stop.set()
    await task


@pytest.mark.parametrize("name", [JOIN_TOKEN, TOKEN])
async def test_who_shows_either_token_may_join(mesh: Open, name: str) -> None:
    token = read_token(mesh.folder / name)
    joined = await join(mesh.url, mesh.house.runtime, timeout_s=30, token=lambda: token)
    assert mesh.house.hub.links == 1
    await joined.close()


@pytest.mark.parametrize("token", ["", "x" * 43])
async def test_who_shows_none_or_a_wrong_one_is_told_what_to_do(
    mesh: Open, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with pytest.raises(Unauthorized, match="plugmesh token show --join"):
            await join(mesh.url, mesh.house.runtime, timeout_s=30, token=lambda: token)
    assert mesh.house.hub.links == 0
    told = [record for record in caplog.records if "wrong token" in record.getMessage()]
    assert len(told) == (1 if token else 0), "the gateway's log is not flooded"
    assert all(token not in record.getMessage() for record in caplog.records if token)


async def test_a_replaced_token_file_is_read_again_at_the_next_connection(mesh: Open) -> None:
    file = mesh.folder / JOIN_TOKEN
    joined = await join(mesh.url, mesh.house.runtime, timeout_s=30, token=lambda: read_token(file))
    replace_token(file)
    mesh.tokens._looked_at = 0.0
    changes: list[bool] = []
    assert joined.link is not None
    joined.link.listen(changes.append)
    next(iter(mesh.house.hub._links.values())).drop("for this test")
    await wait_until(lambda: changes[-2:] == [False, True])
    await joined.close()


@pytest.mark.full
async def test_user_code_never_sees_the_token_that_its_process_joined_with(mesh: Open, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(AUTHORED)
    token = read_token(mesh.folder / JOIN_TOKEN)
    environment = {**os.environ, "PLUGMESH_URL": mesh.url, "PLUGMESH_TOKEN": token, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "module_sdk.serving", str(file)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await wait_until(lambda: bool(mesh.house.registry.members()), message="the module has joined")
        for place in ("environ", "cmdline"):
            assert token.encode() not in Path(f"/proc/{process.pid}/{place}").read_bytes()
    finally:
        process.terminate()
        await mesh.house.runtime.run_sync(process.wait)


async def test_a_module_with_a_wrong_token_ends_and_says_why(mesh: Open, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(AUTHORED)
    (tmp_path / "wrong").write_text("y" * 43)
    (tmp_path / "wrong").chmod(0o600)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = ["--url", mesh.url, "--token-file", str(tmp_path / "wrong")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "module_sdk.serving", str(tmp_path / "mine.py"), *options,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 1
    assert b"token is not one of this mesh" in said
    assert b"y" * 43 not in said


def test_commands_find_the_token_and_send_it_to_no_other_machine(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    token = replace_token(data / TOKEN)
    environment = {"PLUGMESH_DATA": str(data)}
    here, there = "http://127.0.0.1:8720", "http://mesh.example:8720"
    assert find_token(here, environment) == token
    assert find_token(there, environment) == ""
    assert find_token(there, {**environment, "PLUGMESH_TOKEN": "abc"}) == "abc"
    assert find_token(there, {"PLUGMESH_TOKEN_FILE": str(data / TOKEN)}) == token
    assert find_token(here, {"PLUGMESH_DATA": str(tmp_path)}) == ""
    assert local_file(here, environment, JOIN_TOKEN) is None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        find_token(here, {"PLUGMESH_TOKEN_FILE": str(data / "none")})
