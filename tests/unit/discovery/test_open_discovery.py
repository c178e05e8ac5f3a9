"""From a URL to a discovery driver."""

from __future__ import annotations

import sys

import pytest

from plugmesh.discovery.open import open_discovery
from plugmesh.errors import ConfigurationError
from plugmesh.runtime import SystemRuntime


def test_a_missing_client_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("plugmesh.discovery.consul")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "consul", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'plugmesh\[consul\]'"):
        open_discovery("consul://agent/m", SystemRuntime())


def test_an_unknown_scheme_is_named_without_the_password() -> None:
    with pytest.raises(ConfigurationError, match="consul://, embedded://") as caught:
        open_discovery("etcd://me:s3cret@host/m", SystemRuntime())
    assert "s3cret" not in str(caught.value)
