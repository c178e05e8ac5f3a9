"""What a module's file needs to run in a container, read from the file."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from plugmesh.cli.commands.authoring import image
from plugmesh.cli.commands.authoring.image import BASE, Recipe, recipe_of, tag_of
from plugmesh.cli.commands.authoring.needs import Installed, named, needs_of
from plugmesh.errors import ConfigurationError, NotFound

HERE = {"pandas": ["pandas"], "pyarrow": ["pyarrow"], "yaml": ["PyYAML"], "ghost": ["ghost"]}
VERSIONS = {"pandas": "3.1.1", "pyarrow": "26.0.1", "PyYAML": "6.0.3"}


def _version(package: str) -> str:
    if package not in VERSIONS:
        raise PackageNotFoundError(package)
    return VERSIONS[package]


INSTALLED = Installed(HERE, {"pyarrow"}, _version)


def _file(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_packages_come_in_the_versions_that_are_installed_here(tmp_path: Path) -> None:
    file = _file(tmp_path, "import json, pandas\nfrom yaml import safe_load\n")
    assert needs_of(file, INSTALLED).packages == ("PyYAML==6.0.3", "pandas==3.1.1")


def test_what_the_image_has_is_not_asked_for(tmp_path: Path) -> None:
    file = _file(tmp_path, "import pyarrow.compute as pc\nfrom module_sdk import module\nimport plugmesh\n")
    assert needs_of(file, INSTALLED).packages == ()


def test_files_and_packages_beside_it_come_with_what_they_need_themselves(tmp_path: Path) -> None:
    file = _file(tmp_path, "import near\n")
    near = _file(tmp_path, "import inner.deep\n", "near.py")
    _file(tmp_path, "", "inner/__init__.py")
    _file(tmp_path, "import pandas\n", "inner/deep.py")
    needs = needs_of(file, INSTALLED)
    assert needs.files == (file, near, tmp_path / "inner")
    assert needs.packages == ("pandas==3.1.1",)


def test_files_that_import_each_other_are_read_once(tmp_path: Path) -> None:
    file = _file(tmp_path, "import near\n")
    near = _file(tmp_path, "import mine\n", "near.py")
    assert needs_of(file, INSTALLED).files == (file, near)


@pytest.mark.parametrize("name", ["nowhere", "ghost"])
def test_a_name_that_nothing_here_provides_is_told(tmp_path: Path, name: str) -> None:
    assert needs_of(_file(tmp_path, f"import {name}\n"), INSTALLED).unknown == (name,)


def test_an_import_that_the_file_can_do_without_may_be_missing(tmp_path: Path) -> None:
    file = _file(tmp_path, "try:\n    import nowhere\nexcept ImportError:\n    nowhere = None\n")
    assert needs_of(file, INSTALLED).unknown == ()


def test_a_file_that_is_no_python_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"mine\.py cannot be read as Python"):
        needs_of(_file(tmp_path, "def"), INSTALLED)


def test_requirements_are_read_by_name() -> None:
    text = "# what it needs\nPyYAML==6.0.3\npandas[parquet]>=3 ; python_version > '3'\n\n-r more.txt\n"
    assert named(text) == {"pyyaml", "pandas"}


def test_a_recipe_installs_packages_before_it_copies_the_module() -> None:
    text = Recipe((Path("/a/mine.py"), Path("/a/near.py")), None, ("pandas==3.1.1",), BASE).text()
    assert text.splitlines() == [
        f"FROM {BASE}",
        "USER root",
        "RUN pip install --no-cache-dir pandas==3.1.1",
        "USER 10001:10001",
        "COPY mine.py /module/",
        "COPY near.py /module/",
        'CMD ["module", "serve", "/module/mine.py"]',
    ]


def test_a_requirements_file_beside_the_module_is_used(tmp_path: Path) -> None:
    _file(tmp_path, "pandas==3.0.0\n", "requirements.txt")
    recipe = recipe_of(_file(tmp_path, "import pandas\n"), requirements=None, base=BASE)
    assert recipe.requirements == tmp_path / "requirements.txt"
    assert "RUN pip install --no-cache-dir -r /module/requirements.txt" in recipe.text()


def test_what_requirements_do_not_name_is_told(tmp_path: Path) -> None:
    _file(tmp_path, "polars\n", "requirements.txt")
    with pytest.raises(ConfigurationError, match=r"imports what pandas provides, which .* does not name: add pandas=="):
        recipe_of(_file(tmp_path, "import pandas\n"), requirements=None, base=BASE)


def test_an_unknown_import_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"imports nowhere, and no package .*requirements\.txt"):
        recipe_of(_file(tmp_path, "import nowhere\n"), requirements=None, base=BASE)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        recipe_of(tmp_path / "gone.py", requirements=None, base=BASE)


def test_everything_that_is_copied_lies_beside_the_dockerfile(tmp_path: Path) -> None:
    file = _file(tmp_path, "import inner\n")
    _file(tmp_path, "", "inner/__init__.py")
    recipe = recipe_of(file, requirements=_file(tmp_path, "", "other.txt"), base=BASE)
    context = tmp_path / "context"
    context.mkdir()
    recipe.lay_out(context)
    found = {str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()}
    assert found == {"Dockerfile", "mine.py", "inner/__init__.py", "requirements.txt"}


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ('@module("shop.price_total", version="1.2.0")\ndef f(): ...\n', "plugmesh-shop-price-total:1.2.0"),
        ('@module("shop.total")\ndef f(): ...\n', "plugmesh-shop-total:latest"),
        ("x = 1\n", "plugmesh-mine:latest"),
    ],
)
def test_an_image_is_named_after_its_first_module(tmp_path: Path, text: str, tag: str) -> None:
    assert tag_of(_file(tmp_path, text)) == tag


def test_without_an_engine_it_says_what_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    recipe = recipe_of(_file(tmp_path, "import json\n"), requirements=None, base=BASE)
    with pytest.raises(ConfigurationError, match=r"neither docker nor podman .* --print"):
        image.build(recipe, "mine:1")


def test_without_plugmeshs_own_image_it_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = _file(tmp_path, "#!/bin/sh\nexit 1\n", "docker")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    recipe = recipe_of(_file(tmp_path, "import json\n"), requirements=None, base=BASE)
    with pytest.raises(ConfigurationError, match=r"docker has no image plugmesh:.* -f compose/Dockerfile"):
        image.build(recipe, "mine:1")
