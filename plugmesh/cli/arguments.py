"""Options that many commands have. Light: `plugmesh module serve` takes nothing else along."""

from __future__ import annotations

from typing import Annotated

import typer

from plugmesh.cli.options import DEFAULT_URL

Url = Annotated[str, typer.Option("--url", envvar="PLUGMESH_URL", help="Where the mesh is.", show_default=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
HERE = DEFAULT_URL
