"""Tables on narrow terminals."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from plugmesh.cli.display.console import cells, facts, print_rows, table
from plugmesh.cli.display.widths import GAP, Need, fit

needs = st.lists(st.builds(Need, st.text("abcdef", min_size=1), st.integers(1, 200), st.booleans()), max_size=12)


@given(needs, st.integers(60, 300))
def test_no_column_is_wider_than_its_widest_cell_nor_gone_without_being_left_out(found: list[Need], width: int) -> None:
    by_name = {need.name: need for need in found}
    widths = fit(list(by_name.values()), width)
    assert widths.keys() == by_name.keys()
    assert all(0 < widths[name] <= need.width for name, need in by_name.items())
    assert sum(widths.values()) + GAP * (len(widths) - 1) <= width


@given(needs, st.integers(20, 300))
def test_what_fits_is_shown_whole(found: list[Need], width: int) -> None:
    by_name = {need.name: need for need in found}
    if sum(need.width for need in by_name.values()) + GAP * (len(by_name) - 1) <= width:
        widths = fit(list(by_name.values()), width, list(by_name))
        assert widths == {name: need.width for name, need in by_name.items()}


def test_columns_that_can_be_spared_go_first_and_in_order() -> None:
    found = [Need("name", 20, whole=True), Need("size", 8, whole=True), Need("by", 8, whole=True), Need("why", 90)]
    assert fit(found, 60, ("by", "size")) == {"name": 20, "size": 8, "by": 8, "why": 18}
    assert fit(found, 50, ("by", "size")) == {"name": 20, "size": 8, "why": 18}
    assert fit(found, 40, ("by", "size")) == {"name": 20, "why": 18}


def test_a_line_of_a_table_never_ends_with_blanks() -> None:
    out = io.StringIO()
    console = Console(file=out, width=40)
    made = table("NAME", "WHAT", right=("NAME",))
    made.add_row(*cells("1", ""))
    made.add_row(*cells("22", "long words that need to be folded somewhere here"))
    console.print(made)
    console.print(facts([("a", "1"), ("long", "words that need to be folded somewhere here")]))
    assert all(line == line.rstrip() for line in out.getvalue().splitlines())
    assert "22  long words" in out.getvalue()


def test_rows_of_many_columns_say_which_are_not_shown() -> None:
    out = io.StringIO()
    rows = [{"first": 1.5, "second": "x" * 30, "third": "y" * 30, "fourth": "z" * 30}]
    print_rows(Console(file=out, width=34), list(rows[0]), rows)
    assert out.getvalue().splitlines()[-1] == "… and 1 more column: fourth"
