"""Planning in a gateway: what is asked, kept and refused, and what goes to the scheduler."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pyarrow as pa
import pytest

from plugmesh.bus.port import Delivery
from plugmesh.contracts.data import DataRef, table_bytes
from plugmesh.contracts.instance import dispatch_partition
from plugmesh.contracts.messages import ANSWERS, DISPATCH, EVENTS, AskPlan, PlanAnswered, decode_dispatch
from plugmesh.contracts.module import InputPort, ModuleContract, ModuleKind, OutputPort, Traits
from plugmesh.contracts.plan import PlanAnswer, PlanProblem, PlanQuestion
from plugmesh.contracts.run import Recovered
from plugmesh.planner.plan import plan
from plugmesh.planner.planned import covers
from plugmesh.state.plan_answers import plan_answers, save_plan_answers
from tests.integration.gateway.house import House, step_row
from tests.waiting import wait_until

FLIGHTS = {"carrier": "string", "arr_delay": "float64", "dest": "string"}
EXPRESSION = {"type": "string", "x-mesh": "expression"}
FILE = {"type": "object", "x-mesh": "file"}

SOURCE = ModuleContract(
    name="t.read",
    version="1.0.0",
    kind=ModuleKind.SOURCE,
    outputs=(OutputPort(name="out"),),
    params={"type": "object", "properties": {"file": FILE}, "additionalProperties": False},
    has_plan=True,
)
FILTER = ModuleContract(
    name="t.filter",
    version="1.0.0",
    inputs=(InputPort(name="table", rest=False),),
    outputs=(OutputPort(name="out", passes="table", open=False),),
    params={"type": "object", "properties": {"where": EXPRESSION}, "additionalProperties": False},
    traits=Traits(filters="where", rowwise=True),
)
SINK = ModuleContract(
    name="t.count",
    version="1.0.0",
    kind=ModuleKind.SINK,
    inputs=(InputPort(name="table", columns={"carrier": "string"}, rest=False),),
)
WHERE = "arr_delay < 15"


def flow(where: str = WHERE, **read: Any) -> dict[str, Any]:
    return {
        "flow": "checks/late",
        "inputs": {"flights": {"kind": "file"}},
        "nodes": {
            "read": {"module": "t.read", "params": {"file": "${inputs.flights}", **read}},
            "late": {"module": "t.filter", "in": "read", "params": {"where": where}},
            "end": {"module": "t.count", "in": "late"},
        },
    }


class Instance:
    """Answers to the planner's questions, and remembers them."""

    def __init__(self, house: House, answer: Callable[[PlanQuestion], PlanAnswer]) -> None:
        self._house, self._answer = house, answer
        self.asked: list[PlanQuestion] = []
        self._subscription = house.bus.subscribe(DISPATCH, [dispatch_partition("i-1")], self._hear)

    def _hear(self, delivery: Delivery) -> None:
        for payload in delivery.messages:
            message = decode_dispatch(payload)
            if isinstance(message, AskPlan):
                self.asked.append(message.question)
                said = PlanAnswered(instance="i-1", id=message.id, answer=self._answer(message.question))
                self._house.runtime.spawn(self._house.bus.publish(EVENTS, ANSWERS, said.encode()), "answer")

    def close(self) -> None:
        self._subscription.close()


@pytest.fixture
async def instance(house: House) -> AsyncIterator[Instance]:
    for contract in (SOURCE, FILTER, SINK):
        await house.plug_in(contract, f"i-{contract.name}" if contract is not SOURCE else "i-1")
    found = Instance(house, lambda _: PlanAnswer(outputs={"out": FLIGHTS}))
    await house.client.put("/api/v1/files/flights.csv", content=b"carrier,arr_delay,dest\n")
    yield found
    found.close()


async def submitted(house: House, **body: Any) -> Any:
    return await house.client.post(
        "/api/v1/runs", json={"flow": flow(), "inputs": {"flights": {"file": "flights.csv"}}, **body}
    )


# -- submit --------------------------------------------------------------------------------------------------------------


async def test_a_run_is_told_what_its_source_can_leave_out(house: House, instance: Instance) -> None:
    assert (await submitted(house)).status_code == 202
    planned = house.intake.submissions[-1].planned
    assert planned is not None
    assert planned.nodes["read"].wanted == {"out": ("carrier", "arr_delay")}
    assert [(one.column, one.op, one.value) for one in (planned.nodes["read"].filters or {})["out"]] == [
        ("arr_delay", "<", 15)
    ]
    assert planned.nodes["late"].columns == {"table": ("carrier", "arr_delay")}


