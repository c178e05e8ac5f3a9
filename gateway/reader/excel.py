"""A table as an Excel workbook (ECMA-376 SpreadsheetML), written as a stream: one batch in memory, no file on disk.

A reader process may be killed at any time, and a writer that collects the sheet in temporary files would leave them.
So the zip archive is written piece by piece here, with texts inside their cells instead of in a table of its own.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from gateway.reader.excel_cells import cells, column_letters, text_cell
from gateway.reader.sink import Sink
from plugmesh.errors import LimitExceeded

MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
"""Of a sheet, by the format; the first row has the names."""
MAX_CELLS = 20_000_000
"""More would pass the 2 GiB that a part of the archive may have, and no spreadsheet program would show them."""
_ELSE = "choose columns with columns=a,b, or take format=csv, parquet or arrow"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

_PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="data" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
    ),
    # The styles that `excel_cells` names: 0 plain, 1 a date, 2 a date and time, 3 text that stays text when edited.
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_MAIN}">'
        '<numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
        '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
        '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
        '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        '<cellXfs count="4"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    ),
}
_SHEET_HEAD = (
    f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>'
)
_SHEET_END = "</sheetData></worksheet>"


def check_size(rows: int, columns: int) -> None:
    """Raises `LimitExceeded` if a sheet cannot have so many rows or columns."""
    if rows > MAX_ROWS - 1:
        raise LimitExceeded(f"an Excel sheet has at most {MAX_ROWS - 1:,} rows below the names, not {rows:,}: {_ELSE}")
    if columns > MAX_COLUMNS:
        raise LimitExceeded(f"an Excel sheet has at most {MAX_COLUMNS:,} columns, not {columns:,}: {_ELSE}")
    if rows * columns > MAX_CELLS:
        raise LimitExceeded(
            f"{rows * columns:,} cells are too many for Excel, {MAX_CELLS:,} are possible here: {_ELSE}"
        )


def workbook(schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, keep_formulas: bool) -> Iterator[bytes]:
    """The workbook in pieces. Names and texts that look like formulas are marked as text, unless `keep_formulas`."""
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in _PARTS.items():
            archive.writestr(zipfile.ZipInfo(name), _HEAD + text, zipfile.ZIP_DEFLATED)
        sheet = zipfile.ZipInfo("xl/worksheets/sheet1.xml")
        sheet.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(sheet, "w") as part:
            for text in _sheet(schema, batches, keep_formulas=keep_formulas):
                part.write(text.encode())
                yield sink.take()
    yield sink.take()


def _sheet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, keep_formulas: bool) -> Iterator[str]:
    letters = [column_letters(index) for index in range(len(schema.names))]
    names = [text_cell(f"{at}1", name, keep=keep_formulas) for at, name in zip(letters, schema.names, strict=True)]
    yield f"{_HEAD}{_SHEET_HEAD}{_row(1, names)}"
    row = 2
    for batch in batches:
        made = [cells(at, row, column, keep=keep_formulas) for at, column in zip(letters, batch.columns, strict=True)]
        yield "".join([_row(row + index, found) for index, found in enumerate(zip(*made, strict=True))])
        row += batch.num_rows
    yield _SHEET_END


def _row(number: int, made: Sequence[str]) -> str:
    return f'<row r="{number}">{"".join(made)}</row>'
