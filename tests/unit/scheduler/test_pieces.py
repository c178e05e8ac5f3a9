"""Rowwise nodes with large inputs: where they are cut, and how their pieces make up the node."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.data import (
    ColumnGroup,
    ColumnSpan,
    DataRef,
    Fragment,
    JoinedRef,
    Reference,
    SpilledRef,
    ValueRef,
    table_bytes,
)
from plugmesh.contracts.flow import Flow, Node, Rejects, Source
from plugmesh.contracts.messages import Assign
from plugmesh.contracts.module import (
    REJECTED,
    InputPort,
    ModuleContract,
    ModuleKind,
    OutputPort,
    PortKind,
    Traits,
)
from plugmesh.contracts.run import Recovered, Rerun, RunState, StepError, StepState
from scheduler.assignment import Misfit, make_assign
from scheduler.effects import Ready
from scheduler.events import (
    Assigned,
    AttemptDone,
    AttemptFailed,
    AttemptLost,
    Begin,
    CancelAsked,
    PauseAsked,
    Recover,
    ResumeAsked,
    Split,
)
from scheduler.pieces import MOST_PIECES, PIECE_BYTES, PIECE_ROWS, ends_of, pieces_of
from scheduler.plan import compile_plan
from scheduler.runstate import RunState as Run
from scheduler.step import Step, piece_rows
from scheduler.walk import advance

ROWWISE = ModuleContract(
    name="m.rowwise",
    inputs=(InputPort(name="rows"), InputPort(name="by", kind=PortKind.VALUE, optional=True)),
    outputs=(OutputPort(name="out"),),
    traits=Traits(rowwise=True),
)


def table(*fragments: int, row_bytes: int = 8, key: str = "data/in") -> DataRef:
    """A table of one column."""
    parts = [
        Fragment(
            rows=rows,
            groups=(
                ColumnGroup(key=key, columns=(ColumnSpan(name="x", offset=0, length=rows * row_bytes, hash="h"),)),
            ),
        )
        for rows in fragments
    ]
    return DataRef(schema_ipc="", rows=sum(fragments), fragments=tuple(parts))


def spilled(rows: int) -> SpilledRef:
    return SpilledRef(of="table", key="data/long", bytes=1, hash="h", rows=rows)


# -- where a table is cut ----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 4 * PIECE_ROWS), min_size=1, max_size=30), st.sampled_from([1, 8, 300, 100_000]))
def test_pieces_cover_all_rows_and_are_of_about_one_size(fragments: list[int], row_bytes: int) -> None:
    whole = table(*fragments, row_bytes=row_bytes)
    ends = ends_of(whole)
    if ends is None:
        assert whole.rows <= PIECE_ROWS
        assert table_bytes(whole) <= PIECE_BYTES
        return
    assert ends[-1] == whole.rows
    assert 2 <= len(ends) <= MOST_PIECES
    sizes = [end - start for start, end in pairwise((0, *ends))]
    assert min(sizes) > 0
    assert max(sizes) <= 2 * max(whole.rows // len(ends), 1) + 2 * 1024  # the cuts on both sides are rounded


def test_cuts_are_where_fragments_end_if_those_are_about_as_long_as_a_piece() -> None:
    assert ends_of(table(*[PIECE_ROWS] * 4)) == tuple(PIECE_ROWS * number for number in (1, 2, 3, 4))
    assert ends_of(table(700_000, 700_000, 700_000)) == (700_000, 1_400_000, 2_100_000)


def test_a_long_fragment_is_cut_at_rows_where_bits_begin_a_byte() -> None:
    ends = ends_of(table(10_000_000))
    assert ends is not None
    assert len(ends) == 10
    assert all(end % 1024 == 0 for end in ends[:-1])


def test_few_rows_of_many_bytes_are_cut_too() -> None:
    assert ends_of(table(3, row_bytes=PIECE_BYTES)) == (1, 2, 3)


def test_rows_of_a_spilled_table_are_counted_unread() -> None:
    assert ends_of(spilled(PIECE_ROWS)) is None
    assert len(ends_of(spilled(3 * PIECE_ROWS)) or ()) == 3
    joined = JoinedRef(rows=3 * PIECE_ROWS, parts=(spilled(PIECE_ROWS), table(PIECE_ROWS), spilled(PIECE_ROWS)))
    assert ends_of(joined) == (PIECE_ROWS, 2 * PIECE_ROWS, 3 * PIECE_ROWS)


# -- which nodes are ---------------------------------------------------------------------------------------------------


def flow_of(node: Node, **more: Node) -> Flow:
    return Flow(name="f", nodes={"a": Node(module="m.source"), "b": node, **more})


def cut_as(
    contract: ModuleContract, *tables: Reference, step: Step | None = None, **node: Any
) -> tuple[int, ...] | None:
    flow = flow_of(Node(module="m.rowwise", inputs={"rows": (Source(node="a"),)}, **node))
    step = step or Step("b", 1)
    return pieces_of(compile_plan(flow).nodes[1], step, contract, {"rows": tables, "by": (ValueRef(value=1),)})


def test_a_large_table_of_a_rowwise_module_is_cut_and_a_small_one_is_not() -> None:
    assert len(cut_as(ROWWISE, table(3 * PIECE_ROWS)) or ()) == 3
    assert cut_as(ROWWISE, table(1000)) is None
    assert cut_as(ROWWISE, table(1000, row_bytes=PIECE_BYTES)) is None, "so few rows are not worth a look"


@pytest.mark.parametrize(
    "other",
    [
        {"traits": Traits(rows="same")},
        {"kind": ModuleKind.SINK},
        {"outputs": (OutputPort(name="out"), OutputPort(name="more"))},
        {"outputs": (OutputPort(name="out", kind=PortKind.FILE),)},
    ],
)
def test_other_modules_stay_one_step(other: dict[str, Any]) -> None:
    assert cut_as(ROWWISE.model_copy(update=other), table(3 * PIECE_ROWS)) is None


def test_what_has_two_tables_was_tried_is_mapped_or_counts_its_rejected_rows_stays_one_step() -> None:
    large = table(3 * PIECE_ROWS)
    assert cut_as(ROWWISE, large, large) is None
    assert cut_as(ROWWISE, large, step=Step("b", 1, epoch=1)) is None
    assert cut_as(ROWWISE, large, step=Step("b.0", 1, item=0), map=[1]) is None
    assert cut_as(ROWWISE, large, rejects=Rejects(rows=3)) is None
    reader = Node(module="m.m", inputs={"bad": (Source(node="b", port=REJECTED),)})
    planned = compile_plan(flow_of(Node(module="m.rowwise", inputs={"rows": (Source(node="a"),)}), c=reader)).nodes[1]
    assert pieces_of(planned, Step("b", 1), ROWWISE, {"rows": (large,)}) is None


# -- how pieces make up a node -----------------------------------------------------------------------------------------

ENDS = (4, 7, 10)
FLOW = Flow(
    name="f",
    nodes={
        "a": Node(module="m.source"),
        "b": Node(module="m.rowwise", inputs={"rows": (Source(node="a"),)}, params={"by": "${params.by}"}),
        "c": Node(module="m.m", inputs={"rows": (Source(node="b"),)}),
    },
    outputs={"shown": Source(node="b")},
)


def done(run: Run, step: str, reference: Reference, epoch: int = 1) -> None:
    advance(run, AttemptDone(3.0, step, epoch, "i", {"out": reference}))


def assigned(run: Run, *steps: str) -> None:
    for step in steps:
        advance(run, Assigned(2.0, step, "i", "1.0.0"))


def split_run(rerun: Rerun | None = None) -> Run:
    """A run whose node b waits in three pieces."""
    run = Run("r", 0, compile_plan(FLOW), params={"by": 5}, rerun=rerun)
    if rerun is not None:
        advance(run, Recover(1.0, rerun))
    advance(run, Begin(1.0))
    if rerun is None:
        assigned(run, "a")
        done(run, "a", table(10))
        outcome = advance(run, Split(2.0, "b", "1.0.0", ENDS))
        assert [effect.step.id for effect in outcome.effects if isinstance(effect, Ready)] == ["b.0", "b.1", "b.2"]
    return run


def message(run: Run, step: str, contract: ModuleContract = ROWWISE) -> Assign:
    return make_assign(run, run.steps[step], contract, instance="i", epoch=1, term=1, at=2.0)


def test_a_node_gives_what_its_pieces_gave_in_their_order() -> None:
    run = split_run()
    assert run.steps["b"].state is StepState.PENDING
    assigned(run, "b.2", "b.0", "b.1")
    for item, rows in ((2, 3), (0, 4)):
        done(run, f"b.{item}", table(rows, key=f"data/{item}"))
    assert "c" not in run.steps
    done(run, "b.1", table(3, key="data/1"))
    assert run.steps["c"].state is StepState.READY
    (given,) = run.results[1]["out"]
    assert isinstance(given, DataRef)
    assert [fragment.groups[0].key for fragment in given.fragments] == ["data/0", "data/1", "data/2"]
    assigned(run, "c")
    done(run, "c", ValueRef(value=1))
    assert (run.state, run.outputs) == (RunState.SUCCEEDED, {"shown": (given,)})


def test_each_piece_is_handed_its_rows_and_the_params_of_the_node() -> None:
    run = split_run()
    found = [message(run, f"b.{item}") for item in range(3)]
    assert [one.params for one in found] == [{"by": 5}] * 3
    parts = [one.inputs["rows"][0] for one in found]
    assert [(part.rows, part.fragments[0].groups[0].start) for part in parts if isinstance(part, DataRef)] == [
        (4, 0),
        (3, 4),
        (3, 7),
    ]


def test_a_version_that_is_not_rowwise_cannot_do_a_piece() -> None:
    with pytest.raises(Misfit, match="rowwise"):
        message(split_run(), "b.1", ROWWISE.model_copy(update={"traits": Traits()}))


def test_a_node_fails_as_its_first_piece_did_and_names_the_rows() -> None:
    run = split_run()
    assigned(run, "b.0", "b.1", "b.2")
    done(run, "b.0", table(4))
    error = StepError(type="ValueError", message="no such thing", where="author.py:3")
    advance(run, AttemptFailed(3.0, "b.1", 1, "i", error, 0.0))
    assert not run.ended, "the others may end"
    done(run, "b.2", table(3))
    assert run.state is RunState.FAILED
    assert "piece b.1 (rows 4 to 6): no such thing" in str(run.reason)


def test_a_node_whose_pieces_do_not_fit_together_is_done_whole() -> None:
    run = split_run()
    assigned(run, "b.0", "b.1", "b.2")
    for item in range(3):
        done(run, f"b.{item}", ValueRef(value=1))
    own = run.steps["b"]
    assert (own.state, own.pieces, own.epoch) == (StepState.READY, (), 0)
    assert "do not fit together: only tables can be" in str(own.reason)
    assert cut_as(ROWWISE, table(3 * PIECE_ROWS), step=own) is None, "it is not cut again"
    given = message(run, "b").inputs["rows"][0]
    assert given == table(10)
    assigned(run, "b")
    done(run, "b", table(10, key="data/whole"))
    assert run.results[1]["out"] == (table(10, key="data/whole"),)
    assert run.steps["c"].state is StepState.READY


def test_spilled_outputs_are_joined_unread() -> None:
    run = split_run()
    assigned(run, "b.0", "b.1", "b.2")
    for item, rows in enumerate((4, 3, 3)):
        done(run, f"b.{item}", spilled(rows))
    (given,) = run.results[1]["out"]
    assert isinstance(given, JoinedRef)
    assert given.rows == 10


def test_what_pieces_rejected_stays_with_them() -> None:
    run = split_run()
    assigned(run, "b.0", "b.1", "b.2")
    for item in range(3):
        advance(run, AttemptDone(3.0, f"b.{item}", 1, "i", {"out": table(1), REJECTED: table(2)}))
    assert run.results[1].keys() == {"out"}


def test_a_lost_piece_is_done_again_and_the_others_stay() -> None:
    run = split_run()
    assigned(run, "b.0", "b.1", "b.2")
    done(run, "b.0", table(4))
    outcome = advance(run, AttemptLost(3.0, "b.1", 1, "gone"))
    assert [effect.step.id for effect in outcome.effects if isinstance(effect, Ready)] == ["b.1"]
    assert run.maps[1].outputs.keys() == {0}


def test_a_cancelled_run_waits_for_the_pieces_that_are_out() -> None:
    run = split_run()
    assigned(run, "b.0")
    advance(run, CancelAsked(3.0, "me", ""))
    assert set(run.steps) == {"b", "b.0"}
    done(run, "b.0", table(4))
    assert run.state is RunState.CANCELLED
    assert not run.steps


def test_a_paused_run_goes_on_with_its_pieces() -> None:
    run = split_run()
    assigned(run, "b.0")
    advance(run, PauseAsked(3.0, "me", ""))
    done(run, "b.0", table(4))
    outcome = advance(run, ResumeAsked(4.0))
    assert [effect.step.id for effect in outcome.effects if isinstance(effect, Ready)] == ["b.1", "b.2"]
    assert run.steps["b"].state is StepState.PENDING


def test_a_step_that_is_no_longer_ready_is_not_cut() -> None:
    run = split_run()
    assigned(run, "b.0")
    assert advance(run, Split(3.0, "b", "1.0.0", ENDS)).changes == ()
    assert advance(run, Split(3.0, "b.0", "1.0.0", ENDS)).changes == ()


def test_a_rerun_takes_over_pieces_and_does_the_others() -> None:
    rerun = Rerun(
        origin="r",
        root="r",
        recovered=(
            Recovered(step="a", outputs={"out": table(10)}),
            Recovered(step="b.1", outputs={"out": table(3, key="data/1")}),
        ),
        pieces={"b": ENDS},
    )
    run = split_run(rerun)
    assert run.steps.keys() == {"b.0", "b.2"}
    assigned(run, "b.0", "b.2")
    done(run, "b.0", table(4, key="data/0"))
    done(run, "b.2", table(3, key="data/2"))
    (given,) = run.results[1]["out"]
    assert isinstance(given, DataRef)
    assert [fragment.groups[0].key for fragment in given.fragments] == ["data/0", "data/1", "data/2"]


def test_rows_of_pieces() -> None:
    assert [piece_rows(ENDS, item) for item in range(3)] == [(0, 4), (4, 3), (7, 3)]


def test_pieces_are_part_of_the_event() -> None:
    run = split_run()
    told = [change.document() for change in run.changes]
    assert [json.loads(json.dumps(one["pieces"])) for one in told if "pieces" in one] == [list(ENDS)]
