"""`plugmesh modules`: what can be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.display.amounts import bytes_text, clock
from plugmesh.cli.display.console import cells, cut, facts, table
from plugmesh.cli.display.terminal_text import one_line, plain
from plugmesh.errors import ConfigurationError


def modules(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this one, with its contract.")] = None,
    *,
    versions: Annotated[bool, typer.Option("--versions", help="The versions of it that were ever here.")] = False,
    docs: Annotated[bool, typer.Option("--docs", help="Its documentation, in Markdown.")] = False,
    users: Annotated[bool, typer.Option("--users", help="The saved flows and open runs that use it.")] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the modules of the mesh. Those that were here before are among them."""
    with Session(url, as_json) as session:
        if name is None:
            if versions or docs or users:
                raise ConfigurationError("--versions, --docs and --users are about one module: say which")
            answer = session.client.get("/modules")
            session.answer(answer["modules"], lambda: _show_modules(session, answer["modules"]))
        elif docs:
            text = session.client.text(at("modules", name, "docs"), "text/markdown")
            session.answer({"module": name, "docs": text}, lambda: print(plain(text).rstrip()))
        elif versions or users:
            word = "versions" if versions else "users"
            found = session.client.get(at("modules", name, word))
            session.answer(found, lambda: _show_versions(session, found) if versions else _show_users(session, found))
        else:
            found = session.client.get(at("modules", name))
            session.answer(found, lambda: _show_module(session, found))


def switch(name: str, version: str | None, document: Mapping[str, Any], word: str, *, as_json: bool, url: str) -> None:
    """Enable or disable a module, or one version of it, which may be part of `name`. Raises `ConfigurationError`."""
    name, _, named = name.partition("@")
    if named and version not in (None, named):
        raise ConfigurationError(f"{name}@{named} and --version {version} are two versions: name one")
    version = version or named or None
    with Session(url, as_json) as session:
        asked = {**document, **({"version": version} if version else {})}
        answer = session.client.send("POST", at("modules", name, word), asked)
        one = f"{name}@{version}" if version else name
        after = "steps that waited for it go on" if word == "enable" else "steps that need it wait"
        session.answer(answer, lambda: session.say(f"{one} is {word}d; {after}"))


def off_text(module: Mapping[str, Any]) -> str:
    """What of a module nobody is given: `disabled`, or `1.1.0 quarantined`; empty if all of it may be used."""
    switches = module.get("disabled") or ()
    return ", ".join(one["kind"] if one["version"] == "*" else f"{one['version']} {one['kind']}" for one in switches)


def first_line(module: Mapping[str, Any]) -> str:
    """What a module does: the first line of its docstring, or else its title."""
    return (str(module.get("doc") or "").strip() or str(module.get("title") or "")).partition("\n")[0]


def _show_modules(session: Session, found: list[dict[str, Any]]) -> None:
    if not found:
        session.say("no modules yet: plugmesh module serve FILE.py plugs one in")
        return
    made = table(
        "MODULE",
        "VERSION",
        "KIND",
        "SERVED BY",
        "WHAT IT DOES",
        whole=("MODULE", "SERVED BY"),
        spare=("KIND", "VERSION", "WHAT IT DOES"),
    )
    for module in found:
        served = f"{module['live']} instance{'s' if module['live'] != 1 else ''}" if module["live"] else "nobody now"
        if off := off_text(module):
            served = f"{served}; {off}" if module["live"] else off
        versions = ", ".join(module["live_versions"] or module["versions"])
        made.add_row(*cells(module["name"], versions, module["kind"], served), cut(first_line(module)))
    session.console.print(made)


def _show_module(session: Session, found: dict[str, Any]) -> None:
    contract = found["contract"]
    session.console.print(
        Text(one_line(f"{contract['name']}@{contract['version']} ({contract['kind']})"), style="bold")
    )
    if contract.get("doc"):
        session.say(contract["doc"].strip())
    session.console.print()
    session.console.print(facts(_facts(found)))


