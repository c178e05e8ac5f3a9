"""What a process without a gateway tells about itself: `/healthz`, `/readyz` and `/metrics` on a port of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.application import Application
from gateway.figures import process_figures
from gateway.guard import Guard
from gateway.metrics import Metrics
from gateway.routes.health import Check, HealthRoutes
from gateway.routing import check_declared
from gateway.tokens import Tokens
from plugmesh.figures import Figures
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.state.store import State


def health_app(
    state: State,
    runtime: Runtime,
    settings: Settings,
    *,
    figures: Sequence[Figures],
    checks: Mapping[str, Check],
    tokens: Tokens | None,
) -> FastAPI:
    """The application. Names, tokens and limits are those of a gateway."""
    metrics = Metrics(CollectorRegistry(), [*figures, partial(process_figures, runtime)])
    app = Application(
        partial(Guard, settings=settings, metrics=metrics, runtime=runtime, tokens=tokens),
        title="Plugmesh scheduler",
    )
    HealthRoutes(app, state, metrics, checks).declare(app)
    check_declared(app)
    return app
