"""A module version that really ends its processes: quarantined over a restart, told, gone round, and lifted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.real_mesh import START_S, RealMesh
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.full

NAME = "shop.total"
MODULE = """
import os
import signal

import pyarrow as pa

from module_sdk import module


@module("shop.total", version="{version}")
def total(*, beside: str = "") -> pa.Table:
    {body}
    return pa.table({{"total": [1]}})
"""
SEGFAULTS = "os.kill(os.getpid(), signal.SIGSEGV)"
ASYNC = """
import asyncio
import os
import signal
from pathlib import Path

import pyarrow as pa

from module_sdk import module


@module("shop.beside", version="1.0.0")
async def beside(*, meet: str, dies: bool = False) -> pa.Table:
    \"\"\"Meet the others in a folder; then one of them takes the process with it, once they have met.\"\"\"
    folder = Path(meet)
    if not (folder / "died").exists():
        (folder / ("dies" if dies else "lives")).touch()
        while not all((folder / name).exists() for name in ("dies", "lives")):
            await asyncio.sleep(0.01)
    if dies:
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    elif not (folder / "died").exists():
        await asyncio.sleep(60)
    return pa.table({"total": [1]})
"""


def serve(mesh: RealMesh, text: str, name: str, *options: str) -> None:
    path = mesh.folder / f"{name}.py"
    path.write_text(text)
    mesh.start("module", "serve", str(path), *options)


def version(mesh: RealMesh, number: str, body: str = "pass") -> None:
    """Serve a version of the module, and wait until the mesh knows it."""
    serve(mesh, MODULE.format(version=number, body=body), f"total_{number.replace('.', '_')}")
    wait_until_sync(lambda: number in (module(mesh) or {"versions": ()})["versions"], START_S)


def module(mesh: RealMesh) -> dict[str, Any] | None:
    listed = (mesh.ask("/api/v1/modules") or {"modules": ()})["modules"]
    return next((one for one in listed if one["name"] == NAME), None)


def flow(**more: object) -> str:
    node = {"module": NAME, "retry": {"attempts": 1}}
    return json.dumps({"flow": "shop/total", "nodes": {"a": node}, **more})


def live(mesh: RealMesh) -> int:
    return int((module(mesh) or {"live": 0})["live"])


def test_three_runs_that_segfault_quarantine_the_version_until_a_person_lifts_it(mesh: RealMesh) -> None:
    version(mesh, "1.0.0")
    version(mesh, "1.1.0", SEGFAULTS)
    for _ in range(2):
        mesh.finish(mesh.submit(flow()), "failed")
    mesh.kill_server()
    mesh.up()
    wait_until_sync(lambda: live(mesh) == 2, START_S)
    mesh.finish(mesh.submit(flow()), "failed")
    waiting = mesh.submit(flow())
    step = mesh.wait_for_step(waiting, "a", "parked")
    assert step["reason"].startswith("quarantined: 3 runs ended its process")
    assert "SIGSEGV" in step["reason"]

    mesh.kill_server()
    mesh.up()
    shown = " ".join(mesh.cli("modules", NAME).stdout.split())
    assert "quarantined 1.1.0 by mesh" in shown
    assert "Segmentation fault" in shown
    assert "1.1.0 quarantined" in mesh.cli("modules").stdout
    doctor = " ".join(mesh.cli("doctor", "--data", str(mesh.data)).stdout.split())
    assert "warning quarantine shop.total@1.1.0: 3 runs ended its process" in doctor
    assert {one["step"] for one in mesh.json("modules", NAME)["convictions"]} == {"a"}

    wait_until_sync(lambda: live(mesh) == 1, START_S)
    mesh.finish(mesh.submit(flow(quarantine="previous")))
    assert mesh.show(waiting)["state"] == "running"
    mesh.cli("module", "enable", f"{NAME}@1.1.0")
    mesh.finish(waiting, "failed")
    assert mesh.json("modules", NAME)["disabled"] == []


def test_those_beside_a_step_that_ends_their_process_are_not_convicted_and_do_not_fail(mesh: RealMesh) -> None:
    meet = mesh.folder / "meet"
    meet.mkdir()
    serve(mesh, ASYNC, "beside", "--slots", "2")

    def one(dies: bool) -> str:
        params = {"meet": str(meet), "dies": dies}
        node = {"module": "shop.beside", "params": params, "retry": {"attempts": 1}}
        return mesh.submit(json.dumps({"flow": "shop/beside", "nodes": {"a": node}}))

    dying, living = one(dies=True), one(dies=False)
    mesh.finish(dying, "failed")
    mesh.finish(living)
    convicted = {found["run"] for found in mesh.json("modules", "shop.beside")["convictions"]}
    assert convicted <= {dying}  # if the other one ended after it, its success has cleared the version
