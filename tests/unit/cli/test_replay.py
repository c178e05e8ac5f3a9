"""Which file `plugmesh replay` runs, and what it shows to be told where the objects are."""

from pathlib import Path
from typing import Any

import pytest

from plugmesh.cli.commands.authoring import replaying
from plugmesh.cli.commands.replay import find_file
from plugmesh.errors import NotFound, Unauthorized

MODULE = "from module_sdk import module\n\n\n@module(\n    'a.b', version='1.0.0')\ndef b():\n    ...\n"
SCRIPT = (
    "import shutil\nfrom module_sdk import module\nMOD = \"@module('{name}')\"\nprint('a.b')\nshutil.rmtree('data')\n"
)


def test_a_file_that_only_speaks_of_the_module_is_not_run(tmp_path: Path) -> None:
    script, wanted = tmp_path / "a.py", tmp_path / "b.py"
    script.write_text(SCRIPT)
    with pytest.raises(NotFound, match="--file"):
        find_file("a.b", [], [script])
    wanted.write_text(MODULE)
    assert find_file("a.b", [], [script, tmp_path / "none.py", wanted]) == wanted


def test_a_file_that_serves_the_module_may_name_it_in_any_way(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("NAME = 'a.b'\n")
    assert find_file("a.b", [file], []) == file


async def test_the_join_token_of_this_machine_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "join-token").write_text("j" * 40)
    (tmp_path / "join-token").chmod(0o600)
    monkeypatch.setenv("PLUGMESH_DATA", str(tmp_path))
    shown: list[str] = []

    async def refusing(*_: Any, token: Any, **__: Any) -> None:
        shown.append(token())
        raise Unauthorized("show the join token")

    monkeypatch.setattr(replaying, "join", refusing)
    with pytest.raises(Unauthorized, match="--objects URL"):
        await replaying._objects_of("http://127.0.0.1:1")
    assert shown == ["j" * 40]
