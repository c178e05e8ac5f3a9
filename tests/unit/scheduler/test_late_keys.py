"""Whoever goes on behind the keys that he has seen misses none that turns up late."""

from hypothesis import given
from hypothesis import strategies as st

from scheduler.sweep.late_keys import LateKeys

LATE_S = 10.0


@given(
    rows=st.lists(st.tuples(st.floats(0, 100), st.floats(0, LATE_S - 0.5)), max_size=60),
    looks=st.lists(st.floats(0, 100), max_size=30),
)
def test_each_row_is_found_by_a_look_that_goes_on_behind_the_settled_ones(rows, looks):
    """Rows are numbered in the order of their beginnings, and shown when their transactions are over."""
    numbered = {key: (at, at + lasts) for key, (at, lasts) in enumerate(sorted(rows), 1)}
    late, found = LateKeys(LATE_S), set()
    for look in [*sorted(looks), 120.0, 140.0]:
        shown = {key for key, (_, seen) in numbered.items() if seen <= look}
        highest = max(shown, default=0)
        found |= {key for key in shown if late.settled < key <= highest}
        late.looked(look, highest)
    assert found == numbered.keys()


def test_where_transactions_follow_each_other_nothing_is_looked_at_twice():
    late = LateKeys(0.0)
    late.looked(1.0, 7)
    assert late.settled == 7


def test_on_a_server_the_last_minutes_are_looked_at_again():
    late = LateKeys(LATE_S)
    for at, highest in ((0.0, 5), (6.0, 8), (12.0, 9)):
        late.looked(at, highest)
    assert late.settled == 5
