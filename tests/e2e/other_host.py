"""A second host on this machine: a network, a name and a view of the disk of its own."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

NAME = "other-host"
_HIDE = 'hostname "$1"; mount -t tmpfs none "$2"; shift 2; exec "$@"'
"""Run in namespaces of its own: another name, and nothing where the data is."""


class OtherHost:
    """Reaches this one at `gateway`, and cannot be reached from it but by what it has dialled."""

    def __init__(self, space: str, gateway: str) -> None:
        self.space = space
        self.gateway = gateway

    def command(self, hidden: Path, *command: str) -> list[str]:
        """The command line that runs `command` there, where the folder `hidden` is empty."""
        inside = ["unshare", "--uts", "--mount", "sh", "-ec", _HIDE, "sh", NAME, str(hidden), *command]
        return ["ip", "netns", "exec", self.space, *inside]

    def start(self, hidden: Path, file: Path, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Start an author's file there, with a bare environment and a folder of its own."""
        bare = {"PATH": os.environ["PATH"], "HOME": str(file.parent), "TMPDIR": str(file.parent), **environment}
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command(hidden, sys.executable, str(file)), cwd=file.parent, env=bare,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip


@contextmanager
def other_host(number: int) -> Iterator[OtherHost]:
    """Make one; `number` (0 to 8191) keeps its network apart from others'. Where this user may not, the test is skipped, and
    with CI=true it fails."""
    network = list(ipaddress.ip_network(f"198.18.{number // 64}.{number % 64 * 4}/30").hosts())
    space, ours, theirs = f"pm-far-{number}", f"pm-a-{number}", f"pm-b-{number}"
    if shutil.which("ip") is None or shutil.which("unshare") is None or os.geteuid():
        _missing("a second host needs root, ip (iproute2) and unshare (util-linux)")
    try:
        _do("ip", "netns", "add", space)
    except subprocess.CalledProcessError as error:
        _missing(f"no network namespace can be made here: {error.stderr.strip()}")
    try:
        _do("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", space)
        _do("ip", "addr", "add", f"{network[0]}/30", "dev", ours)
        _do("ip", "link", "set", ours, "up")
        _do("ip", "-n", space, "addr", "add", f"{network[1]}/30", "dev", theirs)
        _do("ip", "-n", space, "link", "set", theirs, "up")
        _do("ip", "-n", space, "link", "set", "lo", "up")
        yield OtherHost(space, str(network[0]))
    finally:
        _do("ip", "netns", "del", space)


def _missing(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why} (CI=true: a missing second host is a failure)", pytrace=False)
    pytest.skip(why)


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
