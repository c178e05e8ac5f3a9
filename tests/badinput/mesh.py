"""A gateway in this process, with the built-in modules on its palette, to which bad input is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from modules.builtins import BUILTINS
from plugmesh.contracts.instance import Beat
from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort
from plugmesh.settings.settings import Settings
from plugmesh.state.records import LetterRow
from tests.badinput.row import Row
from tests.integration.gateway.house import House, contract_of
from tests.waiting import wait_until

Said = tuple[int, str, str]
"""Status, code and text of an answer."""

AWAY, CLOSED, LINK, ORDERS = "shop.away", "shop.closed", "shop.link", "shop.orders"


class BadMesh(House):
    """A house whose modules are the built-in ones, one that is disabled, and one that went away."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._plugged_in: list[str] = []

    async def start(self, settings: Settings | None = None) -> None:
        await super().start(settings or Settings())
        for number, contract in enumerate(
            [contract_of(ORDERS), _transform(LINK), *(module.contract for module in BUILTINS)]
        ):
            await self.plug_in(contract, f"i-{number}")
            self._plugged_in.append(f"i-{number}")
        for name in (AWAY, CLOSED):
            await self.plug_in(_transform(name), name)
        await self.hub.directory.deregister(AWAY)
        await wait_until(lambda: not self.registry.live_versions(AWAY))
        answer = await self.client.post(f"/api/v1/modules/{CLOSED}/disable", json={"reason": "sold out"})
        assert answer.status_code == 200, answer.text
        await self._leave_a_letter()

    async def _leave_a_letter(self) -> None:
        """Rows that a step rejected, to be corrected wrongly."""
        rows = pa.table({"order": [7], "name": ["x"], "_reason": ["odd"]})
        ref = self.put_table("data/default/run-1/clean/1/rejected", rows).model_dump_json()
        values: dict[str, Any] = {
            "namespace": "default",
            "flow": "shop",
            "step": "clean",
            "epoch": 1,
            "module": f"{LINK}@1.0.0",
        }
        row = LetterRow("run-1.clean", "run-1", **values, outcome="succeeded", rows=1, reasons="{}", ref=ref)
        await self.intake.commit("run-1", letters=[row])

    async def stay_alive(self) -> None:
        """Beat for every instance; tests do it once each, which is often enough."""
        for instance in self._plugged_in:
            await self.hub.directory.beat(Beat(instance=instance))

    async def ask(self, row: Row) -> Said:
        """What the gateway answers to a row that is a request."""
        headers = {"content-type": row.kind, **row.headers}
        answer = await self.client.request(row.method, row.path, content=row.sent, headers=headers)
        return _said(answer.status_code, answer.json())

    async def validate(self, row: Row) -> Said:
        """What the gateway answers to a row whose body is a flow file."""
        answer = await self.client.post(
            f"/api/v1/validate?strict={str(row.strict).lower()}",
            content=row.sent,
            headers={"content-type": "application/yaml"},
        )
        if answer.status_code != 200:
            return _said(answer.status_code, answer.json())
        found = answer.json()
        lines = "\n".join(self.lines([*found["problems"], *found["warnings"]]))
        return (422, "flow-invalid", lines) if found["problems"] else (200, "", lines)

    @staticmethod
    def lines(problems: list[dict[str, Any]]) -> list[str]:
        """Problems as the table has them."""
        return [_line(problem) for problem in problems]


def _said(status: int, document: Any) -> Said:
    said = document["detail"] if "detail" in document else f"stored as {document['name']}"
    return status, document.get("code", ""), said


def _line(problem: dict[str, Any]) -> str:
    place = f"{problem['line']}:{problem['column']}: " if problem["line"] else ""
    severity = "warning: " if problem["severity"] == "warning" else ""
    hint = f" ({problem['hint']})" if problem["hint"] else ""
    return f"{place}{severity}{problem['message']}{hint}"


def _transform(name: str) -> ModuleContract:
    return ModuleContract(
        name=name, version="1.0.0", inputs=(InputPort(name="table"),), outputs=(OutputPort(name="out"),)
    )
