"""Put the server folders into the wheel, inside ``plugmesh/_server``.

In the repository they are top-level folders with plain names. Installed that way, ``scheduler`` or ``modules``
would clash with other packages and with an author's own files. An editable install (version "editable") sees
the repository itself, so only a standard wheel is changed.
"""

from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SERVER_FOLDERS = ("registry", "scheduler", "gateway", "modules")


class ServerFolders(BuildHookInterface[BuilderConfig]):
    """Adds each server folder as ``plugmesh/_server/<folder>`` to a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            for folder in SERVER_FOLDERS:
                build_data["force_include"][folder] = f"plugmesh/_server/{folder}"
