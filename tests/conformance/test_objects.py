"""The ObjectStore suite over every driver."""

from pathlib import Path

import pytest

from plugmesh.conformance.objects import ObjectStoreConformance
from plugmesh.objects.open import open_store
from plugmesh.objects.port import SweptStore
from plugmesh.runtime import SystemRuntime


class TestLocalStore(ObjectStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SweptStore:
        return open_store(f"file://{tmp_path}/store", SystemRuntime())
