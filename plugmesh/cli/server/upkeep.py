"""What a server does beside running flows: it sweeps what is kept no longer, and tells others that runs have ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core import Gateway
from gateway.notifications import notification_document
from plugmesh.figures import Figure, Latency
from plugmesh.objects.port import SweptStore
from plugmesh.outgoing.client import Client
from plugmesh.outgoing.webhook_key import WEBHOOK_KEY, ensure_webhook_key
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.state.notifications import StoredNotification
from plugmesh.state.store import State
from scheduler.engine import Engine
from scheduler.notify.figures import notifier_figures
from scheduler.notify.notifier import Notifier
from scheduler.sweep.figures import sweeper_figures
from scheduler.sweep.sweeper import Sweeper


@dataclass(frozen=True, slots=True)
class Upkeep:
    """`start` after the engine, `stop` before it: both work on the shards that the engine owns."""

    sweeper: Sweeper
    notifier: Notifier
    client: Client

    @classmethod
    def of(
        cls, gateway: Gateway, engine: Engine, objects: SweptStore, *, settings: Settings, data: Path, url: str
    ) -> Upkeep:
        """For one server, whose webhooks' key lies in the folder `data`. `url` is where the server listens.

        Raises `ConfigurationError` if the key cannot be used.
        """
        return cls.beside(
            engine,
            gateway.runtime,
            gateway.state,
            objects,
            settings=settings,
            data=data,
            url=url,
            reading=lambda: gateway.reading.lenders,
            tell=gateway.feed.tell,
        )

    @classmethod
    def beside(
        cls,
        engine: Engine,
        runtime: Runtime,
        state: State,
        objects: SweptStore,
        *,
        settings: Settings,
        data: Path,
        url: str,
        reading: Callable[[], Collection[str]] = tuple,
        tell: Callable[[str, str, dict[str, Any]], None] = lambda topic, key, document: None,
    ) -> Upkeep:
        """For the shards of one engine. `reading` are those whose bytes are being read, `tell` hears what was done.

        Raises as `of`.
        """

        def link(run: str) -> str:
            return f"{settings.public_url or url}/api/v1/runs/{run}"

        def changed(row: StoredNotification) -> None:
            tell("notification", row.id, notification_document(row))

        client = Client(lambda: settings.http_allow_private)
        notifier = Notifier(
            runtime,
            state,
            client,
            key=ensure_webhook_key(data / WEBHOOK_KEY),
            settings=settings,
            owned=lambda: engine.board.terms,
            link=link,
            changed=changed,
        )
        sweeper = Sweeper(
            runtime,
            state,
            objects,
            settings=settings,
            owned=lambda: engine.board.terms,
            reading=reading,
            told=lambda report: tell("data", "sweep", report),
        )
        settings.on_change("sweep_every_s", lambda _: sweeper.wake())
        return cls(sweeper, notifier, client)

    def start(self) -> None:
        """Begin: webhooks that are due at once, sweeping after a while."""
        self.sweeper.start()
        self.notifier.start()

    async def stop(self) -> None:
        """End at once; the next server goes on where this one was."""
        await self.sweeper.stop()
        await self.notifier.stop()
        await self.client.aclose()

    def figures(self) -> Iterator[Figure | Latency]:
        """For `/metrics`."""
        yield from sweeper_figures(self.sweeper)
        yield from notifier_figures(self.notifier)
