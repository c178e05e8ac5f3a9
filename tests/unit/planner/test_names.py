"""Which names an expression has: never fewer than DuckDB finds."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugmesh.errors import DataError
from plugmesh.expressions.parse import parse
from plugmesh.planner.names import chosen, names_in

COLUMNS = ("a", "B", "c d", 'say "x"', "é", "e", "x1", "tick`s", "order", "a$b")


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("arr_delay > 15 AND carrier <> 'UA'", {"arr_delay", "AND", "carrier"}),
        ('"c d" + 1', {"c d"}),
        ('"say ""x"""', {'say "x"'}),
        ("`tick``s` = 2", {"tick`s"}),
        ("a -- b\n + c", {"a", "c"}),
        ("/* a /* b */ c */ d", {"d"}),
        ("'it''s a' || b", {"b"}),
        (r"E'\' a ' || b", {"b"}),
        ("e || 'a'", {"e"}),
        ("$$ a $$ || b", {"b"}),
        ("$t$ a $$ c $t$ || b", {"b"}),
        ("a$b", {"a$b"}),
        ('U&"a"', {"U", "a"}),
        ("[x, y].z", {"x", "y", "z"}),
        ("x::int", {"x", "int"}),
        ("", set()),
    ],
)
def test_names_are_words_and_quoted_names_outside_of_texts_and_comments(expression: str, names: set[str]) -> None:
    assert names_in(expression) == names


def test_what_is_chosen_keeps_its_order_and_its_own_spelling() -> None:
    assert chosen(["Dep", "arr", "DIST"], {"dist", "dep", "upper"}) == ["Dep", "DIST"]


def test_without_a_wish_everything_is_chosen() -> None:
    assert chosen(["x", "y"], None) == ["x", "y"]


PIECES = st.sampled_from(
    [
        *("a", "A", "b", '"B"', '"c d"', '"C D"', '"say ""x"""', "é", "e", "E", "x1", "`tick``s`", '"order"', "a$b"),
        *("'a'", "'it''s'", r"E'\' b '", "e'b'", "x'61'", "$$ b $$", "$t$ x1 $t$", "'--'", "'/*'", "'\"'"),
        *("1", "1.5", "2e3", "1e", "0x1a", "1_0", ".5", "NULL", "true"),
        *("+", "-", "*", "||", "=", "<>", "AND", "OR", "NOT", "IS", "IN", "::", "int", ".", ",", ":", "->", "&", "$"),
        *("(", ")", "[", "]", "{", "}", "coalesce(", "upper(", "abs(", "CASE", "WHEN", "THEN", "END", "lambda x:"),
        *("-- a\n", "/* b */", "/* /* b */ x1 */", "\n", " ", '"', "'", "`", "U&", "e'", "x"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=9), st.sampled_from(["", " "]))
def test_every_column_that_duckdb_reads_is_among_the_names(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    with contextlib.suppress(DataError):
        assert set(parse(text, "where", COLUMNS).columns) <= set(chosen(COLUMNS, names_in(text)))


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.sampled_from(
            ["a", '"B"', '"c d"', '"say ""x"""', "é", "`tick``s`", "'a'", r"E'\' b '", "$$ b $$", "1", "/* b */ e"]
        ),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "||", "=", "AND", "-- b\n *"]), inner).map(
                lambda parts: "({}\n) {} ({}\n)".format(*parts)
            ),
            inner.map(lambda text: f"coalesce({text}, 1)"),
            inner.map(lambda text: f"CASE WHEN {text} THEN x1 END"),
            inner.map(lambda text: f"({text})::varchar"),
        ),
        max_leaves=6,
    )
)
def test_every_column_of_a_readable_expression_is_among_the_names(text: str) -> None:
    assert set(parse(text, "where", COLUMNS).columns) <= set(chosen(COLUMNS, names_in(text)))
