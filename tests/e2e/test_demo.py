"""The demo from beginning to end, on one machine and on real servers: it checks its own answers, and they are the same."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = {"report", "grades", "miles", "miles-again"}


def _run(temporary: Path, *options: str) -> dict[str, pa.Table]:
    """Its answers by name; the rows of a table in an order of their own."""
    results = temporary / "results"
    (temporary / "tmp").mkdir(parents=True)
    command = [sys.executable, "-P", str(ROOT / "examples" / "demo" / "run.py"), "--results", str(results), *options]
    done = subprocess.run(
        ["env", f"TMPDIR={temporary / 'tmp'}", *command], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All answers were right" in done.stdout
    assert list((temporary / "tmp").iterdir()) == []
    tables = {path.stem: pq.read_table(path) for path in results.iterdir()}
    return {name: table.sort_by(table.column_names[0]) for name, table in tables.items()}


@pytest.fixture(scope="module")
def on_one_machine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    return _run(tmp_path_factory.mktemp("single"))


@pytest.mark.full
def test_the_demo_runs_and_leaves_nothing_behind(on_one_machine: dict[str, pa.Table]) -> None:
    assert set(on_one_machine) == RESULTS


@pytest.mark.servers
def test_the_demo_on_real_servers_has_the_same_results(on_one_machine: dict[str, pa.Table], tmp_path: Path) -> None:
    distributed = _run(tmp_path, "--distributed")
    assert set(distributed) == RESULTS
    for name, table in on_one_machine.items():
        assert distributed[name].schema == table.schema
        assert distributed[name].to_pylist() == _rows(table), name


def _rows(table: pa.Table) -> list[dict[str, object]]:
    """Sums of floats depend on the order of their parts, which threads decide: the last digits may differ."""
    return [
        {name: pytest.approx(value, rel=1e-12) if isinstance(value, float) else value for name, value in row.items()}
        for row in table.to_pylist()
    ]
