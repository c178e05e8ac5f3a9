"""Build contexts of third-party images: the programs of `scripts/servers`, for where their makers' images cannot be pulled."""

import os
import shutil
from pathlib import Path

from scripts.real_containers.places import Places
from scripts.real_servers import consul, golang, kafka, minio
from scripts.real_servers.folders import Folders, locked

RECIPES = Path(__file__).parent.parent.parent / "compose" / "ci"
"""A folder an image, with its Dockerfile. Those that are not named below take their program from Debian's packages."""


def stage(places: Places) -> list[str]:
    """Puts each program beside the files that make an image of it; the names of those that are not built yet."""
    folders = Folders.of(os.environ)
    programs = {
        "kafka": folders.cache / f"kafka-{kafka.VERSION}" / "jars",
        "minio": golang.program(folders, "minio", minio.VERSION),
        "consul": golang.program(folders, "consul", consul.VERSION),
    }
    with locked(places.cache / "programs.lock"):
        for recipe in sorted(RECIPES.iterdir()):
            _context(places.programs / recipe.name, recipe, programs.get(recipe.name))
    return [name for name, program in programs.items() if not program.exists()]


def _context(folder: Path, recipe: Path, program: Path | None) -> None:
    """Links instead of copies, where the file system can: the programs have hundreds of megabytes."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(recipe, folder)
    if program is None or not program.exists():
        return
    if program.is_dir():
        shutil.copytree(program, folder / "program", copy_function=_link)
    else:
        _link(str(program), str(folder / "program"))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
