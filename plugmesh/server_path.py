"""Where the server folders (registry, scheduler, gateway, modules) are."""

from pathlib import Path

import plugmesh


def server_path() -> Path:
    """The folder to put first on ``sys.path`` of a server process, which runs with Python's ``-P``.

    In an installed wheel that is ``plugmesh/_server``; in a checkout, the repository root. It is found from where
    ``plugmesh`` itself lies and never by trying an import: an author's own ``scheduler.py`` must not be found.
    """
    package = Path(plugmesh.__file__).resolve().parent
    bundled = package / "_server"
    return bundled if bundled.is_dir() else package.parent
