"""A setting does something: a part of the server reads it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from plugmesh.cli.server.attempt_defaults import AttemptSettings
from plugmesh.settings.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
SERVER = ("plugmesh", "gateway", "scheduler", "registry")
OF_ATTEMPTS = sorted(name for name in Settings.model_fields if name.startswith("attempt_"))


def _read_names() -> set[str]:
    """Attributes and texts in the server's sources, besides the table of settings."""
    found: set[str] = set()
    for folder in SERVER:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name == "table.py" and path.parent.name == "settings":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    found.add(node.attr)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return found


def test_every_setting_is_read_by_a_part_of_the_server() -> None:
    assert sorted(Settings.model_fields.keys() - _read_names()) == []


@pytest.mark.parametrize("name", OF_ATTEMPTS)
def test_every_setting_of_attempts_counts_for_the_next_one(name: str) -> None:
    settings = Settings()
    defaults = AttemptSettings(settings)
    settings.change(name, 7_777)
    now = defaults()
    assert 7_777 in {now.timeout_s, *now.limits.model_dump().values()}
