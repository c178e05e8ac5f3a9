"""Contracts are frozen, read what a newer minor version wrote, and refuse a newer major one."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from plugmesh.contracts.base import PROTOCOL
from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.instance import Beat, Registration
from plugmesh.contracts.messages import Done, Renew, decode_dispatch, decode_result
from plugmesh.contracts.module import ModuleContract
from plugmesh.errors import InvalidMessage, ProtocolMismatch

BEAT: dict[str, Any] = {"instance": "i-1", "running": 2}
DONE: dict[str, Any] = {"type": "done", "instance": "i-1", "run": "r", "step": "s", "epoch": 1}


def test_contracts_cannot_be_changed() -> None:
    beat = Beat(**BEAT)
    with pytest.raises(ValidationError, match="frozen"):
        beat.running = 3  # type: ignore[misc]


def test_everything_that_is_written_carries_the_version() -> None:
    assert json.loads(Beat(**BEAT).encode())["v"] == PROTOCOL


@pytest.mark.parametrize("version", ["1.0", "1.7", "1", "0.9"])
def test_older_and_newer_minor_versions_are_read(version: str) -> None:
    assert Beat.model_validate({**BEAT, "v": version}).running == 2


def test_fields_of_a_newer_minor_version_are_ignored() -> None:
    newer = {**DONE, "v": "1.9", "energy_joule": 12, "outputs": {"out": {"kind": "value", "value": 1, "unit": "s"}}}
    decoded = decode_result(json.dumps(newer).encode())
    assert isinstance(decoded, Done)
    assert set(decoded.model_dump()) == set(Done.model_fields)


@pytest.mark.parametrize("version", ["2.0", "2", "10.3"])
def test_a_newer_major_version_is_refused_and_says_what_to_do(version: str) -> None:
    with pytest.raises(ProtocolMismatch) as caught:
        Beat.model_validate({**BEAT, "v": version})
    assert str(caught.value) == (
        f"this message speaks protocol {version!r}, but this side understands 1.x: "
        "upgrade Plugmesh here, or start the other side with an older version"
    )


def test_a_message_of_a_newer_major_version_is_refused_on_the_bus() -> None:
    with pytest.raises(ProtocolMismatch):
        decode_result(json.dumps({**DONE, "v": "2.0"}).encode())


@pytest.mark.parametrize("version", ["", "x", "v1.0", "-1.0"])
def test_a_version_that_is_none_is_refused(version: str) -> None:
    with pytest.raises(ProtocolMismatch):
        Beat.model_validate({**BEAT, "v": version})


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "cannot be read"),
        (b"not json", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"{}", "cannot be read"),
        (b'{"type": "unknown"}', "cannot be read"),
        (b'{"type": "done", "instance": "i"}', "cannot be read at 'done.run'"),
        (b'{"type": "done", "instance": "\xff"}', "cannot be read"),
        (b'{"type": "done", "pad": "' + b"x" * 70_000 + b'"}', "is over 65536"),
    ],
)
def test_a_message_that_cannot_be_read_names_topic_and_field(payload: bytes, said: str) -> None:
    with pytest.raises(InvalidMessage, match="'results'") as caught:
        decode_result(payload)
    assert said in str(caught.value)
    with pytest.raises(InvalidMessage, match="'dispatch'"):
        decode_dispatch(payload)


def test_a_message_of_one_topic_is_no_message_of_the_other() -> None:
    with pytest.raises(InvalidMessage):
        decode_dispatch(Renew(instance="i", shard=0, attempts=()).encode())


@pytest.mark.parametrize("partition", [-1, 64])
def test_numbers_out_of_range_are_refused(partition: int) -> None:
    with pytest.raises(ValidationError):
        Registration(instance="i", host="h", partition=partition, offers=())


@pytest.mark.parametrize("name", ["", "Upper", "a..b", ".a", "a-b", "1a", "a b", "a" * 201])
def test_module_names_are_dotted_lower_case_words(name: str) -> None:
    with pytest.raises(ValidationError):
        ModuleContract(name=name)


def test_equal_flows_have_equal_digests_whatever_the_order() -> None:
    one = Flow(name="f", nodes={"a": Node(module="m", params={"x": 1, "y": 2}), "b": Node(module="n")})
    other = Flow(name="f", nodes={"b": Node(module="n"), "a": Node(module="m", params={"y": 2, "x": 1})})
    assert one.digest == other.digest
    assert one.digest != Flow(name="g", nodes=one.nodes).digest


def test_the_promise_of_a_contract_leaves_out_texts_and_code() -> None:
    one = ModuleContract(name="m", doc="old", title="Old", code_digest="1")
    other = ModuleContract(name="m", doc="new", title="New", code_digest="2")
    assert one.promise == other.promise
    assert one.digest != other.digest
    assert one.promise != ModuleContract(name="m", version="0.2.0").promise
