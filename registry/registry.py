"""The phone book of a process: who is alive, what each one serves, and which contracts are known.

It watches discovery and keeps everything in memory, so that the scheduler and the gateway ask without waiting; they
hear of every change by a call. It never owns work, and nothing stops when it cannot reach anybody: the last known
list stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any

from plugmesh.bus.port import Bus
from plugmesh.contracts.instance import Offer
from plugmesh.contracts.messages import DISPATCH, Refused
from plugmesh.contracts.module import ModuleContract
from plugmesh.discovery.port import Discovery, Entry, Watch
from plugmesh.errors import PlugmeshError
from plugmesh.objects.port import ObjectStore, store_call
from plugmesh.runtime import Runtime
from plugmesh.state.modules import EVERY_VERSION, ModuleSwitch
from registry.catalogue import Catalogue, ContractBook, contradiction
from registry.instance import Instance
from registry.liveness import Punctuality
from registry.member import Member, MemberChange, Refusal, usable_modules
from registry.offers import mismatch, read_contracts
from registry.recorder import Recorder
from registry.switchboard import Switchboard
from registry.versions import precedence

__all__ = ["Member", "MemberChange", "Refusal", "Registry"]

JUDGE_S = 0.5
REREAD_S = 2.0
"""A contract that could not be read is tried again after this time, as long as its instance is there."""
_log = logging.getLogger(__name__)


class _Listening:
    def __init__(self, listener: Callable[[MemberChange], None], leave: Callable[[_Listening], None]) -> None:
        self.listener = listener
        self._leave = leave

    def close(self) -> None:
        self._leave(self)


class Registry:
    """One process's registry. Everything that is known is told without waiting, and belongs to the event loop."""

    def __init__(
        self, runtime: Runtime, discovery: Discovery, objects: ObjectStore, bus: Bus, book: ContractBook
    ) -> None:
        self._runtime = runtime
        self._discovery = discovery
        self._objects = objects
        self._bus = bus
        self._book = book
        self._recorder = Recorder(book, runtime)
        self._catalogue = Catalogue()
        self._switchboard = Switchboard(book, runtime, self._switched)
        self._contracts: dict[str, ModuleContract] = {}  # by digest: what need not be read again
        self._instances: dict[str, Instance] = {}
        self._members: dict[str, Member] = {}
        self._serving: dict[tuple[str, str], tuple[Member, ...]] = {}
        self._live: dict[str, tuple[str, ...]] = {}
        self._listeners: tuple[_Listening, ...] = ()
        self._punctuality = Punctuality(runtime.now())
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: Watch | None = None

    async def start(self) -> None:
        """Load the catalogue, then watch and judge until `stop`. Raises what the book's `load` raises."""
        for contract in await self._book.load():
            self._contracts[contract.digest] = contract
            self._catalogue.enter(contract)
        await self._switchboard.load()
        self._punctuality = Punctuality(self._runtime.now())
        self._spawn(self._recorder.run(), "registry recorder")
        self._spawn(self._judge(), "registry judge")
        self._spawn(self._switchboard.follow(), "registry switches")
        self._watch = self._discovery.watch(self._heard)

    async def stop(self) -> None:
        """End everything that `start` began; what is known stays readable."""
        if self._watch is not None:
            self._watch.close()
        for task in tuple(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # -- what is known -----------------------------------------------------------------------------------------------

    def members(self) -> Mapping[str, Member]:
        """Every instance by its id, dead ones included, until they leave discovery. A live view."""
        return MappingProxyType(self._members)

    def modules(self) -> Sequence[ModuleContract]:
        """Every contract that was ever here, by name and version."""
        return self._catalogue.modules()

    def contract(self, name: str, version: str) -> ModuleContract | None:
        """The newest contract of exactly this version."""
        return self._catalogue.contract(name, version)

    def versions(self, name: str) -> tuple[str, ...]:
        """Every version of a module that was ever here, lowest first."""
        return self._catalogue.versions(name)

    @property
    def unrecorded(self) -> int:
        """Contracts that are not in the book yet."""
        return self._recorder.behind

    def live_versions(self, name: str) -> tuple[str, ...]:
        """The versions for which some member can be given work now, lowest first."""
        found = self._live.get(name)
        if found is None:
            enabled = (version for version in self.served_versions(name) if self.disabled(name, version) is None)
            found = self._live[name] = tuple(enabled)
        return found

    def served_versions(self, name: str) -> tuple[str, ...]:
        """The versions that a member serves now, disabled and quarantined ones too, lowest first."""
        usable = (member for member in self._members.values() if member.usable)
        return tuple(sorted({version for member in usable for version in member.offers.get(name, ())}, key=precedence))

    def disabled(self, name: str, version: str) -> ModuleSwitch | None:
        """Who has disabled this version, or why it is quarantined; `None` if it may be used."""
        return self._switchboard.switches.of(name, version)

    def quarantined(self) -> frozenset[tuple[str, str]]:
        """The names and versions that the mesh has quarantined."""
        return self._switchboard.switches.quarantined()

    def switches(self, name: str) -> tuple[ModuleSwitch, ...]:
        """Everything that is disabled or quarantined of a module, by version (`*`: all of them)."""
        return self._switchboard.switches.all_of(name)

    def serving(self, name: str, version: str) -> tuple[Member, ...]:
        """The members that can be given work for this module now."""
        found = self._serving.get((name, version))
        if found is None:
            enabled = self.disabled(name, version) is None
            members = self._members.values() if enabled else ()
            found = tuple(member for member in members if member.usable and member.serves(name, version))
            self._serving[name, version] = found
        return found

    # -- what the others say -----------------------------------------------------------------------------------------

    def suspect(self, instance: str, reason: str) -> None:
        """An answer was missed: no new work for the instance until its next beat."""
        known = self._instances.get(instance)
        if known is not None:
            _log.info("%s is suspect: %s", instance, reason)
            known.case.accuse(self._runtime.now())
            self._refresh(instance)

    def drains(self, instance: str) -> bool:
        """The instance has said itself that it drains: no new work for it from now on, whatever discovery knows by now.
        Whether that is said for the first time."""
        known = self._instances.get(instance)
        if known is None or known.is_draining:
            return False
        known.is_draining = True
        self._refresh(instance)
        return True

    async def disable(self, switch: ModuleSwitch) -> None:
        """Give a module no new attempts from now on. Raises what the book raises; nothing has changed then."""
        await self._switchboard.disable(switch)

    def quarantine(self, switch: ModuleSwitch) -> bool:
        """Give a version no new attempts from now on; the book learns of it soon. Whether that is news: what a person
        has said of the version stays."""
        if not self._switchboard.quarantine(switch):
            return False
        self._spawn(self._switchboard.keep(switch), "registry quarantine")
        return True

    async def enable(self, module: str, version: str = EVERY_VERSION) -> None:
        """Let a version, or all of a module, be used again: a quarantine is lifted, and what led to it forgotten.

        Raises what the book raises, and `Conflict` when all versions are disabled and only one is to be enabled.
        """
        await self._switchboard.enable(module, version)

    def watch(self, listener: Callable[[MemberChange], None]) -> Watch:
        """Call `listener` at each change of a member or of the catalogue. It must not block."""
        listening = _Listening(listener, self._unwatch)
        self._listeners = (*self._listeners, listening)
        return listening

    def _unwatch(self, listening: _Listening) -> None:
        self._listeners = tuple(other for other in self._listeners if other is not listening)

    # -- what discovery says -----------------------------------------------------------------------------------------

    def _heard(self, instance: str, entry: Entry | None) -> None:
        if entry is None:
            if self._instances.pop(instance, None) is not None:
                self._show(instance, None)
            return
        known = self._instances.get(instance)
        if known is None:
            known = self._instances[instance] = Instance(entry)
        else:
            known.replace(entry)
        self._refresh(instance, self._settle_known(known))
        self._read(known)

    def _settle_known(self, known: Instance) -> frozenset[str]:
        """Settle the open offers whose contracts need not be read."""
        found = {
            offer: self._contracts[offer.digest] for offer in known.open_offers() if offer.digest in self._contracts
        }
        return self._settle(known, {offer: mismatch(offer, contract) or contract for offer, contract in found.items()})

    def _read(self, known: Instance) -> None:
        if known.must_read(self._runtime.now()):
            known.reading = True
            self._spawn(self._read_contracts(known), "registry contracts")

    async def _read_contracts(self, known: Instance) -> None:
        try:
            found = await store_call(self._objects, self._runtime, read_contracts, self._objects, known.open_offers())
        finally:
            known.reading = False
            known.read_again_at = self._runtime.now() + REREAD_S
        instance = known.entry.registration.instance
        if self._instances.get(instance) is known:
            still_offered = set(known.entry.registration.offers)
            kept = {offer: outcome for offer, outcome in found.items() if offer in still_offered}
            self._refresh(instance, self._settle(known, kept))
            self._read(known)  # what a newer registration added meanwhile

    def _settle(self, known: Instance, found: Mapping[Offer, ModuleContract | str]) -> frozenset[str]:
        """Decide on offers; returns the modules whose contracts are new."""
        changed, refused = set(), []
        for offer, outcome in found.items():
            known.unread.discard(offer)
            before = known.refused.pop(offer, None)
            difference = outcome if isinstance(outcome, str) else self._contradiction(outcome)
            if difference is None and isinstance(outcome, ModuleContract):
                known.usable.add(offer)
                if self._catalogue.enter(outcome):
                    changed.add(offer.name)
                    self._recorder.add(outcome)
                continue
            assert difference is not None
            known.refused[offer] = difference
            if isinstance(outcome, str):
                known.unread.add(offer)
            if difference != before:
                refused.append(offer)
        if refused:
            self._spawn(self._tell_refused(known, refused), "registry refusal")
        return frozenset(changed)

    def _contradiction(self, offered: ModuleContract) -> str | None:
        self._contracts[offered.digest] = offered
        known = self._catalogue.contract(offered.name, offered.version)
        if known is None or known.digest == offered.digest:
            return None
        return contradiction(known, offered)

    async def _tell_refused(self, known: Instance, offers: Iterable[Offer]) -> None:
        registration = known.entry.registration
        for offer in offers:
            difference = known.refused.get(offer, "")
            _log.warning("%s: %s@%s is refused: %s", registration.instance, offer.name, offer.version, difference)
            message = Refused(
                instance=registration.instance, module=offer.name, version=offer.version, difference=difference
            )
            try:
                await self._bus.publish(DISPATCH, registration.partition, message.encode())
            except PlugmeshError as error:
                _log.warning("%s could not be told so: %s", registration.instance, error)

    # -- judging and telling -----------------------------------------------------------------------------------------

    async def _judge(self) -> None:
        while True:
            await self._runtime.sleep(JUDGE_S)
            for instance, known in tuple(self._instances.items()):
                self._refresh(instance)
                self._read(known)

    def _refresh(self, instance: str, modules: frozenset[str] = frozenset()) -> None:
        now = self._runtime.now()
        self._show(instance, self._instances[instance].member(now, self._punctuality.look(now)), modules)

    def _show(self, instance: str, after: Member | None, modules: frozenset[str] = frozenset()) -> None:
        before = self._members.get(instance)
        if after is None:
            del self._members[instance]
        else:
            self._members[instance] = after
        if after == before and not modules:
            return
        moved = usable_modules(before) ^ usable_modules(after)
        self._announce(MemberChange(instance, before, after, modules | {name for name, _ in moved}))

    def _switched(self, module: str, enabled: tuple[str, str] | None) -> None:
        self._announce(MemberChange(None, None, None, frozenset({module}), enabled))

    def _announce(self, change: MemberChange) -> None:
        self._serving.clear()
        self._live.clear()
        for listening in self._listeners:
            self._tell(listening.listener, change)

    def _tell(self, listener: Callable[[MemberChange], None], change: MemberChange) -> None:
        try:
            listener(change)
        except Exception:  # noqa: BLE001  one listener must not keep the news from the others
            _log.exception("a listener of the registry failed at %s", change.instance)

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = self._runtime.spawn(coroutine, name)
        self._tasks.add(task)
        task.add_done_callback(partial(_finished, self._tasks))


def _finished(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("the task %r of the registry ended", task.get_name(), exc_info=error)
