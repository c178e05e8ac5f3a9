"""A server that starts with wrong settings: it does not, and says everything that is wrong."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from plugmesh.cli.server.logs import set_log_level

ROOT = Path(__file__).resolve().parents[3]


def test_nothing_starts_with_a_wrong_setting_and_all_of_them_are_told(tmp_path: Path) -> None:
    (tmp_path / "plugmesh.toml").write_text("\nlog_levl = 'info'\n")
    environment = {**os.environ, "PLUGMESH_ROWS_LIMIT": "many", "PLUGMESH_PROT": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "plugmesh", "up", "--data", str(tmp_path), "--port", "99999", "--set", "x=1"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert len(lines) == 5
    for part in (
        f"{tmp_path}/plugmesh.toml:2: log_levl: there is no such setting (did you mean 'log_level'?)",
        "PLUGMESH_PROT: there is no such variable (did you mean 'PLUGMESH_PORT'?)",
        "PLUGMESH_ROWS_LIMIT: ",
        "--port: ",
        "--set x: there is no such setting",
    ):
        assert part in ended.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plugmesh.toml"]


def test_the_log_level_changes_while_the_server_runs() -> None:
    before = logging.getLogger().level
    try:
        set_log_level("error")
        assert logging.getLogger().level == logging.ERROR
        set_log_level("debug")
        assert logging.getLogger("plugmesh.gateway").isEnabledFor(logging.DEBUG)
    finally:
        logging.getLogger().setLevel(before)
