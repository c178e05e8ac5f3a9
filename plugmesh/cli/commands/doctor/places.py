"""Where a mesh has its rows and objects, if that is not in its data folder."""

from __future__ import annotations

import os
from pathlib import Path

from plugmesh.errors import ConfigurationError


def places_of(data: Path) -> tuple[str, str] | None:
    """The URLs of rows and objects, if the settings of the data folder or the environment name any. Raises
    `ConfigurationError`."""
    from plugmesh.cli.roles.places import objects_url, state_url  # noqa: PLC0415  takes the bus along
    from plugmesh.settings.given import settings_of  # noqa: PLC0415  most commands need no settings
    from plugmesh.settings.settings import SettingsInvalid  # noqa: PLC0415  as above

    try:
        known = settings_of(os.environ, None, data, {})
    except SettingsInvalid as error:
        raise ConfigurationError(str(error)) from None
    return (state_url(data, known), objects_url(data, known)) if known.state or known.objects else None
