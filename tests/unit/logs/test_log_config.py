"""How a process logs: by settings, or by the same variables where there are none."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugmesh.errors import ConfigurationError
from plugmesh.logs.config import (
    NOTICES,
    add_to_lines,
    configure_logs,
    is_json,
    log_settings,
    log_variables,
    secrets_in,
)
from plugmesh.settings.watching import Logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, told = logging.getLogger(), logging.getLogger(NOTICES)
    before = (root.handlers[:], root.level, told.handlers[:], told.propagate, told.level)
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], told.handlers[:], told.propagate = before[0], before[2], before[3]
    root.setLevel(before[1])
    told.setLevel(before[4])


def test_variables_are_read_as_settings_are() -> None:
    logs = log_settings(
        {"PLUGMESH_LOG_FORMAT": "json", "PLUGMESH_LOG_FILE_BYTES": "2 MiB", "PLUGMESH_PORT": "1"}, "info"
    )
    assert (logs.log_format, logs.log_file_bytes, logs.log_level) == ("json", 2 * 2**20, "info")


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(ConfigurationError, match="PLUGMESH_LOG_FORMAT"):
        log_settings({"PLUGMESH_LOG_FORMAT": "xml"}, "info")


def test_who_is_started_logs_in_the_same_way() -> None:
    logs = Logs(log_format="json", log_file="/x/y.log", log_files=2)
    told = log_variables(logs)
    assert told == {"PLUGMESH_LOG_FORMAT": "json", "PLUGMESH_LOG_FILE": "/x/y.log", "PLUGMESH_LOG_FILES": "2"}
    assert log_settings(told, "warning") == logs
    assert log_variables(Logs()) == {}


def test_in_a_file_is_the_log_and_on_the_screen_what_people_should_see(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = configure_logs(Logs(log_format="json", log_file=str(tmp_path / "m.log")), "gateway")
    add_to_lines(lines, instance="inst-1")
    logging.getLogger("part").warning("something")
    logging.getLogger(NOTICES).info("running")
    logging.getLogger("part").info("too little")
    written = [json.loads(line) for line in (tmp_path / "m.gateway.log").read_text().splitlines()]
    assert [(one["message"], one["role"], one["instance"]) for one in written] == [
        ("something", "gateway", "inst-1"),
        ("running", "gateway", "inst-1"),
    ]
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["running"]
    assert is_json(logging.getLogger())


def test_people_who_start_modules_see_plain_notices(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Logs(), "module", notices=sys.stdout)
    logging.getLogger(NOTICES).info("a.b@1.0.0 is offered")
    logging.getLogger("part").warning("something")
    out, err = capsys.readouterr()
    assert out == "a.b@1.0.0 is offered\n"
    assert err.endswith("[warning  ] something [part]\n")
    assert not is_json(logging.getLogger())


def test_passwords_of_urls_are_in_no_line_not_even_alone(capsys: pytest.CaptureFixture[str]) -> None:
    urls = [
        "postgresql://me:pa%2Fssw0rd@db/x",
        "s3://bucket?secret_key=s3cr3tkey",
        "kafka://h:1/p?password_file=/run/pw",
    ]
    assert secrets_in(urls) == {"pa%2Fssw0rd", "pa/ssw0rd", "s3cr3tkey"}
    for form in ("json", "text"):
        configure_logs(Logs.model_validate({"log_format": form}), "gateway", urls, ["join-t0ken"])
        log = logging.getLogger("driver")
        log.error("login failed for me with pa/ssw0rd, %s", urls[0])
        log.error("%s and s3cr3tkey and join-t0ken", urls[1])
        try:
            raise ConnectionError(f"no answer from {urls[0]} {urls[1]}")
        except ConnectionError:
            log.exception("it broke")
    err = capsys.readouterr().err
    assert "it broke" in err
    assert not [secret for secret in (*secrets_in(urls), "join-t0ken") if secret in err]
