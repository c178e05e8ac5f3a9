"""The comparison with other systems: how its table is made, and what happens to a peer that does not do its work."""

import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks.peers.environment import Skipped
from benchmarks.peers.process import call
from benchmarks.peers.protocol import TABLE_ROWS, UNITS, Answer
from benchmarks.peers.protocol import measure as samples_of
from benchmarks.peers.run import chosen_systems, chosen_workloads, measure
from benchmarks.peers.systems import EVERYONE, PLUGMESH, System
from benchmarks.peers.table import LABELS, Results, table, times_as_fast
from tests.waiting import wait_until_sync

_OTHER = System("other", "Other", "nothing")
_BOTH = [PLUGMESH, _OTHER]


def _rows(text: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines}


def _answer(workload: str, value: float) -> Answer:
    return Answer(workload, value, UNITS[workload], 1, {"python": "3"})


def test_a_cell_is_the_median_of_the_rounds_with_the_ratio_behind_it() -> None:
    results = Results({("plugmesh", "W1"): [1.0, 0.5, 9.0], ("other", "W1"): [3.0, 2.0, 2.5]})
    assert _rows(table(_BOTH, ["W1"], results))[LABELS["W1"]] == ["ms/step", "1.00", "2.50 (2.50x)"]


def test_the_ratio_is_over_one_where_plugmesh_is_faster_for_times_and_for_rates() -> None:
    assert times_as_fast("W1", own=0.5, peer=1.0) == 2.0
    assert times_as_fast("W2-500", own=2000.0, peer=1000.0) == 2.0


def test_every_workload_has_a_label() -> None:
    assert LABELS.keys() == UNITS.keys()


def test_the_table_says_what_each_keeps_and_which_versions_were_measured() -> None:
    results = Results({("other", "W3a"): [3.0]}, versions={"other": {"python": "3.11.7", "other": "1.2"}})
    text = table(_BOTH, ["W3a"], results)
    assert _rows(text)["kept after kill -9"][1:] == [PLUGMESH.keeps, "nothing"]
    assert "- Other: python 3.11.7, other 1.2" in text


def test_a_peer_that_is_not_there_is_skipped_with_its_reason_said_once() -> None:
    skipped = {("other", "W1"): "no wheel for this Python", ("other", "W3a"): "no wheel for this Python"}
    text = table(_BOTH, ["W1", "W3a"], Results({("plugmesh", "W1"): [1.0]}, skipped))
    assert _rows(text)[LABELS["W1"]] == ["ms/step", "1.00", "skipped"]
    assert text.count("no wheel for this Python") == 1


def test_without_a_figure_of_plugmesh_there_is_no_ratio() -> None:
    results = Results({("other", "W1"): [2.0]}, {("plugmesh", "W1"): "it broke"})
    assert _rows(table(_BOTH, ["W1"], results))[LABELS["W1"]] == ["ms/step", "skipped", "2.00"]


def test_systems_take_turns_in_every_round() -> None:
    asked: list[tuple[str, str]] = []

    def of(name: str, workload: str) -> Answer:
        asked.append((name, workload))
        return _answer(workload, 1.0)

    measures = {system.name: partial(of, system.name) for system in _BOTH}
    results = Results()
    lines = list(measure(_BOTH, ["W1", "W3a"], 2, results, measures))
    assert asked == [("plugmesh", "W1"), ("other", "W1"), ("plugmesh", "W3a"), ("other", "W3a")] * 2
    assert results.values["other", "W1"] == [1.0, 1.0]
    assert len(lines) == 8


def test_what_was_skipped_is_not_tried_again_and_the_others_go_on() -> None:
    tries: list[str] = []

    def broken(workload: str) -> Answer:
        tries.append(workload)
        raise Skipped("did not start")

    results = Results()
    measures = {"plugmesh": lambda workload: _answer(str(workload), 1.0), "other": broken}
    list(measure(_BOTH, ["W1"], 3, results, measures))
    assert tries == ["W1"]
    assert results.skipped == {("other", "W1"): "did not start"}
    assert results.values == {("plugmesh", "W1"): [1.0, 1.0, 1.0]}


def test_only_chooses_peers_and_plugmesh_is_always_there() -> None:
    assert [system.name for system in chosen_systems(["dask"])] == ["plugmesh", "dask"]
    assert chosen_systems(None) == list(EVERYONE)
    with pytest.raises(ValueError, match=r"unknown peer 'spark'.*ray"):
        chosen_systems(["spark"])


