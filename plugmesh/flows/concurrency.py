"""The `concurrency:` of a flow file: how many of its runs may be under way at a time; and its `priority:`."""

from __future__ import annotations

from typing import Any, get_args

from plugmesh.contracts.flow import PRIORITY_LIMIT, Concurrency
from plugmesh.flows.expressions import BadExpression, Expression, parse_template
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import SCHEMA, Report
from plugmesh.flows.surface import NAME, check_keys, read_choice, read_text
from plugmesh.flows.values import shown

CONCURRENCY_KEYS = ("limit", "key", "when_full")

_WHEN_FULL: tuple[str, ...] = get_args(Concurrency.model_fields["when_full"].annotation)
_MOST = 10_000
_LONGEST_KEY = 200


def read_concurrency(value: Any, path: KeyPath, report: Report) -> Concurrency | None:
    """A number, or a mapping."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return Concurrency(limit=_read_limit(value, path, report))
    check_keys(value, CONCURRENCY_KEYS, path, "concurrency", report)
    given: dict[str, Any] = {}
    if "limit" in value:
        given["limit"] = _read_limit(value["limit"], (*path, "limit"), report)
    if "key" in value:
        given["key"] = _read_key(value["key"], (*path, "key"), report)
    if "when_full" in value:
        chosen = read_choice(value["when_full"], (*path, "when_full"), _WHEN_FULL, report, code="bad-concurrency")
        given |= {} if chosen is None else {"when_full": chosen}
    return Concurrency(**given)


def read_priority(value: Any, path: KeyPath, report: Report) -> int:
    """A whole number; 0 when it is missing or wrong (which is reported)."""
    if value is None:
        return 0
    if type(value) is int and -PRIORITY_LIMIT <= value <= PRIORITY_LIMIT:
        return value
    message = f"priority must be a whole number from -{PRIORITY_LIMIT} to {PRIORITY_LIMIT}, not {shown(value)}"
    report.error(SCHEMA, "bad-priority", message, path)
    return 0


def _read_limit(value: Any, path: KeyPath, report: Report) -> int:
    if type(value) is int and 1 <= value <= _MOST:
        return value
    what = "concurrency" if path[-1] == "concurrency" else "limit"
    message = f"{what} must be a whole number of runs from 1 to {_MOST:,}, not {shown(value)}"
    hint = "" if what == "limit" else "concurrency: 1, or {limit: 1, key: …}"
    report.error(SCHEMA, "bad-concurrency", message, path, hint=hint)
    return 1


def _read_key(value: Any, path: KeyPath, report: Report) -> str | None:
    """A text with at least one `${params.…}`, and with no other expression: nothing else tells runs apart."""
    text = read_text(value, path, "key", report)
    if not text:
        if isinstance(value, str):
            report.error(
                SCHEMA, "bad-concurrency", "key is empty", path, hint='leave it out, or write "${params.NAME}"'
            )
        return None
    if len(text) > _LONGEST_KEY:
        report.error(SCHEMA, "bad-concurrency", f"key has {len(text):,} characters, {_LONGEST_KEY} are possible", path)
        return None
    try:
        expressions = [part for part in parse_template(text) if isinstance(part, Expression)]
    except BadExpression as error:
        report.error(SCHEMA, "bad-expression", str(error), path, hint=error.hint)
        return None
    others = [expression for expression in expressions if expression.root != "params"]
    if others:
        message = f"key is made of params, {others[0].text} cannot be a part of it"
        report.error(SCHEMA, "bad-concurrency", message, path, hint='write "${params.NAME}"')
    elif not expressions:
        hint = f'did you mean "${{params.{text}}}"?' if NAME.fullmatch(text) else "leave it out, or name a param"
        report.error(SCHEMA, "bad-concurrency", "key is the same for every run: it has no ${params.…}", path, hint=hint)
    return text if expressions and not others else None
