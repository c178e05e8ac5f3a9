"""Dead letters are written with the end of their step, change once, and go with their run."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import Submission, shard_of
from plugmesh.errors import Conflict, NotFound, OwnershipLost
from plugmesh.runtime import SystemRuntime
from plugmesh.state.dead_letters import (
    discard_letter,
    edit_letter,
    letter_id,
    letters,
    redrive_letter,
    stored_letter,
    take_back_letter,
)
from plugmesh.state.records import Commit, LetterRow, RunUpdate
from plugmesh.state.retention import named_by_run
from plugmesh.state.runs import delete_run_rows
from plugmesh.state.store import State

FLOW = Flow(name="f", nodes={"a": Node(module="x.y")})


@pytest.fixture
async def state(database_url):
    opened = await State.open(database_url, SystemRuntime())
    await opened.acquire("me", 10.0)
    yield opened
    await opened.close()


def of(run, step="a", flow="f", rows=2):
    values: dict[str, Any] = {
        "epoch": 1,
        "module": "x.y@1.0.0",
        "outcome": "succeeded",
        "reasons": '{"odd":2}',
        "ref": '{"kind":"table"}',
    }
    return LetterRow(letter_id(run, step), run, "default", flow, step, rows=rows, **values)


async def commit(state, *found, term=1, at=5.0):
    shard = shard_of(found[0].run)
    await state.commit(Commit("me", positions={shard: (term, None)}, letters=list(found), at=at))


async def run_of(state, run):
    """A run that has ended."""
    shard, submission = shard_of(run), Submission(run=run, flow=FLOW, submitted_at=1.0)
    ended = RunUpdate(run, "succeeded", None, None, 1.0, 2.0)
    keys = await state.commit(Commit("me", positions={shard: (1, None)}, inserts=[submission], at=1.0, runs=[ended]))
    return keys[run]


async def test_a_letter_is_there_with_its_commit_or_not_at_all(state):
    with pytest.raises(OwnershipLost):
        await commit(state, of("r-1"), term=7)
    assert await state.read(letters, limit=9) == []
    await commit(state, of("r-1"))
    (found,) = await state.read(letters, limit=9)
    assert (found.id, found.run, found.step, found.rows, found.state, found.at) == ("r-1.a", "r-1", "a", 2, "open", 5.0)


async def test_letters_are_listed_newest_first_by_what_is_asked_for(state):
    for run, step, flow in (("r-1", "a", "f"), ("r-2", "each.0", "f"), ("r-2", "each.11", "f"), ("r-3", "eachx", "g")):
        await commit(state, of(run, step, flow))

    async def ids(**asked):
        return [found.id for found in await state.read(letters, limit=9, **asked)]

    every = ["r-3.eachx", "r-2.each.11", "r-2.each.0", "r-1.a"]
    assert await ids() == every
    assert await ids(run_id="r-2", flow="f") == every[1:3]
    assert await ids(step="each") == every[1:3]
    assert await ids(step="each.1") == []
    assert await ids(state="redriven") == []
    page = await state.read(letters, limit=2)
    assert [found.id for found in await state.read(letters, limit=9, before=page[-1].key)] == every[2:]


async def test_only_one_run_gets_the_rows(state):
    await commit(state, of("r-1"))
    first = await state.write(redrive_letter, "r-1.a", "r-8", actor="ann", at=6.0)
    second = await state.write(redrive_letter, "r-1.a", "r-9", actor="bob", at=7.0)
    assert (first.redrive, second.redrive, second.actor) == ("r-8", "r-8", "ann")
    for change in (edit_letter, discard_letter):
        asked = {"reason": "x"} if change is discard_letter else {}
        args = ("r-1.a",) if change is discard_letter else ("r-1.a", "{}")
        with pytest.raises(Conflict, match="was given to run r-8 already"):
            await state.write(change, *args, actor="bob", at=8.0, **asked)


async def test_a_letter_is_open_again_if_its_run_could_not_be_made(state):
    await commit(state, of("r-1"))
    await state.write(redrive_letter, "r-1.a", "r-8", actor="ann", at=6.0)
    await state.write(take_back_letter, "r-1.a", "r-7")
    assert (await state.read(stored_letter, "r-1.a")).state == "redriven"
    await state.write(take_back_letter, "r-1.a", "r-8")
    assert (await state.read(stored_letter, "r-1.a")).state == "open"
    await run_of(state, "r-8")
    await state.write(redrive_letter, "r-1.a", "r-8", actor="ann", at=6.0)
    await state.write(take_back_letter, "r-1.a", "r-8")
    assert (await state.read(stored_letter, "r-1.a")).state == "redriven", "the run is there after all"


async def test_a_discarded_letter_stays_so(state):
    await commit(state, of("r-1"))
    for _ in range(2):
        found = await state.write(discard_letter, "r-1.a", actor="ann", reason="test data", at=6.0)
        assert (found.state, found.reason, found.changed_at) == ("discarded", "test data", 6.0)
    with pytest.raises(Conflict, match="discarded by ann"):
        await state.write(redrive_letter, "r-1.a", "r-8", actor="bob", at=7.0)
    with pytest.raises(NotFound, match="no dead letter"):
        await state.write(discard_letter, "r-2.a", actor="ann", reason="", at=6.0)


async def test_corrected_rows_are_the_runs_and_go_with_it(state):
    key = await run_of(state, "r-1")
    await commit(state, of("r-1"))
    edited = '{"kind":"table","fragments":[{"groups":[{"key":"data/default/r-1/a/1/e-edited"}]}]}'
    found = await state.write(edit_letter, "r-1.a", edited, actor="ann", at=6.0)
    assert (found.edited, found.state) == (edited, "open")
    assert (await state.read(named_by_run, key)).keys == {"data/default/r-1/a/1/e-edited"}
    while await state.write(delete_run_rows, "r-1"):
        pass
    assert await state.read(letters, limit=9) == []


async def test_an_edited_letter_is_still_the_one_that_was_written(state):
    await commit(state, of("r-1"), of("r-1", "b"))
    await state.write(edit_letter, "r-1.a", "{}", actor="ann", at=6.0)
    assert (await state.read(stored_letter, "r-1.b")).edited is None
    columns = await state.read(
        lambda reader: reader.rows(sa.text("SELECT count(*) FROM dead_letter WHERE edited IS NULL"))
    )
    assert columns[0][0] == 1
