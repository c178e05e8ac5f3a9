"""The reference page is what the command is."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reference" / "cli.md"
_HEADING = re.compile(r"^## `plugmesh ([a-z_ ]+?)(?: [\[A-Z{].*)?`$", re.MULTILINE)


def test_the_page_of_the_command_is_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "scripts" / "cli-page", "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_every_command_is_run_by_a_test_or_by_a_page_that_is_one() -> None:
    programs = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts" / "real_mesh").glob("*.py")]
    tests = "\n".join(path.read_text() for path in programs)
    pages = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md") if path != PAGE)
    run = {" ".join(words) for words in re.findall(r'"([a-z_]+)", (?="([a-z_]+)")', tests)}
    run |= set(re.findall(r'"([a-z_]+)"', tests))
    commands = _HEADING.findall(PAGE.read_text())
    assert len(commands) > 30
    assert [one for one in commands if one not in run and f"$ plugmesh {one}" not in pages] == []
