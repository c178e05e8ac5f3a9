"""What scripts/servers promises of every server, shown on one that needs no installing: a web server of Python's own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from scripts.real_servers import life
from scripts.real_servers.folders import Folders
from scripts.real_servers.problem import Problem
from scripts.real_servers.process import Process
from scripts.real_servers.server import Server, answers


class Web(Server):
    """Serves its data folder."""

    name = "web"

    def installed(self) -> bool:
        return (self.folders.cache / "web").exists()

    def install(self) -> None:
        self.folders.cache.mkdir(exist_ok=True)
        with (self.folders.cache / "web").open("a") as file:
            file.write("installed\n")

    def prepare(self, ports: Mapping[str, int]) -> None:
        (self.folder / "data").mkdir(exist_ok=True)

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        serve = ["-S", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(self.folder / "data")]
        return [sys.executable, *serve, str(ports["main"])]

    def ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.port()}/") is not None

    def urls(self) -> Mapping[str, str]:
        return {"PLUGMESH_TEST_WEB": f"http://127.0.0.1:{self.port()}"}


class Broken(Web):
    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        return [sys.executable, "-S", "-c", "import sys; sys.exit('no room for me')"]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    server = Web(Folders(tmp_path / "cache", tmp_path / "state"))
    yield server
    life.stop(server)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that this state folder has not started."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process


def test_what_was_started_answers_until_it_is_stopped(web: Web) -> None:
    life.start(web)
    status = life.status(web)
    assert (status.running, status.ready, status.urls) == (True, True, dict(web.urls()))
    assert life.stop(web)
    status = life.status(web)
    assert (status.running, status.ready, status.pid, status.urls) == (False, False, None, {})


def test_starting_twice_starts_once_and_installs_once(web: Web) -> None:
    life.start(web)
    process = life.running(web)
    life.start(web)
    assert life.running(web) == process
    assert (web.folders.cache / "web").read_text() == "installed\n"


def test_stopping_twice_says_that_nothing_was_running(web: Web) -> None:
    life.start(web)
    assert life.stop(web)
    assert not life.stop(web)


def test_what_never_ran_is_stopped(web: Web) -> None:
    assert not life.status(web).running
    assert not life.stop(web)


def test_data_and_port_are_kept_from_start_to_start(web: Web) -> None:
    life.start(web)
    urls = web.urls()
    (web.folder / "data" / "kept.json").write_text("[1]")
    life.stop(web)
    life.start(web)
    assert web.urls() == urls
    assert answers(f"{urls['PLUGMESH_TEST_WEB']}/kept.json") == [1]


def test_wiping_removes_the_data(web: Web) -> None:
    life.start(web)
    (web.folder / "data" / "kept.json").write_text("[1]")
    life.stop(web, wipe=True)
    assert not (web.folder / "data").exists()


def test_a_port_that_somebody_else_has_taken_is_left_to_them(web: Web) -> None:
    life.start(web)
    port = web.port()
    life.stop(web)
    with socket.create_server(("127.0.0.1", port)):
        life.start(web)
        assert web.port() != port
        assert life.status(web).ready


def test_a_server_that_died_is_not_running_and_starts_again(web: Web) -> None:
    life.start(web)
    process = life.running(web)
    assert process is not None
    os.kill(process.pid, 9)
    assert process.wait_gone(10)
    assert not life.status(web).running
    life.start(web)
    assert life.status(web).ready


def test_a_record_that_names_somebody_elses_process_ends_nobody(web: Web, stranger: subprocess.Popen[bytes]) -> None:
    life.start(web)
    life.stop(web)
    theirs = Process.of(stranger.pid)
    Process(theirs.pid, "0-1").write(web.folder / "process")  # our server had this id, at another time
    assert not life.status(web).running
    assert not life.stop(web)
    assert theirs.alive()


def test_a_record_that_cannot_be_read_is_none(web: Web) -> None:
    (web.folder / "process").write_text("half a rec")
    assert not life.stop(web)
    life.start(web)
    assert life.status(web).ready


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    broken = Broken(Folders(tmp_path / "cache", tmp_path / "state"))
    with pytest.raises(Problem, match=r"web ended while it was starting(.|\n)*no room for me"):
        life.start(broken)


def test_two_state_folders_have_nothing_to_do_with_each_other(web: Web, tmp_path: Path) -> None:
    other = Web(Folders(web.folders.cache, tmp_path / "other"))
    life.start(web)
    assert not life.stop(other)
    assert life.status(web).ready
