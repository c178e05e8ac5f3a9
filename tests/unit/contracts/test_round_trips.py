"""What is encoded on one side is the same on the other."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from plugmesh.contracts.data import (
    ColumnGroup,
    ColumnSpan,
    DataRef,
    FileRef,
    Fragment,
    SpilledRef,
    ValueRef,
    referenced_keys,
    value_bytes,
)
from plugmesh.contracts.flow import Flow, FlowInput, FlowParam, Node, RetryPolicy, Source
from plugmesh.contracts.instance import Beat, Offer, Registration
from plugmesh.contracts.messages import (
    Accepted,
    Assign,
    AttemptStats,
    Cancel,
    Done,
    Failed,
    LogRef,
    Recall,
    Refused,
    Renew,
    Renewed,
    Returned,
    Started,
    attempt_id,
    decode_dispatch,
    decode_result,
    split_attempt_id,
)
from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind, Resources, Traits
from plugmesh.contracts.run import StepError, Submission
from plugmesh.errors import ErrorClass, InvalidMessage

names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
counts = st.integers(0, 2**53)
seconds = st.floats(0, 1e9)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def tuples(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=2).map(tuple)


def mapping(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(names, strategy, max_size=2)


spans = st.builds(ColumnSpan, name=texts, offset=counts, length=counts, hash=texts)
groups = st.builds(ColumnGroup, key=texts, columns=tuples(spans))
fragments = st.builds(Fragment, rows=counts, groups=tuples(groups))
tables = st.builds(DataRef, schema_ipc=texts, rows=counts, fragments=tuples(fragments))
files = st.builds(FileRef, name=texts, key=texts, bytes=counts, hash=texts, media_type=texts)
values = st.builds(ValueRef, value=json_values)
spilled = st.builds(
    SpilledRef, of=st.sampled_from(["table", "file", "value"]), key=texts, bytes=counts, hash=texts, rows=some(counts)
)
references = tables | files | values | spilled

places = {"instance": names, "shard": st.integers(0, 31), "term": counts}
attempts = {"instance": names, "run": names, "step": names, "epoch": counts}
columns = some(mapping(tuples(texts)))
stats = st.builds(
    AttemptStats, wall_s=seconds, cpu_s=seconds, peak_memory_bytes=counts, rows_in=counts, read=columns, passed=columns
)
logs = st.builds(LogRef, key=texts, bytes=counts, lines=counts, truncated=st.booleans())
errors = st.builds(
    StepError, error_class=st.sampled_from(ErrorClass), type=texts, message=texts, traceback=texts, port=some(texts)
)
assigns = st.builds(
    Assign,
    **places,
    run=names,
    step=names,
    epoch=counts,
    namespace=names,
    module=names,
    version=texts,
    digest=texts,
    params=mapping(json_values),
    inputs=mapping(tuples(references)),
    bind=mapping(texts),
    columns=columns,
    prefix=texts,
    timeout_s=some(seconds),
    deadline=some(seconds),
    trace=some(mapping(texts)),
)
dispatched = (
    assigns
    | st.builds(Cancel, **places, attempt=texts, reason=texts, grace_s=seconds)
    | st.builds(Recall, **places, attempt=texts)
    | st.builds(Renewed, **places, attempts=tuples(texts), superseded=tuples(texts))
    | st.builds(Refused, instance=names, module=names, version=texts, difference=texts)
)
answered = (
    st.builds(Accepted, **attempts)
    | st.builds(Started, **attempts)
    | st.builds(Done, **attempts, outputs=mapping(references), stats=some(stats), log=some(logs))
    | st.builds(Failed, **attempts, error=errors, convicting=st.booleans(), stats=some(stats), log=some(logs))
    | st.builds(Returned, **attempts, reason=texts)
    | st.builds(Renew, instance=names, shard=st.integers(0, 31), attempts=tuples(texts))
)
sources = st.builds(Source, node=some(names), port=some(names), input=some(names))
nodes = st.builds(
    Node,
    module=names,
    inputs=mapping(tuples(sources)),
    params=mapping(json_values),
    bind=mapping(texts),
    map=json_values,
    after=tuples(names),
    retry=some(st.builds(RetryPolicy, attempts=st.integers(1, 100), delay_s=st.floats(0, 3600))),
    timeout_s=some(st.floats(0.001, 1e6)),
    labels=mapping(texts),
)
flows = st.builds(
    Flow,
    namespace=names,
    name=names,
    doc=texts,
    inputs=mapping(st.builds(FlowInput, kind=st.sampled_from(PortKind), optional=st.booleans(), doc=texts)),
    params=mapping(st.builds(FlowParam, default=json_values, required=st.booleans(), doc=texts)),
    nodes=mapping(nodes),
    outputs=mapping(sources),
    timeout_s=some(st.floats(0.001, 1e6)),
)
inputs = st.builds(InputPort, name=names, kind=st.sampled_from(PortKind), columns=mapping(texts), rest=st.booleans())
outputs = st.builds(OutputPort, name=names, columns=mapping(texts), passes=some(names), open=st.booleans())
contracts = st.builds(
    ModuleContract,
    name=st.from_regex(r"[a-z][a-z0-9_]{0,5}(\.[a-z][a-z0-9_]{0,5}){0,2}", fullmatch=True),
    doc=texts,
    inputs=tuples(inputs),
    outputs=tuples(outputs),
    params=mapping(json_values),
    traits=st.builds(Traits, rows=st.sampled_from(["same", "any"]), idempotent=st.booleans()),
    resources=st.builds(Resources, cpus=some(st.floats(0.1, 64)), memory_bytes=some(st.integers(1, 2**40))),
)
documents = (
    flows
    | contracts
    | st.builds(Beat, instance=names, held=tuples(texts), running=counts, draining=st.booleans())
    | st.builds(
        Registration,
        instance=names,
        host=texts,
        partition=st.integers(0, 63),
        labels=mapping(texts),
        offers=tuples(st.builds(Offer, name=st.just("a.b"), version=st.just("1.0.0"), digest=texts)),
        started_at=seconds,
    )
    | st.builds(Submission, run=names, flow=flows, inputs=mapping(references), params=mapping(json_values))
)


@given(dispatched)
def test_what_a_scheduler_sends_arrives_as_it_was(message: Any) -> None:
    assert decode_dispatch(message.encode()) == message


@given(answered)
def test_what_an_instance_sends_arrives_as_it_was(message: Any) -> None:
    assert decode_result(message.encode()) == message


@given(documents)
def test_documents_are_read_as_they_were_written(document: Any) -> None:
    assert type(document).model_validate_json(document.encode()) == document
    assert type(document).model_validate_json(document.model_dump_json()) == document


def test_a_null_value_on_an_edge_arrives_as_null() -> None:
    message = Done(instance="i", run="r", step="s", epoch=1, outputs={"out": ValueRef(value=None)})
    assert decode_result(message.encode()) == message


@given(flows)
def test_a_digest_survives_the_trip(flow: Flow) -> None:
    assert Flow.model_validate_json(flow.encode()).digest == flow.digest


@given(names, names, counts)
def test_the_text_id_of_an_attempt_can_be_taken_apart(run: str, step: str, epoch: int) -> None:
    assert split_attempt_id(attempt_id(run, step, epoch)) == (run, step, epoch)


@pytest.mark.parametrize("text", ["", "a/b", "a/b/c", "a/b/1/2", "a/b/-1", "a/b/1.5"])
def test_a_text_that_is_no_attempt_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage, match="is not an attempt id"):
        split_attempt_id(text)


@given(tables)
def test_a_table_needs_the_objects_of_all_its_fragments(table: DataRef) -> None:
    assert referenced_keys(table) == {group.key for fragment in table.fragments for group in fragment.groups}


def test_files_and_spilled_references_need_one_object_and_values_none() -> None:
    assert referenced_keys(FileRef(name="n", key="k", bytes=1, hash="h")) == {"k"}
    assert referenced_keys(SpilledRef(of="table", key="k", bytes=1, hash="h")) == {"k"}
    assert referenced_keys(ValueRef(value=1)) == set()


@given(json_values)
def test_the_size_of_a_value_is_that_of_its_compact_json(value: Any) -> None:
    assert value_bytes(value) == len(ValueRef(value=value).model_dump_json()) - len('{"kind":"value","value":}')
