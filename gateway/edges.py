"""What went over the edges of a run: bytes that were handed over, and bytes that did not have to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from gateway.views import Views, find
from plugmesh.contracts.data import DataRef, Reference, table_bytes
from plugmesh.contracts.flow import Flow, Node, Source
from plugmesh.contracts.messages import AttemptStats
from plugmesh.contracts.module import REJECTED
from plugmesh.contracts.plan import Planned
from plugmesh.contracts.run import StepState
from plugmesh.planner.conditions import condition_text
from plugmesh.state.reads import Reader
from plugmesh.state.records import StepRow, StoredRun

STEPS_COUNTED = 10_000
"""Of a run with more steps, these are counted; the answer says that it is not whole."""
_PAGE = 1_000
_OUTPUTS: TypeAdapter[dict[str, Reference]] = TypeAdapter(dict[str, Reference])


@dataclass(slots=True)
class Work:
    """What the steps of one node used and made: the accepted attempts of this run."""

    steps: int = 0
    handed: int = 0
    whole: int = 0
    written: int = 0
    passed: int = 0
    told: bool = True
    read: dict[str, dict[str, None]] = field(default_factory=dict)
    columns_written: dict[str, dict[str, None]] = field(default_factory=dict)
    columns_passed: dict[str, dict[str, None]] = field(default_factory=dict)
    outputs: dict[str, list[DataRef | None]] = field(default_factory=dict)

    def add(self, row: StepRow) -> None:
        """One more step. What a node gives that was done in pieces, its pieces give."""
        cut = row.pieces is not None and row.pieces != "[]"
        for port, reference in ({} if row.outputs is None or cut else _OUTPUTS.validate_json(row.outputs)).items():
            known = reference if isinstance(reference, DataRef) else None
            if reference.kind in ("table", "spilled", "joined"):
                self.outputs.setdefault(port, []).append(known)
        if row.stats is None or row.state != StepState.SUCCEEDED:
            return
        stats = AttemptStats.model_validate_json(row.stats)
        self.steps += 1
        self.handed += stats.bytes_read
        self.whole += stats.bytes_read if stats.bytes_whole is None else stats.bytes_whole
        self.written += stats.bytes_written
        self.passed += stats.bytes_passed
        self.told = self.told and stats.read is not None
        for names, found in (
            (self.read, stats.read),
            (self.columns_written, stats.written),
            (self.columns_passed, stats.passed),
        ):
            for port, columns in (found or {}).items():
                names.setdefault(port, {}).update(dict.fromkeys(columns))


def edges(reader: Reader, views: Views, run: str) -> dict[str, Any]:
    """`GET /runs/{id}/edges`. Raises `NotFound`."""
    stored = find(reader, run)
    flow = views.flow(reader, stored.revision)
    work, complete = _work(reader, stored, flow)
    planned = None if stored.planned is None else Planned.model_validate_json(stored.planned)
    return {
        "run": run,
        "state": stored.state,
        "edges": [one for name, node in flow.nodes.items() for one in _into(name, node, work)],
        "nodes": [_node(name, work[name], planned) for name in flow.nodes],
        "complete": complete,
    }


def _work(reader: Reader, stored: StoredRun, flow: Flow) -> tuple[dict[str, Work], bool]:
    work = {name: Work() for name in flow.nodes}
    after, counted = "", 0
    while counted < STEPS_COUNTED:
        rows = reader.steps(stored, after=after, limit=_PAGE)
        for row in rows:
            work[row.id.partition(".")[0]].add(row)
        if len(rows) < _PAGE:
            return work, True
        after, counted = rows[-1].id, counted + len(rows)
    return work, False


def _into(name: str, node: Node, work: Mapping[str, Work]) -> Iterable[dict[str, Any]]:
    """The edges that lead to a node, of those that carry tables."""
    mine = work[name]
    sources = [(port, source) for port, several in node.inputs.items() for source in several]
    for port, source in sources:
        producer = work.get(source.node or "")
        made = _made(producer, source)
        if producer is None or made is None:
            continue
        alone = len(sources) == 1 and len(mine.read) <= 1
        yield {
            "from": f"{source.node}.{made}",
            "to": f"{name}.{port or next(iter(mine.read), '')}".rstrip("."),
            "steps": mine.steps,
            **(_alone(mine) if alone else _measured(mine, node, port, producer.outputs[made])),
        }


def _made(producer: Work | None, source: Source) -> str | None:
    """The output port that an edge comes from, if there is a table."""
    if producer is None:
        return None
    if source.port is not None:
        return source.port if source.port in producer.outputs else None
    own = [port for port in producer.outputs if port != REJECTED]
    return own[0] if len(own) == 1 else "out" if "out" in own else None


def _alone(mine: Work) -> dict[str, Any]:
    """The only edge of a node carries all that its steps were handed."""
    columns = [list(names) for names in mine.read.values()]
    return _bytes(columns[0] if columns and mine.told else None, mine.handed, mine.whole)


def _measured(mine: Work, node: Node, port: str, refs: list[DataRef | None]) -> dict[str, Any]:
    """One of several edges: the columns that were handed over, measured where they lie."""
    known = [ref for ref in refs if ref is not None]
    names = mine.read.get(port) if port else next(iter(mine.read.values()), None)
    if names is None or not mine.told or len(known) < len(refs) or mine.steps == 0:
        return _bytes(None, None, None)
    theirs = [node.bind.get(name, name) for name in names]
    whole = sum(table_bytes(ref) for ref in known)
    handed = sum(table_bytes(ref, {*names, *theirs}) for ref in known)
    times = mine.steps if node.map is not None else 1
    return _bytes(theirs, handed * times, whole * times)


def _bytes(columns: list[str] | None, handed: int | None, whole: int | None) -> dict[str, Any]:
    saved = None if handed is None or whole is None else whole - handed
    return {"columns": columns, "bytes_handed": handed, "bytes_whole": whole, "bytes_saved": saved}


def _node(name: str, mine: Work, planned: Planned | None) -> dict[str, Any]:
    told = None if planned is None else planned.nodes.get(name)
    wanted: Mapping[str, Any] = {} if told is None or told.wanted is None else told.wanted
    filters = [] if told is None else [condition_text(one) for some in (told.filters or {}).values() for one in some]
    return {
        "node": name,
        "steps": mine.steps,
        "bytes_handed": mine.handed,
        "bytes_whole": mine.whole,
        "bytes_saved": mine.whole - mine.handed,
        "bytes_written": mine.written,
        "bytes_passed": mine.passed,
        "written": {port: list(names) for port, names in mine.columns_written.items()},
        "passed": {port: list(names) for port, names in mine.columns_passed.items()},
        "wanted": {port: list(names) for port, names in wanted.items()},
        "widths": {} if told is None else told.widths,
        "filters": filters,
    }
