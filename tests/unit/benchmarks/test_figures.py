"""What `scripts/bench` writes: one JSON object a line, with names that scripts rely on."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import figure, percentile


def test_a_line_has_the_names_that_scripts_rely_on() -> None:
    line = json.loads(figure("w1", "full", "wall", "ms/step", [3.0, 1.0, 2.0]).line())
    assert line == {
        "workload": "w1", "variant": "full", "metric": "wall", "unit": "ms/step",
        "median": 2.0, "min": 1.0, "max": 3.0, "reps": 3,
    }  # fmt: skip


def test_a_percentile_is_a_measured_value() -> None:
    assert percentile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert percentile([1.0], 0.99) == 1.0


def test_the_floor_is_measured_on_its_own_and_written_to_a_file(tmp_path: Path) -> None:
    command = (sys.executable, "-P", "-m", "benchmarks.run", "floor", "--quick", "--json", str(tmp_path / "out"))
    subprocess.run(command, check=True, capture_output=True)
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert {line["variant"] for line in lines} >= {"pipe-echo", "websocket-echo", "sqlite-commit-full", "fdatasync-16k"}
    assert all(line["median"] > 0 for line in lines)


def test_an_unknown_workload_is_refused_with_the_known_ones() -> None:
    command = (sys.executable, "-P", "-m", "benchmarks.run", "w9")
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "w3a" in answer.stderr
