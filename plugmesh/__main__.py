"""`python -m plugmesh` is the `plugmesh` command."""

from plugmesh.cli.main import main

main()
