"""A mesh that others can reach: every command, module and page shows a token, and no token is ever seen anywhere else."""

import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.real_servers.ports import is_free
from tests.e2e.authors import flow_of, greet
from tests.e2e.real_mesh import RealMesh, _command, _environment, _opener
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.full


def own_address() -> str:
    """An address of this machine that is not its own alone; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            pytest.skip("this machine has no address but its own")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, _ports: Iterator[int]) -> Iterator[RealMesh]:
    address = own_address()
    mesh = RealMesh(tmp_path_factory.mktemp("mesh"), next(port for port in _ports if is_free(port)))
    mesh.url = f"http://{address}:{mesh.port}"
    mesh._environment |= {"PLUGMESH_URL": mesh.url}
    mesh.server = mesh.start(
        "up",
        "--host",
        address,
        "--port",
        str(mesh.port),
        "--data",
        str(mesh.data),
        "--no-builtins",
        "--log-level",
        "debug",
    )
    wait_until_sync(lambda: answered(mesh, "/healthz"), 60, message=mesh.said())
    mesh._environment |= {"PLUGMESH_TOKEN_FILE": str(mesh.data / "token")}
    yield mesh
    mesh.close()


@pytest.fixture
def without(mesh: RealMesh) -> Iterator[Callable[..., None]]:
    """A function that puts something else in the place of the token, until the test is over."""
    kept = dict(mesh._environment)

    def put(**environment: str) -> None:
        mesh._environment = {name: value for name, value in kept.items() if name != "PLUGMESH_TOKEN_FILE"} | environment

    yield put
    mesh._environment = kept


def answered(mesh: RealMesh, path: str, **headers: str) -> int:
    try:
        with ask(mesh, path, **headers) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def ask(mesh: RealMesh, path: str, data: Any = None, **headers: str) -> Any:
    body = None if data is None else json.dumps(data).encode()
    named = {"content-type": "application/json", **headers}
    return _opener().open(urllib.request.Request(mesh.url + path, data=body, headers=named), timeout=30)


def tokens(mesh: RealMesh) -> list[str]:
    return [(mesh.data / name).read_text().strip() for name in ("token", "join-token")]


def serve(mesh: RealMesh, name: str, *options: str) -> "subprocess.Popen[bytes]":
    file = mesh.folder / f"{name.replace('.', '_')}.py"
    file.write_text(greet(name))
    return mesh.start("module", "serve", str(file), *options)


def test_who_shows_no_token_or_a_wrong_one_is_told_what_to_do(
    mesh: RealMesh, without: Callable[..., None], tmp_path: Path
) -> None:
    shown = [mesh.cli("token", "show", "--data", str(mesh.data), *which).stdout.strip() for which in ((), ("--join",))]
    assert shown == tokens(mesh)
    without()
    assert "plugmesh token show" in mesh.cli("runs", code=2).stderr
    without(PLUGMESH_TOKEN="wrong" * 10)
    assert "is not one of this mesh" in mesh.cli("runs", code=2).stderr
    wrong = tmp_path / "wrong"
    wrong.write_text("guessed" * 8)
    wrong.chmod(0o600)
    refused = serve(mesh, "is.refused", "--token-file", str(wrong))
    assert refused.wait(timeout=60) != 0
    assert "plugmesh token show --join" in mesh.said_last()
    wrong.chmod(0o644)
    careless = serve(mesh, "is.careless", "--token-file", str(wrong))
    wait_until_sync(lambda: "chmod 600" in mesh.said_last(), 60, message=mesh.said())
    careless.terminate()
    for path in ("/", "/readyz", "/metrics", "/api/v1/runs", "/api/v1/openapi.json", "/docs", "/nothing"):
        assert answered(mesh, path) == 401, path


def test_a_flow_runs_with_tokens_and_they_are_replaced_while_it_does(mesh: RealMesh) -> None:
    joined = serve(mesh, "is.joined", "--token-file", str(mesh.data / "join-token"))
    wait_until_sync(lambda: "is.joined" in mesh.cli("modules").stdout, 60, 0.2, message=mesh.said())
    first = tokens(mesh)
    (mesh.folder / "flow.yaml").write_text(flow_of("is.joined"))
    assert "succeeded" in mesh.cli("run", "flow.yaml", "--follow").stdout
    fresh = [mesh.cli("token", "rotate", "--data", str(mesh.data), *more).stdout.strip() for more in ([], ["--join"])]
    assert fresh == tokens(mesh)
    old, new = (f"Bearer {of[0]}" for of in (first, fresh))
    wait_until_sync(lambda: answered(mesh, "/readyz", authorization=old) == 401, 30)
    assert answered(mesh, "/readyz", authorization=new) == 200
    assert answered(mesh, "/api/v1/runs", authorization=f"Bearer {fresh[1]}") == 403, "a join token is for modules"
    assert "succeeded" in mesh.cli("run", "flow.yaml", "--follow").stdout
    assert joined.poll() is None, "who has joined stays"


def test_a_page_shows_the_token_once_and_watches_with_its_cookie(mesh: RealMesh) -> None:
    with ask(mesh, "/api/v1/session", {"token": tokens(mesh)[0]}, origin=mesh.url) as signed_in:
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        assert tokens(mesh)[0] not in str(signed_in.headers) + signed_in.read().decode()
    with ask(mesh, "/api/v1/events", cookie=cookie) as feed:
        assert feed.headers["content-type"].startswith("text/event-stream")
        assert feed.readline()
    assert answered(mesh, "/api/v1/events", cookie=cookie[:-1]) == 401
    assert answered(mesh, "/api/v1/events", cookie=cookie, origin="http://evil.example") == 403


def test_no_token_is_in_a_log_a_command_line_or_the_environment_of_a_process(mesh: RealMesh) -> None:
    shown = tokens(mesh)
    kept = [file for file in mesh.data.rglob("*") if file.is_file() and file.name not in {"token", "join-token"}]
    places = [file.read_bytes().decode("latin-1") for file in (*kept, *mesh.folder.glob("*.log"))]
    places += [_command(pid) + repr(_environment(pid)) for pid in mesh.family()]
    assert len(places) > 5
    assert not [place[:200] for place in places if any(token in place for token in shown)]
