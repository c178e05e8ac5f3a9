"""Suites that every driver of a port must pass, importable by whoever writes another driver.

Subclass a suite in a test module, give it the fixtures it names, and pytest runs it. Needs pytest.
"""

from __future__ import annotations

import pytest

for _suite in ("bus", "discovery", "objects"):
    pytest.register_assert_rewrite(f"{__name__}.{_suite}")  # failing asserts show their values, as in a test file
