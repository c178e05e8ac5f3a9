"""Who is told of a run's end: the webhooks of its flow and those of the request, checked before the run is made. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import RequestInvalid
from plugmesh.contracts.notify import MOST_NOTIFY, Notify
from plugmesh.flows.notify import wrong_address


def merge_notify(of_flow: Sequence[Notify], of_request: Sequence[Notify]) -> tuple[Notify, ...]:
    """All of them, each once: the flow's first. Raises `RequestInvalid` with every address that cannot be called."""
    problems = [problem for number, one in enumerate(of_flow) if (problem := _problem(f"flow.notify.{number}", one))]
    problems += [problem for number, one in enumerate(of_request) if (problem := _problem(f"notify.{number}", one))]
    found = {(one.url, frozenset(one.on)): one for one in (*of_flow, *of_request)}
    if len(found) > MOST_NOTIFY:
        message = f"the flow and the request together name {len(found)} webhooks, {MOST_NOTIFY} are possible"
        problems.append({"where": "notify", "message": message})
    if problems:
        texts = "; ".join(f"{problem['where']}: {problem['message']}" for problem in problems)
        raise RequestInvalid(f"the run cannot start: {texts}", tuple(problems))
    return tuple(Notify(url=one.url, on=one.on) for one in found.values())


def _problem(where: str, one: Notify) -> dict[str, str] | None:
    """What is wrong, without the address itself: its path or query may be a secret."""
    message = wrong_address(one.url)
    if not message and not one.on:
        message = "on names no state, so it would never be called: leave it out for all ends"
    return {"where": where, "message": message} if message else None
