"""The processes of a mesh on Kafka, PostgreSQL, Consul and MinIO end themselves at the points that their work passes; another one
takes over, or they are started again, and all of it ends as it must.

A gateway writes runs down and a scheduler begins them there: points between those two exist only here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plugmesh.runtime import SystemRuntime
from scheduler.invariants.places import check_places
from scripts.real_mesh import room
from tests.crash import stories
from tests.crash.stories import Story
from tests.crash.test_real_processes import FULL as ON_ONE_MACHINE
from tests.crash.trapped import WITHIN_S
from tests.crash.trapped_servers import TrappedServers
from tests.servers import address_of
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.servers

POINTS: dict[str, dict[str, Story]] = {
    "gateway": {
        "state.submit.before_commit": stories.finish,
        "state.submit.after_commit": stories.finish,
        "state.command.before_commit": stories.cancel,
        "state.command.after_commit": stories.cancel,
        "state.letter_redrive.after_commit": stories.redrive,
        "gateway.upload.before_commit": stories.upload,
        "objects.commit.before_rename": stories.upload,
        "objects.commit.after_rename": stories.upload,
        "state.file.after_commit": stories.upload,
        "state.attend-process.before_commit": stories.finish,
    },
    "scheduler": {
        "state.commit.before_commit": stories.finish,
        "state.commit.after_commit": stories.finish,
        "engine.effects.between": stories.finish,
        "state.renew.before_commit": stories.finish,
        "state.permits.after_commit": stories.finish,
        "notify.called": stories.finish,
        "state.acquire.before_commit": stories.restart_scheduler,
        "state.acquire.after_commit": stories.restart_scheduler,
        "state.release.before_commit": stories.stop_scheduler,
        "state.attend.before_commit": stories.finish,
        "state.attend.after_commit": stories.finish,
        "state.attend-process.after_commit": stories.finish,
        "state.leave.before_commit": stories.stop_scheduler,
        "state.leave.after_commit": stories.stop_scheduler,
        "state.leave-process.before_commit": stories.stop_scheduler,
        "state.leave-process.after_commit": stories.stop_scheduler,
    },
    "supervisor": {
        "supervisor.before-publish": stories.finish,
        "supervisor.after-publish": stories.finish,
        "objects.commit.after_rename": stories.plug_in,
    },
}


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrappedServers]:
    addresses = {name: address_of(name) for name in ("kafka", "postgres", "consul", "minio")}
    with room(addresses) as urls:
        trapped = TrappedServers(tmp_path_factory.mktemp("trapped"), urls)
        with trapped.mesh as mesh:
            trapped.up()
            yield trapped
            stories.finish(trapped)
            assert mesh.close() == []
        found = check_places(urls.state, urls.objects, SystemRuntime())
        assert [str(violation) for violation in found.violations] == []


@pytest.mark.parametrize(
    ("role", "point", "story"), [(role, *point) for role, points in POINTS.items() for point in points.items()]
)
def test_all_ends_right_although_a_process_kills_itself(
    trapped: TrappedServers, role: str, point: str, story: Story
) -> None:
    trapped.look_after()
    trapped.arm(role, point, 1)
    story(trapped)
    wait_until_sync(trapped.sprung, WITHIN_S, message=f"nobody passed {point}{trapped.said()}")
    if story is not stories.finish:
        stories.finish(trapped)


def test_no_point_that_is_passed_on_servers_only_is_forgotten(trapped: TrappedServers) -> None:
    for story in dict.fromkeys(story for points in POINTS.values() for story in points.values()):
        story(trapped)
        trapped.look_after()
    stories.finish(trapped)
    known = {point for _, point, _, _ in ON_ONE_MACHINE}.union(*POINTS.values())
    forgotten = {(role, point) for role, point in trapped.passed() if point not in known}
    forgotten = {
        one for one in forgotten if not one[1].startswith("sweep.")
    }  # tests/integration/scheduler/test_sweep.py
    assert not forgotten, "\n".join(map(" ".join, sorted(forgotten)))
