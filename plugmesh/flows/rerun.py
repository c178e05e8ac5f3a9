"""What a rerun takes over from the run that it repeats, and what it does again. Pure.

Nodes are judged in the direction of the data, so a node knows what became of its parents. A step is taken over
(`recovered`) if it was accepted, nobody asks for it again, nothing that it depends on has changed, and all of its
parents are taken over. Of a mapped node that is not taken over whole, single elements may be.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from plugmesh.contracts.data import Reference
from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.plan import Planned
from plugmesh.contracts.run import Recovered
from plugmesh.errors import FlowInvalid
from plugmesh.flows.graph import predecessors
from plugmesh.flows.problem import did_you_mean
from plugmesh.flows.substitute import Scope, fill_map, fill_params
from plugmesh.planner.planned import covers

NOT_ASKED = "not_asked"
"""The reason of a step that a rerun skips because nobody asked for it."""

Feeds = Mapping[str, Mapping[str, tuple[Reference, ...]]]
"""By step and port, the references that it is handed instead of those of its edges."""


class Fate(StrEnum):
    """What becomes of a node in a rerun."""

    RECOVERED = "recovered"
    AGAIN = "again"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that is repeated; it has ended.

    `scope` are its inputs and params. `accepted` are its steps with outputs by their ids, elements and mapped nodes
    alike; those that it took over itself count. If it was a rerun, `left_out` are the nodes that nobody had asked it
    for, and `feeds` and `elements` what it was told. `pieces` are the rowwise nodes that were done in pieces, and after
    which rows these end. `planned` is the plan by which its steps were made.
    """

    flow: Flow
    scope: Scope
    accepted: Mapping[str, Recovered]
    left_out: frozenset[str] = frozenset()
    feeds: Feeds = field(default_factory=dict)
    elements: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    pieces: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    planned: Planned | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to run again: with nothing set, all that did not succeed.

    `start`: everything. `steps`: these, what is below them, and all that did not succeed. `only`: nothing but these.
    A step is a node's name, or `node.3` for one element. What the origin left out stays out, unless it is named here
    or below a step that is.
    """

    start: bool = False
    steps: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why there can be no such rerun; `where` is the place in what was asked."""

    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Parts:
    """A rerun, but for its names: see `plugmesh.contracts.run.Rerun`.

    In `recovered`, parents come before children, and elements before their mapped node, which is only there if it is
    taken over whole. `again` counts the steps that are executed. With `problems`, nothing else is there.
    """

    recovered: tuple[Recovered, ...] = ()
    skipped: tuple[str, ...] = ()
    feeds: Feeds = field(default_factory=dict)
    elements: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    pieces: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    fates: Mapping[str, Fate] = field(default_factory=dict)
    again: int = 0
    problems: tuple[Obstacle, ...] = ()


def plan_rerun(origin: Origin, asked: Asked, scope: Scope, planned: Planned | None = None) -> Parts:
    """The rerun of `origin` with the inputs and params of `scope`. A step that made less than the rerun's plan wants (by
    `planned`; `None`: everything) is not taken over. Never raises for what is asked: see `problems`."""
    planning = _Planning(origin, asked, scope, planned)
    return Parts(problems=tuple(planning.problems)) if planning.problems else planning.parts()


