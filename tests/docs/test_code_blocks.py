"""Every code block of README.md and docs/ does what a reader would do with it. CONTRIBUTING.md tells the rules."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.page import Page, PageError

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

RunPage = Callable[[Path], None]


@pytest.fixture
def run_page(tmp_path: Path, free_port: Callable[[], int]) -> RunPage:
    def run(path: Path) -> None:
        folder = tmp_path / "page"
        folder.mkdir()
        page = Page(path, folder, free_port())
        try:
            page.run()
        finally:
            page.close()

    return run


def pages() -> Iterator[Any]:
    """All pages; how-tos and the quickstart start a mesh each, which takes seconds: they are for the full suite."""
    for path in PAGES:
        name = str(path.relative_to(ROOT))
        slow = path.parent.name == "howto" or path.name == "quickstart.md"
        yield pytest.param(path, id=name, marks=[pytest.mark.full] if slow else [])


@pytest.mark.parametrize("path", list(pages()))
def test_the_code_blocks_of_the_page_run(path: Path, run_page: RunPage) -> None:
    run_page(path)


def test_a_page_whose_blocks_build_on_each_other_runs(run_page: RunPage, tmp_path: Path) -> None:
    run_page(
        page_of(
            tmp_path,
            "```python\n# file: shop.py\ntax = 0.2\n```",
            "```python\nfrom shop import tax\nassert tax == 0.2\n```",
            "```yaml\n# file: settings.yaml\non: carrier\n```",
            "```yaml\nflow: shop/totals\nnodes:\n  read: {module: io.read, params: {file: x.csv}}\n```",
            "```console\n$ grep -c carrier settings.yaml \\\n>   | cat\n1\n$ test -e nothing # exit 1\n```",
            "```text\nonly shown (\n```",
        )
    )


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("```python\nassert 1 == 2\n```", "page.md:2: the python block failed"),
        ("```python\n# file: broken.py\ndef (\n```", "page.md:2: the python block failed"),
        ("```yaml\na: [1\n```", "page.md:2: the yaml block is not valid"),
        ("```yaml\nflow: a/b\nnodes: 3\n```", "page.md:2: the yaml block is not valid"),
        ("```console\n$ true\n$ false\n```", "page.md:3: $ false"),
        ("```sh\ntest -e nothing\n```", "page.md:2: $ test -e nothing"),
        ("```\nls\n```", "a block of no language cannot be checked"),
        ("```perl\nls\n```", "a block of perl cannot be checked"),
    ],
)
def test_a_block_that_fails_is_named_with_its_line(
    run_page: RunPage, tmp_path: Path, block: str, complaint: str
) -> None:
    with pytest.raises(PageError) as raised:
        run_page(page_of(tmp_path, block))
    assert complaint in str(raised.value)


def test_a_fence_that_is_never_closed_is_an_error(run_page: RunPage, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 1: this fence is never closed"):
        run_page(page_of(tmp_path, "```python\nx = 1"))


def page_of(folder: Path, *blocks: str) -> Path:
    path = folder / "page.md"
    path.write_text("\n".join(blocks) + "\n")
    return path
