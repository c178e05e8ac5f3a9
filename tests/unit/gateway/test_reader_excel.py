"""Workbooks: what is in the cells, read back from the parts of the archive."""

from __future__ import annotations

import datetime
import io
import math
import zipfile
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reader.csv_cells import guarded, guarded_name
from gateway.reader.excel import check_size, workbook
from gateway.reader.excel_cells import CUT, TEXT_LIMIT, column_letters
from plugmesh.errors import LimitExceeded

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheet(table: pa.Table, *, keep_formulas: bool = False) -> list[dict[str, Any]]:
    """The cells of each row, by place."""
    data = b"".join(workbook(table.schema, table.to_batches(max_chunksize=2), keep_formulas=keep_formulas))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            ElementTree.fromstring(archive.read(name))
        root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    return [{cell.get("r", ""): cell for cell in row} for row in root.iter(f"{MAIN}row")]


def shown(cell: Any) -> tuple[str, str]:
    """Type and text of a cell."""
    text = cell.find(f"{MAIN}is/{MAIN}t") if cell.get("t") == "inlineStr" else cell.find(f"{MAIN}v")
    return cell.get("t", "n"), text.text


def values(array: pa.Array) -> list[tuple[str, str] | None]:
    rows = sheet(pa.table({"x": array}))[1:]
    return [shown(row[f"A{number}"]) if row else None for number, row in enumerate(rows, 2)]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([1, None, -(10**15)]), [("n", "1"), None, ("inlineStr", "-1000000000000000")]),
        (pa.array([1.5, math.nan, -math.inf]), [("n", "1.5"), ("inlineStr", "NaN"), ("inlineStr", "-Infinity")]),
        (pa.array([True, False]), [("b", "1"), ("b", "0")]),
        (
            pa.array([Decimal("1.10"), Decimal("12345678901234.567")]),
            [("n", "1.100"), ("inlineStr", "12345678901234.567")],
        ),
        (
            pa.array([datetime.date(2026, 1, 2), datetime.date(1850, 1, 1)]),
            [("n", "46024"), ("inlineStr", "1850-01-01")],
        ),
        (pa.array([43_200], pa.timestamp("s", "Europe/Paris")), [("n", "25569.5")]),
        (pa.array(["a", None, "b"]).dictionary_encode(), [("inlineStr", "a"), None, ("inlineStr", "b")]),
        (pa.array([[1, 2]]), [("inlineStr", "[1,2]")]),
        (pa.array([b"\xff\x00"]), [("inlineStr", "/wA=")]),
        (pa.array([5], pa.duration("s")), [("n", "5")]),
        (pa.nulls(1), [None]),
    ],
    ids=lambda part: str(getattr(part, "type", ""))[:20],
)
def test_values_are_numbers_where_excel_keeps_them_and_text_elsewhere(array: pa.Array, expected: list[Any]) -> None:
    found = values(array)
    assert [cell and (cell[0], cell[1].removesuffix(".0")) for cell in found] == expected


def test_texts_that_xml_or_excel_would_change_are_escaped() -> None:
    rows = sheet(pa.table({"x": ["a\x00\r\n<&>", "_x0041_", " b "]}))
    assert shown(rows[1]["A2"])[1] == "a_x0000__x000D_\n<&>"
    assert shown(rows[2]["A3"])[1] == "_x005F_x0041_"
    assert shown(rows[3]["A4"])[1] == " b "


def test_long_texts_are_cut_and_say_so() -> None:
    for character in ("x", "😀"):
        (_, row) = sheet(pa.table({"x": [character * 40_000]}))
        text = shown(row["A2"])[1]
        assert text.endswith(CUT)
        assert TEXT_LIMIT - 1 <= len(text.encode("utf-16-le")) // 2 <= TEXT_LIMIT


def test_texts_that_look_like_formulas_are_marked_unless_they_are_to_be_kept() -> None:
    table = pa.table({"=x": ["=1+1", "plain"], "n": [-1, 2]})
    marked, kept = sheet(table), sheet(table, keep_formulas=True)
    assert [row[place].get("s") for row, place in ((marked[0], "A1"), (marked[1], "A2"), (marked[2], "A3"))] == [
        "3",
        "3",
        None,
    ]
    assert kept[1]["A2"].get("s") is None
    assert shown(marked[1]["A2"]) == shown(kept[1]["A2"]) == ("inlineStr", "=1+1")
    assert shown(marked[1]["B2"]) == ("n", "-1")


def test_columns_are_lettered_as_excel_does() -> None:
    assert [column_letters(index) for index in (0, 25, 26, 701, 702, 16_383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (1_048_576, 1, "at most 1,048,575 rows below the names, not 1,048,576: choose columns"),
        (1, 16_385, "at most 16,384 columns, not 16,385"),
        (1_000_000, 100, "100,000,000 cells are too many for Excel"),
    ],
)
def test_what_does_not_fit_a_sheet_is_refused(rows: int, columns: int, message: str) -> None:
    check_size(1_048_575, 1)
    with pytest.raises(LimitExceeded, match=message):
        check_size(rows, columns)


def test_csv_marks_texts_and_names_that_look_like_formulas_and_leaves_numbers() -> None:
    risky = ["=1", "+a", "-a", "@a", "\tx", "\rx", "\nx", "\uff1dx", "-2+3", "-1e5x", "- 1", "-1\n", "+", "-."]
    harmless = ["a=1", "'", "", None]
    batch = pa.record_batch({"-x": risky + harmless, "n": [-1] * 18})
    found = guarded(batch)
    assert found.schema.names == ["'-x", "n"]
    assert found.column(0).to_pylist() == [f"'{text}" for text in risky] + harmless
    assert found.column(1).to_pylist() == [-1] * 18
    assert guarded_name("plain") == "plain"


@pytest.mark.parametrize("number", ["-1", "+1", "-0.5", "-.5", "-5.", "+1e10", "-1.5E-3"])
def test_a_text_that_is_only_a_number_is_no_formula(number: str) -> None:
    assert guarded_name(number) == number
    assert guarded(pa.record_batch({"x": [number]})).column(0).to_pylist() == [number]


@given(st.text("=+-@\t\r\n1.eE '\uff0b", max_size=8))
def test_names_and_columns_are_marked_alike(text: str) -> None:
    assert guarded(pa.record_batch({"x": [text]})).column(0).to_pylist() == [guarded_name(text)]
