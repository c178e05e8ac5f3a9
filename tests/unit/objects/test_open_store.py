import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from plugmesh.errors import ConfigurationError
from plugmesh.objects.local import LocalStore
from plugmesh.objects.open import open_store
from plugmesh.runtime import SystemRuntime


def test_file_url_opens_a_local_store(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/with%20space?keep_free_bytes=0", SystemRuntime())
    assert isinstance(store, LocalStore)
    assert (tmp_path / "with space" / "objects").is_dir()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:relative", "file:///absolute"),
        ("file://relative/folder", "file:///absolute"),
        ("file:///a?keep_fre=1", "unknown option 'keep_fre'; known are keep_free_bytes, pool_bytes, durable"),
        ("file:///a?durable=yes", "must be true or false"),
        ("file:///a?keep_free_bytes=-1", "whole number of bytes"),
        ("file:///a?pool_bytes=much", "pool_bytes='much' must be a whole number of bytes"),
        ("ftp://host/a", "no driver for 'ftp'; known are file://"),
        ("/a", "no driver for 'no scheme'"),
    ],
)
def test_wrong_url_says_what_to_write(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_store(url, SystemRuntime())


def test_another_package_adds_a_driver_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def driver(url: str, runtime: Any) -> LocalStore:
        opened.append((url, runtime))
        return LocalStore(tmp_path)

    point = importlib.metadata.EntryPoint("mem", "anything:driver", "plugmesh.objects")
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: driver)
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda group: importlib.metadata.EntryPoints([point] if "objects" in group else []),
    )
    opened: list[tuple[str, Any]] = []
    runtime = SystemRuntime()
    assert isinstance(open_store("mem://x", runtime), LocalStore)
    assert opened == [("mem://x", runtime)]
    with pytest.raises(ConfigurationError, match=r"known are file://, .*mem://"):
        open_store("memory://x", runtime)
