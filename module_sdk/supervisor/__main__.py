"""`python -P -m module_sdk.supervisor LAUNCH_FD`: what `serve()` becomes."""

from __future__ import annotations

import sys

HURRIED = 130
"""Exit code after a Ctrl-C that nobody looks after yet."""

if __name__ == "__main__":
    try:
        from module_sdk.supervisor.wiring import main  # takes most of the time that a start takes

        main()
    except KeyboardInterrupt:
        sys.exit(HURRIED)
