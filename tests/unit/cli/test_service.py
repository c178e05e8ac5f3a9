"""One child process that is kept there: with real processes, and a mesh that a test plays."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from plugmesh.cli.server.record import MARK, Kept, Record, Spec
from plugmesh.cli.server.service import Service, Trouble
from plugmesh.runtime import SystemRuntime
from tests.waiting import wait_until

SERVE = "import time; time.sleep(600)"
IGNORE = (
    "import signal, time; [signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGUSR1)]; "
    "print('deaf', flush=True); time.sleep(600)"
)
BROKEN = "raise SystemExit('orders.py:3: no')"


def spec(code: str = SERVE, source: str = "1") -> Spec:
    return Spec(command=(sys.executable, "-c", code), url="http://127.0.0.1:1", version="1", source=source)


class Bench:
    """Servers one after another over one folder. `on_mesh` are the pids that have joined."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.on_mesh: set[int] = set()
        self.everybody_joins = True
        self.said: list[str] = []
        self.orphans: list[subprocess.Popen[bytes]] = []
        self.open: list[tuple[Service, asyncio.Task[None]]] = []

    def serve(self, wanted: Spec | None, *, retry: bool = False, drain_s: float = 5.0) -> Service:
        service = Service(
            "orders",
            self.folder,
            runtime=SystemRuntime(),
            has_joined=lambda pid: self.everybody_joins or pid in self.on_mesh,
            say=self.said.append,
            drain_s=drain_s,
            retry=retry,
        )
        service.want(wanted)
        self.open.append((service, asyncio.ensure_future(service.run())))
        return service

    def record(self) -> tuple[Kept, ...]:
        return Record(self.folder / "orders.json").read()

    async def serving(self, service: Service) -> int:
        """The pid of the one process that serves."""

        def serving() -> bool:
            service.wake()
            return service.serving and service.settled and len(self.record()) == 1

        await wait_until(serving, message=f"{self.said} {self.record()}")
        return self.record()[0].pid

    async def crash(self) -> None:
        """The server is gone; its children are not."""
        service, task = self.open.pop()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        service.abandon()
        self.orphans += [running._child for running in service._all() if running._child]

    async def close(self) -> None:
        for service, task in self.open:
            service.stop()
            service.kill()
            async with asyncio.timeout(20):
                await task
        for orphan in self.orphans:
            orphan.wait(timeout=20)
        assert not [kept for kept in self.record() if kept.process()]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


