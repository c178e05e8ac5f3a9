"""The demo from beginning to end: it checks its own answers."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.full
def test_the_demo_runs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        ["env", f"TMPDIR={tmp_path}", sys.executable, "-P", str(ROOT / "examples" / "demo" / "run.py")],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All answers were right" in done.stdout
    assert list(tmp_path.glob("plugmesh-demo-*")) == []
