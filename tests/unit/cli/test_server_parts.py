"""Options, banner, exit codes and command lines of a server."""

from pathlib import Path

import pytest

from plugmesh.cli.api.client import MeshClient, Refusal
from plugmesh.cli.api.session import exit_code
from plugmesh.cli.exits import EXIT_CODES, ExitCode
from plugmesh.cli.options import DEFAULT_URL, ServerOptions
from plugmesh.cli.roles.places import OBJECTS
from plugmesh.cli.server.banner import banner
from plugmesh.cli.server.children import builtins_command, builtins_source, file_command
from plugmesh.cli.server.mesh import data_folder, no_room
from plugmesh.errors import ConfigurationError, FlowInvalid, NotFound, NotReachable, PlugmeshError
from plugmesh.join import DEFAULT_URL as JOIN_URL
from plugmesh.runtime import SystemRuntime


def test_a_disk_without_room_is_told_with_what_it_means(tmp_path: Path) -> None:
    (tmp_path / OBJECTS).mkdir()
    assert no_room(tmp_path, keep_free_bytes=0) is None
    said = no_room(tmp_path, keep_free_bytes=1 << 60)
    assert said is not None
    assert (
        "must stay free (keep_free_bytes of the object store): make room on that disk. Until then no module can" in said
    )


def test_options_survive_the_way_to_the_server_process() -> None:
    given = {"port": 1, "modules": ["x", "y z"], "builtins": False}
    options = ServerOptions("/a b/ö", "mine.toml", given, ("rows_limit=5",), "x.py:make")
    assert ServerOptions.decode(options.encode()) == options


def test_clients_and_modules_have_the_same_default_address() -> None:
    assert DEFAULT_URL == JOIN_URL


def test_the_banner_tells_how_to_reach_a_mesh_on_another_port() -> None:
    there = banner("http://127.0.0.1:9000", Path("/data"), ["io.read"], [Path("/mods")])
    assert "export PLUGMESH_URL=http://127.0.0.1:9000" in there
    assert "/mods" in there
    assert "export" not in banner(DEFAULT_URL, Path("/data"), [], [])


def test_a_long_palette_is_cut() -> None:
    assert "and 18 more" in banner(DEFAULT_URL, Path("/data"), [f"m{n}" for n in range(30)], [])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotReachable("x"), ExitCode.NOT_REACHABLE),
        (NotFound("x"), ExitCode.NOT_FOUND),
        (ConfigurationError("x"), ExitCode.USAGE),
        (FlowInvalid("x"), ExitCode.USAGE),
        (PlugmeshError("x"), ExitCode.RUN_FAILED),
        (Refusal("not-found", "x", 404, []), ExitCode.NOT_FOUND),
        (Refusal("flow-invalid", "x", 422, []), ExitCode.USAGE),
        (Refusal("state-unavailable", "x", 503, []), ExitCode.NOT_REACHABLE),
        (Refusal("internal", "x", 500, []), ExitCode.RUN_FAILED),
    ],
)
def test_each_error_has_its_exit_code(error: PlugmeshError, code: ExitCode) -> None:
    assert exit_code(error) == code


def test_every_exit_code_is_explained() -> None:
    assert set(EXIT_CODES) == set(ExitCode)


@pytest.mark.parametrize("url", ["nonsense", "ftp://here", "127.0.0.1:8720", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address of a mesh"):
        MeshClient(url, SystemRuntime())


def test_a_data_folder_that_cannot_be_made_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="--data"):
        data_folder(str(tmp_path / "file" / "data"))


def test_processes_of_a_server_end_when_they_are_orphans_and_those_of_a_person_do_not() -> None:
    assert "--orphan-exit-s" in builtins_command(2, 10.0)
    assert "--orphan-exit-s" in file_command(Path("/x.py"), 2, 10.0)


def test_the_digest_of_the_built_in_modules_is_stable() -> None:
    assert builtins_source() == builtins_source()
