"""What `plugmesh up` says when it is ready."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plugmesh import __version__
from plugmesh.cli.options import DEFAULT_URL

SHOWN = 12


def banner(url: str, data: Path, modules: Sequence[str], folders: Sequence[Path], tokens: Path | None = None) -> str:
    """A few lines: where the mesh is, what is on the palette, and what to do next."""
    more = f" and {len(modules) - SHOWN} more" if len(modules) > SHOWN else ""
    lines = [
        f"Plugmesh {__version__} is running at {url}",
        f"  data      {data}",
        f"  modules   {', '.join(modules[:SHOWN]) or 'none yet'}{more}",
    ]
    lines += [f"  watching  {folder}: a module file that is put there is plugged in" for folder in folders]
    if tokens is not None:
        lines.append(
            f"  tokens    asked for: `plugmesh token show --data {data}` prints yours, with --join that of modules"
        )
    if url != DEFAULT_URL:
        lines.append(f"In other terminals: export PLUGMESH_URL={url}")
    lines += [
        "Plug in a module:  plugmesh module serve FILE.py",
        "Run a flow:        plugmesh run FLOW.yaml --follow",
        "Stop:              Ctrl-C (open runs go on at the next start)",
    ]
    return "\n".join(lines)
