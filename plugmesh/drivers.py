"""From the scheme of a URL to the driver behind a port.

A driver of ours is a line in the table of its port's `open.py`, as `"module:callable"`, and is imported when a URL asks for
it: most need a library that not everybody installs. A driver of another package is an entry point in the group
`plugmesh.PORT` whose name is the scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from plugmesh.errors import ConfigurationError
from plugmesh.urls import hidden


def driver_of(port: str, url: str, ours: Mapping[str, str], besides: Iterable[str] = ()) -> Callable[..., Any]:
    """What opens `url` for the port, which is also the name of its setting.

    `ours` maps schemes to `"module:callable"`, `besides` are schemes that the caller opens itself. Raises
    `ConfigurationError` for a scheme without a driver, and for one whose library is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme in ours:
        return _ours(port, scheme, ours[scheme])
    from importlib.metadata import entry_points

    found = entry_points(group=f"plugmesh.{port}")
    for point in found.select(name=scheme):
        opened: Callable[..., Any] = point.load()
        return opened
    known = ", ".join(f"{name}://" for name in sorted({*ours, *besides, *found.names}))
    raise ConfigurationError(
        f"the setting `{port}` is {hidden(url)!r}: no driver for {scheme or 'no scheme'!r}; known are {known}"
    )


def _ours(port: str, scheme: str, where: str) -> Callable[..., Any]:
    module, _, name = where.partition(":")
    try:
        opened: Callable[..., Any] = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "plugmesh":
            raise
        raise ConfigurationError(
            f"the setting `{port}` begins with {scheme}://, and {error.name} is not installed: "
            f"pip install 'plugmesh[{scheme}]'"
        ) from None
    return opened
