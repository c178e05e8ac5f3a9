"""What processes of `plugmesh serve` say about themselves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from plugmesh.cli.roles.gateway import GatewayRole
from plugmesh.contracts.run import SHARDS
from plugmesh.runtime import SystemRuntime
from plugmesh.state.reads import Reader
from plugmesh.state.store import State


async def test_a_gateway_is_ready_only_while_a_scheduler_has_a_lease(tmp_path: Path) -> None:
    state = await State.open(f"sqlite:///{tmp_path}/state.db", SystemRuntime())
    role = GatewayRole(SimpleNamespace(state=state), *[None] * 4)  # type: ignore[arg-type]
    assert "plugmesh serve scheduler" in (await role._unowned() or "")
    leases = await state.acquire("scheduler-1", 3600.0)
    assert (await role._unowned(), await state.read(Reader.held_shards)) == (None, SHARDS)
    await state.renew("scheduler-1", [(one.shard, one.term) for one in leases[1:]], -1.0)
    assert (await role._unowned(), await state.read(Reader.held_shards)) == (None, 1)
    await state.renew("scheduler-1", [(one.shard, one.term) for one in leases[:1]], -1.0)
    assert "plugmesh serve scheduler" in (await role._unowned() or ""), "it was killed: its name stays in the rows"
    await state.close()
