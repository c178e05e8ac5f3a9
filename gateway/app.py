"""The web application around a gateway. Everything it needs is handed in; it owns nothing and starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry

from gateway.application import Application
from gateway.core import Gateway
from gateway.description import describe
from gateway.figures import gateway_figures, process_figures, registry_figures
from gateway.guard import Guard
from gateway.metrics import Metrics
from gateway.problems import on_invalid_request
from gateway.retention import Sweeping
from gateway.routes.data import DataRoutes
from gateway.routes.dlq import DeadLetterRoutes
from gateway.routes.feed import FeedRoutes
from gateway.routes.files import FileRoutes
from gateway.routes.flows import FlowRoutes
from gateway.routes.health import Check, HealthRoutes
from gateway.routes.instances import InstanceRoutes
from gateway.routes.mesh import MeshRoutes
from gateway.routes.modules import ModuleRoutes
from gateway.routes.notifications import NotificationRoutes
from gateway.routes.objects import ObjectRoutes
from gateway.routes.plan import PlanRoutes
from gateway.routes.retention import RetentionRoutes
from gateway.routes.runs import RunRoutes
from gateway.routes.session import SessionRoutes
from gateway.routes.settings import SettingsRoutes
from gateway.routes.steps import StepRoutes
from gateway.routing import check_declared
from gateway.tokens import Tokens
from gateway.unplugged import Unpluggeds
from plugmesh.figures import Figures
from plugmesh.hub.figures import hub_figures
from plugmesh.hub.hub import Hub


def create_app(
    gateway: Gateway,
    hub: Hub | None = None,
    *,
    metrics: CollectorRegistry | None = None,
    figures: Sequence[Figures] = (),
    checks: Mapping[str, Check] | None = None,
    tokens: Tokens | None = None,
    sweeper: Sweeping | None = None,
    wake_notifier: Callable[[], None] = lambda: None,
    unplugged: Unpluggeds = tuple,
) -> FastAPI:
    """The application: with `hub`, instances can join at `/api/v1/mesh`.

    `figures` are those of further parts, for `/metrics`, `checks` further parts that `/readyz` asks; with `tokens`,
    callers must show one; `unplugged` tells which watched module files could not be plugged in.
    Raises `ConfigurationError` if a route declares no access.
    """
    parts: list[Figures] = [partial(gateway_figures, gateway), partial(registry_figures, gateway.registry), *figures]
    parts.append(partial(process_figures, gateway.runtime))
    if hub is not None:
        parts.append(partial(hub_figures, hub))
    measured = Metrics(metrics or CollectorRegistry(), parts)
    app = Application(
        partial(Guard, settings=gateway.settings, metrics=measured, runtime=gateway.runtime, tokens=tokens),
        title="Plugmesh",
    )
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    RunRoutes(gateway).declare(app)
    StepRoutes(gateway).declare(app)
    DataRoutes(gateway).declare(app)
    DeadLetterRoutes(gateway).declare(app)
    FileRoutes(gateway).declare(app)
    FlowRoutes(gateway).declare(app)
    PlanRoutes(gateway).declare(app)
    ModuleRoutes(gateway, unplugged).declare(app)
    InstanceRoutes(gateway).declare(app)
    FeedRoutes(gateway).declare(app)
    RetentionRoutes(gateway, sweeper).declare(app)
    NotificationRoutes(gateway, wake_notifier).declare(app)
    SettingsRoutes(gateway).declare(app)
    SessionRoutes(tokens).declare(app)
    ObjectRoutes(gateway, tokens).declare(app)
    if hub is not None:
        MeshRoutes(hub).declare(app)
    HealthRoutes(app, gateway.state, measured, checks or {}).declare(app)
    check_declared(app)
    describe(app)
    return app
