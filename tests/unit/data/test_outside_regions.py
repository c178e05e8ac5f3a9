"""Parts of the shared file: nobody's bytes are written over while they are read."""

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.data.outside.regions import PAGE_BYTES, Regions


@given(st.lists(st.tuples(st.integers(0, 5 * PAGE_BYTES), st.integers(0, 3)), max_size=60))
def test_parts_in_use_never_overlap(steps: list[tuple[int, int]]) -> None:
    regions, used = Regions(), dict[int, int]()
    for size, drop in steps:
        offset = regions.take(size)
        assert offset % PAGE_BYTES == 0
        assert all(offset >= start + length or offset + size <= start for start, length in used.items())
        assert offset not in used
        used[offset] = size
        assert offset + size <= regions.end
        for gone in list(used)[:drop]:
            regions.give_back(gone)
            del used[gone]


def test_a_part_that_was_given_back_is_used_again() -> None:
    regions = Regions()
    first, second = regions.take(10_000), regions.take(100)
    regions.give_back(first)
    regions.give_back(second)
    assert regions.take(50) == second  # the smallest that fits
    assert regions.take(9_000) == first
    assert regions.end == 3 * PAGE_BYTES + PAGE_BYTES
