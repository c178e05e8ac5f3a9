"""What becomes of a test where no second host can be made."""

import os
import shutil
import subprocess

import pytest

from tests.e2e import other_host as second
from tests.e2e.other_host import other_host


@pytest.fixture(params=["no program", "no permission"])
def why(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine that lacks the programs, or that has them and lets nobody make a network; the words for that."""

    def refuse(*command: str) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="not permitted\n")

    is_there = request.param == "no permission"
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if is_there else None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(second, "_do", refuse)
    monkeypatch.delenv("CI", raising=False)
    return "no network namespace can be made here: not permitted" if is_there else "a second host needs root"


def test_it_is_skipped_and_says_what_is_missing(why: str) -> None:
    with pytest.raises(pytest.skip.Exception, match=why), other_host(1):
        pass


def test_it_fails_in_ci(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match=why) as caught, other_host(1):
        pass
    assert caught.type is pytest.fail.Exception
