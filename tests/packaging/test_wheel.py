"""The wheel installs two top-level names; an author's own files with our folders' names do no harm."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

SERVER_FOLDERS = {"registry", "scheduler", "gateway", "modules"}


def run_python(python: Path, code: str, cwd: Path) -> str:
    done = subprocess.run([str(python), "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_wheel_holds_exactly_two_top_level_names(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"plugmesh", "module_sdk"}


def test_the_server_folders_lie_inside_the_wheel_whole(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    root = Path(__file__).resolve().parents[2]
    wanted = {
        f"plugmesh/_server/{path.relative_to(root)}"
        for folder in SERVER_FOLDERS
        for path in (root / folder).rglob("*.py")
    }
    assert wanted
    assert wanted <= names
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_says_that_it_is_typed_and_carries_its_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "plugmesh/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_sdist_holds_one_folder_with_what_a_build_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert {name.split("/")[0] for name in names} == {sdist.name.removesuffix(".tar.gz")}
    inside = {name.split("/", 2)[1] for name in names if "/" in name}
    assert {
        "plugmesh",
        "module_sdk",
        "hatch_build.py",
        "pyproject.toml",
        "LICENSE",
        "README.md",
    } | SERVER_FOLDERS <= inside
    assert not {".venv", ".git", ".mypy_cache"} & inside


def test_an_installed_wheel_finds_its_own_server_folders(installed: Path, author_folder: Path) -> None:
    code = (
        "import sys; from plugmesh.server_path import server_path; sys.path.insert(0, str(server_path()));"
        "import scheduler, registry, modules; print(scheduler.__file__, registry.__file__, modules.__file__, sep='\\n')"
    )
    for file in run_python(installed / "python", code, author_folder).splitlines():
        assert "plugmesh/_server/" in file


def test_an_installed_wheel_leaves_an_authors_names_alone(installed: Path, author_folder: Path) -> None:
    code = "import plugmesh, module_sdk, scheduler, modules; print(scheduler.__file__, modules.__file__, sep='\\n')"
    files = run_python(installed / "python", code, author_folder).splitlines()
    assert [Path(file).is_relative_to(author_folder) for file in files] == [True, True]


def test_in_a_checkout_the_server_folders_are_those_of_the_repository() -> None:
    from plugmesh.server_path import server_path

    assert {"pyproject.toml", *SERVER_FOLDERS} <= {path.name for path in server_path().iterdir()}
