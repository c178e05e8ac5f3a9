"""The data-plane workloads: their table and its check, their figures, and how memory is read."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv

from benchmarks.dataplane import alone, chain_table, csv_file, csv_reader, w4
from benchmarks.dataplane.memory import Memory, of_process, parse, peaks_of, peaks_while
from benchmarks.dataplane.w4_modules import VARIANTS

_ROWS = 1_000


def _five(table: pa.Table) -> pa.Table:
    for step in range(chain_table.STEPS):
        table = chain_table.step_on(table, chain_table.columns(step))
    return table


def _sums(table: pa.Table) -> list[float]:
    return [pc.sum(table[f"f{index}"]).as_py() for index in range(3)]


def test_the_table_is_the_one_that_the_workload_says() -> None:
    table = chain_table.make(_ROWS)
    floats = [(f"f{index}", pa.float64()) for index in range(3)]
    tag = pa.dictionary(pa.int32(), pa.string())
    assert table.schema == pa.schema([("id", pa.int64()), *floats, ("ts", pa.timestamp("us")), ("tag", tag)])
    assert table.num_rows == _ROWS
    assert chain_table.make(_ROWS).equals(table)
    assert chain_table.megabytes(chain_table.ROWS) == 440.0


def test_five_steps_add_five_columns_and_drop_five() -> None:
    assert _five(chain_table.make(_ROWS)).column_names == ["id", "ts", "tag", "f5", "f6", "f7"]


def test_the_sum_of_the_last_column_follows_from_the_first_three() -> None:
    table = chain_table.make(_ROWS)
    found = pc.sum(_five(table)[chain_table.LAST]).as_py()
    chain_table.check(found, _sums(table))
    with pytest.raises(RuntimeError, match="but the first three imply"):
        chain_table.check(found * 1.001, _sums(table))


@pytest.mark.full
def test_every_variant_is_measured_alone_and_comes_to_the_right_sum() -> None:
    assert {name: len(each) for name, each in alone.seconds(list(VARIANTS), _ROWS, 1).items()} == dict.fromkeys(
        VARIANTS, 1
    )


def test_steps_take_turns_in_two_processes_and_each_reads_what_the_one_before_made() -> None:
    nodes = w4.flow_of("polars", _ROWS)["nodes"]
    modules = [nodes[f"step{step}"]["module"] for step in range(chain_table.STEPS)]
    assert modules == ["bench.odd.polars", "bench.even.polars"] * 2 + ["bench.odd.polars"]
    assert [nodes[f"step{step}"]["in"] for step in range(3)] == ["source.out", "step0", "step1"]
    assert nodes["total"]["in"] == "step4"


def _run(wall_s: float) -> w4.Once:
    return w4.Once(wall_s, wall_s / 2, wall_s / 4, 400_000_000, {"server": 30_000.0})


def test_the_headline_is_the_warm_time_and_the_ratio_is_to_the_median_of_the_same_work_alone() -> None:
    rounds = w4.Rounds([_run(2.0)], [_run(0.2), _run(0.3), _run(0.1)], {"server": Memory(5_000_000, 2_000_000)})
    found = w4.figures("pandas", rounds, [0.05, 0.04, 0.9])
    assert (found[0].metric, found[0].variant, found[0].median) == ("wall", "pandas", 0.2)
    by_metric = {each.metric: each for each in found}
    assert by_metric["in-floors"].median == pytest.approx(4.0)
    assert by_metric["cold-wall"].median == 2.0
    assert by_metric["steps-written"].median == 400.0
    assert by_metric["cpu-server"].median == 30.0
    assert (by_metric["pss-server"].median, by_metric["anonymous-server"].median) == (5.0, 2.0)


def test_a_variant_without_cold_runs_has_no_cold_figure() -> None:
    assert "cold-wall" not in {each.metric for each in w4.figures("polars", w4.Rounds(warm=[_run(0.2)]), [0.1])}


def test_shared_and_anonymous_memory_are_read_apart() -> None:
    text = "5581-7ffd ---p 00000000 00:00 0 [rollup]\nRss: 900 kB\nPss: 300 kB\nPss_Dirty: 7 kB\nPss_Anon: 200 kB\n"
    assert parse(text) == Memory(300 * 1024, 200 * 1024)


def test_the_most_of_each_kind_is_kept() -> None:
    assert Memory(5, 1).most(Memory(3, 2)) == Memory(5, 2)
    figures = peaks_of("w4", "polars", {"server": Memory(1_000_000, 0)})
    assert [(each.metric, each.unit, each.median) for each in figures] == [
        ("pss-server", "MB", 1.0),
        ("anonymous-server", "MB", 0.0),
    ]


def test_a_process_is_watched_while_the_work_goes_on_and_one_that_is_gone_has_nothing() -> None:
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as process:
        looked = threading.Event()

        def processes() -> dict[str, int]:
            looked.set()
            return {"child": process.pid}

        answer, peaks = peaks_while(processes, lambda: looked.wait(10))
    assert answer
    assert peaks["child"].pss >= peaks["child"].anonymous > 0
    assert of_process(process.pid) == Memory()


def test_a_csv_file_has_twenty_columns_and_as_many_bytes_as_were_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    rows = csv_file.make(path, 1_000_000)
    assert path.stat().st_size >= 1_000_000
    table = csv.read_csv(path)
    assert (table.num_rows, table.num_columns) == (rows, 20)
    assert set(csv_file.USED) <= set(table.column_names)


@pytest.mark.parametrize("name", csv_reader.READERS)
def test_every_reader_alone_reads_every_row(tmp_path: Path, name: str) -> None:
    path = tmp_path / "some.csv"
    path.write_text("a,b,c\n1,2,3\n4,5,6\n")
    command = (sys.executable, "-P", str(csv_reader.__file__), name, str(path), "a,c")
    assert json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["rows"] == 2
