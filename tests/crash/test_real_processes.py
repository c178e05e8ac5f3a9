"""Real processes that end themselves by `kill -9` at every point that their work passes; the others go on, and all of it
ends as it must.

One flow, with a chain, a map and a sink in it, is run, and run again; beside it a row is rejected, corrected and redriven.
All points share one mesh: it has to survive them one after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugmesh.runtime_loader import VARIABLE as RUNTIME
from scripts.real_servers.ports import is_free
from tests.crash import stories
from tests.crash.killing_runtime import VARIABLE as TRAP
from tests.crash.stories import Story
from tests.crash.trapped import WITHIN_S, TrappedMesh
from tests.waiting import wait_until_sync

Point = tuple[str, str, int, Story]
"""Role, name, at which time it is passed, and what is done so that it is passed."""
QUICK: list[Point] = [
    ("server", "state.commit.before_commit", 1, stories.finish),
    ("supervisor", "supervisor.after-publish", 1, stories.finish),
    ("executor", "objects.commit.after_rename", 1, stories.finish),
]
_OFTEN = {
    "server": (
        "state.commit.before_commit", "state.commit.after_commit",
        "engine.effects.before", "engine.effects.between", "engine.effects.after",
    ),
    "supervisor": ("supervisor.before-publish", "supervisor.after-publish"),
    "executor": ("objects.commit.before_rename", "objects.commit.after_rename"),
}  # fmt: skip
_ONCE: dict[str, dict[str, Story]] = {
    "server": {
        "state.renew.before_commit": stories.finish,
        "state.renew.after_commit": stories.finish,
        "notify.called": stories.finish,
        "state.permits.before_commit": stories.finish,
        "state.permits.after_commit": stories.finish,
        "state.borrow.before_commit": stories.rerun,
        "state.borrow.after_commit": stories.rerun,
        "state.give_back.before_commit": stories.redrive,
        "state.give_back.after_commit": stories.redrive,
        "state.letter_edit.before_commit": stories.redrive,
        "state.letter_edit.after_commit": stories.redrive,
        "state.letter_redrive.before_commit": stories.redrive,
        "state.letter_redrive.after_commit": stories.redrive,
        "state.letter_redriven.before_commit": stories.redrive,
        "state.letter_redriven.after_commit": stories.redrive,
        "state.module_switch.before_commit": stories.switch,
        "state.module_switch.after_commit": stories.switch,
        "state.notification.before_commit": stories.finish,
        "state.notification.after_commit": stories.finish,
        "gateway.upload.before_commit": stories.upload,
        "gateway.upload.after_commit": stories.upload,
        "objects.commit.before_rename": stories.upload,
        "objects.commit.after_rename": stories.upload,
        "state.file.before_commit": stories.upload,
        "state.file.after_commit": stories.upload,
        "state.contract.before_commit": stories.plug_in,
        "state.contract.after_commit": stories.plug_in,
        "state.mesh.before_commit": stories.restart_server,
        "state.mesh.after_commit": stories.restart_server,
        "state.acquire.before_commit": stories.restart_server,
        "state.acquire.after_commit": stories.restart_server,
        "state.release.before_commit": stories.stop_server,
        "state.release.after_commit": stories.stop_server,
    },
    "supervisor": {
        "supervisor.registered": stories.restart_module,
        "objects.commit.before_rename": stories.plug_in,
        "objects.commit.after_rename": stories.plug_in,
    },
}
FULL: list[Point] = [
    *((role, point, nth, stories.finish) for role, points in _OFTEN.items() for point in points for nth in (1, 3)),
    *((role, point, 1, story) for role, points in _ONCE.items() for point, story in points.items()),
]

STORIES: list[Story] = [
    stories.rerun, stories.cancel, stories.redrive, stories.switch, stories.upload, stories.plug_in,
    stories.stop_server, stories.restart_module,
]  # fmt: skip


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory, _ports: Iterator[int]) -> Iterator[TrappedMesh]:
    folder = tmp_path_factory.mktemp("trapped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNTIME, f"{Path(__file__).with_name('killing_runtime.py')}:make")
        patch.setenv(TRAP, str(folder / "trap"))
        trapped = TrappedMesh(folder, next(port for port in _ports if is_free(port)))
    trapped.up()
    yield trapped
    stories.finish(trapped)
    trapped.mesh.close()  # checks the invariants


@pytest.mark.parametrize(
    ("role", "point", "nth", "story"),
    QUICK + [pytest.param(*point, marks=pytest.mark.full) for point in FULL if point not in QUICK],
)
def test_all_ends_right_although_a_process_kills_itself(
    trapped: TrappedMesh, role: str, point: str, nth: int, story: Story
) -> None:
    trapped.look_after()
    trapped.arm(role, point, nth)
    story(trapped)
    wait_until_sync(trapped.sprung, WITHIN_S, message=f"nobody passed {point}{trapped.mesh.said()}")
    if story is not stories.finish:
        stories.finish(trapped)


@pytest.mark.full
def test_no_point_that_this_work_passes_is_forgotten(trapped: TrappedMesh) -> None:
    for story in STORIES:
        story(trapped)
        trapped.look_after()
    stories.finish(trapped)
    forgotten = trapped.passed() - {(role, point) for role, point, _, _ in FULL}
    forgotten = {
        one for one in forgotten if not one[1].startswith("sweep.")
    }  # tests/integration/scheduler/test_sweep.py
    assert not forgotten, "\n".join(map(" ".join, sorted(forgotten)))
