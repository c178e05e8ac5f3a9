"""Whose result it was, of one that cannot be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.messages import Done
from plugmesh.errors import ErrorClass, InvalidMessage
from scheduler.unreadable import failure_of

DONE = Done(instance="i-1", run="run-1", step="a.3", epoch=2, outputs={"out": ValueRef(value="x" * 100)}).encode()
WHY = InvalidMessage("a message on 'results' cannot be read at 'outputs'")


def test_an_unreadable_end_fails_the_attempt_in_its_head_and_says_why() -> None:
    document = {**json.loads(DONE), "outputs": 7}
    failed = failure_of(json.dumps(document).encode(), WHY)
    assert failed is not None
    assert (failed.attempt, failed.instance) == ("run-1/a.3/2", "i-1")
    assert (failed.error.code, failed.error.error_class) == ("result-unreadable", ErrorClass.TRANSIENT)
    assert str(WHY) in failed.error.message


@pytest.mark.parametrize("cut", [len(DONE) - 1, DONE.index(b'"outputs"')])
def test_a_message_that_breaks_off_still_names_its_attempt(cut: int) -> None:
    failed = failure_of(DONE[:cut], WHY)
    assert failed is not None
    assert failed.attempt == "run-1/a.3/2"


@pytest.mark.parametrize("kind", ["accepted", "started", "progressed", "renew"])
def test_a_message_that_ends_nothing_fails_nothing(kind: str) -> None:
    assert failure_of(json.dumps({**json.loads(DONE), "type": kind}).encode(), WHY) is None


@given(st.binary(max_size=200) | st.builds(lambda cut, junk: DONE[:cut] + junk, st.integers(0, 400), st.binary()))
def test_whatever_arrives_names_that_attempt_or_none(payload: bytes) -> None:
    failed = failure_of(payload, WHY)
    assert failed is None or failed.run


@pytest.mark.parametrize("payload", [b"[" * 100_000, b"", b"null", b'{"run": 3, "step": "a", "epoch": "x"}', b"\xff"])
def test_what_names_no_attempt_fails_none(payload: bytes) -> None:
    assert failure_of(payload, WHY) is None
