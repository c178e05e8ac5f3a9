"""Parts of the server that a command uses: they lie beside the package, and need libraries that not everybody installs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from plugmesh.errors import ConfigurationError
from plugmesh.server_path import server_path


@contextmanager
def server_part(doing: str) -> Iterator[None]:
    """Inside, `scheduler`, `registry` and `gateway` can be imported. Raises `ConfigurationError`, which says what cannot be
    done (`doing`: "data is scrubbed"), where a library is missing."""
    if (place := str(server_path())) not in sys.path:
        sys.path.insert(0, place)
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"{doing} with the server's libraries, and one is missing ({error.name}): pip install 'plugmesh[server,cli]'"
        ) from error
