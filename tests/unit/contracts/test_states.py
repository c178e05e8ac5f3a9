"""The tables that say which state may follow which."""

from collections.abc import Collection, Mapping
from enum import StrEnum

import hypothesis.strategies as st
import pytest
from hypothesis import given

from plugmesh.contracts.run import (
    RUN_NEXT,
    RUN_TERMINAL,
    SHARDS,
    STEP_GOOD,
    STEP_NEXT,
    STEP_TERMINAL,
    RunState,
    StepState,
    shard_of,
)

Table = Mapping[StrEnum, Collection[StrEnum]]

TABLES = [
    pytest.param(RunState, RUN_NEXT, RUN_TERMINAL, RunState.QUEUED, id="run"),
    pytest.param(StepState, STEP_NEXT, STEP_TERMINAL, StepState.PENDING, id="step"),
]


def _reachable(table: Table, start: StrEnum) -> set[StrEnum]:
    found, pending = {start}, [start]
    while pending:
        for state in table[pending.pop()]:
            if state not in found:
                found.add(state)
                pending.append(state)
    return found


@pytest.mark.parametrize(("states", "table", "terminal", "first"), TABLES)
def test_every_state_has_its_row(
    states: type[StrEnum], table: Table, terminal: Collection[StrEnum], first: StrEnum
) -> None:
    assert set(table) == set(states)
    assert {state for row in table.values() for state in row} <= set(states)


@pytest.mark.parametrize(("states", "table", "terminal", "first"), TABLES)
def test_terminal_states_absorb_and_no_other_does(
    states: type[StrEnum], table: Table, terminal: Collection[StrEnum], first: StrEnum
) -> None:
    assert {state for state in states if not table[state]} == set(terminal)


@pytest.mark.parametrize(("states", "table", "terminal", "first"), TABLES)
def test_every_state_can_be_reached(
    states: type[StrEnum], table: Table, terminal: Collection[StrEnum], first: StrEnum
) -> None:
    assert _reachable(table, first) == set(states)


@pytest.mark.parametrize(("states", "table", "terminal", "first"), TABLES)
def test_an_end_can_be_reached_from_everywhere(
    states: type[StrEnum], table: Table, terminal: Collection[StrEnum], first: StrEnum
) -> None:
    for state in states:
        assert _reachable(table, state) & set(terminal)


@pytest.mark.parametrize(("states", "table", "terminal", "first"), TABLES)
def test_nothing_returns_to_the_first_state_nor_follows_itself(
    states: type[StrEnum], table: Table, terminal: Collection[StrEnum], first: StrEnum
) -> None:
    returns = {state for state, row in table.items() if first in row}
    expected: set[StrEnum] = {RunState.QUEUED, RunState.PAUSED}  # to wait for its turn
    assert returns == (expected if states is RunState else {StepState.READY})  # to be done in pieces
    assert all(state not in table[state] for state in states if state is not first)


def test_after_a_cancel_a_run_can_only_become_cancelled() -> None:
    assert RUN_NEXT[RunState.CANCELLING] == {RunState.CANCELLED}


def test_every_open_step_can_be_cancelled() -> None:
    for state in set(StepState) - STEP_TERMINAL:
        assert StepState.CANCELLED in STEP_NEXT[state]


def test_only_an_owned_attempt_or_a_mapped_node_can_succeed() -> None:
    before_success = {state for state in StepState if StepState.SUCCEEDED in STEP_NEXT[state]}
    assert before_success == {StepState.PENDING, StepState.ASSIGNED, StepState.RUNNING}


def test_good_states_are_ends() -> None:
    assert STEP_GOOD < STEP_TERMINAL


@given(st.text(max_size=40))
def test_every_run_has_one_shard_for_ever(run: str) -> None:
    assert 0 <= shard_of(run) < SHARDS
    assert shard_of(run) == shard_of(run)


def test_the_shard_is_the_crc_32_that_every_language_has() -> None:
    check_value = 0xCBF43926  # of "123456789", as every description of CRC-32 gives it
    assert shard_of("123456789") == check_value % SHARDS
