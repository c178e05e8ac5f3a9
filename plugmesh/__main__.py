"""`python -m plugmesh` is the `plugmesh` command."""

import sys

try:
    from plugmesh.cli.main import main

    main()
except KeyboardInterrupt:  # before the command itself expects it
    sys.exit(130)
