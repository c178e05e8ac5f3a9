"""The reference page is what the table is."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_of_the_settings_is_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "scripts" / "settings-page", "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
