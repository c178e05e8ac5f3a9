"""The whole of Plugmesh in a minute, on every flight that left New York City in 2013: `./scripts/demo`.

It starts a mesh in a temporary folder, runs flows, plugs in a module that a waiting run needs, kills a module and then
the server in the middle of their work, and compares every answer with DuckDB's on the same files.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.demo.answers import FAR_AWAY, LATE_BY_CARRIER, PUNCTUALITY, Answers, Wrong
from examples.demo.flights import DataUnavailable, FlightFiles, flight_files
from examples.demo.mesh import Failed, Mesh


class Demo:
    """The story, one method a chapter."""

    def __init__(self, mesh: Mesh, files: FlightFiles) -> None:
        self._mesh = mesh
        self._files = files
        self._answers = Answers(files)
        self._results = mesh.folder / "results"

    def start_a_mesh(self) -> None:
        self._mesh.up()
        say(f"plugmesh up: a mesh answers at {self._mesh.url}, with {len(self._mesh.palette())} modules on its palette")

    def run_a_flow(self) -> None:
        say("plugmesh run late_by_carrier.yaml: the two files are uploaded, and five steps run")
        inputs = ("-i", f"flights={self._files.flights}", "-i", f"airlines={self._files.airlines}")
        shown = self._mesh.plugmesh(
            "run", str(Path(__file__).parent / "late_by_carrier.yaml"), *inputs, "--out", str(self._results / "late")
        )
        print(indented(shown.partition("\n\n")[2]))
        rows = self._answers.check(self._results / "late" / "report.parquet", LATE_BY_CARRIER)
        say(f"all {rows} rows are what DuckDB finds in the same files")

    def plug_in_a_module(self) -> None:
        run = self._mesh.submit("punctuality.yaml", "-i", "flights=@flights.csv")
        step = self._mesh.wait_for(run, "graded", "parked")
        say(f"{run} needs the module demo.grade, which nobody serves. Its step is parked:")
        print(indented(str(step["reason"])))
        begun = time.monotonic()
        self._mesh.serve("grade.py")
        say("plugmesh module serve grade.py: the mesh goes on as it is, nothing is restarted")
        self._mesh.wait_for(run, "graded", "succeeded")
        say(f"{time.monotonic() - begun:.1f} s later the module is on the palette, and the waiting step is done")
        rows = self._finish(run, "grades", PUNCTUALITY)
        say(f"the run has succeeded by itself; its {rows} rows are right")

    def kill_a_module(self) -> None:
        for _ in range(2):  # before the run: on a busy machine, a process may take longer to start than the step to end
            self._mesh.serve("patient_sum.py")
        run = self._mesh.submit("far_away.yaml", "-i", "flights=@flights.csv")
        step = self._mesh.wait_for(run, "miles", "running")
        pid = self._pid(str(step["instance"]))
        say(f"kill -9 {pid}: the process that is adding up miles is gone, in the middle of its step")
        os.kill(pid, signal.SIGKILL)
        begun = time.monotonic()
        self._mesh.until(lambda: self._mesh.step(run, "miles")["epoch"] > 1, "nobody took the step over")
        say(f"{time.monotonic() - begun:.1f} s later another process has taken the step over")
        rows = self._finish(run, "miles", FAR_AWAY, ordered=True)
        say(f"the run has succeeded; its {rows} rows are right")

    def kill_the_server(self) -> None:
        run = self._mesh.submit("far_away.yaml", "-i", "flights=@flights.csv", "-p", "seconds=5")
        self._mesh.wait_for(run, "miles", "running")
        say("kill -9 of the server, while the module works")
        self._mesh.kill_server()
        begun = time.monotonic()
        self._mesh.up()
        say(
            f"plugmesh up: {time.monotonic() - begun:.1f} s later it is back; the modules have worked on and joined again"
        )
        rows = self._finish(run, "miles", FAR_AWAY, ordered=True)
        epoch = self._mesh.step(run, "miles")["epoch"]
        tries = "the same attempt that was under way" if epoch == 1 else f"its attempt {epoch}"
        say(f"the run has succeeded with {tries}; its {rows} rows are right")

    def _finish(self, run: str, output: str, sql: str, *, ordered: bool = False) -> int:
        folder = self._results / run
        self._mesh.plugmesh("show", run, "--out", str(folder))
        return self._answers.check(folder / f"{output}.parquet", sql, ordered=ordered)

    def _pid(self, instance: str) -> int:
        return next(int(one["pid"]) for one in self._mesh.ask("instances") if one["id"] == instance)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def indented(text: str) -> str:
    return "\n".join(f"      {line}" for line in text.rstrip().splitlines())


def chapters(demo: Demo) -> Iterator[tuple[str, Callable[[], None]]]:
    yield "A mesh on this machine", demo.start_a_mesh
    yield "A flow over 336,776 flights", demo.run_a_flow
    yield "A module is plugged in while a run waits for it", demo.plug_in_a_module
    yield "A module is killed in the middle of a step", demo.kill_a_module
    yield "The server is killed in the middle of a run", demo.kill_the_server


@contextmanager
def temporary_mesh() -> Iterator[Mesh]:
    folder = Path(tempfile.mkdtemp(prefix="plugmesh-demo-"))
    mesh = Mesh(folder)
    try:
        yield mesh
    finally:
        mesh.close()
        shutil.rmtree(folder, ignore_errors=True)


def tell(files: FlightFiles) -> list[tuple[str, float]]:
    """Run all chapters; how long each took. Raises Failed, Wrong."""
    took = []
    with temporary_mesh() as mesh:
        for number, (title, chapter) in enumerate(chapters(Demo(mesh, files)), 1):
            print(f"\n{number}. {title}", flush=True)
            begun = time.monotonic()
            chapter()
            took.append((title, time.monotonic() - begun))
    return took


def main() -> int:
    argparse.ArgumentParser(prog="scripts/demo", description=__doc__).parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        print("Getting the flights (8.7 MB the first time)", flush=True)
        took = tell(flight_files())
    except (DataUnavailable, Failed, Wrong) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; everything that was started has been ended.", file=sys.stderr)
        return 130
    print("\nAll answers were right. It took")
    for title, seconds in took:
        print(f"  {seconds:5.1f} s  {title}")
    print("Everything that was started has been ended, and its folder removed. A mesh to keep: plugmesh up")
    return 0


if __name__ == "__main__":
    sys.exit(main())
