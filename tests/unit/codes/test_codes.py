"""Every code that is raised is declared, every declared one is raised, and the pages say the same."""

from __future__ import annotations

import ast
import subprocess
import sys

from plugmesh.codes.answers import ANSWERS
from plugmesh.codes.code import Place
from plugmesh.codes.flows import FLOWS
from plugmesh.codes.pages import pages
from plugmesh.codes.steps import STEPS
from plugmesh.codes.table import CODES
from plugmesh.errors import PlugmeshError
from tests.unit.codes.found import ROOT, found_codes, sources

ALL = (*ANSWERS, *FLOWS, *STEPS)


def test_every_code_that_is_raised_is_declared() -> None:
    undeclared = {found.code: found.place for found in found_codes() if found.code not in CODES}
    assert undeclared == {}, "declare them in plugmesh/codes, then run scripts/errors-pages"


def test_every_code_that_is_declared_is_raised() -> None:
    raised = {found.code for found in found_codes()}
    assert [code.code for code in ALL if code.code not in raised] == []


def test_a_code_is_declared_once() -> None:
    assert len(ALL) == len(CODES)


def test_a_code_of_answers_has_a_status() -> None:
    bare = [code.code for code in ALL if (Place.ANSWER in code.places) != (code.status is not None)]
    assert bare == []


def test_every_text_is_a_sentence() -> None:
    for code in ALL:
        for text in (code.happened, code.why, code.do):
            assert text.endswith("."), code.code


def test_errors_name_only_the_arguments_that_are_declared() -> None:
    errors = {kind.__name__: kind for kind in _kinds(PlugmeshError)}
    wrong = []
    for path, tree in sources():
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            kind = errors.get(getattr(node.func, "id", ""))
            if kind is None or kind.__init__ is not PlugmeshError.__init__ or kind.code not in CODES:
                continue
            names = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
            if not names <= CODES[kind.code].arguments.keys():
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {sorted(names)}")
    assert wrong == []


def test_the_pages_are_those_of_the_declarations() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "errors-pages"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_page_says_what_happened_why_and_what_to_do() -> None:
    page = pages(CODES)["not-found.md"]
    for line in (
        "# `not-found`: Not found",
        "HTTP status 404",
        "## What happened",
        "## Why",
        "## What to do",
        "`kind`",
    ):
        assert line in page


def _kinds(kind: type[PlugmeshError]) -> set[type[PlugmeshError]]:
    return {kind}.union(*(_kinds(sub) for sub in kind.__subclasses__()))
