"""From the references of an assignment to what a module is handed: only the columns that it reads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from module_sdk.executor.compose import bytes_of
from module_sdk.executor.untouched import Places
from module_sdk.invoke import Caller
from plugmesh.contracts.data import DataRef, FileRef, JoinedRef, Reference, SpilledRef, ValueRef
from plugmesh.contracts.messages import Assign
from plugmesh.data.reference import rename, resolve
from plugmesh.data.schema import schema_of
from plugmesh.objects.port import ObjectStore
from plugmesh.planner.names import chosen

if TYPE_CHECKING:
    import pyarrow as pa

_CACHED_TABLES = 16
_CACHED_BYTES = 64 * 1024
_CACHED_COLUMNS = 16
_CACHED_GROUPS = 4
_CACHED_SCHEMA = 4096
Small = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """One input: the reference as it came, as the module sees it (columns bound), and what is handed over.

    `columns` are the names handed over (`None` for a file or a value), `bytes` is their size in the store;
    `partial`: the table has other columns too. `places` says where in memory they are; of a stream, nothing does.
    """

    reference: Reference
    ref: DataRef | FileRef | ValueRef
    value: Any
    columns: tuple[str, ...] | None = None
    bytes: int = 0
    partial: bool = False
    places: Places | None = None


class Inputs:
    """Loads inputs. Small tables that were just used are kept: a chain of short steps asks for the same one again."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._checked: OrderedDict[tuple[str, str, str], tuple[str, ...] | None] = OrderedDict()
        self._recent: OrderedDict[Small, tuple[pa.Table, tuple[str, ...], int, Places]] = OrderedDict()

    def load(self, assign: Assign, caller: Caller) -> dict[str, list[Given]]:
        """What each port is given. Raises `DataMismatch`, `ObjectMissing`, `ObjectCorrupt`."""
        bound = {theirs: ours for ours, theirs in assign.bind.items()}
        return {
            port: [self._one(assign, caller, port, bound, reference) for reference in references]
            for port, references in assign.inputs.items()
        }

    def again(self, assign: Assign, caller: Caller, port: str, reference: Reference, ref: DataRef) -> Given:
        """What a port is given of another table (`ref`: its columns bound) than the one of the assignment."""
        return self._table(caller, port, reference, ref, self._wanted(assign, caller, port, ref))

    def _one(self, assign: Assign, caller: Caller, port: str, bound: Mapping[str, str], reference: Reference) -> Given:
        ref = resolve(self._store, reference) if isinstance(reference, SpilledRef | JoinedRef) else reference
        if isinstance(ref, FileRef):
            return Given(reference, ref, ref)
        if isinstance(ref, ValueRef):
            return Given(reference, ref, ref.value)
        if bound:
            ref = _bind(ref, bound)
        return self._table(caller, port, reference, ref, self._wanted(assign, caller, port, ref))

    def _wanted(self, assign: Assign, caller: Caller, port: str, ref: DataRef) -> tuple[str, ...] | None:
        """The columns to hand over; `None`: all. What was checked for a schema just now is not checked again."""
        asked = assign.columns.get(port) if assign.columns is not None else None
        key = (caller.ref, port, ref.schema_ipc)
        repeats = asked is None and len(ref.schema_ipc) <= _CACHED_SCHEMA and caller.columns.is_fixed(port)
        if repeats and key in self._checked:
            return self._checked[key]
        wanted: tuple[str, ...] | None = None
        if asked is not None or caller.columns.declares(port):
            schema = schema_of(ref)
            caller.columns.check_input(port, schema, assign.params)
            if asked is not None and (
                caller.columns.may_narrow(port) or _leaves_nothing(assign, caller, port, schema.names, asked)
            ):
                wanted = _of(schema.names, asked)
            else:
                wanted = caller.columns.handed(port, assign.params, schema.names)
        if repeats:
            self._checked[key] = wanted
            if len(self._checked) > _CACHED_TABLES:
                self._checked.popitem(last=False)
        return wanted

    def _table(
        self, caller: Caller, port: str, reference: Reference, ref: DataRef, wanted: tuple[str, ...] | None
    ) -> Given:
        small = _small(ref, wanted)
        recent = self._recent.get(small) if small is not None else None
        if recent is not None:
            table, columns, size, places = recent
            return Given(reference, ref, table, columns, size, wanted is not None, places)
        from plugmesh.data.table import read_batches, read_table  # takes pyarrow along

        if caller.streams(port):
            reader = read_batches(self._store, ref, wanted)
            columns = tuple(reader.schema.names)
            return Given(reference, ref, reader, columns, bytes_of(ref, columns), wanted is not None)
        table = read_table(self._store, ref, wanted)
        columns = tuple(table.column_names)
        size = bytes_of(ref, columns)
        places = Places((table,))
        if small is not None and size <= _CACHED_BYTES and not caller.streams(port):
            self._recent[small] = (table, columns, size, places)
            if len(self._recent) > _CACHED_TABLES:
                self._recent.popitem(last=False)
        return Given(reference, ref, table, columns, size, wanted is not None, places)


def partial_ports(given: Mapping[str, Sequence[Given]]) -> list[str]:
    """The inputs of which not all columns were handed over."""
    return [port for port, found in given.items() if found and found[0].partial]


def _of(present: Sequence[str], asked: Collection[str]) -> tuple[str, ...] | None:
    """Those of the present columns that somebody asked for; `None` if that is all of them."""
    found = tuple(chosen(present, asked))
    return None if len(found) == len(present) else found


def _leaves_nothing(assign: Assign, caller: Caller, port: str, present: Sequence[str], asked: Collection[str]) -> bool:
    """Whether nobody uses a column of an input that is not handed over, though it would pass on."""
    rest = frozenset(present) - frozenset(chosen(present, asked))
    wanted = {} if assign.wanted is None else assign.wanted
    passing = [output.name for output in caller.module.contract.outputs if output.passes == port]
    return all(output in wanted and rest.isdisjoint(chosen(present, wanted[output])) for output in passing)


def _bind(ref: DataRef, bound: Mapping[str, str]) -> DataRef:
    names = schema_of(ref).names
    there = {theirs: ours for theirs, ours in bound.items() if theirs in names}
    return rename(ref, there) if there else ref


def _small(ref: DataRef, wanted: tuple[str, ...] | None) -> Small | None:
    """What tells a small table from every other: where its bytes are, for keys are never used twice."""
    if len(ref.fragments) != 1 or ref.rows > _CACHED_BYTES:
        return None
    groups = ref.fragments[0].groups
    if len(groups) > _CACHED_GROUPS:
        return None
    places: list[object] = [ref.rows, ref.schema_ipc, wanted]
    for group in groups:
        if len(group.columns) > _CACHED_COLUMNS:
            return None
        places.append(group.key)
        places.append(group.start)
        for span in group.columns:  # names, too: columns may have swapped theirs
            places.append(span.name)
            places.append(span.offset)
    return tuple(places)
