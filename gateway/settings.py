"""The settings of a gateway are those of its server."""

from __future__ import annotations

from plugmesh.settings.settings import Settings as GatewaySettings

__all__ = ["GatewaySettings"]
