"""A data folder, or a part of it, that this user may not use: the server does not start, and says what it cannot open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from plugmesh.cli.server.mesh import RUN, data_folder
from plugmesh.errors import ConfigurationError, Conflict
from plugmesh.objects.open import open_store
from plugmesh.runtime import SystemRuntime
from plugmesh.state.database import Database
from plugmesh.token_file import TOKEN, ensure_token

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to use everything; nothing changes for who has not got it."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(mine)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Reachable for everybody, which pytest's own folders are not, and writable for nobody else than its owner."""
    with TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        made = Path(place) / "data"
        made.mkdir()
        (made / "file").write_text("no folder")
        made.chmod(0o555)
        yield made
        made.chmod(0o755)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda folder: data_folder(str(folder)), "choose another with --data"),
        (lambda folder: data_folder(str(folder / "file")), "choose another with --data"),
        (lambda folder: Database(f"sqlite:///{folder}/state.db"), "choose another one with --data"),
        (lambda folder: open_store((folder / "objects").as_uri(), SystemRuntime()), "use a folder that can be written"),
        (lambda folder: ensure_token(folder / TOKEN), "cannot be written"),
    ],
    ids=["all", "a file", "database", "objects", "token"],
)
def test_what_may_not_be_used_is_named(folder: Path, use: Callable[[Path], object], words: str) -> None:
    with as_nobody(), pytest.raises(ConfigurationError, match=words) as caught:
        use(folder)
    assert str(folder) in str(caught.value)
    assert not (folder / RUN).exists()


def test_a_folder_in_use_names_the_process_that_uses_it(tmp_path: Path) -> None:
    first = Database(f"sqlite:///{tmp_path}/state.db")
    with pytest.raises(
        Conflict, match=rf"process {os.getpid()}\): stop that one, or choose another folder with --data"
    ):
        Database(f"sqlite:///{tmp_path}/state.db")
    first.close()
    Database(f"sqlite:///{tmp_path}/state.db").close()


def test_a_new_data_folder_is_for_its_user_alone_and_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    assert data_folder(str(tmp_path / "deep" / "mesh")).stat().st_mode & 0o777 == 0o700
    (tmp_path / "mine").mkdir(mode=0o755)
    (tmp_path / "mine").chmod(0o755)
    assert data_folder(str(tmp_path / "mine")).stat().st_mode & 0o777 == 0o755
