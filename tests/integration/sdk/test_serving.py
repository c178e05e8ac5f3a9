"""`serve()` and its supervisor as real processes on a real port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from plugmesh.contracts.instance import Registration
from plugmesh.contracts.messages import DISPATCH, Assign, Done, Failed, SetSlots
from plugmesh.data.table import read_table, write_table
from tests.integration.sdk.house import AUTHORED, is_alive
from tests.integration.sdk.mesh_server import ROOT, MeshServer, interrupt
from tests.waiting import wait_until

PRICE_TOTAL = str(ROOT / "examples/modules/price_total.py")


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[MeshServer]:
    server = MeshServer(tmp_path)
    await server.start()
    yield server
    await server.close()


async def assign(mesh: MeshServer, to: Registration, module: str, columns: Any = None, **options: Any) -> Assign:
    offer = next(offer for offer in to.offers if offer.name == module)
    step = options.pop("step", "s")
    inputs = {}
    if columns is not None:
        port = options.pop("port", "rows")
        ref = write_table(mesh.store, mesh.runtime.new_id("in"), pa.table(columns))
        inputs = {port: (ref,)}
    message = Assign(
        instance=to.instance, shard=0, term=1, run="r", step=step, epoch=1, namespace="default", module=module,
        version=offer.version, digest=offer.digest, inputs=inputs, prefix=f"data/default/r/{step}/1", **options,
    )  # fmt: skip
    await mesh.bus.publish(DISPATCH, to.partition, message.encode())
    return message


async def end_of(mesh: MeshServer, message: Assign) -> Any:
    def found() -> Any:
        return next((m for m in mesh.of(message.attempt) if isinstance(m, Done | Failed)), None)

    return await wait_until(found, 30, message=f"{message.attempt} ends\n{mesh.printed()}")


async def test_an_authors_file_plugs_itself_in_runs_and_drains(mesh: MeshServer) -> None:
    process = mesh.run(PRICE_TOTAL)
    instance = await mesh.instance("orders.price_total")
    assert instance.pid == process.pid
    columns = {"price": [2.0], "qty": [3], "who": ["a"]}
    done = await end_of(mesh, await assign(mesh, instance, "orders.price_total", columns, port="orders"))
    assert isinstance(done, Done), done
    out = read_table(mesh.store, done.outputs["priced"])  # type: ignore[arg-type]
    assert out.column_names == ["price", "qty", "who", "total"]
    interrupt(process)
    assert await mesh.ended(process) == 0
    assert mesh.entries() == {}
    assert f"orders.price_total@1.2.0 is offered to the mesh {mesh.url}" in mesh.printed()


async def test_the_supervisor_never_imports_an_authors_code(mesh: MeshServer, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.py"  # a name that a server has, too
    file.write_text(
        "import json\nimport helper_of_mine\nfrom module_sdk import module\n"
        "@module('a.b')\ndef b() -> dict:\n    return {'name': __name__, 'file': helper_of_mine.__file__}\n"
    )
    (tmp_path / "helper_of_mine.py").write_text("")
    process = mesh.run("-P", "-m", "module_sdk.serving", str(file))
    instance = await mesh.instance("a.b")
    assert "pyarrow" not in Path(f"/proc/{process.pid}/maps").read_text()
    done = await end_of(mesh, await assign(mesh, instance, "a.b"))
    assert done.outputs["out"].value["file"] == str(tmp_path / "helper_of_mine.py")
    assert done.outputs["out"].value["name"] != "__main__"


async def test_a_package_is_served_by_one_process(mesh: MeshServer, tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in ("one", "two"):
        (package / f"{name}.py").write_text(
            f"from module_sdk import module\n@module('shop.{name}')\ndef {name}() -> str:\n    return __name__\n"
        )
    mesh.run("-P", "-m", "module_sdk.serving", "--package", "shop", "--path", str(tmp_path), "--slots", "1")
    instance = await mesh.instance("shop.one")
    assert sorted(offer.name for offer in instance.offers) == ["shop.one", "shop.two"]
    done = await end_of(mesh, await assign(mesh, instance, "shop.two"))
    assert done.outputs["out"].value == "shop.two"


async def test_work_goes_on_while_the_mesh_is_away_and_the_result_follows(mesh: MeshServer, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    mesh.run("-P", "-m", "module_sdk.serving", str(AUTHORED))
    instance = await mesh.instance("t.waits")
    message = await assign(mesh, instance, "t.waits", {"x": [1]}, params={"marker": str(marker)})
    await wait_until(Path(f"{marker}.started").exists, 30)
    await mesh.stop()
    mesh.messages.clear()
    marker.touch()
    await mesh.start()
    assert isinstance(await end_of(mesh, message), Done)
    assert (await mesh.instance("t.waits")).instance == instance.instance


async def test_what_a_server_started_ends_when_that_server_is_gone_before_it_was_joined(mesh: MeshServer) -> None:
    options = ("--orphan-exit-s", "0.1")
    process = mesh.run("-P", "-m", "module_sdk.serving", str(AUTHORED), *options, PLUGMESH_URL="http://127.0.0.1:1")
    assert await mesh.ended(process) == 1
    assert "no mesh answers at http://127.0.0.1:1" in mesh.printed()


def test_an_interrupt_while_a_supervisor_is_imported_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nclass Interrupting:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'module_sdk.supervisor.supervisor':\n            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    command = [sys.executable, "-P", "-m", "module_sdk.supervisor", "0"]
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    ended = subprocess.run(
        command, capture_output=True, check=False, timeout=60, env={**os.environ, "PYTHONPATH": path}
    )
    assert (ended.returncode, ended.stderr) == (130, b"")


async def test_slots_that_were_set_are_told_to_the_next_server_too(mesh: MeshServer) -> None:
    mesh.run("-P", "-m", "module_sdk.serving", str(AUTHORED))
    instance = await mesh.instance("t.waits")
    await mesh.bus.publish(DISPATCH, instance.partition, SetSlots(instance=instance.instance, slots=7).encode())
    await wait_until(lambda: mesh.entries()[instance.instance].registration.slots == 7, 30)
    await mesh.stop()
    await mesh.start()
    assert (await mesh.instance("t.waits")).slots == 7


@pytest.mark.full
async def test_what_left_its_session_ends_with_a_step_that_runs_too_long(mesh: MeshServer, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    mesh.run("-P", "-m", "module_sdk.serving", str(AUTHORED.with_name("bad_modules.py")))
    instance = await mesh.instance("b.daemon_and_loop")
    message = await assign(mesh, instance, "b.daemon_and_loop", params={"marker": str(marker)}, timeout_s=1.0)
    assert (await end_of(mesh, message)).error.code == "timeout"
    await wait_until(lambda: not is_alive(int(marker.read_text())), 30)


async def test_executors_die_with_their_supervisor(mesh: MeshServer, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    process = mesh.run("-P", "-m", "module_sdk.serving", str(AUTHORED))
    instance = await mesh.instance("t.source")
    done = await end_of(mesh, await assign(mesh, instance, "t.source"))
    pid = read_table(mesh.store, done.outputs["out"]).column("pid")[0].as_py()
    assert is_alive(pid)
    await assign(mesh, instance, "t.spins", {"x": [1]}, step="t", params={"marker": str(marker)})
    await wait_until(marker.exists, 30)
    os.kill(process.pid, signal.SIGKILL)
    await wait_until(lambda: not is_alive(pid), 30)


async def test_orphans_of_a_dead_executor_are_ended(mesh: MeshServer, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    mesh.run("-P", "-m", "module_sdk.serving", str(AUTHORED))
    instance = await mesh.instance("t.leaves_and_dies")
    message = await assign(mesh, instance, "t.leaves_and_dies", {"x": [1]}, params={"marker": str(marker)})
    failed = await end_of(mesh, message)
    assert failed.convicting
    assert "SIGKILL" in failed.error.message
    await wait_until(lambda: not is_alive(int(marker.read_text())), 30)


async def test_a_second_signal_ends_at_once(mesh: MeshServer, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    process = mesh.run("-P", "-m", "module_sdk.serving", str(AUTHORED))
    instance = await mesh.instance("t.waits")
    await assign(mesh, instance, "t.waits", {"x": [1]}, params={"marker": str(marker)})
    await wait_until(Path(f"{marker}.started").exists, 30)
    interrupt(process)
    await wait_until(lambda: mesh.entries()[instance.instance].draining, 30)
    interrupt(process)
    assert await mesh.ended(process) == 130


async def test_a_crash_point_of_the_loaded_runtime_ends_the_supervisor(mesh: MeshServer, tmp_path: Path) -> None:
    runtime = tmp_path / "crashing.py"
    runtime.write_text(
        "import os\nfrom plugmesh.runtime import SystemRuntime\n"
        "class Crashing(SystemRuntime):\n"
        "    def point(self, name):\n"
        "        if name == 'supervisor.before-publish':\n"
        "            os._exit(99)\n"
    )
    process = mesh.run("-P", "-m", "module_sdk.serving", str(AUTHORED), PLUGMESH_RUNTIME=f"{runtime}:Crashing")
    instance = await mesh.instance("t.source")
    await assign(mesh, instance, "t.source")
    assert await mesh.ended(process) == 99


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", "has no modules"),
        ("from module_sdk import module\n@module('A B')\ndef f(): ...\n", "dotted lower-case"),
        (
            "from module_sdk import module, serve\n"
            "def make():\n    @module('a')\n    def f(): ...\n    return f\n"
            "serve(make())\n",
            "top level",
        ),
    ],
)
def test_a_file_that_cannot_be_served_says_why(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "f.py"
    file.write_text(text)
    command = [sys.executable, "-P", "-m", "module_sdk.serving", str(file)]
    if "serve(" in text:
        command = [sys.executable, str(file)]
    answer = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert answer.returncode != 0
    assert words in answer.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n\ndef broken(:\n", ":3: SyntaxError:"),
        ("\nimport no_such_module_at_all\n", ":2: ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("x = 1\n1/0\n", ":2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(0)\n", ":2: the file ended, by sys.exit(0), before its modules were declared"),
        ("import json\njson.loads('{')\n", ":2: json.decoder.JSONDecodeError: "),
        ("import broken_helper\n", "broken_helper.py:2: ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_cannot_be_imported_shows_its_authors_lines_alone(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "f.py"
    file.write_text(text)
    (tmp_path / "broken_helper.py").write_text("\n1/0\n")
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "module_sdk.serving", str(file)],
        check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert answer.returncode == 1
    first = answer.stderr.splitlines()[0]
    assert first.startswith(f"plugmesh: {tmp_path}")
    assert words in first
    assert "module_sdk/" not in answer.stderr
    assert "importlib" not in answer.stderr
