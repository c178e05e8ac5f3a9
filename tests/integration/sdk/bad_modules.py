"""Modules that do what modules should not. Loaded by executors, never by the tests' own process."""

import atexit
import ctypes
import locale
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from module_sdk import Context, module


@module("b.fine", outputs={"out": "value"})
def fine() -> dict[str, object]:
    """What the attempt after a bad one sees of its process."""
    return {
        "pid": os.getpid(),
        "cwd": os.getcwd(),
        "umask": os.umask(os.umask(0o22)),
        "file_size": resource.getrlimit(resource.RLIMIT_FSIZE)[0],
        "variable": os.environ.get("BAD_MODULE", ""),
        "numeric": locale.setlocale(locale.LC_NUMERIC),
        "term": str(signal.getsignal(signal.SIGTERM)),
        "stdout": type(sys.stdout).__name__,
    }


@module("b.returns", outputs={"out": {"n": "int64"}})
def returns(*, what: str) -> Any:
    return {
        "none": None,
        "list": [1, 2, 3],
        "columns": pa.table({"m": [1]}),
        "types": pa.table({"n": ["text"]}),
        "object": object(),
    }[what]


@module("b.values", outputs={"out": "value"})
def values(*, what: str) -> Any:
    if what == "huge":
        return 10**5000
    if what == "nan":
        return {"mean": [1.0, float("nan")]}
    deep: Any = 1
    for _ in range(170):
        deep = [deep]
    return deep


