"""Which objects an accepted step may show."""

import pytest

from plugmesh.contracts.data import ColumnGroup, DataRef, Fragment, SpilledRef
from plugmesh.contracts.flow import Flow, Node, Source
from plugmesh.contracts.run import StepState
from plugmesh.data.named import Named
from plugmesh.state.records import StoredRun
from scheduler.changes import StepChange
from scheduler.invariants.history import Past
from scheduler.invariants.visible import Visible
from scheduler.plan import compile_plan

NODES = {"a": Node(module="m.m"), "b": Node(module="m.m", inputs={"into": (Source(node="a"),)})}
PLAN = compile_plan(Flow(name="f", nodes=NODES))
RUN = StoredRun(
    1, "r", 0, "ns", "f", 1, "running", None, "{}", "{}", "{}", None, None, "local", None, None, 0.0, 0.0, None
)
LONG = SpilledRef(of="table", key="data/ns/other/z/1/long", bytes=1, hash="")


def table(key: str) -> DataRef:
    return DataRef(schema_ipc="", rows=0, fragments=(Fragment(rows=0, groups=(ColumnGroup(key=key, columns=()),)),))


@pytest.mark.parametrize(
    ("key", "inside", "is_right"),
    [
        ("data/ns/r/b/2/x", None, True),  # its own
        ("data/ns/r/b/1/x", None, False),  # of its own attempt before
        ("data/ns/r/a/3/x", None, True),  # of the accepted attempt above
        ("data/ns/r/a/2/x", None, False),
        ("data/ns/r/c/1/x", None, False),
        ("files/ns/given", None, True),
        ("data/ns/other/z/1/x", frozenset(), False),
        ("data/ns/other/z/1/x", frozenset({"data/ns/other/z/1/x"}), True),  # the recovered table has it inside
        ("data/ns/other/z/1/x", "unreadable", True),
    ],
)
@pytest.mark.parametrize("spilled", ["recovered", "given"])
def test_a_step_shows_what_accepted_attempts_wrote_and_what_the_run_was_given(
    key: str, inside: frozenset[str] | str | None, is_right: bool, spilled: str
) -> None:
    said: list[tuple[str, str, str]] = []
    past = Past(PLAN)
    given = Named(
        frozenset({"files/ns/given"}),
        frozenset({LONG.key}) if inside is not None and spilled == "given" else frozenset(),
    )
    rule = Visible(
        past,
        lambda *words: said.append(words),
        RUN,
        given,
        lambda keys: None if inside == "unreadable" else frozenset(inside or ()),
    )
    if inside is not None and spilled == "recovered":
        rule.step_changed(1, StepChange("z", StepState.RECOVERED, 0.0, outputs={"out": LONG}), PLAN.nodes[0])
    for change in (
        StepChange("a", StepState.SUCCEEDED, 0.0, epoch=3, outputs={"out": table("data/ns/r/a/3/x")}),
        StepChange("b", StepState.SUCCEEDED, 0.0, epoch=2, outputs={"out": table(key)}),
    ):
        rule.step_changed(1, change, PLAN.nodes[PLAN.by_name[change.step]])
        past.follow(change)
    assert [words[0] for words in said] == ([] if is_right else ["visible"])
