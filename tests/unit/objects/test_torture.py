"""Processes write, read and delete at once, and are killed at any moment: no reader ever sees a wrong byte."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import xxhash

from plugmesh.objects.local import LocalStore

_SCRIPT = Path(__file__).with_name("torture.py")
_ROOT = Path(__file__).parents[3]


def hash_in(key: str) -> str:
    return key.rpartition("/")[2].partition("-")[0]


@pytest.mark.parametrize(
    ("kills", "checked"), [(15, 150), pytest.param(400, 5_000, marks=pytest.mark.full)], ids=["few", "many"]
)
def test_no_reader_ever_sees_a_wrong_byte(tmp_path: Path, kills: int, checked: int) -> None:
    folder, seed = tmp_path / "store", random.randrange(2**32)
    command = [sys.executable, str(_SCRIPT), str(folder), str(seed), str(kills), str(checked)]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(_ROOT)}
    )
    assert ended.returncode == 0, f"seed {seed}: {ended.stdout}{ended.stderr}"
    store = LocalStore(folder, keep_free_bytes=0)
    objects = list(store.list("t/"))
    assert [one.key for one in objects if xxhash.xxh3_128_hexdigest(store.read(one.key)) != hash_in(one.key)] == []
    files = [path.stat() for path in folder.rglob("*") if path.is_file() and path.name != "boot"]
    assert {status.st_nlink for status in files} <= {1}
    assert list((folder / "tmp").iterdir()) == []
