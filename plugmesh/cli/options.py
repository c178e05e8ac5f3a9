"""What `plugmesh up` hands to the server process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

DEFAULT_PORT = 8720
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"
"""The same as `plugmesh.join.DEFAULT_URL`, which client commands do not import: it takes the bus along."""
DEFAULT_DRAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """One server. `runtime` is `FILE:factory` of another runtime than the system's, for tests."""

    host: str
    port: int
    data: str
    modules: tuple[str, ...] = ()
    slots: int = 1
    synchronous: str = "full"
    builtins: bool = True
    drain_s: float = DEFAULT_DRAIN_S
    log_level: str = "warning"
    json_logs: bool = False
    runtime: str = ""

    def encode(self) -> str:
        """As one word of a command line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> ServerOptions:
        """From what `encode` made."""
        document: dict[str, Any] = json.loads(text)
        document["modules"] = tuple(document["modules"])
        return cls(**document)
