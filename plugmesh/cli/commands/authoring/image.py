"""`plugmesh module image`: a container image of a module's file, on top of Plugmesh's own."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from plugmesh import __version__
from plugmesh.cli.commands.authoring.needs import Installed, Needs, named, needs_of, normalized
from plugmesh.errors import ConfigurationError, NotFound

BASE = f"plugmesh:{__version__}"
ENGINES = ("docker", "podman")
REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile and what it copies: `files` lie in one folder, `requirements` anywhere."""

    files: tuple[Path, ...]
    requirements: Path | None
    packages: tuple[str, ...]
    base: str

    def text(self) -> str:
        """The Dockerfile. Packages come first: they change less often than the module."""
        lines = [f"FROM {self.base}"]
        install = "pip install --no-cache-dir"
        if self.requirements is not None:
            lines += ["USER root", f"COPY {REQUIREMENTS} /module/", f"RUN {install} -r /module/{REQUIREMENTS}"]
        elif self.packages:
            lines += ["USER root", f"RUN {install} {' '.join(self.packages)}"]
        if len(lines) > 1:
            lines.append("USER 10001:10001")
        lines += [_copied(path) for path in self.files]
        lines.append(f"CMD {json.dumps(['module', 'serve', f'/module/{self.files[0].name}'])}")
        return "\n".join(lines) + "\n"

    def lay_out(self, folder: Path) -> None:
        """Everything that is built from, in one folder."""
        (folder / "Dockerfile").write_text(self.text())
        for path in self.files:
            if path.is_dir():
                shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, folder / path.name)
        if self.requirements is not None:
            shutil.copy(self.requirements, folder / REQUIREMENTS)


def recipe_of(file: Path, *, requirements: Path | None, base: str) -> Recipe:
    """What an image of the file is made of. Packages are those of `requirements`, by default those of the file
    `requirements.txt` beside it, else those that it imports, in the versions that are installed here.

    Raises `NotFound`, and `ConfigurationError` that tells what is missing.
    """
    for path in (file, *([requirements] if requirements is not None else [])):
        if not path.is_file():
            raise NotFound(f"there is no file {path}")
    given = requirements or _beside(file)
    needs = needs_of(file.absolute(), Installed.here())
    missing = _missing(file, needs, given)
    if missing:
        raise ConfigurationError("\n".join(missing))
    return Recipe(needs.files, given, () if given is not None else needs.packages, base)


def build(recipe: Recipe, tag: str) -> None:
    """Builds the image with Docker or podman. Raises `ConfigurationError` if there is none, no base image, or it fails."""
    engine = next((found for name in ENGINES if (found := shutil.which(name))), None)
    if engine is None:
        raise ConfigurationError(
            "there is neither docker nor podman on this machine: install one of them; or write the recipe with --print, and "
            "build the image elsewhere"
        )
    if subprocess.run([engine, "image", "inspect", recipe.base], capture_output=True, check=False).returncode != 0:
        raise ConfigurationError(
            f"{Path(engine).name} has no image {recipe.base}, or does not answer: build it in a checkout of Plugmesh "
            f"(docker build -t {BASE} -f compose/Dockerfile .), or name another one with --base"
        )
    with tempfile.TemporaryDirectory(prefix="plugmesh-image-") as folder:
        recipe.lay_out(Path(folder))
        if subprocess.run([engine, "build", "-t", tag, folder], stdout=sys.stderr, check=False).returncode != 0:
            raise ConfigurationError(f"{Path(engine).name} could not build {tag}: its own words stand above")


def tag_of(file: Path) -> str:
    """`plugmesh-NAME:VERSION` of the first module in the file, as far as both can be read there."""
    for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "module":
            keywords = {one.arg: one.value.value for one in node.keywords if isinstance(one.value, ast.Constant)}
            first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            name, version = str(first or keywords.get("name") or file.stem), str(keywords.get("version") or "latest")
            return f"plugmesh-{normalized(name)}:{version}"
    return f"plugmesh-{normalized(file.stem)}:latest"


def _beside(file: Path) -> Path | None:
    found = file.with_name(REQUIREMENTS)
    return found if found.is_file() else None


def _missing(file: Path, needs: Needs, requirements: Path | None) -> list[str]:
    """What must be done first, line by line."""
    if requirements is None:
        return [
            f"{file} imports {name}, and no package that is installed here provides it: install it here, or name its package "
            f"in {file.with_name(REQUIREMENTS)}"
            for name in needs.unknown
        ]
    there = named(requirements.read_text())
    return [
        f"{file} imports what {package.partition('==')[0]} provides, which {requirements} does not name: add {package} to it"
        for package in needs.packages
        if normalized(package.partition("==")[0]) not in there
    ]


def _copied(path: Path) -> str:
    return f"COPY {path.name} /module/{path.name}/" if path.is_dir() else f"COPY {path.name} /module/"
