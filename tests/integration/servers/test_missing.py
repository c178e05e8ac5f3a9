"""What becomes of a test whose server is not there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.real_servers.folders import START_VARIABLE, STATE_VARIABLE
from tests.servers import address_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("PLUGMESH_TEST_KAFKA", START_VARIABLE, "CI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))


def test_it_is_skipped_and_says_what_to_do() -> None:
    with pytest.raises(pytest.skip.Exception, match="no kafka here: scripts/servers start kafka"):
        address_of("kafka")


def test_it_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="no kafka here") as ended:
        address_of("kafka")
    assert isinstance(ended.value, pytest.fail.Exception)


def test_a_server_that_a_variable_names_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUGMESH_TEST_KAFKA", "elsewhere:9092")
    assert address_of("kafka") == "elsewhere:9092"


@pytest.mark.parametrize("processes", [(), ("-n", "1")])
@pytest.mark.full
def test_a_quick_run_says_at_its_end_what_it_left_out_and_how_that_is_run(processes: tuple[str, ...]) -> None:
    paths = ("tests/containers", "tests/upgrade", "tests/unit/bus/test_kafka_address.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *processes, *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert "left out; everything runs with: scripts/test --all" in done.stdout, done.stdout + done.stderr
    assert re.search(r"^\d+ tests that need a container engine .*: tests/containers \d+$", done.stdout, re.MULTILINE)
    assert re.search(r"^\d+ tests that need real servers .*: tests/upgrade \d+$", done.stdout, re.MULTILINE)
