"""Options that many commands have. Light: `plugmesh module serve` takes nothing else along."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plugmesh.cli.options import DEFAULT_URL

Url = Annotated[str, typer.Option("--url", envvar="PLUGMESH_URL", help="Where the mesh is.", show_default=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
AsLines = Annotated[bool, typer.Option("--json", help="Answer with one JSON document a line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Namespace = Annotated[str | None, typer.Option(help="In this namespace; `default` otherwise.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
StepId = Annotated[str, typer.Argument(metavar="STEP", help="The step: a node's name, or NODE.3 of a mapped node.")]
PortName = Annotated[str, typer.Argument(metavar="PORT", help="The output port.")]
TIMEOUT_MOST_S = 10 * 365 * 86_400.0
"""What a run's timeout cannot be longer than, in a flow file and over HTTP, too."""
Priority = Annotated[
    int | None, typer.Option(min=-100, max=100, help="Steps of runs with a higher one go first; the flow's otherwise.")
]
Deadline = Annotated[
    str | None, typer.Option(metavar="TIME", help="It ends then, begun or not: +2h, 2026-12-24T18:30Z, 18:30.")
]
FollowRun = Annotated[
    bool, typer.Option("--follow/--no-follow", "-f", help="Wait for its end, and show how it goes and its outputs.")
]
SaveTo = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Save the outputs to this folder; waits for the end.")
]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
HERE = DEFAULT_URL
OUT = "out"
"""The name of a module's only output port."""
