"""A URL whose driver's library is not installed."""

import sys

import pytest

from plugmesh.bus.open import open_bus
from plugmesh.errors import ConfigurationError
from plugmesh.runtime import SystemRuntime


def test_kafka_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("plugmesh.bus.kafka")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiokafka"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'plugmesh\[kafka\]'"):
        open_bus("kafka://user:geheim@broker/x", SystemRuntime())
