"""`python -P -m module_sdk.executor CONTROL_FD PARENT_PID`: started by a supervisor, ends with it."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import socket
import sys
import time
import traceback
from typing import TYPE_CHECKING

from module_sdk.executor.allocator import keep_freed
from module_sdk.executor.concurrent import ConcurrentExecutor, current_sink
from module_sdk.executor.descriptors import Descriptors, out_of_the_way
from module_sdk.executor.output import FileSink, Output
from module_sdk.executor.runner import Runner
from module_sdk.executor.serial import READ_BYTES, SerialExecutor
from module_sdk.family import become_subreaper, die_with_parent
from module_sdk.frames import Frame, FrameReader
from module_sdk.launch import ExecutorSetup
from plugmesh.objects.open import open_store
from plugmesh.runtime_loader import load_runtime

if TYPE_CHECKING:
    from module_sdk.executor.tracing import Tracing

LOG_FD = 1
BROKEN = 70
"""Exit code when this process cannot go on; its log says why."""


def main() -> None:
    """Run until the supervisor closes the control socket."""
    control, parent = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(control, False)  # what user code starts must not hold it open
    die_with_parent(parent)
    become_subreaper()
    connection = socket.socket(fileno=out_of_the_way(control))
    os.close(control)
    descriptors = Descriptors(LOG_FD)
    faulthandler.enable(descriptors.log, all_threads=True)
    faulthandler.register(signal.SIGUSR2, descriptors.log, all_threads=True)  # the supervisor asks where it hangs
    os.register_at_fork(after_in_child=connection.close)  # what user code forks must not speak for this process
    frames = FrameReader()
    setup, pending = _read_setup(connection, frames)
    sys.path[:0] = setup.path
    runtime = load_runtime()
    runner = Runner(setup, open_store(setup.objects, runtime), runtime)
    log = FileSink(descriptors.log)
    output = Output(lambda: current_sink.get() or log, time.time)
    output.install()
    tracing = make_tracing() if setup.traces else None
    keep_freed()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    kind = ConcurrentExecutor if setup.concurrent else SerialExecutor
    try:
        executor = kind(connection, frames, runner, output, log, descriptors, tracing, tells=setup.tells)
        executor.run(pending)
        executor.close()
    except BaseException:  # noqa: BLE001  a mistake of ours, or user code has changed what is ours
        os.write(descriptors.log, traceback.format_exc().encode(errors="replace"))
        os._exit(BROKEN)
    # Without waiting for threads or exit handlers that user code left behind.
    os._exit(0)


def make_tracing() -> Tracing:
    """Before user code asks OpenTelemetry for anything."""
    from module_sdk.executor.tracing import Tracing as Made  # noqa: PLC0415  a tenth of a second, only where it is used

    return Made()


def _read_setup(connection: socket.socket, frames: FrameReader) -> tuple[ExecutorSetup, list[Frame]]:
    """The first frame, and those that came with it."""
    while True:
        data = connection.recv(READ_BYTES)
        if not data:
            sys.exit(0)
        found = frames.feed(data)
        if found:
            return ExecutorSetup.decode(found[0][2]), found[1:]


if __name__ == "__main__":
    main()
