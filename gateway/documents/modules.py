"""Answers about modules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.documents.document import Document, example
from plugmesh.contracts.module import ModuleContract, ModuleKind
from plugmesh.contracts.run import RunState

_SWITCH = {
    "module": "table.filter",
    "version": "*",
    "actor": "local",
    "at": 1795271167.2,
    "reason": "too slow",
    "kind": "disabled",
}
_CONVICTION = {
    "version": "1.0.0",
    "run": "r-06f3k8m2q9s1tbvw",
    "step": "keep",
    "epoch": 1,
    "at": 1795271167.2,
    "reason": "table.filter@1.0.0: the process that ran the step ended: signal SIGSEGV",
    "trace": "Fatal Python error: Segmentation fault",
}
_SHOWN = {
    "name": "table.filter",
    "version": "1.0.0",
    "versions": ["1.0.0"],
    "live_versions": ["1.0.0"],
    "live": 1,
    "disabled": [],
    "kind": "transform",
    "title": "Filter rows",
    "doc": "Keep the rows for which an expression is true.",
}
_UNPLUGGED = {
    "file": "/home/ann/modules/orders.py",
    "reason": "plugmesh: /home/ann/modules/orders.py:3: SyntaxError: '(' was never closed",
    "todo": "correct the file: it is tried again when it is saved",
}
EXAMPLE_CONTRACT = {
    "v": "1.0",
    "name": "table.filter",
    "version": "1.0.0",
    "kind": "transform",
    "title": "Filter rows",
    "doc": "Keep the rows for which an expression is true.",
    "inputs": [{"name": "rows"}],
    "outputs": [{"name": "out", "passes": "rows"}],
    "params": {
        "type": "object",
        "properties": {"where": {"type": "string", "x-mesh": "expression", "x-port": "rows"}},
        "required": ["where"],
        "additionalProperties": False,
    },
}


class Switch(Document):
    """That somebody disabled a module, in one version or (`*`) in all of them, or that the mesh quarantined a version."""

    module: str
    version: str
    actor: str = Field(description="Who did it: `mesh` if nobody asked for it")
    at: float = Field(description="Since when")
    reason: str
    kind: Literal["disabled", "quarantined"]


class ShownConviction(Document):
    """That a version of a module ended the process that ran it: the last time in that run."""

    version: str
    run: str
    step: str
    epoch: int = Field(description="Of the attempt")
    at: float
    reason: str
    trace: str = Field(description="Where its code was, as far as Python could say it")


class ShownModule(Document):
    """A module as lists and the feed show it: its newest usable version."""

    model_config = example(**{**_SHOWN, "live": 0, "disabled": [_SWITCH]})

    name: str
    version: str
    versions: list[str] = Field(description="All that were ever here, lowest first")
    live_versions: list[str] = Field(description="Those that can be given work now")
    live: int = Field(description="Instances that can be given work for it")
    disabled: list[Switch]
    kind: ModuleKind
    title: str
    doc: str


class UnpluggedFile(Document):
    """A module file of a watched folder that could not be plugged in."""

    model_config = example(**_UNPLUGGED)

    file: str
    reason: str = Field(description="The end of what its process said")
    todo: str = Field(description="What to do, for a person")


class ModuleList(Document):
    """Every module that was ever here, by name; and the watched files whose modules are not here."""

    model_config = example(modules=[_SHOWN], not_plugged_in=[_UNPLUGGED])

    modules: list[ShownModule]
    not_plugged_in: list[UnpluggedFile] = Field(description="Of this server's watched folders")


class OneModule(Document):
    """A module with one contract."""

    model_config = example(
        contract=EXAMPLE_CONTRACT,
        digest="sha256:5e0f",
        versions=["1.0.0"],
        live_versions=["1.0.0"],
        instances=["i-06f3k8m2q9s1tbvw"],
        disabled=[],
        convictions=[_CONVICTION],
    )

    contract: ModuleContract
    digest: str
    versions: list[str]
    live_versions: list[str]
    instances: list[str] = Field(description="Those that can be given work for this version")
    disabled: list[Switch]
    convictions: list[ShownConviction] = Field(
        description="The newest ones of all its versions since they were last enabled, oldest first: what quarantine counts"
    )


class ModuleVersion(Document):
    """One version of a module."""

    version: str
    digest: str = Field(description="Of its contract")
    served: bool = Field(description="Whether somebody offers it, usable or not")
    instances: list[str]
    disabled: Switch | None


class VersionsOfModule(Document):
    """The versions of a module, newest first."""

    model_config = example(
        name="table.filter",
        versions=[
            {
                "version": "1.0.0",
                "digest": "sha256:5e0f",
                "served": True,
                "instances": ["i-06f3k8m2q9s1tbvw"],
                "disabled": None,
            }
        ],
    )

    name: str
    versions: list[ModuleVersion]


class UsingFlow(Document):
    """A saved flow, and how its nodes ask for the module."""

    namespace: str
    name: str
    revision: int
    modules: list[str]


class UsingRun(Document):
    """A run that has not ended, and how its nodes ask for the module."""

    id: str
    namespace: str
    flow: str
    state: RunState
    modules: list[str]


class ModuleUsers(Document):
    """Who uses a module. `whole` is false if there are more."""

    model_config = example(
        name="table.filter",
        flows=[{"namespace": "sales", "name": "report", "revision": 3, "modules": ["table.filter@^1"]}],
        runs=[],
        whole=True,
    )

    name: str
    flows: list[UsingFlow]
    runs: list[UsingRun]
    whole: bool
