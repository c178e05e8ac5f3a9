"""MariaDB, of whatever version the system has."""

import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.real_servers.debian import apt_install
from scripts.real_servers.identity import not_root
from scripts.real_servers.server import PASSWORD, USER, Server
from scripts.real_servers.tool import run

# The programs of servers are not on everyone's PATH.
SYSTEM_PROGRAMS = "/usr/sbin"
FAST = (
    "--innodb-flush-log-at-trx-commit=2",  # commits reach the system, not the disk: they outlive the server's death
    "--innodb-log-file-size=16M",
    "--innodb-buffer-pool-size=64M",
)
FIRST = f"""CREATE DATABASE IF NOT EXISTS plugmesh;
CREATE USER IF NOT EXISTS {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON *.* TO {USER}@'127.0.0.1' WITH GRANT OPTION;
"""  # one statement a line: the server reads it so


class Mariadb(Server):
    name = "mariadb"

    def installed(self) -> bool:
        return _program("mariadbd") is not None and _program("mariadb-install-db") is not None

    def install(self) -> None:
        apt_install("mariadb-server-core", "mariadb-client-core", log=self.folders.cache / "logs" / "mariadb.log")

    def prepare(self, ports: Mapping[str, int]) -> None:
        data = self.folder / "data"
        (self.folder / "first.sql").write_text(FIRST)
        (self.folder / "temporary").mkdir(exist_ok=True)
        if (data / "mysql" / "global_priv.MAD").exists() and (self.folder / "made").exists():
            return
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        install = [
            *not_root(),
            str(_program("mariadb-install-db")),
            "--no-defaults",
            f"--datadir={data}",
            "--skip-test-db",
        ]
        options = ["--auth-root-authentication-method=normal", "--skip-name-resolve", "--innodb-log-file-size=16M"]
        run([*install, *options], log=self.folder / "install.log")
        (self.folder / "made").touch()

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        folder = self.folder
        places = [
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder / 'temporary'}",
            f"--pid-file={folder / 'mariadb.pid'}",
        ]
        # No socket beside the port: a path of the state folder could be longer than a socket's may be.
        network = [f"--port={ports['main']}", "--bind-address=127.0.0.1", "--socket=", "--skip-name-resolve"]
        first = [*not_root(), str(_program("mariadbd")), "--no-defaults"]
        return [*first, *places, *network, *FAST, f"--init-file={folder / 'first.sql'}", "--performance-schema=OFF"]

    def ready(self) -> bool:
        """Whether it greets: it does so only after it has read its first statements."""
        try:
            with socket.create_connection(("127.0.0.1", self.port()), 1) as connection:
                connection.settimeout(2)
                greeting = connection.recv(5)
        except OSError:
            return False
        return greeting[4:5] == b"\x0a"  # the protocol's version

    def urls(self) -> Mapping[str, str]:
        return {"PLUGMESH_TEST_MARIADB": f"mysql://{USER}:{PASSWORD}@127.0.0.1:{self.port()}/plugmesh"}


def _program(name: str) -> Path | None:
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_PROGRAMS)
    return Path(found) if found else None
