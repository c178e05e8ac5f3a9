"""What an executor's allocator keeps, in a process of its own: that it is set cannot be taken back."""

import os
import subprocess
import sys

_BYTES = 64 * 1024 * 1024
_BEGIN = f"""
import ctypes, resource
from pathlib import Path
from module_sdk.executor.allocator import give_back, keep_freed
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def used():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t({_BYTES})))
    ctypes.memset(block, 1, {_BYTES})
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
"""


def _said(code: str, **more: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = (sys.executable, "-c", _BEGIN + code)
    done = subprocess.run(command, env=environment | more, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_large_block_that_was_freed_needs_no_new_pages_the_next_time() -> None:
    first, second = map(int, _said("keep_freed(); print(used(), used())"))
    assert second < first / 10


def test_what_is_kept_can_be_given_back() -> None:
    kept, left = map(int, _said("keep_freed(); used(); print(resident()); give_back(0); print(resident())"))
    assert kept - left > _BYTES * 0.9


def test_whoever_starts_the_process_may_say_how_its_allocator_works() -> None:
    assert _said("print(keep_freed())", MALLOC_ARENA_MAX="2") == ["False"]