def _facts(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    contract = found["contract"]
    for port in contract["inputs"]:
        yield "input", f"{port['name']}: {port['kind']}{_columns(port)}{_optional(port)}"
    for port in contract["outputs"]:
        passed = f", and the other columns of {port['passes']}" if port.get("passes") else ""
        yield "output", f"{port['name']}: {port['kind']}{_columns(port)}{passed}"
    required = contract["params"].get("required", ())
    for name, param in (contract["params"].get("properties") or {}).items():
        yield "param", _param(name, param, name in required)
    yield "promises", _traits(contract.get("traits") or {})
    yield "asks for", _resources(contract.get("resources") or {})
    yield "versions", ", ".join(found["versions"])
    yield "served by", ", ".join(found["instances"]) or "nobody now"
    for switch in found.get("disabled") or ():
        which = "" if switch["version"] == "*" else f"{switch['version']} "
        yield (
            switch["kind"],
            f"{which}by {switch['actor']}, {clock(switch['at'])}: {switch['reason'] or 'no reason given'}",
        )
    for one in found.get("convictions") or ():
        attempt = f"step {one['step']} of {one['run']}, attempt {one['epoch']}"
        yield "ended by", f"{attempt}, {clock(one['at'])}: {one['reason']}"
    yield "where", _last_trace(found.get("convictions") or ())


def _last_trace(convictions: Sequence[Mapping[str, Any]]) -> str:
    """Where the code was when the process ended that ended last."""
    return next((one["trace"] for one in reversed(convictions) if one["trace"]), "")


def _columns(port: Mapping[str, Any]) -> str:
    columns = ", ".join(f"{name} {kind}" for name, kind in (port.get("columns") or {}).items())
    return f" with {columns}" if columns else ""


def _optional(port: Mapping[str, Any]) -> str:
    words = [word for word in ("optional", "variadic") if port.get(word)]
    return f" ({', '.join(words)})" if words else ""


def _param(name: str, schema: Mapping[str, Any], required: bool) -> str:
    kind = _kind(schema)
    default = "" if required else f" = {schema.get('default')!r}"
    about = f": {schema['description']}" if schema.get("description") else ""
    return f"{name}{default} ({kind}{', required' if required else ''}){about}"


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    kind = schema.get("x-mesh") or schema.get("type") or "any"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _traits(traits: Mapping[str, Any]) -> str:
    words = ["the rows of its input, in their order"] if traits.get("rows") == "same" else []
    words += ["the same outputs for the same inputs"] if traits.get("deterministic") else []
    words += ["each row by itself"] if traits.get("rowwise") else []
    words += ["an effect applied twice is applied once"] if traits.get("idempotent") else []
    return "; ".join(words)


def _resources(resources: Mapping[str, Any]) -> str:
    memory = resources.get("memory_bytes")
    found = [f"{resources[name]} {name}" for name in ("cpus", "gpus") if resources.get(name)]
    return ", ".join([*found, *([f"{bytes_text(memory)} of memory"] if memory else [])])


def _show_versions(session: Session, found: dict[str, Any]) -> None:
    made = table("VERSION", "SERVED BY", "DIGEST", whole=("VERSION",), spare=("DIGEST",))
    for one in found["versions"]:
        entry = one if isinstance(one, dict) else {"version": one}
        served = entry.get("instances") or []
        who = ", ".join(served) if isinstance(served, list) else str(served)
        switch = entry.get("disabled")
        state = switch["kind"] if switch else who or "nobody now"
        made.add_row(*cells(entry["version"], state, entry.get("digest", "")))
    session.console.print(made)


def _show_users(session: Session, found: dict[str, Any]) -> None:
    flows, runs = found.get("flows") or [], found.get("runs") or []
    for title, users in (("saved flows", flows), ("open runs", runs)):
        listed = ", ".join(_user(user) for user in users)
        session.say(f"{title}: {listed or 'none'}")


def _user(user: Any) -> str:
    if not isinstance(user, dict):
        return str(user)
    if "name" in user and "namespace" in user:
        revision = f"@{user['revision']}" if user.get("revision") else ""
        return f"{user['namespace']}/{user['name']}{revision}"
    return str(user.get("id") or user.get("run") or user)
