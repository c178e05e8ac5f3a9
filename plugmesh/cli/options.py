"""What `plugmesh up` hands to the server process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

DEFAULT_PORT = 8720
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"
"""The same as `plugmesh.join.DEFAULT_URL`, which client commands do not import: it takes the bus along."""
DEFAULT_DATA = "plugmesh-data"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """One server, as its command line says: `given` are options by the name of their setting, `assignments` those of
    `--set`. `runtime` is `FILE:factory` of another runtime than the system's, for tests."""

    data: str = DEFAULT_DATA
    settings_file: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    assignments: tuple[str, ...] = ()
    runtime: str = ""

    def encode(self) -> str:
        """As one word of a command line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> ServerOptions:
        """From what `encode` made."""
        document: dict[str, Any] = json.loads(text)
        document["assignments"] = tuple(document["assignments"])
        return cls(**document)