def test_w2_means_both_widths() -> None:
    assert chosen_workloads("W1,W2") == ["W1", "W2-2000", "W2-500"]
    assert chosen_workloads("W2-500") == ["W2-500"]
    with pytest.raises(ValueError, match=r"unknown workload 'W9'.*W3a"):
        chosen_workloads("W9")


class _Counted:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.steps = self.wide = self.ones = self.jobs = 0

    def chain(self, steps: int) -> None:
        self.steps += steps

    def fan_out(self, width: int) -> None:
        self.wide += width

    def one(self) -> None:
        self.ones += 1

    def share(self, jobs: int) -> None:
        if jobs < 1:
            raise ValueError("a client without a job")
        self.jobs += jobs


def test_each_workload_asks_a_peer_for_the_work_that_its_name_says() -> None:
    peer = _Counted()
    counts = {name: len(samples_of(name, peer)) for name in UNITS if name != "W4"}
    assert counts == {"W1": 5, "W2-2000": 3, "W2-500": 3, "W3a": 150, "W3b": 3}
    assert peer.steps == 20 + 5 * 200
    assert peer.wide == (200 + 3 * 2000) + (50 + 3 * 500)
    assert peer.ones == 30 + 150
    assert peer.jobs == 16 + 3 * 1000


def test_a_table_goes_through_a_peer_twice_before_it_counts() -> None:
    taken = iter([9.0, 8.0, 1.0, 2.0, 3.0, 4.0, 5.0])

    class Through:
        def through(self, rows: int) -> float:
            assert rows == TABLE_ROWS
            return next(taken)

    assert samples_of("W4", Through()) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_what_is_not_measured_of_a_system_is_a_dash_and_not_asked_for() -> None:
    other = System("other", "Other", "nothing", frozenset({"W4"}))
    asked: list[str] = []

    def own(workload: str) -> Answer:
        return _answer(workload, 1.0)

    def theirs(workload: str) -> Answer:
        asked.append(workload)
        return _answer(workload, 2.0)

    results = Results()
    list(measure([PLUGMESH, other], ["W1", "W4"], 1, results, {"plugmesh": own, "other": theirs}))
    assert asked == ["W4"]
    rows = _rows(table([PLUGMESH, other], ["W1", "W4"], results))
    assert rows[LABELS["W1"]] == ["ms/step", "1.00", "-"]
    assert rows[LABELS["W4"]] == ["s", "1.00", "2.00 (2.00x)"]


def test_a_job_that_fails_in_a_client_thread_fails_the_workload() -> None:
    with pytest.raises(ValueError, match="a client without a job"):
        samples_of("W3b", _Counted(), jobs=3)


def _script(folder: Path, body: str) -> Path:
    script = folder / "peer.py"
    script.write_text(f"import json, os, subprocess, sys\n{body}\n")
    return script


def test_the_last_line_of_a_script_is_its_answer(tmp_path: Path) -> None:
    body = """print("starting")
print(json.dumps(dict(workload=sys.argv[1], value=1.5, unit="ms", samples=3, versions={"a": "1"})))"""
    assert call(Path(sys.executable), _script(tmp_path, body), "W3a") == Answer("W3a", 1.5, "ms", 3, {"a": "1"})


def test_a_script_that_fails_is_skipped_with_the_last_line_it_said(tmp_path: Path) -> None:
    with pytest.raises(Skipped, match="ended with code 1: RuntimeError: Redis ended with code 7"):
        call(Path(sys.executable), _script(tmp_path, 'raise RuntimeError("Redis ended with code 7")'), "W1")


def test_a_script_that_answers_something_else_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(Skipped, match="gave no answer, but: hello"):
        call(Path(sys.executable), _script(tmp_path, 'print("hello")'), "W1")


def test_a_script_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(Skipped, match="did not end within"):
        call(Path(sys.executable), _script(tmp_path, "import time; time.sleep(600)"), "W1", limit_s=0.2)


def test_nothing_that_a_script_started_outlives_it_and_its_folder_is_gone(tmp_path: Path) -> None:
    told = tmp_path / "told"
    body = f"""child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
open({str(told)!r}, "w").write(f"{{child.pid}} {{os.getcwd()}}")
sys.exit(3)"""
    with pytest.raises(Skipped):
        call(Path(sys.executable), _script(tmp_path, body), "W1")
    pid, folder = told.read_text().split()
    assert not Path(folder).exists()
    wait_until_sync(lambda: not _alive(int(pid)))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
