"""The page of bad input is the table that the tests send."""

from pathlib import Path

from tests.badinput.page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "bad-input.md"


def test_the_page_is_made_from_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run scripts/bad-input-page"