class _Planning:
    def __init__(self, origin: Origin, asked: Asked, scope: Scope, planned: Planned | None) -> None:
        self.origin, self.asked, self.scope, self.planned = origin, asked, scope, planned
        self.problems: list[Obstacle] = []
        self.before = predecessors(origin.flow)
        self.order = _parents_first(self.before)
        self.is_same = _same(origin.scope.inputs, scope.inputs) and _same(origin.scope.params, scope.params)
        mapped = {name: node for name, node in origin.flow.nodes.items() if node.map is not None}
        self.had = {name: _items(name, node, origin.scope) for name, node in mapped.items()}
        self.has = self.had if self.is_same else {name: _items(name, node, scope) for name, node in mapped.items()}
        self.cut = {name: list(ends) for name, ends in origin.pieces.items() if name not in mapped}
        self.had, self.has = {**self.had, **self.cut}, {**self.has, **self.cut}
        self.named: dict[str, frozenset[int]] = self._names()
        self.left_out = self._left_out()
        self.fates: dict[str, Fate] = {}
        self.taken: dict[str, list[Recovered]] = {}
        if not self.problems:
            self._judge()

    def parts(self) -> Parts:
        recovered = [one for name in self.order for one in self.taken.get(name, ())]
        taken = {one.step for one in recovered}
        again = [name for name in self.order if self.fates[name] is Fate.AGAIN]
        limited = {name: self._limited(name) for name in self.order if self.fates[name] is not Fate.SKIPPED}
        return Parts(
            recovered=tuple(recovered),
            skipped=tuple(name for name in self.order if self.fates[name] is Fate.SKIPPED),
            feeds={
                step: ports
                for step, ports in self.origin.feeds.items()
                if step not in taken and self.fates[step.partition(".")[0]] is Fate.AGAIN
            },
            elements={name: numbers for name, numbers in limited.items() if numbers is not None},
            pieces={name: tuple(self.cut[name]) for name in again if name in self.cut and name in self.has},
            fates=self.fates,
            again=sum(1 + len(self._elements(name)) - len(self.taken.get(name, ())) for name in again),
        )

    # -- what was asked ----------------------------------------------------------------------------------------------

    def _names(self) -> dict[str, frozenset[int]]:
        """The nodes that were asked for; with numbers, only these elements of them."""
        found: dict[str, set[int] | None] = {}
        place = "only" if self.asked.only else "from"
        for number, step in enumerate(self.asked.only or self.asked.steps):
            name, dot, element = step.partition(".")
            if (problem := self._unknown(step, name, dot, element)) is not None:
                self.problems.append(Obstacle(f"{place}.{number}", problem))
            elif not dot:
                found[name] = None
            elif (numbers := found.setdefault(name, set())) is not None:
                numbers.add(int(element))
        return {name: frozenset(numbers or ()) for name, numbers in found.items()}

    def _unknown(self, step: str, name: str, dot: str, element: str) -> str | None:
        node = self.origin.flow.nodes.get(name)
        if node is None:
            hint = did_you_mean(name, self.origin.flow.nodes) or f"there are {_listed(self.origin.flow.nodes)}"
            return f"the flow has no step {step[:100]!r} ({hint})"
        if not dot:
            return None
        if name not in self.has:
            return f"{name!r} is not mapped, so it has no element {step[:100]!r}: name the node"
        count = len(self.has[name] or ())
        if not _is_number(element) or int(element) >= count:
            return f"there is no element {step[:100]!r}: {name!r} has {count}, and they count from 0"
        return None

    def _left_out(self) -> frozenset[str]:
        """What the origin left out and is not asked for now either."""
        wanted = set(self.named)
        for name in self.order:
            if not wanted.isdisjoint(self.before[name]):
                wanted.add(name)
        return self.origin.left_out - wanted

    # -- what becomes of each node -----------------------------------------------------------------------------------

    def _judge(self) -> None:
        decide = self._only if self.asked.only else self._from
        for name in self.order:
            self.fates[name] = decide(name)
        if not self.problems and Fate.AGAIN not in self.fates.values():
            message = (
                "nothing would run again, all of its steps are taken over: say from which step (`from: [STEP]`, --from STEP), "
                'or from the start (`from: "start"`, --start)'
            )
            self.problems.append(Obstacle("from", message))

    def _from(self, name: str) -> Fate:
        if name in self.left_out:
            return Fate.SKIPPED
        if (parent := self._blocking(name)) is not None:
            if name in self.named:
                self._lacks(name, parent)
            return Fate.SKIPPED
        if self.asked.start or self._is_named_whole(name):
            self._cut_anew(name)
            return Fate.AGAIN
        return self._take_over(name, Fate.AGAIN)

    def _only(self, name: str) -> Fate:
        parent = self._blocking(name)
        if name in self.named:
            if parent is not None:
                self._lacks(name, parent)
            if self._is_named_whole(name) or not self._has_same_table(name):
                self._cut_anew(name)
            return Fate.AGAIN
        is_below = any(self.fates[other] is Fate.AGAIN for other in self.before[name])
        if parent is not None or is_below or name in self.left_out:
            return Fate.SKIPPED
        return self._take_over(name, Fate.SKIPPED)

    def _blocking(self, name: str) -> str | None:
        """A parent that is left out: the node will never be ready."""
        return next((other for other in sorted(self.before[name]) if self.fates[other] is Fate.SKIPPED), None)

    def _lacks(self, name: str, parent: str) -> None:
        place = "only" if self.asked.only else "from"
        number = next(
            number for number, step in enumerate(self.asked.only or self.asked.steps) if step.partition(".")[0] == name
        )
        message = (
            f"{name!r} needs what {parent!r} makes, which cannot be taken over and is not asked for: ask for it too"
        )
        self.problems.append(Obstacle(f"{place}.{number}", message))

    def _take_over(self, name: str, otherwise: Fate) -> Fate:
        """Note what can be taken over of a node; `otherwise` is its fate if that is not all."""
        if any(self.fates[other] is Fate.AGAIN for other in self.before[name]) or not self._is_enough(name):
            self._cut_anew(name)
            return otherwise
        own = self.origin.accepted.get(name)
        node = self.origin.flow.nodes[name]
        if node.map is None:
            if own is not None and name not in self.named and self._is_unchanged(name, node):
                self.taken[name] = [own]
                return Fate.RECOVERED
            if not self._has_same_table(name):
                self._cut_anew(name)
            elif otherwise is Fate.AGAIN:
                self.taken[name] = self._accepted_elements(name, node)
            return otherwise
        elements = self._accepted_elements(name, node)
        had, has = self.had[name], self.has[name]
        is_whole = len(elements) == len(self._elements(name)) and had is not None and has is not None
        if own is not None and is_whole and len(had or ()) == len(has or ()):
            self.taken[name] = [*elements, own]
            return Fate.RECOVERED
        if otherwise is Fate.AGAIN:
            self.taken[name] = elements
        return otherwise

    # -- rowwise nodes in pieces ---------------------------------------------------------------------------------------

    def _has_same_table(self, name: str) -> bool:
        """Whether a node that was done in pieces has the same rows again."""
        is_below = any(self.fates[other] is Fate.AGAIN for other in self.before[name])
        return name in self.cut and not is_below and self._is_unchanged(name, self.origin.flow.nodes[name])

    def _cut_anew(self, name: str) -> None:
        """Forget how a rowwise node was cut: it is done whole, whatever piece of it was named."""
        if name in self.cut:
            del self.has[name]
            if name in self.named:
                self.named[name] = frozenset()

    # -- elements of mapped nodes --------------------------------------------------------------------------------------

    def _is_named_whole(self, name: str) -> bool:
        return name in self.named and not self.named[name]

    def _limited(self, name: str) -> tuple[int, ...] | None:
        """The elements that a mapped node has in this rerun; None: all."""
        numbers = self.named.get(name, frozenset())
        if self._is_named_whole(name) or name not in self.has:
            return None
        if not (self.asked.only and numbers):
            if name not in self.origin.elements:
                return None
            numbers = numbers.union(self.origin.elements[name])
        return tuple(number for number in sorted(numbers) if number < len(self.has[name] or ()))

    def _elements(self, name: str) -> Sequence[int]:
        if name not in self.has:
            return ()
        limited = self._limited(name)
        return range(len(self.has[name] or ())) if limited is None else limited

    def _accepted_elements(self, name: str, node: Node) -> list[Recovered]:
        named = self.named.get(name, frozenset())
        before, now = self.had[name] or [], self.has[name] or []
        found = []
        for number in self._elements(name):
            one = self.origin.accepted.get(f"{name}.{number}")
            if one is None or number in named or number >= len(before):
                continue
            if self._is_unchanged(name, node, (before[number], now[number]), number):
                found.append(one)
        return found

    def _is_enough(self, name: str) -> bool:
        """Whether what the origin made of a node has all columns and rows that are wanted now."""
        if self.origin.planned is None:
            return True
        return covers(
            self.origin.planned.nodes.get(name), None if self.planned is None else self.planned.nodes.get(name)
        )

    # -- what has changed --------------------------------------------------------------------------------------------

    def _is_unchanged(self, name: str, node: Node, items: tuple[Any, Any] = (None, None), number: int = -1) -> bool:
        """Whether a step would be handed the same params and inputs (of the flow), and be of the same element."""
        if self.is_same:
            return True
        if not _same(*items):
            return False
        given = {source.input for sources in node.inputs.values() for source in sources if source.input is not None}
        if any(not _same(self.origin.scope.inputs.get(one), self.scope.inputs.get(one)) for one in given):
            return False
        before, now = self.origin.scope, self.scope
        if number >= 0:
            before, now = before.at(items[0], number), now.at(items[1], number)
        try:
            return _same(fill_params(name, node, before), fill_params(name, node, now))
        except FlowInvalid:  # it will fail, and say why
            return False


def _parents_first(before: Mapping[str, set[str]]) -> list[str]:
    waiting = {name: len(others) for name, others in before.items()}
    after: dict[str, list[str]] = {name: [] for name in before}
    for name, others in before.items():
        for other in others:
            after[other].append(name)
    order: list[str] = []
    ready = deque(name for name, count in waiting.items() if count == 0)
    while ready:
        order.append(ready.popleft())
        for name in after[order[-1]]:
            waiting[name] -= 1
            if waiting[name] == 0:
                ready.append(name)
    return order


def _items(name: str, node: Node, scope: Scope) -> list[Any] | None:
    try:
        return fill_map(name, node, scope)
    except FlowInvalid:  # the run will say it
        return None


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: to Python, true and 1 are the same."""
    return one is other or _text(one) == _text(other)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=lambda model: model.model_dump(mode="json"))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10 and str(int(text)) == text


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:10]) + (", …" if len(every) > 10 else "")
