"""The gateway without the web: accepts runs, answers questions, keeps who waits. A simulation drives it directly."""

from __future__ import annotations

from gateway.asking import Asking
from gateway.catalogue import Modules
from gateway.data import Data
from gateway.dlq import DeadLetters
from gateway.explain import Explain
from gateway.feed import Feed
from gateway.files import Files
from gateway.flows import Flows
from gateway.instances import Instances
from gateway.logs import Logs
from gateway.planning import Planning
from gateway.reader.pool import Reader as DataReader
from gateway.reading import Reading
from gateway.rerun import Reruns
from gateway.runs import Runs
from gateway.saved_flows import SavedFlows
from gateway.steps import Steps
from gateway.tracing import SubmitTracing
from gateway.uploads import Uploads
from gateway.views import Views
from gateway.waiting import Waiting
from plugmesh.bus.port import Bus
from plugmesh.intake import Intake
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.state.store import State
from plugmesh.telemetry.off import OFF
from plugmesh.telemetry.port import Telemetry
from registry.registry import Registry


class Gateway:
    """One gateway. `start` before use, `close` after it; whoever made the parts closes them."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        state: State,
        intake: Intake,
        registry: Registry,
        bus: Bus,
        objects: ObjectStore,
        reader: DataReader,
        settings: Settings | None = None,
        telemetry: Telemetry = OFF,
    ) -> None:
        self.settings = settings or Settings()
        self.runtime = runtime
        self.state = state
        self.objects = objects
        self.reader = reader
        self.registry = registry
        self.tracing = SubmitTracing(telemetry, runtime)
        self.modules = Modules(registry)
        self.instances = Instances(registry, bus)
        self.asking = Asking(runtime, bus, registry)
        self.feed = Feed(runtime, bus, registry, self.modules)
        self.waiting = Waiting(runtime, bus)
        self.uploads = Uploads(runtime, state, objects, self.settings)
        self.flows = Flows(runtime, self.modules, self.settings.flows_kept)
        self.planning = Planning(
            runtime, state, modules=self.modules, asking=self.asking, kept=self.settings.flows_kept
        )
        self.views = Views()
        self.reading = Reading()
        """Whose bytes are being read; a sweeper leaves them alone."""
        self.data = Data(runtime, state, self.views, reader, settings=self.settings, reading=self.reading)
        self.saved = SavedFlows(runtime, state, self.flows)
        self.files = Files(runtime, state, self.uploads)
        self.explain = Explain(state, flows=self.flows, saved=self.saved, planning=self.planning)
        self.steps = Steps(state, self.views, self.modules)
        self.logs = Logs(
            runtime,
            state,
            objects,
            views=self.views,
            waiting=self.waiting,
            settings=self.settings,
            reading=self.reading,
        )
        self.runs = Runs(
            runtime,
            state,
            intake,
            flows=self.flows,
            saved=self.saved,
            planning=self.planning,
            waiting=self.waiting,
            views=self.views,
            settings=self.settings,
        )
        self.reruns = Reruns(
            runtime,
            state,
            objects=objects,
            runs=self.runs,
            flows=self.flows,
            planning=self.planning,
            views=self.views,
        )
        self.dead_letters = DeadLetters(
            runtime,
            state,
            data=self.data,
            reader=reader,
            reading=self.reading,
            reruns=self.reruns,
            views=self.views,
            contracts=self.modules,
        )

    def start(self) -> None:
        """Begin to listen to events and to the registry."""
        self.waiting.start()
        self.asking.start()
        self.modules.watch(self._forget)

    def _forget(self) -> None:
        """Modules came or went: what flows mean may have changed."""
        self.flows.forget()
        self.planning.forget()

    def close_streams(self) -> None:
        """Let everybody who waits go, so that the server can stop."""
        self.waiting.close()
        self.feed.close()

    async def close(self) -> None:
        """Stop listening and end the reader processes."""
        self.asking.close()
        self.waiting.close()
        self.feed.close()
        self.modules.close()
        await self.reader.close()
