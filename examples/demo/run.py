"""The whole of Plugmesh in a minute, on every flight that left New York City in 2013: `./scripts/demo`.

It starts a mesh in a temporary folder, runs flows, plugs in a module that a waiting run needs, kills a module and then
the server in the middle of their work, and compares every answer with DuckDB's on the same files. With --distributed it
is the same on Kafka, PostgreSQL, Consul and MinIO, with two schedulers and each module in a process of its own.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from examples.demo.answers import FAR_AWAY, LATE_BY_CARRIER, PUNCTUALITY, Answers, Wrong
from examples.demo.distributed import DistributedMesh
from examples.demo.flights import DataUnavailable, FlightFiles, flight_files
from examples.demo.mesh import Failed, Mesh
from examples.demo.single import SingleMesh


class Demo:
    """The story, one method a chapter."""

    def __init__(self, mesh: Mesh, files: FlightFiles, results: Path) -> None:
        self._mesh = mesh
        self._files = files
        self._answers = Answers(files)
        self._results = results

    def start_a_mesh(self) -> None:
        say(self._mesh.up())

    def run_a_flow(self) -> None:
        say("plugmesh run late_by_carrier.yaml: the two files are uploaded, and five steps run")
        inputs = ("-i", f"flights={self._files.flights}", "-i", f"airlines={self._files.airlines}")
        shown = self._mesh.plugmesh(
            "run", str(Path(__file__).parent / "late_by_carrier.yaml"), *inputs, "--out", str(self._results)
        )
        print(indented(shown.partition("\n\n")[2]))
        rows = self._answers.check(self._results / "report.parquet", LATE_BY_CARRIER)
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
        begun, run = self._kill_in_the_middle_of_a_step(seconds=4)
        say(f"{time.monotonic() - begun:.1f} s later another process has taken the step over")
        rows = self._finish(run, "miles", FAR_AWAY, ordered=True)
        say(f"the run has succeeded; its {rows} rows are right")

    def kill_the_server(self) -> None:
        run = self._mesh.submit("far_away.yaml", "-i", "flights=@flights.csv", "-p", "seconds=5")
        self._mesh.wait_for(run, "miles", "running", "succeeded")
        say(f"{self._mesh.killing}, while the module works")
        self._mesh.kill_in_the_middle()
        begun = time.monotonic()
        how = self._mesh.come_back()
        say(how.format(seconds=f"{time.monotonic() - begun:.1f}"))
        rows = self._finish(run, "miles", FAR_AWAY, ordered=True, name="miles-again")
        epoch = self._mesh.step(run, "miles")["epoch"]
        tries = "the same attempt that was under way" if epoch == 1 else f"its attempt {epoch}"
        say(f"the run has succeeded with {tries}; its {rows} rows are right")

    def _kill_in_the_middle_of_a_step(self, seconds: int) -> tuple[float, str]:
        """When it was killed, and the run. On a busy machine the step may end before it is seen: then it gets more time."""
        run = self._mesh.submit("far_away.yaml", "-i", "flights=@flights.csv", "-p", f"seconds={seconds}")
        step = self._mesh.wait_for(run, "miles", "running", "succeeded")
        pid = self._pid(str(step["instance"]))
        if self._mesh.step(run, "miles")["state"] == "succeeded":
            return self._kill_in_the_middle_of_a_step(2 * seconds)
        say(f"kill -9 {pid}: the process that is adding up miles is gone, in the middle of its step")
        os.kill(pid, signal.SIGKILL)
        begun = time.monotonic()
        self._mesh.until(lambda: self._mesh.step(run, "miles")["epoch"] > 1, "nobody took the step over")
        return begun, run

    def _finish(self, run: str, output: str, sql: str, *, ordered: bool = False, name: str = "") -> int:
        """Its result is kept as NAME.parquet, or under the output's name."""
        folder = self._mesh.folder / run
        self._mesh.plugmesh("show", run, "--out", str(folder))
        result = (folder / f"{output}.parquet").rename(self._results / f"{name or output}.parquet")
        return self._answers.check(result, sql, ordered=ordered)

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
def temporary_mesh(kind: Callable[[Path], Mesh]) -> Iterator[Mesh]:
    folder = Path(tempfile.mkdtemp(prefix="plugmesh-demo-"))
    try:
        with closing(kind(folder)) as mesh:
            yield mesh
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tell(files: FlightFiles, kind: Callable[[Path], Mesh], results: Path | None) -> list[tuple[str, float]]:
    """Run all chapters; how long each took. Raises Failed, Wrong."""
    took = []
    with temporary_mesh(kind) as mesh:
        kept = results or mesh.folder / "results"
        kept.mkdir(parents=True, exist_ok=True)
        for number, (title, chapter) in enumerate(chapters(Demo(mesh, files, kept)), 1):
            print(f"\n{number}. {title}", flush=True)
            begun = time.monotonic()
            chapter()
            took.append((title, time.monotonic() - begun))
    return took


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    made.add_argument(
        "--distributed",
        action="store_true",
        help="on real servers, which scripts/servers installs where they are missing",
    )
    made.add_argument("--results", type=Path, metavar="FOLDER", help="keep the answers there, as Parquet files")
    return made


def main() -> int:
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        print("Getting the flights (8.7 MB the first time)", flush=True)
        took = tell(flight_files(), DistributedMesh if options.distributed else SingleMesh, options.results)
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
