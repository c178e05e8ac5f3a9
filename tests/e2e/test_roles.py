"""A mesh of several processes on real servers: schedulers are killed, stopped and rolled while runs go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.real_mesh import Member, RealMesh, Urls
from tests.e2e.real_mesh import RealMesh as OneServer

pytestmark = pytest.mark.servers

WORK = """
import time

import pyarrow as pa
from module_sdk import module, serve


@module("busy.work")
def work(*, n: int, ms: int = 30) -> pa.Table:
    time.sleep(ms / 1000)
    return pa.table({"n": [n]})


if __name__ == "__main__":
    serve(work, slots=4)
"""


class Busy(RealMesh):
    """A gateway, and schedulers that a test starts and ends."""

    def wait_for_shares(self, *wanted: tuple[Member, int]) -> None:
        self.until(lambda: all(self.shards(one) == n for one, n in wanted), f"not {wanted}")

    def two_schedulers(self) -> tuple[Member, Member]:
        """Each with half of the shards; there is somebody who does the work."""
        first, second = self.scheduler(), self.scheduler()
        (self.folder / "busy.py").write_text(WORK)
        self.python(self.folder / "busy.py")
        self.wait_until_ready("busy.work")
        return first, second

    def load(self, runs: int) -> list[str]:
        nodes = {f"s{n}": {"module": "busy.work", "params": {"n": n}} for n in range(5)}
        return [self.submit({"flow": "e2e/busy", "nodes": nodes}) for _ in range(runs)]

    def finish_all(self, runs: list[str]) -> None:
        for run in runs:
            self.finish(run)


def _busy(folder: Path, urls: Urls) -> Iterator[Busy]:
    mesh = Busy(folder / "mesh", urls)
    with mesh:
        mesh.gateway()
        mesh.wait_until_answers()
        yield mesh
        assert not mesh.close()


@pytest.fixture
def embedded(tmp_path: Path, postgres_url: str) -> Iterator[Busy]:
    """Bus and discovery are in the gateway, which the schedulers join."""
    yield from _busy(tmp_path, Urls(postgres_url))


@pytest.fixture
def distributed(tmp_path: Path, postgres_url: str, kafka_url: str, consul_url: str) -> Iterator[Busy]:
    """Everything is a service of its own."""
    yield from _busy(tmp_path, Urls(postgres_url, kafka_url, consul_url, (tmp_path / "objects").as_uri()))


def _kill_one_and_roll_the_others(mesh: Busy) -> None:
    first, second = mesh.two_schedulers()
    runs = mesh.load(10)
    first.kill()
    runs += mesh.load(6)
    mesh.wait_for_shares((second, 32))
    third = mesh.scheduler()
    mesh.wait_for_shares((second, 16), (third, 16))
    runs += mesh.load(6)
    assert second.stop() == 0
    mesh.wait_for_shares((third, 32))
    mesh.finish_all(runs)


def test_runs_survive_killed_and_rolled_schedulers_behind_one_gateway(embedded: Busy) -> None:
    _kill_one_and_roll_the_others(embedded)


def test_runs_survive_killed_and_rolled_schedulers_on_kafka_and_consul(distributed: Busy) -> None:
    _kill_one_and_roll_the_others(distributed)


def test_a_scheduler_that_was_stopped_longer_than_its_lease_does_no_harm(embedded: Busy) -> None:
    first, second = embedded.two_schedulers()
    runs = embedded.load(6)
    first.pause()
    runs += embedded.load(4)
    embedded.wait_for_shares((second, 32))
    first.resume()
    embedded.wait_for_shares((first, 16), (second, 16))
    runs += embedded.load(4)
    embedded.finish_all(runs)


def test_a_command_reaches_a_scheduler_in_another_process(embedded: Busy) -> None:
    embedded.scheduler()
    embedded.wait_until_ready()
    (run,) = embedded.load(1)  # nobody serves its module
    embedded.command("cancel", run)
    embedded.finish(run, "cancelled")


def test_sqlite_is_refused_with_what_to_do(tmp_path: Path, free_port: Callable[[], int]) -> None:
    mesh = OneServer(tmp_path, free_port())
    refused = mesh.cli("serve", "scheduler", "--data", str(mesh.data), code=2)
    assert "the setting state" in refused.stderr
    assert "plugmesh up" in refused.stderr
