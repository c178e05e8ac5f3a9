"""Some servers refuse to run as root."""

import os
import subprocess
from functools import cache

from scripts.real_servers.problem import Problem

# A user namespace in which root is somebody else: no user is made, and files of a private home folder stay readable.
_SOMEBODY_ELSE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


@cache
def not_root() -> tuple[str, ...]:
    """What to put before a command so that it does not see itself as root: nothing where it is not.

    Raises Problem where root may not make user namespaces.
    """
    if os.getuid() != 0:
        return ()
    if subprocess.run([*_SOMEBODY_ELSE, "true"], capture_output=True, check=False).returncode:
        raise Problem(
            "PostgreSQL and MariaDB refuse to run as root, and this machine allows no user namespaces (unshare --user).\n"
            "Run scripts/servers as another user."
        )
    return _SOMEBODY_ELSE
