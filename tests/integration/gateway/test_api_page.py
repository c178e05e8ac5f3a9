"""The page about the API says what the API says."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.api_page import api_page
from tests.integration.gateway.house import House

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "api.md"


async def test_the_page_about_the_api_is_up_to_date(house: House) -> None:
    page = api_page(house.app.openapi())
    if os.environ.get("WRITE_DOCS"):
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page)
    again = "WRITE_DOCS=1 scripts/test tests/integration/gateway/test_api_page.py writes it again"
    assert PAGE.read_text() == page, again


async def test_every_route_has_a_text(house: House) -> None:
    for methods in house.app.openapi()["paths"].values():
        for operation in methods.values():
            assert operation["description"]
            assert operation["tags"]
