"""`plugmesh up` has an option for each setting that is marked so, and hands all of them over."""

from __future__ import annotations

import inspect

from plugmesh.cli.commands.up import up
from plugmesh.settings.given import for_children
from plugmesh.settings.kinds import OPTION
from plugmesh.settings.settings import marks
from plugmesh.settings.table import Table

OTHERS = {"data", "settings", "assignments", "runtime"}


def test_the_options_are_the_settings_that_are_marked() -> None:
    marked = {name for name in Table.model_fields if OPTION in marks(name)}
    assert set(inspect.signature(up).parameters) == marked | OTHERS


def test_processes_with_user_code_get_neither_settings_nor_tokens() -> None:
    kept = {"PATH": "/bin", "PLUGMESH_URL": "x", "PLUGMESH_RUNTIME": "x", "PLUGMESH_TEST_FAMILY": "x"}
    others = ("PLUGMESH_TOKEN", "PLUGMESH_TOKEN_FILE", "PLUGMESH_DATA", "PLUGMESH_SETTINGS", "PLUGMESH_PORT")
    assert for_children({**kept, **dict.fromkeys(others, "secret")}) == kept
