"""PostgreSQL, of whatever version the system has."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.real_servers.debian import apt_install
from scripts.real_servers.identity import not_root
from scripts.real_servers.server import PASSWORD, USER, Server
from scripts.real_servers.tool import run

# Commits reach the system, not the disk: they outlive the server's death, and not the machine's.
FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=200")


class Postgres(Server):
    name = "postgres"
    stop_by = signal.SIGINT  # ends connections; TERM would wait for them

    def installed(self) -> bool:
        return _programs() is not None

    def install(self) -> None:
        apt_install("postgresql", log=self.folders.cache / "logs" / "postgres.log")

    def prepare(self, ports: Mapping[str, int]) -> None:
        data = self.folder / "data"
        if (data / "PG_VERSION").exists():
            return
        shutil.rmtree(data, ignore_errors=True)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        options = [
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        run([*not_root(), self._program("initdb"), "-D", str(data), *options], log=self.folder / "initdb.log")

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", *FAST)
        server = [*not_root(), self._program("postgres"), "-D", str(self.folder / "data"), "-p", str(ports["main"])]
        return [*server, *(word for setting in settings for word in ("-c", setting))]

    def ready(self) -> bool:
        asked = [self._program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port())]
        return subprocess.run(asked, check=False).returncode == 0

    def urls(self) -> Mapping[str, str]:
        return {"PLUGMESH_TEST_POSTGRES": f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port()}/postgres"}

    def _program(self, name: str) -> str:
        folder = _programs()
        assert folder is not None
        return str(folder / name)


def _programs() -> Path | None:
    """The folder with `initdb` in it: of the newest version where Debian has several, else the one on PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    found = str(versions[-1]) if versions else shutil.which("initdb")
    return Path(os.path.realpath(found)).parent if found else None


def _version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path.parent.parent.name))]
