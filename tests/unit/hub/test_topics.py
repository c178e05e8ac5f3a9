"""Kept messages as a model: whatever the order of commits, nothing is lost, released twice, or kept for ever."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.hub.topics import Partition, Topics
from plugmesh.runtime import SystemRuntime


class Sender:
    def __init__(self) -> None:
        self.acks: list[int] = []

    def acked(self, seq: int) -> None:
        self.acks.append(seq)


class Recorder:
    def __init__(self) -> None:
        self.numbers: list[int] = []

    def push(self, partition: Partition, numbers: Sequence[int], messages: Sequence[bytes]) -> None:
        self.numbers += numbers


steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 1), st.integers(1, 4)),
        st.tuples(st.just("commit"), st.integers(0, 30), st.integers(0, 5)),
        st.tuples(st.just("rejoin"), st.integers(0, 30), st.booleans()),
    ),
    max_size=30,
)


@given(steps)
def test_what_is_not_committed_reaches_the_next_reader_and_what_is_was_acknowledged_once(
    actions: list[tuple[str, int, int]],
) -> None:
    topics, sender, seqs = Topics("boot", SystemRuntime().now), Sender(), 0
    partition, other = topics.partition("results", 0), topics.partition("results", 1)
    numbers: dict[int, int] = {}
    pending: set[int] = set()
    for action, first, second in actions:
        if action == "publish":
            batch = range(seqs + 1, seqs + 1 + second)
            seqs += second
            if first == 0:
                numbers |= {topics.number + index + 1: seq for index, seq in enumerate(batch)}
                pending |= set(batch)
            (partition, other)[first].publish([b"x"] * second, sender, batch)
        elif action == "commit":
            partition.release(first, first + second)
            pending -= {seq for number, seq in numbers.items() if first <= number <= first + second}
        else:
            reader = Recorder()
            start = min(first, topics.number)
            partition.join(reader, topics.start(f"boot:{start}" if second else f"~boot:{start}"))
            if second:
                pending -= {seq for number, seq in numbers.items() if number <= start}
            assert reader.numbers == [n for n, seq in sorted(numbers.items()) if seq in pending and n > start]
            partition.leave(reader)
    mine = [seq for seq in sender.acks if seq in numbers.values()]
    assert sorted(mine) == sorted(set(numbers.values()) - pending)


def test_bytes_are_counted_until_they_are_released() -> None:
    topics, sender = Topics("boot", SystemRuntime().now, kept_limit_bytes=10), Sender()
    partition = topics.partition("results", 0)
    partition.publish([b"12345", b"678901"], sender, [1, 2])
    assert topics.full
    partition.release(2, 2)
    assert (topics.full, topics.kept_bytes, sender.acks) == (False, 5, [2])


def test_messages_of_other_topics_are_not_stored() -> None:
    topics, late = Topics("boot", SystemRuntime().now), Recorder()
    partition = topics.partition("dispatch", 0)
    partition.publish([b"x"], Sender(), [0])
    partition.join(late, topics.start(""))
    assert (late.numbers, topics.kept_bytes) == ([], 0)


def test_what_waits_for_a_commit_has_an_age_and_what_was_committed_a_latency() -> None:
    now = [10.0]
    topics, sender = Topics("boot", lambda: now[0]), Sender()
    partition = topics.partition("results", 0)
    assert partition.oldest_at is None
    partition.publish([b"a"], sender, [1])
    now[0] = 12.0
    partition.publish([b"b"], sender, [2])
    assert partition.oldest_at == 10.0
    partition.release(0, 1)
    assert topics.partition("results", 0).oldest_at == 12.0
    assert topics.commits.sum_s == 2.0
