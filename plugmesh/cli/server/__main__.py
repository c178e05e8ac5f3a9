"""The server process: `plugmesh up` and `plugmesh serve` become `python -P -m plugmesh.cli.server OPTIONS`.

It starts clean: Python's `-P` keeps the working folder off `sys.path`, and the folder with the server's own packages
is put first, so that an author's `scheduler.py` or `modules/` is never found instead.
"""

from __future__ import annotations

import gc
import sys

from plugmesh.cli.exits import ExitCode
from plugmesh.cli.options import ServerOptions
from plugmesh.server_path import server_path


def main() -> int:
    """Run one server to its end; the exit code."""
    options = ServerOptions.decode(sys.argv[1])
    sys.path.insert(0, str(server_path()))
    gc.disable()  # imports make no garbage, and looking for it is a tenth of the time that they take
    if options.role:
        from plugmesh.cli.roles.process import run_role  # noqa: PLC0415  as below

        gc.enable()
        return run_role(options)
    from plugmesh.cli.server.serving import run_server  # noqa: PLC0415  the server's packages can be found from here on

    gc.enable()
    return run_server(options)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the server looks after signals itself
        sys.exit(ExitCode.INTERRUPTED)