class Unsayable(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt("not even this")


class Odd(BaseException):
    pass


@module("b.raises")
def raises(*, what: str) -> dict[str, int]:
    if what == "unsayable":
        raise Unsayable
    if what == "cause":
        raise ValueError("after it") from Unsayable()
    if what == "base":
        raise Odd("of its own kind")
    if what == "long":
        raise ValueError("x" * 10_000_000)
    if what == "halves":
        raise ValueError("half a character: \ud800")
    if what == "exit":
        sys.exit(3)
    if what == "interrupt":
        raise KeyboardInterrupt
    raise ValueError("just so")


@module("b.ends")
def ends(*, how: str) -> dict[str, int]:
    print("last words")
    if how == "exit":
        os._exit(3)
    if how == "abort":
        os.abort()
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    ctypes.string_at(0)
    return {}


@module("b.scribbles")
def scribbles(rows: pa.Table, *, how: str) -> pa.Table:
    column = rows["x"].chunk(0)
    if how == "numpy":
        column.to_numpy()[0] = 1
    buffer = column.buffers()[1]
    ctypes.memset(buffer.address, 1, buffer.size)
    return rows


@module("b.loops")
def loops(*, how: str = "spin", ctx: Context) -> dict[str, int]:
    while True:
        if how == "sleep":
            time.sleep(0.01)


@module("b.hangs", limits={"silent_s": 0.4})
def hangs() -> dict[str, int]:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()  # the line that hangs
    return {}


@module("b.busy", limits={"silent_s": 0.4}, outputs={"out": "value"})
def busy(*, how: str, ctx: Context) -> dict[str, str]:
    """Shows signs of life for longer than that."""
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        if how == "log":
            print("still here")
        elif how == "progress":
            ctx.progress(time.monotonic())
        elif how == "child":
            subprocess.run([sys.executable, "-S", "-c", "for n in range(10_000_000): pass"], check=True)
        time.sleep(0 if how == "compute" else 0.05)
    return {"how": how}


@module("b.eats", limits={"memory": "500MB"}, outputs={"out": "value"})
def eats(*, what: str, bytes: int = 1_500_000_000) -> dict[str, int]:
    if what == "python":
        kept = [bytearray(10_000_000) for _ in range(bytes // 10_000_000)]
        return {"kept": len(kept)}
    if what == "numpy":
        return {"sum": int(np.ones(bytes // 8).sum())}
    if what == "arrow":
        buffers = [pa.allocate_buffer(20_000_000) for _ in range(bytes // 20_000_000)]
        for buffer in buffers:
            np.frombuffer(buffer, dtype="uint8").fill(1)
            time.sleep(0.005)
        return {"kept": len(buffers)}
    if what == "child":
        program = "import time\nkept = []\nfor n in range(150):\n kept.append(b'x' * 10_000_000)\n time.sleep(0.01)"
        return {"code": subprocess.run([sys.executable, "-S", "-c", program], check=True).returncode}
    if what == "abort":
        os.write(2, b"memory allocation of 8589934592 bytes failed\n")
        os.abort()
    raise MemoryError


@module("b.computes", limits={"cpu_s": 0.3})
def computes() -> dict[str, int]:
    while True:
        pass


@module("b.opens", limits={"open_files": 32})
def opens() -> dict[str, int]:
    return {"opened": len([open("/dev/null") for _ in range(100)])}


_HOARD: list[Any] = []


@module("b.hoards", limits={"open_files": 64}, outputs={"out": "value"})
def hoards(*, files: int) -> dict[str, int]:
    """Opens files that stay open when it has ended."""
    _HOARD.extend(open("/dev/null") for _ in range(files))  # noqa: SIM115
    return {"kept": len(_HOARD)}


@module("b.many_maps", limits={"open_files": 40}, outputs={"out": "value"})
def many_maps(*tables: pa.Table) -> dict[str, int]:
    """Opens as many files as it may, beside what its inputs take."""
    with ExitStack() as opened:
        for _ in range(36):
            opened.enter_context(open("/dev/null"))
    return {"tables": len(tables)}


@module("b.writes", limits={"output": "1MB"}, outputs={"first": True, "second": True})
def writes(*, mib: float, ctx: Context) -> dict[str, Any]:
    with ctx.create_file("some.bin") as some:
        some.write(b"x" * 1000)
    ctx.artifact("why.txt", "because")
    return {"first": pa.table({"n": [1]}), "second": pa.table({"n": np.zeros(int(mib * 131072))})}


@module("b.artifacts")
def artifacts(*, bytes: int, ctx: Context) -> dict[str, int]:
    ctx.artifact("large.bin", b"x" * bytes)
    return {}


@module("b.reports")
def reports(*, gate: str, ctx: Context) -> pa.Table:
    """Reports, and goes on when its gate is opened."""
    ctx.progress(3, 10, "counting")
    ctx.reject(2, "odd", {"n": 1})
    ctx.artifact("report.md", "# Three")
    while not Path(gate).exists():
        time.sleep(0.01)
    return pa.table({"n": [1]})


@module("b.prints")
def prints(*, what: str) -> dict[str, int]:
    if what == "lines":
        text = ("x" * 99 + "\n") * 10_000
        for _ in range(100):
            sys.stdout.write(text)
        print("the end")
    elif what == "one":
        print("y" * 100_000_000)
        print("the end")
    elif what == "unended":
        for _ in range(20_000):
            sys.stdout.write("no newline, ")
    elif what == "raw":
        chunk = b"z" * 99 + b"\n"
        for _ in range(200):
            os.write(1, chunk * 5_000)
        print("the end")
    else:
        os.write(1, bytes(range(256)) * 100 + b"\x1e\x1e{\n\x1e\x00\xff\n")
        sys.stdout.write("\x00\x1e\ud800\n")
        print("after garbage")
    return {}


def _daemon(ignoring: bool, marker: str) -> None:
    """A double fork with a session of its own."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    if ignoring:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Path(marker).write_text(str(os.getpid()))
    while True:
        time.sleep(60)


@module("b.forks", outputs={"out": "value"})
def forks(*, how: str, marker: str, die: bool = False) -> dict[str, int]:
    pid = 0
    if how == "daemon":
        _daemon(False, marker)
    elif how == "ignoring":
        _daemon(True, marker)
    elif how == "pipes":
        pid = subprocess.Popen(["sleep", "600"], stdin=subprocess.PIPE, stdout=subprocess.PIPE).pid
        Path(marker).write_text(str(pid))
    elif how == "returns":
        pid = os.fork()  # both go on, and return
        if pid:
            Path(marker).write_text(str(pid))
    while not Path(marker).exists() or not Path(marker).read_text():
        time.sleep(0.001)
    if die:
        os._exit(5)
    return {"pid": pid}


@module("b.daemon_and_loop")
def daemon_and_loop(*, marker: str) -> dict[str, int]:
    _daemon(True, marker)
    while True:
        time.sleep(0.01)


@module("b.closes", outputs={"out": "value"})
def closes(*, most: int) -> dict[str, int]:
    os.closerange(0, most)
    return {"closed": most}


def _replace_stdout() -> None:
    sys.stdout = sys.stderr = open("/dev/null", "w")  # noqa: SIM115


def _monkeypatch() -> None:
    from module_sdk.executor.attempt import Attempt

    Attempt.encode = None  # type: ignore[assignment,method-assign]


def _raise_later() -> None:
    def late() -> None:
        time.sleep(0.05)
        raise ValueError("too late")

    threading.Thread(target=late).start()


def _never_end() -> None:
    threading.Thread(target=time.sleep, args=(600,)).start()


def _change_locale() -> None:
    locale.setlocale(locale.LC_ALL, "C")
    locale.setlocale(locale.LC_CTYPE, "C")


def _signals() -> None:
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _alarm() -> None:
    signal.signal(signal.SIGALRM, lambda *_: os._exit(9))
    signal.setitimer(signal.ITIMER_REAL, 0.02)


CHANGES: dict[str, Callable[[], object]] = {
    "cwd": lambda: os.chdir("/"),
    "umask": lambda: os.umask(0o777),
    "environment": lambda: os.environ.update(BAD_MODULE="was here"),
    "cleared": os.environ.clear,
    "locale": _change_locale,
    "signals": _signals,
    "alarm": _alarm,
    "raises_later": _raise_later,
    "never_ends": _never_end,
    "stdout": _replace_stdout,
    "closed_stdout": lambda: sys.stdout.close(),  # noqa: PLW0108  that of the attempt
    "atexit": lambda: atexit.register(time.sleep, 600),
    "logging": logging.shutdown,
    "patched": _monkeypatch,
    "excepthook": lambda: setattr(sys, "excepthook", None),
    "recursion": lambda: sys.setrecursionlimit(200),
    "file_size": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY)),
    "hard_limits": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60)),
}


@module("b.changes", outputs={"out": "value"})
def changes(*, what: str, ctx: Context) -> dict[str, str]:
    CHANGES[what]()
    return {"changed": what}


@module("b.removes", outputs={"out": "value"})
def removes(*, ctx: Context) -> dict[str, bool]:
    os.chdir(ctx.tmp)
    shutil.rmtree(ctx.tmp)
    return {"gone": not ctx.tmp.exists()}


@module("b.murders")
def murders() -> dict[str, int]:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    return {}
