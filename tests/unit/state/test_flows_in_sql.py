"""Saved flows and their revisions."""

import pytest

from plugmesh.contracts.flow import Flow, Node
from plugmesh.errors import Conflict, NotFound
from plugmesh.runtime import SystemRuntime
from plugmesh.state.flows import (
    NewRevision,
    delete_flow,
    flow_revision,
    flow_revisions,
    flow_source,
    list_flows,
    save_flow,
)
from plugmesh.state.store import State


@pytest.fixture
async def state(database_url):
    opened = await State.open(database_url, SystemRuntime())
    yield opened
    await opened.close()


async def save(state, text, name="one", expected=None, namespace="default", module="m"):
    flow = Flow(namespace=namespace, name=name, nodes={"a": Node(module=module)})
    return await state.write(save_flow, NewRevision(flow, text, "application/yaml", "", "me", 1.0), expected)


async def newest(state, name="one"):
    return await state.read(flow_revision, "default", name, None)


async def test_each_other_text_is_a_revision_and_the_same_one_is_none(state):
    assert await save(state, "a") == (1, True)
    assert await save(state, "a") == (1, False)
    assert await save(state, "b") == (2, True)
    assert await save(state, "a") == (3, True)
    found = await state.read(flow_revisions, "default", "one", limit=10)
    assert [revision.number for revision in found] == [3, 2, 1]
    assert await state.read(flow_source, found[1]) == "b"


async def test_a_comment_is_a_revision_of_the_same_flow(state):
    await save(state, "a")
    await save(state, "a # now with a comment")
    first, second = await state.read(flow_revisions, "default", "one", limit=2)
    assert (first.revision, first.digest) == (second.revision, second.digest)


async def test_who_saves_over_an_unknown_revision_is_told(state):
    await save(state, "a", expected=0)
    with pytest.raises(Conflict, match="newest revision is 1"):
        await save(state, "b", expected=0)
    await save(state, "b", expected=1)
    with pytest.raises(Conflict, match="there is no such flow"):
        await save(state, "b", name="two", expected=1)


async def test_a_deleted_flow_is_gone_and_goes_on_counting_when_it_is_saved_again(state):
    await save(state, "a")
    await state.write(delete_flow, "default", "one", 9.0)
    assert await newest(state) is None
    assert await state.read(list_flows, None, after=None, limit=10) == []
    with pytest.raises(NotFound, match="default/one"):
        await state.write(delete_flow, "default", "one", 9.0)
    assert await save(state, "a", expected=0) == (2, True)


async def test_flows_are_listed_with_their_newest_revision_page_by_page(state):
    for namespace, name in (("a", "x"), ("a", "y"), ("b", "a")):
        await save(state, "1", name, namespace=namespace)
        await save(state, "2", name, namespace=namespace, module="other")
    first = await state.read(list_flows, None, after=None, limit=2)
    second = await state.read(list_flows, None, after=(first[-1].namespace, first[-1].name), limit=2)
    assert [(flow.namespace, flow.name, flow.number) for flow in first + second] == [
        ("a", "x", 2),
        ("a", "y", 2),
        ("b", "a", 2),
    ]
    assert [flow.name for flow in await state.read(list_flows, "b", after=None, limit=9)] == ["a"]
