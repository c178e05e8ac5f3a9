"""Servers that are built from source with Go, because that is the only place they come from."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from scripts.real_servers.folders import Folders, locked, locked_if_free
from scripts.real_servers.tool import need, run

LINKING = ("-ldflags", "-s -w")  # no debugging symbols: a third less to keep


def build(folders: Folders, name: str, package: str, version: str) -> None:
    """Builds the command `package` at `version`, and puts it at `program(folders, name, version)`."""
    go = need("go", f"{name} is built from source. https://go.dev/doc/install")
    target = program(folders, name, version)
    with locked(folders.cache / "building.lock", shared=True):
        wrapper = folders.building / name
        shutil.rmtree(wrapper, ignore_errors=True)
        wrapper.mkdir(parents=True)
        environ = _environ(folders)
        log = folders.cache / "logs" / f"{name}.log"
        # A module around it, because `go install` refuses modules that replace others.
        (wrapper / "go.mod").write_text("module wrapper\n")
        run([go, "get", f"{package}@{version}"], log=log, folder=wrapper, environ=environ)
        run([go, "build", *LINKING, "-o", "program", package], log=log, folder=wrapper, environ=environ)
        target.parent.mkdir(parents=True, exist_ok=True)
        (wrapper / "program").replace(target)


def program(folders: Folders, name: str, version: str) -> Path:
    return folders.programs / f"{name}-{version}"


def built(folders: Folders, name: str, version: str) -> bool:
    return os.access(program(folders, name, version), os.X_OK)


def clear(folders: Folders) -> None:
    """Removes what the builds have left, unless one is at work: it will do so at its own end."""
    with locked_if_free(folders.cache / "building.lock") as free:
        if free:
            shutil.rmtree(folders.building, ignore_errors=True)


def _environ(folders: Folders) -> Mapping[str, str]:
    """Go's own proxy and checksum settings stay as they are; what it downloads can be removed again."""
    return {
        "GOMODCACHE": str(folders.building / "modules"),
        "GOCACHE": str(folders.building / "compiled"),
        "GOFLAGS": "-buildvcs=false -modcacherw -trimpath",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
