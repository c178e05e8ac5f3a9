"""Lists of columns in a query: any name can be written, and what cannot be read is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.column_names import column_names, sort_keys
from gateway.errors import BadRequest


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@given(st.lists(st.tuples(st.text(), st.booleans()), max_size=8))
def test_every_name_can_be_written_in_quotes(keys: list[tuple[str, bool]]) -> None:
    text = ",".join(("-" if down else "") + quoted(name) for name, down in keys)
    assert sort_keys(text, 10) == keys


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        ("", []),
        ("a,,b,", ["a", "b"]),
        ("-a, b", ["-a", " b"]),
        ('"a, b",c', ["a, b", "c"]),
        ('""', [""]),
        ('a"b', ['a"b']),
    ],
)
def test_names_are_separated_by_commas(text: str, names: list[str]) -> None:
    assert column_names(text, 10) == names


def test_a_minus_sorts_downwards_unless_it_is_in_quotes() -> None:
    assert sort_keys('-a,b,"-c",-"-d"', 10) == [("a", True), ("b", False), ("-c", False), ("-d", True)]


@pytest.mark.parametrize("text", ['"open', 'a,"b"c'])
def test_quotes_that_are_wrong_are_shown(text: str) -> None:
    with pytest.raises(BadRequest, match=r"columns: .* is no column: separate names by commas"):
        column_names(text, 10)


def test_the_number_of_columns_is_bounded() -> None:
    with pytest.raises(BadRequest, match="columns: 3 columns are too many at once, 2 are possible: ask in parts"):
        column_names("a,b,c", 2)
