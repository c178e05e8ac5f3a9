"""Packages of Debian and Ubuntu, without the services that they would start."""

import os
from pathlib import Path

from scripts.real_servers.folders import locked
from scripts.real_servers.problem import Problem
from scripts.real_servers.tool import need, run

# Where this file is there and forbids it, apt starts no service that it has installed.
POLICY = Path("/usr/sbin/policy-rc.d")
CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")


def apt_install(*packages: str, log: Path) -> None:
    """Installs `packages`; Problem with the command for the user where that takes rights that we do not have."""
    command = [need("apt-get", f"install {' '.join(packages)} by other means."), "install", "-y", "-q"]
    if os.getuid() != 0:
        raise Problem(f"Installing needs root: sudo apt install {' '.join(packages)}")
    with locked(log.parent / "apt.lock"):
        _no_cluster_of_its_own()
        forbidden = _forbid_services()
        try:
            _with_new_lists([*command, "--no-install-recommends", *packages], log)
        finally:
            if forbidden:
                POLICY.unlink()


def _with_new_lists(command: list[str], log: Path) -> None:
    """Tries with the package lists that are there first: to fetch new ones takes longer than the packages."""
    silent = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(command, log=log, environ=silent)
    except Problem:
        run(["apt-get", "update", "-q"], log=log)
        run(command, log=log, environ=silent)


def _forbid_services() -> bool:
    if POLICY.exists():
        return False
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    return True


def _no_cluster_of_its_own() -> None:
    """The package of PostgreSQL would make a database and start it; a file that is there is the administrator's."""
    if not CLUSTERS.exists():
        CLUSTERS.parent.mkdir(parents=True, exist_ok=True)
        CLUSTERS.write_text("create_main_cluster = false\n")
