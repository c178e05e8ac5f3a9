"""Which files of a folder are plugged in."""

from pathlib import Path

from plugmesh.cli.server.folder import module_files, service_name

MODULE = "from module_sdk import module\n"


def test_files_that_import_the_sdk_are_modules(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(MODULE)
    (tmp_path / "b.py").write_text("import os\nimport module_sdk as sdk\n")
    (tmp_path / "plain.py").write_text("# from module_sdk import module\nWORDS = 'import module_sdk'\n")
    (tmp_path / "_private.py").write_text(MODULE)
    (tmp_path / ".hidden.py").write_text(MODULE)
    (tmp_path / "notes.txt").write_text(MODULE)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "c.py").write_text(MODULE)
    assert [file.name for file in module_files(tmp_path)] == ["a.py", "b.py"]


def test_a_file_with_a_syntax_error_is_still_a_module_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(MODULE + "def (\n")
    assert len(module_files(tmp_path)) == 1


def test_what_is_no_text_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.py").mkdir()
    (tmp_path / "c.py").symlink_to("nowhere")
    assert module_files(tmp_path) == {}


def test_a_change_is_another_digest(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(MODULE)
    before = module_files(tmp_path)
    assert module_files(tmp_path) == before
    (tmp_path / "a.py").write_text(MODULE + "\n")
    assert module_files(tmp_path) != before


def test_a_folder_that_went_away_holds_nothing(tmp_path: Path) -> None:
    assert module_files(tmp_path / "gone") == {}


def test_files_of_the_same_name_in_two_folders_are_two_services(tmp_path: Path) -> None:
    assert service_name(tmp_path / "a" / "x.py") != service_name(tmp_path / "b" / "x.py")
    assert service_name(tmp_path / "a" / "x.py") == service_name(tmp_path / "a" / "." / "x.py")
