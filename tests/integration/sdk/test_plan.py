"""Questions about plans: a real supervisor, real executors, and who asks in the place of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.asking import Asking
from module_sdk.supervisor import planning
from plugmesh.bus.embedded import HubBus
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.messages import Done
from plugmesh.contracts.plan import PassedColumn, PlanAnswer, PlanQuestion, Predicate
from registry.registry import Registry
from tests.empty_book import EmptyBook
from tests.integration.sdk.house import House
from tests.waiting import wait_until

PLANNED = Path(__file__).with_name("planned.py")
pytestmark = pytest.mark.asyncio(loop_scope="module")
ROWS = {"rows": {"x": "int64", "y": "string"}}


class Gateway:
    """The part of a gateway that asks."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.bus = HubBus(house.hub)
        self.registry = Registry(house.runtime, house.hub.directory, house.store, self.bus, EmptyBook())
        self.asking = Asking(house.runtime, self.bus, self.registry)

    async def open(self) -> None:
        await self.registry.start()
        self.asking.start()
        await wait_until(lambda: self.registry.serving("p.add", "0.1.0"), message="the instance is known")

    async def close(self) -> None:
        self.asking.close()
        await self.registry.stop()
        await self.bus.close()

    async def ask(self, module: str, schemas: Any = ROWS, *, within_s: float = 20, **params: Any) -> PlanAnswer | None:
        return await self.asking.ask(self.question(module, schemas, **params), within_s)

    def question(self, module: str, schemas: Any = ROWS, **params: Any) -> PlanQuestion:
        contract = self.house.modules[module].contract
        return PlanQuestion(
            module=module, version=contract.version, digest=contract.digest, params=params, schemas=schemas
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One for the whole file: its executor is started once, and again by the tests that end it."""
    house = House(tmp_path_factory.mktemp("house"), file=PLANNED)
    await house.open()
    found = Gateway(house)
    await found.open()
    yield found
    await found.close()
    await house.close()


async def test_a_plan_is_asked_of_a_live_instance(gateway: Gateway) -> None:
    said = await gateway.ask("p.add", of="y")
    assert said is not None
    assert said.reads == {"rows": ("y",)}
    assert said.outputs == {"out": {"x": "int64", "y": "string", "more": "string"}}
    assert said.passes == {
        "out": {"x": PassedColumn(port="rows", column="x"), "y": PassedColumn(port="rows", column="y")}
    }
    assert said.problems == ()


async def test_what_a_plan_finds_wrong_is_a_problem_with_its_place(gateway: Gateway) -> None:
    said = await gateway.ask("p.add", of="z")
    assert said is not None
    [problem] = said.problems
    assert (problem.param, problem.port, problem.column) == ("of", "rows", "z")
    assert "there is no column 'z'" in problem.message


async def test_a_source_looks_into_its_file(gateway: Gateway) -> None:
    key = "in/file"
    writer = gateway.house.store.create(key)
    writer.write(b"a,b\n1,2\n")
    stored = writer.commit()
    file = FileRef(name="x.csv", key=key, bytes=stored.bytes, hash="")
    said = await gateway.ask("p.lines", {}, file=file.model_dump(mode="json"))
    assert said is not None
    assert said.outputs == {"out": {"a": "string", "b": "string"}}


@pytest.mark.parametrize(
    ("how", "part"),
    [("raise", "its plan failed"), ("wrong", "it reads 'nothing' of 'rows'")],
)
async def test_a_mistake_in_a_plan_is_a_problem(gateway: Gateway, how: str, part: str) -> None:
    said = await gateway.ask("p.odd", how=how)
    assert said is not None
    [problem] = said.problems
    assert part in problem.message
    assert "planned.py:" in problem.message or how == "wrong"


@pytest.mark.parametrize("how", ["exit", "die", "away"])
async def test_a_plan_that_gives_no_answer_leaves_the_instance_alive(gateway: Gateway, how: str) -> None:
    assert await gateway.ask("p.odd", how=how) is None
    assert await gateway.ask("p.odd") == PlanAnswer()
    assign = await gateway.house.assign("p.odd", {"rows": [gateway.house.table()]})
    assert isinstance(await gateway.house.result(assign), Done)


async def test_a_plan_that_hangs_is_ended_and_its_instance_goes_on(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "ANSWER_S", 0.3)
    assert await gateway.ask("p.odd", how="hang") is None
    monkeypatch.undo()
    assert await gateway.ask("p.odd") == PlanAnswer()


async def test_what_a_plan_prints_is_in_no_steps_log(gateway: Gateway) -> None:
    assert await gateway.ask("p.odd", how="print") == PlanAnswer()
    done = await gateway.house.done(await gateway.house.assign("p.odd", {"rows": [gateway.house.table()]}))
    assert "no step" not in gateway.house.log(done.log)


async def test_async_modules_answer_too(gateway: Gateway) -> None:
    assert await gateway.ask("p.calm") == PlanAnswer()
    assert (await gateway.ask("p.calm", how="raise") or PlanAnswer()).problems


async def test_who_does_not_wait_gets_the_answer_next_time(gateway: Gateway) -> None:
    question = gateway.question("p.add")
    assert await gateway.asking.ask(question, 0) is None
    await wait_until(lambda: gateway.asking._late, message="the answer comes")
    assert await gateway.asking.ask(question, 0) is not None


async def test_an_answer_that_comes_late_is_not_told_for_ever(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.asking.LATE_S", 0.0)
    question = gateway.question("p.add")
    assert await gateway.asking.ask(question, 0) is None
    await wait_until(lambda: gateway.asking._late, message="the answer comes")
    assert await gateway.asking.ask(question, 0) is None
    await gateway.asking.ask(question, 20)


async def test_a_question_is_on_its_way_only_once(gateway: Gateway) -> None:
    heard: list[bytes] = []
    partition = gateway.house.supervisor._registration.partition
    gateway.bus.subscribe("dispatch", [partition], lambda delivery: heard.extend(delivery.messages))
    question = gateway.question("p.add")
    first = gateway.house.runtime.spawn(gateway.asking.ask(question, 20), "first")
    second = gateway.house.runtime.spawn(gateway.asking.ask(question, 20), "second")
    assert await first == await second != PlanAnswer()
    assert sum(b"ask-plan" in message for message in heard) == 1


async def test_nobody_who_serves_it_is_no_answer_at_once(gateway: Gateway) -> None:
    question = gateway.question("p.add").model_copy(update={"digest": "sha256:other"})
    assert await gateway.asking.ask(question, 20) is None


async def test_a_plan_waits_while_every_executor_is_busy(gateway: Gateway) -> None:
    house = gateway.house
    first = house.runtime.spawn(gateway.ask("p.odd", how="hang"), "hanging")
    await wait_until(lambda: house.supervisor._work.planning.taken == 1)
    second = house.runtime.spawn(gateway.ask("p.add"), "waiting")
    await wait_until(lambda: len(house.supervisor._work.planning.waiting) == 1)
    for executor in list(house.supervisor._work._pool._members):
        executor.kill()
    said = await second
    assert said is not None
    assert said.reads
    first.cancel()


@pytest.mark.parametrize("lazy", [True, False])
async def test_what_nobody_wants_is_not_written_whether_the_source_leaves_it_out_or_not(
    gateway: Gateway, lazy: bool
) -> None:
    condition = Predicate(column="a", op=">", value=1)
    assign = await gateway.house.assign(
        "p.pair", params={"lazy": lazy}, wanted={"out": ("B", "more")}, filters={"out": (condition,)}
    )
    done = await gateway.house.done(assign)
    assert gateway.house.read(done.outputs["out"]).to_pydict() == {"b": ["x", "y"]}
    assert done.stats is not None
    assert done.stats.written == {"out": ("b",)}
    said = gateway.house.log(done.log)
    assert "['B', 'more'] False [('a', '>', 1)]" in said


async def test_without_a_plan_everything_is_wanted(gateway: Gateway) -> None:
    done = await gateway.house.done(await gateway.house.assign("p.pair", params={"lazy": True}))
    assert gateway.house.read(done.outputs["out"]).column_names == ["a", "b"]
    assert "None True []" in gateway.house.log(done.log)
