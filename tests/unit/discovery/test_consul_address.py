"""What the address of a Consul says, and what is said of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugmesh.discovery.consul.address import ConsulPlace, consul_place
from plugmesh.errors import ConfigurationError


def test_a_host_is_enough() -> None:
    assert consul_place("consul://agent") == ConsulPlace("agent", 8500, "plugmesh")


def test_everything_can_be_said(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    url = f"consul://:s%40cret@[::1]:8501/north?tls=true&ca_file={ca_file}&datacenter=dc2"
    expected = ConsulPlace("::1", 8501, "north", token="s@cret", tls=True, ca_file=str(ca_file), datacenter="dc2")
    assert consul_place(url) == expected


def test_the_token_may_stand_in_a_file_or_in_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setenv("CONSUL_TOKEN_OF_TESTS", "from-variable")
    assert consul_place(f"consul://agent/m?password_file={tmp_path}/token").token == "from-file"
    assert consul_place("consul://:${CONSUL_TOKEN_OF_TESTS}@agent/m").token == "from-variable"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("consul:///mesh", "host"),
        ("consul://:s3cret@agent:none/mesh", "port"),
        ("consul://:s3cret@agent:99999/mesh", "port"),
        ("consul://s3cret@agent/mesh", "colon"),
        ("consul://:s3cret%0A@agent/mesh", "token"),
        ("consul://:s3cret@agent/a/b", "mesh"),
        ("consul://:s3cret@agent/m?ttl=3", "'ttl'"),
        ("consul://:s3cret@agent/m?tls=yes", "tls"),
        ("consul://:s3cret@agent/m?ca_file=/nowhere.pem", "tls=true"),
        ("consul://:s3cret@agent/m?tls=true&ca_file=/nowhere.pem", "/nowhere.pem"),
    ],
)
def test_an_address_that_cannot_be_used_names_the_setting_and_no_secret(url: str, word: str) -> None:
    with pytest.raises(ConfigurationError, match="setting `discovery`") as caught:
        consul_place(url)
    assert word in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_place_is_shown_without_its_token() -> None:
    place = consul_place("consul://:s3cret@agent/m")
    assert "s3cret" not in f"{place} {place!r}"
