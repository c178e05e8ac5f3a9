"""The real compose/mesh.yml: modules are dropped in, killed, paused and upgraded while runs go on."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from examples.demo.answers import FAR_AWAY, LATE_BY_CARRIER, PUNCTUALITY, Answers
from examples.demo.flights import FlightFiles, flight_files
from scripts.real_containers.stack import Stack

DEMO = Path(__file__).parent.parent.parent / "examples" / "demo"
BUSY = """
import time

from module_sdk import module


@module("busy.work", version="VERSION")
def work(*, n: int) -> str:
    time.sleep(0.2)
    return f"{n} by VERSION"
"""

LOAD = 100
"""Runs of three steps of 0.2 s, one after the other: a minute for one container."""


@pytest.fixture(scope="module")
def flights() -> FlightFiles:
    return flight_files()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, images_of_a_mesh: dict[str, str]) -> Iterator[Stack]:
    """The whole mesh; modules are dropped in by the tests, one after the other."""
    with Stack(tmp_path_factory.mktemp("mesh"), images_of_a_mesh) as stack:
        stack.up()
        stack.until(lambda: stack.versions("table.sort"), "there are no built-in modules")
        yield stack


def _drop_in(stack: Stack, service: str, file: Path, tag: str, *, replicas: int = 1) -> None:
    """As an author does: an image by the command, a compose file of a few lines, `up` of one service."""
    stack.image(file, tag)
    _start(stack, service, file, tag, replicas)


def _start(stack: Stack, service: str, file: Path, tag: str, replicas: int = 1) -> None:
    stack.add(service, tag, "module", "serve", f"/module/{file.name}", "--slots", "1", replicas=replicas)
    stack.up(service)


def _result(stack: Stack, run: str, output: str) -> Path:
    stack.command("show", run, "--out", str(stack.folder / run))
    return stack.folder / run / f"{output}.parquet"


def test_the_demo_has_right_answers_through_the_gateway(stack: Stack, flights: FlightFiles) -> None:
    inputs = ("-i", f"flights={flights.flights}", "-i", f"airlines={flights.airlines}")
    run = stack.run_flow(DEMO / "late_by_carrier.yaml", *inputs)
    stack.finish(run)
    Answers(flights).check(_result(stack, run, "report"), LATE_BY_CARRIER)


def test_every_container_is_healthy_and_prometheus_scrapes_servers(stack: Stack) -> None:
    def unhealthy() -> list[str]:
        rows = [json.loads(line) for line in stack.compose("ps", "--format", "json").splitlines()]
        ids = [row["ID"] for row in rows]
        states = stack.docker("inspect", "--format", "{{.Name}} {{.State.Health.Status}}", *ids).splitlines()
        return [state for state in states if not state.endswith(" healthy")]

    stack.until(lambda: not unhealthy(), "not every container is healthy")
    query = "http://127.0.0.1:9090/api/v1/query?query=sum(up)"

    def scraped() -> str:
        answer = json.loads(stack.compose("exec", "-T", "prometheus", "wget", "-q", "-O", "-", query))
        return str((answer["data"]["result"] or [{"value": [0, "0"]}])[0]["value"][1])

    stack.until(lambda: scraped() == "3", "not a gateway and two schedulers are scraped")


def test_a_module_that_is_dropped_in_gets_the_work_that_waits_for_it(stack: Stack, flights: FlightFiles) -> None:
    run = stack.run_flow(DEMO / "punctuality.yaml", "-i", f"flights={flights.flights}")
    stack.wait_for(run, "graded", "parked")
    others = stack.containers("builtins") + stack.containers("gateway")
    _drop_in(stack, "grade", DEMO / "grade.py", f"{stack.name}-grade:1.0.0")
    stack.finish(run)
    Answers(flights).check(_result(stack, run, "grades"), PUNCTUALITY)
    assert stack.containers("builtins") + stack.containers("gateway") == others, "nothing else was started again"


def test_a_stopped_module_is_drained_and_leaves_the_palette(stack: Stack) -> None:
    (container,) = stack.containers("grade")
    stack.compose("stop", "grade")
    assert stack.docker("inspect", "--format", "{{.State.ExitCode}}", container).strip() == "0"
    stack.until(lambda: stack.versions("demo.grade") == [], "somebody serves demo.grade still")


def test_a_killed_modules_step_is_done_by_another(stack: Stack, flights: FlightFiles) -> None:
    _drop_in(stack, "patient", DEMO / "patient_sum.py", f"{stack.name}-patient:1.0.0", replicas=2)
    stack.until(lambda: stack.versions("demo.patient_sum"), "nobody serves demo.patient_sum")
    run = stack.run_flow(DEMO / "far_away.yaml", "-i", f"flights={flights.flights}")
    step = stack.wait_for(run, "miles", "running")
    stack.docker("kill", "-s", "KILL", stack.container_of(step["instance"]))
    shown = stack.finish(run)
    Answers(flights).check(_result(stack, run, "miles"), FAR_AWAY, ordered=True)
    (miles,) = (one for one in shown["steps"] if one["id"] == "miles")
    assert miles["epoch"] > step["epoch"]
    assert miles["instance"] != step["instance"]


def test_a_module_paused_longer_than_its_lease_does_no_harm(stack: Stack, flights: FlightFiles) -> None:
    stack.compose("up", "-d", "--no-build", "patient")  # the one that was killed is started again
    stack.until(lambda: len(stack.containers("patient")) == 2, "there are not two")
    run = stack.run_flow(DEMO / "far_away.yaml", "-i", f"flights={flights.flights}", "-p", "seconds=6")
    step = stack.wait_for(run, "miles", "running")
    paused = stack.container_of(step["instance"])
    stack.docker("pause", paused)
    stack.until(lambda: stack.step(run, "miles")["epoch"] > step["epoch"], "its lease did not end")
    stack.docker("unpause", paused)
    stack.finish(run)
    Answers(flights).check(_result(stack, run, "miles"), FAR_AWAY, ordered=True)


def test_a_new_version_takes_over_under_load(stack: Stack) -> None:
    file, nodes = stack.folder / "busy.py", {f"s{n}": {"module": "busy.work", "params": {"n": n}} for n in range(3)}
    flow = {"flow": "containers/busy", "nodes": nodes, "outputs": {name: name for name in nodes}}
    tags = {version: f"{stack.name}-busy:{version}" for version in ("1.0.0", "1.1.0")}
    for version, tag in tags.items():
        file.write_text(BUSY.replace("VERSION", version))
        stack.image(file, tag)
    runs = [stack.submit(flow) for _ in range(5)]
    _start(stack, "busy", file, tags["1.0.0"])
    stack.until(partial(_serves_only, stack, "1.0.0"), "not only 1.0.0 is served")
    runs += [stack.submit(flow) for _ in range(LOAD)]
    _start(stack, "busy", file, tags["1.1.0"])
    assert any(stack.is_open(run) for run in runs), "the old version had no work when it was replaced"
    stack.until(partial(_serves_only, stack, "1.1.0"), "not only 1.1.0 is served")
    runs += [stack.submit(flow) for _ in range(5)]
    makers = set()
    for run in runs:
        shown = stack.finish(run)
        assert all(step["epoch"] <= 2 for step in shown["steps"])
        for n in range(3):
            number, _, maker = stack.value(shown, f"s{n}").partition(" by ")
            assert number == str(n)
            makers.add(maker)
    assert makers == set(tags)


def _serves_only(stack: Stack, version: str) -> bool:
    return stack.versions("busy.work") == [version]


def test_the_invariants_hold_afterwards(stack: Stack) -> None:
    report = json.loads(stack.compose("exec", "-T", "scheduler-1", "plugmesh", "doctor", "--invariants", "--json"))
    assert report["ok"], report
    assert report["checked"]["runs"] >= 20
