"""The lock holds what pyproject.toml asks for, by hash, and no address."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements" / "lock.txt").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked() -> dict[str, set[str]]:
    """Versions by package; a package may stand there once a Python version."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==(\S+)", LOCK, re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def test_every_dependency_is_locked_at_a_version_that_fits() -> None:
    wanted = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    versions = locked()
    for requirement in map(Requirement, wanted):
        if requirement.name != "plugmesh":
            fitting = versions.get(canonicalize_name(requirement.name), set())
            assert fitting, f"{requirement} is not in the lock: run scripts/lock"
            assert all(requirement.specifier.contains(version) for version in fitting), (
                f"{requirement}: run scripts/lock"
            )


def test_every_locked_package_has_a_hash() -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_address_and_no_index() -> None:
    assert not re.search(r"://|--index|--extra-index|--find-links|--trusted-host", LOCK)


def test_all_is_the_sum_of_the_other_extras() -> None:
    extras = PROJECT["optional-dependencies"]
    [everything] = map(Requirement, extras["all"])
    assert everything.extras == set(extras) - {"all", "dev"}


def test_the_image_gets_versions_and_hashes_of_the_lock() -> None:
    image = (ROOT / "requirements" / "image.txt").read_text()
    hashes = set(re.findall(r"sha256:\w+", LOCK))
    for name, version in re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==(\S+)", image, re.MULTILINE):
        assert version in locked()[canonicalize_name(name)], f"{name}: run scripts/lock"
    assert set(re.findall(r"sha256:\w+", image)) <= hashes
