"""Questions about dead letters, and corrected rows, that cannot be used."""

from tests.badinput.row import Row

DLQ, LETTER = "/api/v1/dlq", "run-1.clean"
LINES, CSV = "application/x-ndjson", "text/csv"
_INVALID = "request-invalid"


def rows(title: str, body: str | bytes, says: str, kind: str = LINES, shown: str = "") -> Row:
    """Rows in the place of those of a letter that has `order` (int64) and `name` (string)."""
    said = f"the corrected rows cannot be used: {says}"
    return Row(title, body, said, _INVALID, 422, "PUT", f"{DLQ}/{LETTER}/rows", kind, shown=shown)


LETTERS = (
    Row(
        "dead letters in a state that there is not",
        "",
        "'lost' is no state of a dead letter: there are open, redriven, discarded",
        "bad-request",
        400,
        method="GET",
        path=f"{DLQ}?state=lost",
    ),
    Row(
        "a dead letter that is not there",
        "",
        "there is no dead letter 'run-1.none': `plugmesh dlq ls` or GET /api/v1/dlq lists them",
        "not-found",
        404,
        path=f"{DLQ}/run-1.none/redrive",
    ),
    Row(
        "a redrive to another flow",
        '{"flow": "f"}',
        "the request is invalid: flow: there is no such field (there are port)",
        _INVALID,
        422,
        path=f"{DLQ}/{LETTER}/redrive",
    ),
    Row(
        "corrected rows of no kind",
        "a;b",
        "send the body as application/x-ndjson or text/csv, not as application/json",
        "unsupported-media-type",
        415,
        method="PUT",
        path=f"{DLQ}/{LETTER}/rows",
    ),
    rows("no corrected rows", " \n", "1: there are no rows: to give the letter up, discard it"),
    rows("corrected rows that are a list", '[{"order": 1}]', "1: each line is one JSON object, by the names of the columns"),
    rows("a corrected row that is cut off", '{"order": 1}\n{"order"', "2:9: this is no JSON: Expecting ':' delimiter"),
    rows("text for a number", '{"order": "7"}', '1:order: "7" is not a whole number: the column is int64'),
    rows(
        "a number that is too large",
        '{"order": 99999999999999999999}',
        "1:order: 99999999999999999999 is not a value that fits: the column is int64",
    ),
    rows("a number for text", '{"name": 7}', "1:name: 7 is not a text: the column is string"),
    rows(
        "a column that the rows have not",
        '{"ordr": 7}',
        "1:ordr: the letter has no column 'ordr' (did you mean 'order'?)",
    ),
    rows(
        "several mistakes in corrected rows",
        '{"order": true}\n{"name": []}',
        "1:order: true is not a whole number: the column is int64 (and 1 more)",
    ),
    rows("corrected rows in Latin-1", b'{"name": "caf\xe9"}', "1: this is no UTF-8 text"),
    rows("corrected rows nested 100,000 deep", "[" * 100_000, "1: this is nested too deep", shown="100,000 opening brackets"),
    rows("a line of CSV with too many values", "order,name\n1,x,y\n", "2: the line has 3 values, the header 2", CSV),
    rows("a quote that is never closed", 'order,name\n1,"x\n', "2: this is no CSV: unexpected end of data", CSV),
    rows("a column of CSV twice", "order,order\n1,2\n", "1:order: the column is there twice", CSV),
    rows("text for a number, in CSV", "order\nseven\n", '2:order: "seven" is not a number: the column is int64', CSV),
)  # fmt: skip
