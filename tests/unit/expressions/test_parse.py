"""What an expression may be, and what is said about one that may not."""

import pytest

from module_sdk import DataError
from plugmesh.expressions.parse import MAX_LENGTH, parse, parse_aggregate, parse_scalar

NAMES = ["a", "b", "Foo Bar", "s"]

ALLOWED = {
    "a > 15 AND \"foo bar\" = 'x'": ("a", "Foo Bar"),
    "a -- a comment": ("a",),
    "a /* one */ + 1": ("a",),
    "CASE WHEN a > 1 THEN s ELSE 'no; thing' END": ("a", "s"),
    "CASE a WHEN 1 THEN 2 END": ("a",),
    "list_transform([a], lambda y: y + b)": ("a", "b"),
    "[y for y in [a] if y > b]": ("a", "b"),
    "date '2020-01-01' + INTERVAL 3 DAY": (),
    "extract(year FROM s)": ("s",),
    "a BETWEEN 1 AND b": ("a", "b"),
    "a NOT IN (1, 2) OR a IS NULL": ("a",),
    "TRY(a // b)": ("a", "b"),
    "CAST(a AS decimal(10, 2))": ("a",),
    "s ILIKE 'x%' ESCAPE '$'": ("s",),
    "s[1] || substring(s FROM 2 FOR 3)": ("s",),
    "coalesce(a, b, 1)": ("a", "b"),
    "{'k': a}": ("a",),
    "s = '(SELECT 1)'": ("s",),
    "s = 'read_csv(''/etc/passwd'')'": ("s",),
    "(" * 150 + "a" + ")" * 150: ("a",),
}

REFUSED = {
    "1; DROP TABLE x": "';' is too much",
    "a;": "ends with ';'",
    "(SELECT 1)": "a subquery is not possible",
    "a IN (SELECT 1)": "a subquery is not possible",
    "EXISTS(SELECT 1)": "a subquery is not possible",
    "ARRAY(SELECT 1)": "a subquery is not possible",
    "list_transform([1], lambda y: (SELECT 1))": "at character 31: a subquery",
    "a FROM range(3)": "more than one expression",
    "a UNION SELECT 1": "more than one expression",
    "a WHERE 1 = 1": "more than one expression",
    "a GROUP BY b": "more than one expression",
    "DISTINCT a": "more than one expression",
    "a AS b": "more than one expression",
    "a, b": "more than one expression",
    "0x1F": "more than one expression",
    "PRAGMA database_list": "more than one expression",
    "COPY s TO 'y'": "syntax error",
    "read_csv('/etc/passwd')": "there is no function 'read_csv'",
    "read_text('/etc/passwd')": "there is no function 'read_text'",
    "glob('/*')": "there is no function 'glob'",
    "getenv('HOME')": "there is no function 'getenv'",
    "current_setting('threads')": "there is no function 'current_setting'",
    "getvariable('a')": "there is no function 'getvariable'",
    "query('SELECT 1')": "there is no function 'query'",
    "json_serialize_sql('SELECT 1')": "there is no function 'json_serialize_sql'",
    "write_log('x')": "there is no function 'write_log'",
    "sleep_ms(1000)": "there is no function 'sleep_ms'",
    "nextval('s')": "the same result each time",
    "now()": "the same result each time",
    "current_date": "the same result each time",
    "random()": "the same result each time",
    "unnest([1, 2])": "changes the number of rows",
    "system.main.lower(s)": "by its plain name 'lower'",
    "a::my.type": "a type is a plain name",
    "sum(a) OVER ()": "OVER (...) is not possible",
    "row_number() OVER (ORDER BY a)": "OVER (...) is not possible",
    "*": "a star is not possible",
    "COLUMNS(*)": "a star is not possible",
    "count(b.*)": "a star is not possible",
    "$1": "no parameters",
    "?": "no parameters",
    "#1": "named, not numbered",
    "a -> 'x'": "'->' is not possible",
    "grouping(a)": "not possible",
    "rowid": "no column 'rowid'",
    "other.a": "no column 'other'",
    "": "it is empty",
    "  \n": "it is empty",
    "-- nothing": "ends too early",
    "a +": "ends too early",
    "(a": "ends too early",
    "a)": "at character 2",
    "a /* open": "unterminated /*",
    "'open": "unterminated string literal",
    '"open': "unterminated",
    "a\x00b": "control characters",
    "'\ud800'": "control characters, or halves",
    "(" * 9000 + "1": "nested deeper than 200",
    "- " * 4000 + "1": "nested deeper than 200",
    "1" + "+1" * 4000: "nested deeper than 200",
    "CASE WHEN true THEN " * 300 + "1" + " END" * 300: "nested deeper than 200",
    "x" * 1_000_000: f"at most {MAX_LENGTH:,}",
}


@pytest.mark.parametrize("text", ALLOWED)
def test_an_expression_of_one_row_is_accepted_with_the_columns_that_it_names(text: str) -> None:
    assert parse_scalar(text, "where", NAMES).columns == ALLOWED[text]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30].encode("unicode_escape").decode())
def test_anything_else_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(DataError) as refused:
        parse(text, "where", NAMES)
    message = str(refused.value)
    assert REFUSED[text] in message
    assert message.startswith("where: the expression ")
    assert len(message) < 600
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_an_unknown_column_is_named_with_its_place_and_what_was_probably_meant() -> None:
    with pytest.raises(DataError) as refused:
        parse("'é' || arr_dely", "columns.x", ["carrier", "arr_delay"])
    assert str(refused.value) == (
        "columns.x: the expression \"'é' || arr_dely\", at character 8: there is no column 'arr_dely' "
        "(did you mean 'arr_delay'?); there are carrier, arr_delay"
    )


def test_an_unknown_function_is_named_with_what_was_probably_meant() -> None:
    with pytest.raises(DataError, match=r"no function 'uper' here \(did you mean 'upper'\?\)"):
        parse("uper(s)", "where", NAMES)


def test_names_are_found_without_regard_to_case_but_exact_ones_first() -> None:
    assert parse('"A" + "B"', "where", ["a", "A", "b"]).columns == ("A", "b")


def test_columns_that_differ_in_case_only_cannot_be_used_together() -> None:
    with pytest.raises(DataError, match="'a' and 'A', which SQL cannot tell apart"):
        parse('a + "A"', "where", ["a", "A"])


def test_an_aggregate_is_no_expression_of_one_row() -> None:
    with pytest.raises(DataError, match="aggregates many rows"):
        parse_scalar("sum(a) > 1", "where", NAMES)


@pytest.mark.parametrize(
    "text", ["count(*)", "avg(a)", "sum(a) / count(b)", "count(DISTINCT a) FILTER (WHERE b > 1)", "list(a ORDER BY b)"]
)
def test_a_measure_is_an_aggregate(text: str) -> None:
    assert parse_aggregate(text, "measures.n", NAMES).aggregates


def test_a_measure_without_an_aggregate_is_refused() -> None:
    with pytest.raises(DataError, match="has no aggregate function"):
        parse_aggregate("a + 1", "measures.n", NAMES)
