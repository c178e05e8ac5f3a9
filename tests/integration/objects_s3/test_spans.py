"""Which bytes of an object are there, by properties."""

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.objects.s3.spans import Span, gaps, parsed, reach

places = st.integers(0, 60)
pieces = st.lists(st.tuples(places, places).map(lambda pair: (min(pair), max(pair))), max_size=8)


@given(places, places, pieces)
def test_gaps_and_pieces_are_all_bytes_and_no_gap_is_there_already(
    start: int, length: int, have: list[tuple[int, int]]
) -> None:
    found = gaps(start, start + length, have)
    missing = {at for first, last in found for at in range(first, last)}
    there = {at for first, last in have for at in range(first, last)}
    assert missing == set(range(start, start + length)) - there
    assert sum(last - first for first, last in found) == len(missing)
    assert found == sorted(found)


@given(places, places, places, pieces)
def test_reading_ahead_ends_where_something_is_there(
    start: int, length: int, ahead: int, have: list[tuple[int, int]]
) -> None:
    end = start + length
    last = reach(start, end, start + ahead, have)
    there = {at for first, past in have for at in range(first, past) if first >= end}
    assert last >= end
    assert last <= max(end, start + ahead)
    assert not there & set(range(end, last))


@given(places, places, places)
def test_a_span_is_known_by_its_name(start: int, length: int, more: int) -> None:
    span = Span(start, start + length, start + length + more)
    assert parsed(span.name) == span


def test_other_names_are_no_spans() -> None:
    assert [parsed(name) for name in ("", "1-2", "2-1-3", "1-4-3", "a-b-c", "-1-2-3", "1-2-3-4")] == [None] * 7
