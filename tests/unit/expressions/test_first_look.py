"""The look at an expression without a table: it says what the real check would say too, and never more."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from module_sdk import DataError
from plugmesh.expressions.check import REFUSED, why_not
from plugmesh.expressions.first_look import Fault, first_look
from plugmesh.expressions.functions import AGGREGATES, SCALARS
from plugmesh.expressions.parse import parse
from tests.unit.expressions.test_parse import ALLOWED, NAMES

WORDS = """
    a b s 1 2.5 'x' "Foo Bar" ( ) [ ] { } , : :: . + - * / // || = <> < > -> and or not in is null like ilike between case
    when then else end cast as decimal varchar int timestamp with time zone at interval day date extract year from lambda
    select exists over distinct filter where order by within group coalesce nullif try if row struct map array any all
    upper( sum( count( avg( round( list_transform( uper( read_csv( now( unnest( foo( ; ' " collate similar to operator
""".split()  # noqa: SIM905
TEMPLATES = (
    "{}({})",
    "({})",
    "a + {}",
    "{} and {}",
    "cast({} as decimal(4, 1))",
    "a in ({}, {})",
    "[{}, {}]",
    "{{'k': {}}}",
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault(1, "it is empty")),
        ("(a > 1", Fault(1, "this '(' is not closed")),
        ("a > 1)", Fault(6, "this ')' closes nothing")),
        ("(a > 1]", Fault(7, "this ']' cannot close the '(' before it")),
        ("a > 'x", Fault(5, "the text that begins with this ' does not end")),
        ('a > "x', Fault(5, 'the text that begins with this " does not end')),
        ("a > 1; drop table x", Fault(6, "there is one expression, without ';'")),
        ("uper(s) = 'X'", Fault(1, "there is no function 'uper' here (did you mean 'upper'?)")),
        ("a > 1 and rond (a, 2) = b", Fault(11, "there is no function 'rond' here (did you mean 'round'?)")),
        ("read_csv('/etc/passwd')", Fault(1, "there is no function 'read_csv' here")),
        ("a = (select 1)", Fault(6, REFUSED["SUBQUERY"])),
        ("random() > a", Fault(1, why_not("random"))),
        ("unnest(a)", Fault(1, "unnest() is not possible: it changes the number of rows")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: str, fault: Fault) -> None:
    assert first_look(text) == fault
    with pytest.raises(DataError):
        parse(text, "where", NAMES)


@pytest.mark.parametrize("text", ALLOWED)
def test_what_may_be_is_not_minded(text: str) -> None:
    assert first_look(text) is None


@pytest.mark.parametrize("text", ["foo(1) -- x", "$$foo($$", "e'\\'' || foo(1)", "/* ( */ a"])
def test_where_it_is_not_sure_it_says_nothing(text: str) -> None:
    assert first_look(text) is None


def test_every_function_that_there_is_may_be_called() -> None:
    assert [name for name in SCALARS | AGGREGATES if name.isidentifier() and first_look(f"{name}(a)") is not None] == []


@settings(max_examples=120)
@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join))
def test_it_refuses_nothing_that_can_be_evaluated(text: str) -> None:
    _agree(text)


@settings(max_examples=80)
@given(
    st.recursive(
        st.sampled_from(
            ["a", "s", "1", "'x'", '"Foo Bar"', "null", "a::varchar(3)", "interval (a) day", "date '2020-01-01'"]
        ),
        lambda inner: st.builds(
            lambda template, one, two: template.format(*([one, two][: template.count("{}")])),
            st.sampled_from(TEMPLATES),
            inner | st.sampled_from(sorted(SCALARS)),
            inner,
        ),
        max_leaves=8,
    )
)
def test_it_refuses_nothing_that_looks_right(text: str) -> None:
    _agree(text)


def _agree(text: str) -> None:
    if first_look(text) is None:
        return
    with pytest.raises(DataError):
        parse(text, "where", NAMES)
