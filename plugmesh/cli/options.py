"""What `plugmesh up` and `plugmesh serve` hand to the server process that they become."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

DEFAULT_PORT = 8720
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"
"""The same as `plugmesh.join.DEFAULT_URL`, which client commands do not import: it takes the bus along."""
DEFAULT_DATA = "plugmesh-data"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """One server, as its command line says: `given` are options by the name of their setting, `assignments` those of
    `--set`. `role` is what `plugmesh serve` starts (empty: all of a mesh). `runtime` is `FILE:factory` of another runtime than
    the system's, for tests."""

    data: str = DEFAULT_DATA
    settings_file: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    assignments: tuple[str, ...] = ()
    runtime: str = ""
    role: str = ""

    def encode(self) -> str:
        """As one word of a command line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> ServerOptions:
        """From what `encode` made."""
        document: dict[str, Any] = json.loads(text)
        document["assignments"] = tuple(document["assignments"])
        return cls(**document)


def become_server(
    given: Mapping[str, object],
    data: Path,
    settings: Path | None,
    assignments: Sequence[str] | None,
    runtime: str,
    *,
    role: str = "",
) -> NoReturn:
    """Replace this process by a clean server. Of `given`, options by the name of their setting, those count that are set."""
    options = ServerOptions(
        data=str(data),
        settings_file=str(settings or ""),
        given={name: value for name, value in given.items() if value is not None},
        assignments=tuple(assignments or ()),
        runtime=runtime,
        role=role,
    )
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "plugmesh.cli.server", options.encode()])  # noqa: S606  no shell
