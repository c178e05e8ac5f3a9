"""What the queries of dashboard and alerts name is there, and what alerts say can be done."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from ruamel.yaml import YAML

from plugmesh.cli.app import whole_app
from plugmesh.contracts.run import SHARDS
from tests.integration.watching.watched import DASHBOARD, ROOT, alerts, metrics_in, queries

KNOWN = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "reference" / "metrics.md").read_text(), re.MULTILINE))
"""The page is compared with what processes show (tests/integration/gateway/test_metrics.py)."""
PAGE = "docs/howto/watch-a-mesh.md"


@pytest.mark.parametrize(("title", "expr"), list(queries()), ids=lambda value: value[:60])
def test_a_panel_names_metrics_that_exist(title: str, expr: str) -> None:
    assert metrics_in(expr) <= KNOWN
    assert metrics_in(expr) or expr.count("up{")


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_names_metrics_that_exist_and_says_what_to_do(rule: dict[str, object]) -> None:
    assert metrics_in(str(rule["expr"])) <= KNOWN
    said = rule["annotations"]
    assert isinstance(said, dict)
    assert set(said) == {"summary", "todo", "page"}
    assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    for command in re.findall(r"`plugmesh ([^`]*)`", said["todo"]):
        check_command(command)


def check_command(line: str) -> None:
    """Raises `KeyError` if there is no such command."""
    found: object = typer.main.get_command(whole_app())
    for word in shlex.split(line):
        if word.startswith("-") or word.isupper() or not hasattr(found, "commands"):
            return
        found = found.commands[word]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_has_a_section_on_the_page_that_it_links(rule: dict[str, dict[str, str]]) -> None:
    page, _, anchor = rule["annotations"]["page"].partition("#")
    assert page == PAGE
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.strip("`").lower() for heading in headings}


def test_the_alert_about_shards_knows_how_many_there_are() -> None:
    (rule,) = (rule for rule in alerts() if rule["alert"] == "PlugmeshShardsUnowned")
    assert rule["expr"].endswith(f"< {SHARDS}")


def test_the_dashboard_is_what_its_script_writes() -> None:
    script = Path(ROOT, "scripts", "dashboard")
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_dashboard_asks_the_source_that_grafana_is_given() -> None:
    folder = DASHBOARD.parents[1] / "provisioning" / "datasources"
    (source,) = YAML(typ="safe").load((folder / "prometheus.yml").read_text())["datasources"]
    assert f'"uid": "{source["uid"]}"' in DASHBOARD.read_text()
