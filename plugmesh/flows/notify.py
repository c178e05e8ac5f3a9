"""The `notify:` of a flow file: the webhooks that are called when a run has ended."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from plugmesh.contracts.notify import ALL_ENDS, MOST_NOTIFY, Notify, NotifyOn
from plugmesh.flows.expressions import has_expression
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import SCHEMA, Report
from plugmesh.flows.surface import check_keys, read_text
from plugmesh.flows.values import shown

NOTIFY_KEYS = ("url", "on")

_LONGEST = 2000
_NO_SECRETS = (
    "a flow holds no secrets: webhooks are signed with the mesh's own key, the file webhook-key of its data folder"
)
_SECRETS = frozenset({"secret", "token", "password", "key", "headers", "auth", "authorization", "api_key"})


def read_notify(value: Any, path: KeyPath, report: Report) -> tuple[Notify, ...]:
    """One webhook (an address, or a mapping), or a list of them."""
    if value is None:
        return ()
    if not isinstance(value, list):
        found = _read_webhook(value, path, report)
        return () if found is None else (found,)
    if len(value) > MOST_NOTIFY:
        message = f"notify names {len(value)} webhooks, {MOST_NOTIFY} are possible"
        report.error(SCHEMA, "bad-notify", message, path, hint="let one of them tell the others")
        return ()
    read = [_read_webhook(element, (*path, index), report) for index, element in enumerate(value)]
    return tuple(dict.fromkeys(found for found in read if found is not None))


def wrong_address(url: str) -> str:
    """Why a webhook cannot have this address; empty if it can. The address itself is not shown: it may be a secret."""
    try:
        parts = urlsplit(url)
        port_is_wrong = parts.port == 0
    except ValueError:
        return "this is no address: write https://HOST/PATH"
    if parts.scheme not in {"http", "https"}:
        return f"a webhook is called by http or https, not by {parts.scheme[:20] or 'nothing'!r}"
    if not parts.hostname or port_is_wrong or not url.isascii() or not url.isprintable() or " " in url:
        return "this is no address: write https://HOST/PATH, in ASCII"
    if parts.username is not None or parts.password is not None:
        return "an address holds no user name or password: a webhook is signed instead"
    return ""


def _read_webhook(value: Any, path: KeyPath, report: Report) -> Notify | None:
    if isinstance(value, str):
        return Notify(url=value) if _is_address(value, path, report) else None
    if not isinstance(value, dict):
        hint = "notify: {url: https://HOST/PATH, on: [failed]}"
        report.error(SCHEMA, "wrong-type", f"a webhook is an address or a mapping, not {shown(value)}", path, hint=hint)
        return None
    _check_keys(value, path, report)
    if "url" not in value:
        report.error(SCHEMA, "missing-key", "a webhook lacks its url", path, hint="url: https://HOST/PATH")
        return None
    url = read_text(value["url"], (*path, "url"), "url", report)
    on = _read_on(value["on"], (*path, "on"), report) if "on" in value else ALL_ENDS
    return Notify(url=url, on=on) if _is_address(url, (*path, "url"), report) and on else None


def _check_keys(value: dict[str, Any], path: KeyPath, report: Report) -> None:
    secrets = [key for key in value if key.lower() in _SECRETS]
    for key in secrets:
        message = f"a webhook has no key {shown(key)}"
        report.error(SCHEMA, "unknown-key", message, (*path, key), hint=_NO_SECRETS, key=True)
    others = {key: below for key, below in value.items() if key not in secrets}
    check_keys(others, NOTIFY_KEYS, path, "a webhook", report)


def _is_address(url: str, path: KeyPath, report: Report) -> bool:
    if has_expression(url):
        message = "the address of a webhook takes no ${…}"
        report.error(SCHEMA, "no-expression-here", message, path, hint="hand it in with the run: its notify")
        return False
    wrong = wrong_address(url) if len(url) <= _LONGEST else f"an address has at most {_LONGEST} characters"
    if wrong:
        report.error(SCHEMA, "bad-notify", wrong, path)
    return not wrong


def _read_on(value: Any, path: KeyPath, report: Report) -> tuple[NotifyOn, ...]:
    """The ends of a run, in one order however they were written."""
    given = value if isinstance(value, list) else [value]
    for index, element in enumerate(given):
        if element not in ALL_ENDS:
            hint = report.did_you_mean(element, ALL_ENDS) if isinstance(element, str) else ""
            message = f"a run ends {', '.join(ALL_ENDS[:-1])} or {ALL_ENDS[-1]}, not {shown(element)}"
            report.error(SCHEMA, "bad-notify", message, (*path, index) if isinstance(value, list) else path, hint=hint)
    if not given:
        message = "on names no end of a run, so the webhook would never be called"
        report.error(SCHEMA, "bad-notify", message, path, hint="leave it out for all of them")
    return tuple(end for end in ALL_ENDS if end in given)
