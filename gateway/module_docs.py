"""A module's page, as Markdown, from its contract: what it does, its ports, params, traits, requests and limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind

_TRAITS = {
    "rowwise": "each row is computed alone",
    "deterministic": "the same inputs give the same outputs",
    "idempotent": "an effect that is applied twice equals one that is applied once",
    "concurrent": "many attempts share one process",
}


def module_page(contract: ModuleContract) -> str:
    """The page of one version."""
    lines = [f"# {contract.title or contract.name}", "", f"`{contract.ref}`: a {contract.kind.value}.", ""]
    if contract.doc:
        lines += [contract.doc.strip(), ""]
    lines += _ports("Inputs", contract.inputs, "It has no input.")
    lines += _ports("Outputs", contract.outputs, "It has no output.")
    lines += _params(contract.params)
    lines += _promises(contract)
    lines += _amounts("Asks for", contract.resources.model_dump(exclude_none=True))
    lines += _amounts("Limits of an attempt", contract.limits.model_dump(exclude_none=True))
    return "\n".join(lines).rstrip() + "\n"


def _ports(title: str, ports: Sequence[InputPort | OutputPort], none: str) -> Iterator[str]:
    yield f"## {title}\n"
    if not ports:
        yield none + "\n"
        return
    yield "| port | kind | what travels there | |"
    yield "| --- | --- | --- | --- |"
    for port in ports:
        yield f"| `{port.name}` | {port.kind.value} | {_cell(_content(port))} | {_cell(port.doc)} |"
    yield ""


def _content(port: InputPort | OutputPort) -> str:
    words = [f"`{name}` ({kind})" for name, kind in port.columns.items()]
    if isinstance(port, InputPort):
        if port.kind is PortKind.TABLE and port.rest:
            words.append("all other columns" if words else "all columns")
        words += [word for word, said in (("optional", port.optional), ("takes many edges", port.variadic)) if said]
    elif port.passes:
        but = ", ".join(f"`{name}`" for name in port.drops)
        words.append(f"the other columns of `{port.passes}`" + (f" but {but}" if but else ""))
    elif port.kind is PortKind.TABLE and port.open:
        words.append("columns that are known after the first run")
    return ", ".join(words)


def _params(schema: dict[str, Any]) -> Iterator[str]:
    yield "## Params\n"
    properties: dict[str, Any] = schema.get("properties", {})
    if not properties:
        yield "It takes no params.\n"
        return
    required = schema.get("required", [])
    definitions = schema.get("$defs", {})
    yield "| param | type | default | |"
    yield "| --- | --- | --- | --- |"
    for name, param in properties.items():
        default = "required" if name in required else f"`{json.dumps(param.get('default'), ensure_ascii=False)}`"
        yield f"| `{name}` | {_cell(_type(param, definitions))} | {_cell(default)} | {_cell(param.get('description', ''))} |"
    yield ""


def _type(schema: Any, definitions: dict[str, Any], depth: int = 0) -> str:
    """A param's type in words; what is nested deeper than a person reads is only named."""
    if not isinstance(schema, dict) or depth > 4:
        return "anything"
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        fields = definitions.get(name, {}).get("properties", {})
        return "{" + ", ".join(fields) + "}" if fields else name
    if "enum" in schema or "anyOf" in schema:
        choices = [f"`{json.dumps(value, ensure_ascii=False)}`" for value in schema.get("enum", ())]
        return " or ".join(choices or [_type(one, definitions, depth + 1) for one in schema["anyOf"]])
    plain = str(schema.get("x-mesh", schema.get("type", "anything")))
    if plain == "array":
        plain = f"list of {_type(schema.get('items'), definitions, depth + 1)}"
    elif plain == "object" and "additionalProperties" in schema:
        plain = f"{_type(schema['additionalProperties'], definitions, depth + 1)} by name"
    return plain


def _promises(contract: ModuleContract) -> Iterator[str]:
    yield "## Promises\n"
    traits = contract.traits
    if traits.rows == "same":
        yield "- **rows: same**: the rows of the output are those of the input, in the same order"
    for name, meaning in _TRAITS.items():
        said = "" if getattr(traits, name) else "not "
        if not said or name == "deterministic":
            yield f"- **{said}{name}**" + (f": {meaning}" if not said else "")
    yield f"- contract `{contract.digest}`, written in {contract.language}"
    yield ""


def _amounts(title: str, amounts: dict[str, Any]) -> Iterator[str]:
    if amounts:
        yield f"## {title}\n"
        yield from (f"- `{name}`: {value:,}" for name, value in amounts.items())
        yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
