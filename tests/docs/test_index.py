"""Whoever begins at the index finds every page, and no link leads nowhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def linked_from(page: Path) -> set[Path]:
    found = (link for link in _LINK.findall(page.read_text()) if "://" not in link)
    return {(page.parent / link).resolve() for link in found}


def test_the_index_names_every_page() -> None:
    named = linked_from(DOCS / "index.md")
    chapters = {page.parent for page in named if page.name == "index.md"}
    pages = [page for page in DOCS.rglob("*.md") if page.parent not in chapters and page != DOCS / "index.md"]
    missing = [str(page.relative_to(DOCS)) for page in pages if page not in named]
    assert not missing, f"add a line to docs/index.md for {', '.join(sorted(missing))}"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert [str(link) for link in linked_from(page) if not link.exists()] == []