async def test_a_process_does_not_inherit_what_is_withheld(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_NOBODY", "secret")
    monkeypatch.setenv("OF_EVERYBODY", "plain")
    pid = await bench.serving(bench.serve(spec().model_copy(update={"withheld": ("OF_NOBODY",)})))
    inherited = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"OF_EVERYBODY=plain" in inherited
    assert b"secret" not in inherited


async def test_a_process_that_dies_is_started_again(bench: Bench) -> None:
    service = bench.serve(spec())
    first = await bench.serving(service)
    os.kill(first, signal.SIGKILL)
    await wait_until(lambda: any("signal 9" in line for line in bench.said))
    assert await bench.serving(service) != first


async def test_the_next_server_adopts_the_process(bench: Bench) -> None:
    first = await bench.serving(bench.serve(spec()))
    await bench.crash()
    assert await bench.serving(bench.serve(spec())) == first


async def test_a_process_whose_server_died_while_starting_it_is_found_by_its_mark(bench: Bench) -> None:
    first = await bench.serving(bench.serve(spec()))
    [kept] = bench.record()
    await bench.crash()
    Record(bench.folder / "orders.json").write((kept.model_copy(update={"pid": 0, "started": 0, "boot": ""}),))
    assert await bench.serving(bench.serve(spec())) == first


async def test_a_record_of_a_process_that_is_gone_does_no_harm(bench: Bench) -> None:
    first = await bench.serving(bench.serve(spec()))
    await bench.crash()
    os.kill(first, signal.SIGKILL)
    await wait_until(lambda: not alive(first))
    assert await bench.serving(bench.serve(spec())) != first


async def test_an_adopted_process_that_does_not_join_is_replaced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugmesh.cli.server.service.ADOPT_S", 0.2)
    first = await bench.serving(bench.serve(spec()))
    await bench.crash()
    bench.everybody_joins = False
    service = bench.serve(spec())
    await wait_until(lambda: not alive(first))
    bench.everybody_joins = True
    assert await bench.serving(service) != first


async def test_a_changed_file_gets_a_new_process_while_the_old_one_finishes(bench: Bench) -> None:
    service = bench.serve(spec(IGNORE))
    first = await bench.serving(service)
    await wait_until(lambda: "deaf" in (bench.folder / "orders.log").read_text())
    service.want(spec(source="2"))

    def replaced() -> bool:
        return [kept.leaving for kept in bench.record()] == [False, True] and bench.record()[0].pid > 0

    await wait_until(replaced)
    assert bench.record()[1].pid == first
    assert alive(first)
    service.kill()
    await wait_until(lambda: not alive(first))


async def test_a_change_with_an_error_ends_the_old_process_whose_code_is_gone(bench: Bench) -> None:
    service = bench.serve(spec())
    first = await bench.serving(service)
    bench.everybody_joins = False
    service.want(spec(BROKEN, "2"))
    await wait_until(lambda: [line for line in bench.said if "orders.py:3: no" in line])
    await wait_until(lambda: not alive(first))
    bench.everybody_joins = True
    service.want(spec(source="3"))
    assert await bench.serving(service) != first


async def test_a_file_with_an_error_is_not_tried_again_before_it_changes(bench: Bench) -> None:
    bench.everybody_joins = False
    service = bench.serve(spec(BROKEN))
    await wait_until(lambda: service.settled)
    assert service.look() is None
    assert sum("not plugged in" in line for line in bench.said) == 1
    bench.everybody_joins = True
    service.want(spec(source="2"))
    await bench.serving(service)


async def test_why_a_file_is_not_plugged_in_is_known_until_it_is(bench: Bench) -> None:
    bench.everybody_joins = False
    service = bench.serve(spec(BROKEN))
    await wait_until(lambda: service.trouble == Trouble("orders.py:3: no", is_final=True))
    service.want(spec(source="2"))
    assert service.trouble is None
    bench.everybody_joins = True
    await bench.serving(service)
    assert service.trouble is None


async def test_a_process_that_is_killed_before_it_joins_is_trouble_that_may_pass(bench: Bench) -> None:
    bench.everybody_joins = False
    service = bench.serve(spec("import os; os.kill(os.getpid(), 9)"))
    await wait_until(lambda: service.trouble is not None)
    assert service.trouble == Trouble("it ended with -9", is_final=False)
    bench.everybody_joins = True
    service.want(spec(source="2"))
    await bench.serving(service)


async def test_a_file_that_is_taken_away_is_no_trouble(bench: Bench) -> None:
    bench.everybody_joins = False
    service = bench.serve(spec(BROKEN))
    await wait_until(lambda: service.trouble is not None)
    service.want(None)
    assert service.trouble is None


async def test_the_built_in_modules_are_tried_again(bench: Bench) -> None:
    bench.everybody_joins = False
    bench.serve(spec(BROKEN), retry=True)
    await wait_until(lambda: sum("not plugged in" in line for line in bench.said) >= 2)


async def test_what_is_not_wanted_any_more_ends(bench: Bench) -> None:
    service = bench.serve(spec())
    first = await bench.serving(service)
    service.want(None)
    await wait_until(lambda: not alive(first))
    await wait_until(lambda: bench.record() == ())


async def test_a_process_that_does_not_end_in_time_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugmesh.cli.server.service.KILL_AFTER_S", 0.1)
    service = bench.serve(spec(IGNORE), drain_s=0.1)
    first = await bench.serving(service)
    await wait_until(lambda: "deaf" in (bench.folder / "orders.log").read_text())
    service.stop()
    await wait_until(lambda: not alive(first))


async def test_a_replacement_that_a_crash_interrupted_leaves_the_new_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = bench.serve(spec(IGNORE), drain_s=0.1)
    first = await bench.serving(service)
    await wait_until(lambda: "deaf" in (bench.folder / "orders.log").read_text())
    service.want(spec(source="2"))
    await wait_until(lambda: len(bench.record()) == 2 and all(kept.pid for kept in bench.record()))
    second = bench.record()[0].pid
    await bench.crash()
    monkeypatch.setattr("plugmesh.cli.server.service.KILL_AFTER_S", 0.1)
    service = bench.serve(spec(source="2"), drain_s=0.1)
    await wait_until(lambda: not alive(first))
    assert await bench.serving(service) == second


async def test_the_child_is_told_its_mesh_and_its_mark(bench: Bench, tmp_path: Path) -> None:
    service = bench.serve(spec())
    pid = await bench.serving(service)
    environment = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    assert "PLUGMESH_URL=http://127.0.0.1:1" in environment
    assert f"{MARK}={bench.record()[0].launch}" in environment
