"""A run reads the version of a file that was there when it was submitted, whatever happens to the name meanwhile."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import MakeMesh
from tests.waiting import wait_until_sync

FLOW = {
    "flow": "checks/reads",
    "inputs": {"document": {"kind": "file"}},
    "nodes": {"read": {"module": "is.read", "in": "${inputs.document}"}},
    "outputs": {"text": "read"},
}
MODULE = """
from module_sdk import File, module


@module("is.read", outputs={"out": "value"})
def read(document: File) -> dict[str, object]:
    return {"out": document.read().decode()}
"""
NO_GRACE = ("--set", "retention_grace_s=0.001", "--set", "retention_file_versions=1")


@pytest.mark.full
def test_a_run_reads_the_version_it_was_given_after_a_new_one_a_delete_and_a_sweep(
    make_mesh: MakeMesh, tmp_path: Path
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    mesh = make_mesh("--no-builtins", "--modules", str(modules), *NO_GRACE)
    with httpx2.Client(base_url=f"{mesh.url}/api/v1", timeout=60, trust_env=False) as client:
        versions = [_put(client, text) for text in ("first", "second")]
        request = {"flow": FLOW, "inputs": {"document": {"file": "a.txt"}}}
        run = client.post("/runs", json=request).json()["id"]
        versions.append(_put(client, "third"))
        assert client.delete("/files/a.txt").status_code == 204
        gone = [mesh.data / "objects" / "objects" / versions[number]["key"] for number in (0, 2)]
        wait_until_sync(lambda: _swept(client, gone), 30, message=mesh.said())
        (modules / "read.py").write_text(MODULE)
        ended = client.get(f"/runs/{run}?wait_s=60").json()
        assert (ended["state"], ended["outputs"]["text"]["value"]) == ("succeeded", {"out": "second"}), mesh.said()
        kept = mesh.data / "objects" / "objects" / versions[1]["key"]
        wait_until_sync(lambda: _swept(client, [kept]), 30, message="nobody needs it any more")


def _put(client: httpx2.Client, text: str) -> dict[str, Any]:
    headers = {"content-type": "application/octet-stream"}
    return dict(client.put("/files/a.txt", content=text.encode(), headers=headers).json())


def _swept(client: httpx2.Client, paths: list[Path]) -> bool:
    client.post("/data/gc", json={"dry_run": False}).raise_for_status()
    return not any(path.exists() for path in paths)
