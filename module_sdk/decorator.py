"""`@module`: from one decorated function to a contract."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from pydantic import ValidationError

from module_sdk.declaration import Ports, input_ports, module_kind, output_ports
from module_sdk.limits import declared
from module_sdk.params import Params, ValuePort
from module_sdk.signature import Place, Signature, place_of, read_signature
from plugmesh.contracts.module import Limits, ModuleContract, OutputPort, PortKind, Resources, Traits
from plugmesh.errors import ContractError

P = ParamSpec("P")
R = TypeVar("R")
Plan = Callable[..., Any]


class Module(Generic[P, R]):
    """A decorated function. Calling it calls the function; `contract` is what the mesh is told."""

    __name__: str

    def __init__(
        self,
        function: Callable[P, R],
        contract: ModuleContract,
        signature: Signature,
        params: Params,
        plan: Plan | None = None,
    ) -> None:
        self.function = function
        self.contract = contract
        self.signature = signature
        self.params = params
        self.plan = plan
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def file(self) -> str:
        """The file that the function stands in."""
        return self.signature.place.file

    def __repr__(self) -> str:
        return f"<module {self.contract.ref} from {self.file}:{self.signature.place.line}>"


def module(
    name: str,
    *,
    version: str = "0.1.0",
    inputs: Ports | None = None,
    outputs: Ports | None = None,
    rows: Literal["same", "any"] = "any",
    rowwise: bool = False,
    deterministic: bool = True,
    idempotent: bool = False,
    filters: str | None = None,
    kind: Literal["source", "transform", "sink", "control"] | None = None,
    title: str = "",
    resources: Resources | Mapping[str, Any] | None = None,
    limits: Limits | Mapping[str, Any] | None = None,
    plan: Plan | None = None,
) -> Callable[[Callable[P, R]], Module[P, R]]:
    """Make a module of a function.

    Positional parameters are input ports by name, keyword-only ones are params, a parameter annotated `Context`
    gets the context. Only `name` is required: without `inputs` a port takes all columns, without `outputs` the
    schema is known after the first run. `limits` are what one attempt may use at most, some of `{"memory": "2GB",
    "cpu_s": 60, "open_files": 256, "output": "10GB", "silent_s": 300}`. `filters` names the `Expression` param by which a
    module keeps rows. Raises `ContractError` when declaration and
    function contradict each other.
    """
    if not isinstance(name, str):
        raise ContractError('@module needs a name, as in @module("orders.price_total")')

    def decorate(function: Callable[P, R]) -> Module[P, R]:
        signature = read_signature(function)
        params = Params(signature.place, signature.params)
        for port in signature.ports:
            if port.kind is PortKind.VALUE:
                ValuePort(signature.place, port.name, port.annotation)  # says now what cannot be served
        ins, outs = input_ports(signature, inputs), output_ports(signature, outputs)
        _check_promises(signature.place, rows, plan, bool(ins), bool(outs))
        _check_filters(signature.place, filters, params.schema, outs)
        try:
            contract = ModuleContract(
                name=name,
                version=version,
                kind=module_kind(kind, ins, outs),
                title=title or name.rpartition(".")[2].replace("_", " ").capitalize(),
                doc=inspect.cleandoc(function.__doc__ or ""),
                inputs=ins,
                outputs=outs,
                params=params.schema,
                has_plan=plan is not None,
                traits=Traits(
                    rows=rows,
                    rowwise=rowwise,
                    deterministic=deterministic,
                    idempotent=idempotent,
                    concurrent=signature.concurrent,
                    filters=filters,
                ),
                resources=_resources(resources),
                limits=declared(signature.place, limits, concurrent=signature.concurrent),
                code_digest=code_digest(signature.place.file),
            )
        except (ValidationError, ValueError) as error:
            raise signature.place.error(_invalid(error)) from error
        return Module(function, contract, signature, params, plan)

    return decorate


def code_digest(file: str) -> str:
    """`sha256:` and the digest of a source file; empty when there is no file (typed at a prompt)."""
    path = Path(file)
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _resources(given: Resources | Mapping[str, Any] | None) -> Resources:
    if given is None:
        return Resources()
    return given if isinstance(given, Resources) else Resources.model_validate(dict(given))


def _check_promises(place: Place, rows: str, plan: Plan | None, has_inputs: bool, has_outputs: bool) -> None:
    if rows == "same" and not (has_inputs and has_outputs):
        raise place.error('rows="same" says that outputs have the rows of an input: it needs an input and an output')
    if plan is not None:
        wanted = list(inspect.signature(plan).parameters)
        if len(wanted) != 2:
            raise place_of(plan).error(f"a plan takes (params, input_schemas), this one takes ({', '.join(wanted)})")


def _check_filters(
    place: Place, filters: str | None, params: Mapping[str, Any], outputs: tuple[OutputPort, ...]
) -> None:
    if filters is None:
        return
    if params["properties"].get(filters, {}).get("x-mesh") != "expression":
        raise place.error(f"filters={filters!r} must name a param that is an Expression: it says which rows are kept")
    if len(outputs) != 1 or outputs[0].passes is None:
        raise place.error(
            f"filters={filters!r} says that rows pass as they are: name the input that they come from, as in "
            'outputs={"out": {"...": "table"}}'
        )


def _invalid(error: ValidationError | ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    hints = {
        "name": "dotted lower-case words, as in 'orders.price_total'",
        "version": "three numbers, as in '1.2.0', and at most 64 characters",
    }
    lines = []
    for problem in error.errors(include_url=False):
        field = str(problem["loc"][0]) if problem["loc"] else "declaration"
        lines.append(f"{field} is {problem['input']!r}: {hints.get(field, problem['msg'])}")
    return "; ".join(lines)