async def test_the_plan_is_stored_with_the_run(house: House, instance: Instance) -> None:
    run = (await submitted(house)).json()["id"]
    found = (await house.client.get(f"/api/v1/runs/{run}/edges")).json()
    assert {node["node"]: node["wanted"] for node in found["nodes"]}["read"] == {"out": ["carrier", "arr_delay"]}
    assert found["nodes"][0]["filters"] == ["arr_delay < 15"]


async def test_a_plan_of_very_many_columns_is_made_beside_the_loop(
    house: House, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def planned(*args: Any, **kwargs: Any) -> Any:
        threads.append(threading.current_thread().name)
        return plan(*args, **kwargs)

    monkeypatch.setattr("gateway.planning.plan", planned)
    monkeypatch.setattr("gateway.planning.LARGE_COLUMNS", 3 * len(FLIGHTS) - 1)
    assert (await submitted(house)).status_code == 202
    here = threading.current_thread().name
    assert [name == here for name in threads] == [True, False], "how wide it is was not known at first"


async def test_the_same_question_is_asked_once(house: House, instance: Instance) -> None:
    for _ in range(3):
        await submitted(house)
    assert [question.module for question in instance.asked] == ["t.read"]
    house.gateway.planning.forget()
    await submitted(house)
    assert len(instance.asked) == 1, "the answer is kept though the plan is made again"


async def test_an_answer_about_a_file_outlives_the_gateway(house: House, instance: Instance) -> None:
    await submitted(house)
    key = instance.asked[0].key

    async def kept() -> bool:
        return bool(await house.state.read(plan_answers, [key]))

    await wait_until(kept)
    house.gateway.planning._answers.clear()
    house.gateway.planning.forget()
    await submitted(house)
    assert len(instance.asked) == 1


async def test_a_problem_of_a_moment_is_asked_about_again(house: House, instance: Instance) -> None:
    instance._answer = lambda _: PlanAnswer(problems=(PlanProblem(message="the disk is full"),))
    assert (await submitted(house)).status_code == 422
    instance._answer = lambda _: PlanAnswer(outputs={"out": FLIGHTS})
    house.gateway.planning._runtime = Later(house.runtime, house.runtime.now() + 11)
    assert (await submitted(house)).status_code == 202
    assert len(instance.asked) == 2


async def test_a_plan_made_while_modules_came_or_went_is_not_kept(house: House, instance: Instance) -> None:
    planning = house.gateway.planning

    def changed(_: PlanQuestion) -> PlanAnswer:
        planning.forget()
        return PlanAnswer(outputs={"out": FLIGHTS})

    instance._answer = changed
    assert (await submitted(house)).status_code == 202
    assert not planning._plans


async def test_old_answers_are_forgotten(house: House) -> None:
    await house.state.write(save_plan_answers, {"a": "{}"}, 1.0)
    await house.state.write(save_plan_answers, {"b": "{}"}, 1.0 + 31 * 86_400)
    assert await house.state.read(plan_answers, ["a", "b"]) == {"b": "{}"}


async def test_a_column_that_is_not_there_refuses_the_run(house: House, instance: Instance) -> None:
    answer = await submitted(house, flow=flow("arr_dely > 15"))
    assert (answer.status_code, answer.json()["code"]) == (422, "flow-invalid")
    (problem,) = answer.json()["problems"]
    assert (problem["level"], problem["code"], problem["path"]) == (
        4,
        "unknown-column",
        ["nodes", "late", "params", "where"],
    )
    assert problem["message"] == "column 'arr_dely' does not exist at node 'late'; its input has 'arr_delay'"


async def test_a_refused_run_names_the_line(house: House, instance: Instance) -> None:
    text = json.dumps(flow("arr_dely > 15"), indent=1)
    (problem,) = (await submitted(house, flow=text)).json()["problems"]
    assert text.splitlines()[problem["line"] - 1].strip() == '"where": "arr_dely > 15"'


async def test_a_repeated_request_gets_its_run_though_it_could_not_be_made_now(
    house: House, instance: Instance
) -> None:
    first = (await submitted(house)).headers["location"]
    key = {"idempotency-key": "k"}
    body = {"flow": flow(), "inputs": {"flights": {"file": "flights.csv"}}}
    made = (await house.client.post("/api/v1/runs", json=body, headers=key)).json()["id"]
    assert made not in first
    house.gateway.planning.forget()
    house.gateway.planning._answers.clear()
    await house.state.write(
        save_plan_answers, {instance.asked[0].key: PlanAnswer(outputs={"out": {"x": "int64"}}).model_dump_json()}, 9e9
    )
    again = await house.client.post("/api/v1/runs", json=body, headers=key)
    assert (again.status_code, again.json()["id"], again.json()["repeated"]) == (202, made, True)


async def test_without_an_answer_everything_is_used(house: House) -> None:
    for contract in (SOURCE, FILTER, SINK):
        await house.plug_in(contract, f"i-{contract.name}")
    house.gateway.planning._given_up.clear()
    await house.client.put("/api/v1/files/flights.csv", content=b"carrier\n")
    questions: list[str] = []

    async def nobody(question: PlanQuestion, within_s: float) -> None:
        questions.append(f"{question.module} {within_s > 0}")

    house.gateway.asking.ask = nobody  # type: ignore[method-assign]
    for _ in range(2):
        assert (await submitted(house)).status_code == 202
    planned = house.intake.submissions[-1].planned
    assert planned is not None
    assert planned.nodes["read"].wanted == {"out": ("arr_delay", "carrier")}, "names are known, columns are not"
    assert planned.nodes["read"].filters is None
    assert questions == ["t.read True", "t.read False"], "nobody waits twice for who does not answer"


async def test_no_more_questions_are_on_their_way_than_may_be(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.asking.MOST_OPEN", 2)
    await house.plug_in(SOURCE)
    asked: list[Any] = []

    def hear(delivery: Delivery) -> None:
        for payload in delivery.messages:
            message = decode_dispatch(payload)
            if isinstance(message, AskPlan):
                asked.append(message.question.params["n"])
        delivery.ack()

    subscription = house.bus.subscribe(DISPATCH, [dispatch_partition("i-1")], hear)
    for number in (1, 2, 3, 2):
        question = PlanQuestion(module="t.read", version="1.0.0", digest=SOURCE.digest, params={"n": number})
        assert await house.gateway.asking.ask(question, within_s=0.01) is None
    await wait_until(lambda: len(asked) == 2)
    subscription.close()
    assert asked == [1, 2]


async def test_a_flow_of_which_nothing_can_be_left_out_is_not_planned(house: House, instance: Instance) -> None:
    whole = flow()
    whole["nodes"] = {"read": whole["nodes"]["read"], "all": {"module": "t.unknown", "in": "read"}}
    assert (await submitted(house, flow=whole)).status_code == 202
    assert house.intake.submissions[-1].planned is None
    assert instance.asked == []


async def test_what_may_change_is_asked_again_later(house: House, instance: Instance) -> None:
    plain = flow()
    plain["nodes"]["read"]["params"] = {}
    del plain["inputs"]
    body = {"flow": plain, "inputs": {}}
    await submitted(house, **body)
    await submitted(house, **body)
    assert len(instance.asked) == 1
    now = house.runtime.now()
    house.gateway.planning._runtime = Later(house.runtime, now + 11)
    await submitted(house, **body)
    assert len(instance.asked) == 2
    assert await house.state.read(plan_answers, [instance.asked[0].key]) == {}


class Later:
    """The runtime, with another time."""

    def __init__(self, runtime: Any, now: float) -> None:
        self._runtime, self._now = runtime, now

    def now(self) -> float:
        return self._now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)


# -- explain and validate ----------------------------------------------------------------------------------------------


async def explained(house: House, **body: Any) -> Any:
    answer = await house.client.post("/api/v1/flows:explain", json={"flow": flow(), **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_flow_is_explained_node_by_node(house: House, instance: Instance) -> None:
    found = await explained(house, inputs={"flights": {"file": "flights.csv"}})
    assert (found["valid"], found["problems"]) == (True, [])
    read, late, end = found["nodes"]
    assert read["outputs"][0]["wanted"] == ["carrier", "arr_delay"]
    assert read["filters"] == ["arr_delay < 15"]
    assert late["inputs"][0]["reads"] == ["arr_delay"]
    assert late["inputs"][0]["needs"] == ["carrier", "arr_delay"]
    assert end["inputs"][0]["columns"] == [{"name": name, "type": kind} for name, kind in FLIGHTS.items()]
    assert all(node["exact"] for node in found["nodes"])


async def test_what_is_not_known_is_said_with_the_reason(house: House, instance: Instance) -> None:
    read = (await explained(house))["nodes"][0]
    assert read["outputs"] == [{"port": "out", "columns": None, "wanted": ["arr_delay", "carrier"]}]
    assert read["unknown"][0] == "param 'file' is only known during the run"


async def test_problems_have_their_place_in_the_text(house: House, instance: Instance) -> None:
    text = json.dumps(flow("arr_dely > 15"), indent=1)
    found = await explained(house, flow=text, inputs={"flights": {"file": "flights.csv"}})
    assert found["valid"] is False
    assert [(problem["level"], text.splitlines()[problem["line"] - 1].strip()) for problem in found["problems"]] == [
        (4, '"where": "arr_dely > 15"')
    ]


async def test_a_flow_that_cannot_be_read_is_explained_by_its_problems(house: House) -> None:
    found = await explained(house, flow={"flow": "a", "nodes": {"x": 3}})
    assert (found["valid"], found["nodes"]) == (False, [])
    assert found["problems"]


async def test_inputs_that_the_flow_does_not_have_are_refused(house: House, instance: Instance) -> None:
    answer = await house.client.post("/api/v1/flows:explain", json={"flow": flow(), "params": {"x": 1}})
    assert (answer.status_code, answer.json()["code"]) == (422, "flow-invalid")


async def test_validation_knows_columns_that_contracts_declare(house: House) -> None:
    declared = SOURCE.model_copy(
        update={"outputs": (OutputPort(name="out", columns=FLIGHTS, open=False),), "has_plan": False}
    )
    for contract in (declared, FILTER, SINK):
        await house.plug_in(contract, f"i-{contract.name}")
    found = (await house.client.post("/api/v1/validate", json=flow("arr_dely > 15"))).json()
    assert found["valid"] is False
    assert [problem["code"] for problem in found["problems"]] == ["unknown-column"]


async def test_validation_asks_modules_that_plan_themselves(house: House, instance: Instance) -> None:
    instance._answer = lambda _: PlanAnswer(problems=(PlanProblem(message="there is no such table", param="file"),))
    plain = flow(file={"kind": "file", "name": "f", "key": "data/default/f", "bytes": 1, "hash": "xxh3:0"})
    del plain["inputs"]
    found = (await house.client.post("/api/v1/validate", json=plain)).json()
    assert [(problem["code"], problem["path"]) for problem in found["problems"]] == [
        ("plan-problem", ["nodes", "read", "params", "file"])
    ]


# -- what a run saved ----------------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> pa.Table:
    return pa.table({"carrier": ["UA"] * 1000, "arr_delay": [1.5] * 1000})


async def test_saved_bytes_are_those_of_the_references(house: House, instance: Instance, table: pa.Table) -> None:
    run = (await submitted(house)).json()["id"]
    made = house.put_table(f"data/default/{run}/read/1/n-out", table)
    assert isinstance(made, DataRef)
    whole, used = table_bytes(made), table_bytes(made, {"arr_delay"})
    stats = {"bytes_read": used, "bytes_whole": whole, "read": {"table": ["arr_delay"]}, "bytes_passed": whole}
    rows = [
        step_row(run, "read", "succeeded", made, stats=json.dumps({"bytes_written": whole, "read": {}})),
        step_row(run, "late", "succeeded", made, stats=json.dumps(stats)),
    ]
    await house.intake.advance(run, "running", *rows)
    found = (await house.client.get(f"/api/v1/runs/{run}/edges")).json()
    edge = found["edges"][0]
    assert (edge["from"], edge["to"], edge["columns"]) == ("read.out", "late.table", ["arr_delay"])
    assert (edge["bytes_handed"], edge["bytes_whole"], edge["bytes_saved"]) == (used, whole, whole - used)
    nodes = {node["node"]: node for node in found["nodes"]}
    assert nodes["read"]["bytes_written"] == whole
    assert nodes["late"]["bytes_passed"] == whole


# -- reruns ----------------------------------------------------------------------------------------------------------------


async def test_a_rerun_takes_a_source_over_that_made_enough(house: House, instance: Instance, table: pa.Table) -> None:
    run = (await submitted(house)).json()["id"]
    made = house.put_table(f"data/default/{run}/read/1/n-out", table)
    await house.intake.advance(run, "failed", step_row(run, "read", "succeeded", made))
    answer = (await house.client.post(f"/api/v1/runs/{run}/rerun")).json()
    assert (answer["recovered"], answer["again"]) == (1, 2)


async def test_a_rerun_reads_again_what_is_wanted_now_and_was_left_out(
    house: House, instance: Instance, table: Any
) -> None:
    run = (await submitted(house)).json()["id"]
    made = house.put_table(f"data/default/{run}/read/1/n-out", table)
    await house.intake.advance(run, "failed", step_row(run, "read", "succeeded", made))
    newer = SINK.model_copy(
        update={"version": "1.1.0", "inputs": (InputPort(name="table", columns={"dest": "string"}, rest=False),)}
    )
    await house.plug_in(newer, "i-newer")
    answer = (await house.client.post(f"/api/v1/runs/{run}/rerun")).json()
    assert (answer["recovered"], answer["again"]) == (0, 3)
    planned = house.intake.submissions[-1].planned
    assert planned is not None
    assert planned.nodes["read"].wanted == {"out": ("arr_delay", "dest")}
    assert not covers(planned.nodes["read"], None)
    assert Recovered(step="read") not in house.intake.submissions[-1].rerun.recovered  # type: ignore[union-attr]
