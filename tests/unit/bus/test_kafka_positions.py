"""Which follower gets what, and from where a partition has to be read so that all of them get it."""

from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.bus.kafka.positions import STUCK_S, Follower, Progress, positions
from plugmesh.bus.port import EARLIEST, Delivery

HERE, THERE = TopicPartition("p.runs", 0), TopicPartition("p.runs", 1)


def follower(start: str | None, *partitions: int) -> Follower:
    return Follower.of("runs", "p.runs", partitions or (0,), print, start)


def test_a_decimal_start_is_known_at_once() -> None:
    assert follower("17").next == {HERE: 17}
    assert not follower("17").unknown


def test_from_now_is_behind_the_newest_and_the_earliest_is_the_first() -> None:
    now, earliest, strange = follower(None), follower(EARLIEST), follower("boot-1:17")
    for one in (now, earliest, strange):
        assert one.unknown == [HERE]
        assert one.learn({HERE: (5, 9), THERE: (1, 2)}) == []
    assert [one.next[HERE] for one in (now, earliest, strange)] == [9, 5, 5]
    assert [one.is_strange for one in (now, earliest, strange)] == [False, False, True]


def test_what_is_out_of_range_goes_on_at_the_oldest() -> None:
    too_old, too_new, at_end = follower("4"), follower("10"), follower("9")
    assert [one.learn({HERE: (5, 9)}) for one in (too_old, too_new, at_end)] == [[HERE], [HERE], []]
    assert [one.next[HERE] for one in (too_old, too_new, at_end)] == [5, 5, 9]


def test_a_place_that_is_not_known_yet_is_not_read() -> None:
    assert positions([follower(None), follower("7", 1)]) == {THERE: 7}


def test_a_closed_follower_takes_nothing() -> None:
    one = follower("0")
    one.closed = True
    assert one.take(HERE, [(0, b"0")]) is None


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.lists(st.integers(1, 6), max_size=8))
def test_every_follower_gets_each_message_from_its_start_on_once_and_in_order(
    starts: list[int], sizes: list[int]
) -> None:
    log = [(offset, str(offset).encode()) for offset in range(40)]
    followers = [follower(str(start)) for start in starts]
    got: dict[int, list[bytes]] = {index: [] for index in range(len(starts))}
    for size in sizes:
        at = positions(followers)[HERE]
        for index, one in enumerate(followers):
            delivery = one.take(HERE, log[at : at + size]) if log[at : at + size] else None
            if delivery is not None:
                assert delivery.offset == str(int(delivery.messages[-1]) + 1)
                got[index] += delivery.messages
    for start, found in zip(starts, got.values(), strict=True):
        assert found == [message for _, message in log[start : start + len(found)]]


def test_a_delivery_says_what_to_subscribe_from() -> None:
    delivery = follower("2").take(HERE, [(1, b"1"), (2, b"2"), (5, b"5")])
    assert isinstance(delivery, Delivery)
    assert (delivery.topic, delivery.partition, delivery.messages, delivery.offset) == ("runs", 0, (b"2", b"5"), "6")


def test_reading_that_stands_still_behind_the_end_is_stuck() -> None:
    progress = Progress()
    assert progress.stuck(0.0, {HERE: 5, THERE: 7}, {HERE: 9, THERE: 7}) == []
    assert progress.stuck(STUCK_S - 0.1, {HERE: 5, THERE: 7}, {HERE: 9, THERE: 8}) == []
    assert progress.stuck(STUCK_S, {HERE: 5, THERE: 7}, {HERE: 9, THERE: 8}) == [HERE]


def test_reading_that_moves_or_is_at_the_end_is_not_stuck() -> None:
    progress = Progress()
    for now, position, end in (
        (0.0, 5, 9),
        (10.0, 6, 12),
        (20.0, 6, 12),
        (24.9, 7, 12),
        (40.0, 12, 12),
        (41.0, 12, 13),
    ):
        assert progress.stuck(now, {HERE: position}, {HERE: end}) == []
