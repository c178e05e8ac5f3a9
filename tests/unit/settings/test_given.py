"""Where settings are given: which place goes first, and how all mistakes are told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugmesh.settings.given import FILE_NAME, from_environment, from_file, from_options, resolve, settings_of
from plugmesh.settings.settings import SettingsInvalid


def test_the_command_line_goes_before_the_environment_before_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("rows_limit = 1000\nbacklog = 10\nstall_s = '2 m'\n")
    environment = {"PLUGMESH_ROWS_LIMIT": "2000", "PLUGMESH_BACKLOG": "20"}
    settings = settings_of(environment, None, tmp_path, {"port": 1}, ["rows-limit=3000"])
    assert (settings.rows_limit, settings.backlog, settings.stall_s, settings.port) == (3000, 20, 120, 1)
    assert settings.origin("rows_limit") == "--set rows_limit"
    assert settings.origin("backlog") == "PLUGMESH_BACKLOG"
    assert settings.origin("stall_s") == f"{tmp_path / FILE_NAME}:3"
    assert settings.origin("port") == "--port"
    assert settings.origin("slots") == "default"


def test_all_mistakes_of_all_places_are_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# mine\nrows_limt = 5\nport = 99999\n[backlog]\nx = 1\n")
    environment = {"PLUGMESH_JSON_LIMT_BYTES": "1", "PLUGMESH_SLOTS": "x", "PATH": "/bin"}
    with pytest.raises(SettingsInvalid) as caught:
        settings_of(environment, file, tmp_path, {"drain_s": "soon"}, ["stal_s=1", "nonsense"])
    found = caught.value.problems
    assert [problem.split(": ")[0] for problem in found] == [
        f"{file}:2",
        "PLUGMESH_JSON_LIMT_BYTES",
        "--set stal_s",
        "--set nonsense",
        f"{file}:3",
        "PLUGMESH_SLOTS",
        "--drain-s",
        f"{file}:4",
    ]
    text = str(caught.value)
    for hint in ("'rows_limit'", "'PLUGMESH_JSON_LIMIT_BYTES'", "'stall_s'", "NAME=VALUE", "65535", "'x'", "'soon'"):
        assert hint in text


def test_variables_of_other_tools_are_not_ours_and_ours_that_are_no_settings_are_known() -> None:
    environment = {
        "PLUGMESH_URL": "x",
        "PLUGMESH_TOKEN": "x",
        "PLUGMESH_TEST_FAMILY": "x",
        "PLUGMESH": "x",
        "HOME": "/",
    }
    layer = from_environment(environment)
    assert (layer.given, layer.problems) == ([], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [("rows_limit =\n", ":1:13: "), ("a = 1\na = 2\n", ":2:6: "), ("= 1", ":1:1: ")],
)
def test_a_file_that_is_no_toml_is_told_with_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    assert f"{file}{said}" in from_file(file, required=True).problems[0]


def test_a_file_that_was_named_must_be_there_and_one_in_the_data_folder_need_not(tmp_path: Path) -> None:
    assert "no such file" in from_file(tmp_path / "x", required=True).problems[0]
    assert from_file(tmp_path / "x", required=False).problems == []
    with pytest.raises(SettingsInvalid, match="no such file"):
        settings_of({"PLUGMESH_SETTINGS": str(tmp_path / "y.toml")}, None, tmp_path, {})
    (tmp_path / "folder").mkdir()
    assert "cannot be read" in from_file(tmp_path / "folder", required=True).problems[0]
    (tmp_path / "file").touch()
    assert from_file(tmp_path / "file/plugmesh.toml", required=False).problems == []
    (tmp_path / "latin").write_bytes(b"host = '\xe9'")
    assert "cannot be read" in from_file(tmp_path / "latin", required=True).problems[0]


def test_the_same_value_given_twice_counts_once_in_the_last_place() -> None:
    settings = resolve((from_options({"port": 1}), from_options({"port": 2})))
    assert (settings.port, settings.origin("port")) == (2, "--port")
