"""Commands against answers of the documented shapes: what needs an old mesh, a lost instance, or an interruption."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from plugmesh.cli.api.client import MeshClient
from plugmesh.cli.app import whole_app
from plugmesh.contracts.flow import PRIORITY_LIMIT
from tests.unit.cli.answering import Mesh, answering

STEPS = [
    {"id": "it", "state": "running", "epoch": 2, "losses": 1, "failures": 0, "outputs": {}, "reason": None,
     "progress": {"done": 30, "total": 120, "message": "rea\x1b[2Jding", "at": 5}},
    {"id": "pot", "state": "succeeded", "epoch": 1, "losses": 0, "failures": 0, "outputs": {}, "reason": None,
     "artifacts": [{"name": "report.html", "bytes": 12_000, "media_type": "text/html"}]},
]  # fmt: skip
RUN: dict[str, Any] = {"id": "run-1", "state": "failed", "reason": None, "namespace": "shop", "flow": "totals",
       "labels": {}, "actor": "ann", "submitted_at": 100.0, "started_at": 103.0, "ended_at": 110.0,
       "steps": STEPS, "outputs": {}}  # fmt: skip
LOST = {"epoch": 1, "state": "lost", "instance": "inst-9", "reason": "its lease\nended", "error": None, "at": 104.0}


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with answering() as found:
        yield found


def test_a_follower_is_told_of_each_attempt_that_was_lost_once(mesh: Mesh) -> None:
    mesh.answers["GET /runs/run-1"] = RUN
    mesh.answers["GET /runs/run-1/steps/it"] = {"attempts": [LOST]}
    said = mesh.cli("show", "run-1", "--follow", code=1).stdout
    assert said.count("it attempt 1 lost on inst-9: its lease ended") == 1


def test_a_run_shows_progress_lost_attempts_and_artifacts(mesh: Mesh) -> None:
    mesh.answers["GET /runs/run-1"] = RUN
    mesh.answers["GET /runs/run-1/steps"] = {"steps": STEPS, "next_cursor": None}
    said = mesh.cli("show", "run-1").stdout
    assert "25 %, 30 of 120: rea\N{REPLACEMENT CHARACTER}[2Jding" in said
    assert "1 attempt lost" in said
    assert "pot left report.html, 12.0 KB" in said
    assert "by ann, queued for 3.0 s" in said
    assert "report.html" in mesh.cli("artifacts", "run-1").stdout


def test_a_run_says_what_became_of_its_webhooks(mesh: Mesh) -> None:
    one = {
        "id": "run-1.0",
        "url": "https://a.example/x",
        "state": "delivered",
        "attempts": 1,
        "next_at": None,
        "error": None,
    }
    other = {
        **one,
        "id": "run-1.1",
        "url": "https://b.example/",
        "state": "failed",
        "attempts": 12,
        "error": "answered 503",
    }
    mesh.answers["GET /runs/run-1"] = {**RUN, "webhooks": [one, other]}
    mesh.answers["GET /runs/run-1/steps"] = {"steps": STEPS, "next_cursor": None}
    said = " ".join(mesh.cli("show", "run-1").stdout.split())
    assert "webhook delivered, 1 try: https://a.example/x" in said
    assert (
        "webhook failed, 12 tries: https://b.example/; answered 503; again: plugmesh notifications retry run-1.1"
        in said
    )


@pytest.mark.full
def test_a_wide_run_is_summed_up_by_node_unless_all_steps_are_asked_for(mesh: Mesh) -> None:
    steps = [{"id": f"each.{n}", "state": "succeeded", "epoch": 1, "outputs": {}} for n in range(2500)]
    mesh.answers["GET /runs/run-1"] = {**RUN, "state": "running", "steps": steps}
    mesh.answers["GET /runs/run-1/steps"] = {"steps": steps, "next_cursor": None}
    said = mesh.cli("show", "run-1").stdout
    assert "each  2,500" in said
    assert "each.2499" not in said
    assert "each.2499" in mesh.cli("show", "run-1", "--steps").stdout


def test_the_logs_of_other_steps_are_printed_when_one_is_missing(mesh: Mesh) -> None:
    mesh.answers["GET /runs/run-1/steps"] = {"steps": STEPS, "next_cursor": None}
    mesh.answers["GET /runs/run-1"] = RUN
    mesh.answers["GET /runs/run-1/steps/pot/logs"] = b'{"n": 1, "at": 1, "level": "info", "text": "boiled\\u001b[2J"}\n'
    for more in ((), ("--follow",)):
        done = mesh.cli("logs", "run-1", *more)
        assert "pot: " in done.stdout
        assert "boiled\N{REPLACEMENT CHARACTER}[2J" in done.stdout
        assert done.stderr.count("it: no /runs/run-1/steps/it/logs") == 1


def test_an_interrupted_submit_says_how_to_find_out(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(self: MeshClient, request: Any, key: str, path: str) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(MeshClient, "submit", interrupted)
    (tmp_path / "f.yaml").write_text("flow: a/b\nnodes: {it: {module: x.y}}\n")
    said = mesh.cli("run", str(tmp_path / "f.yaml"), "--key", "mine", code=130).stderr
    said = " ".join(said.split())
    assert "plugmesh runs --since 5m" in said
    assert "--key mine" in said


def test_a_run_is_asked_for_with_all_that_was_given(mesh: Mesh, tmp_path: Path) -> None:
    mesh.answers["POST /runs"] = {"id": "run-1", "state": "queued", "warnings": []}
    arguments = ("--notify", "https://a.example/hook", "-l", "team=a", "--timeout-s", "9")
    mesh.cli("run", "shop/totals@3", *arguments)
    body = mesh.asked[-1][2]
    assert body["flow"] == {"ref": "shop/totals@3"}
    assert body["notify"] == [{"url": "https://a.example/hook"}]
    assert (body["labels"], body["timeout_s"]) == ({"team": "a"}, 9.0)
    assert "priority" not in body
    mesh.cli("run", "shop/totals", "--priority", "0", "--deadline", "2099-12-24T18:30Z")
    body = mesh.asked[-1][2]
    assert (body["priority"], body["deadline"]) == (0, 4101820200.0)
    mesh.cli("run", "shop/totals", "--deadline", "+2h", "--priority", str(PRIORITY_LIMIT))
    assert 7100 < mesh.asked[-1][2]["deadline"] - time.time() < 7300


def test_what_cannot_be_a_priority_or_a_deadline_is_refused_before_anything_is_sent(mesh: Mesh) -> None:
    wrong = ("run", "shop/totals", "--priority", str(PRIORITY_LIMIT + 1))
    assert f"less than or equal to {PRIORITY_LIMIT}" in mesh.cli(*wrong, code=2).stderr
    assert "--deadline 'soon' is no time" in mesh.cli("run", "shop/totals", "--deadline", "soon", code=2).stderr
    assert mesh.asked == []


@pytest.mark.parametrize(("wish", "state"), [("pause", "paused"), ("resume", "running"), ("cancel", "cancelling")])
def test_several_runs_are_asked_the_same_with_one_reason(mesh: Mesh, wish: str, state: str) -> None:
    mesh.answers = {f"POST /runs/{run}/{wish}": {"id": run, "state": state} for run in ("run-1", "run-2")}
    said = mesh.cli(wish, "run-1", "run-2", "run-1", "--reason", "the source is down").stdout
    assert said.splitlines() == [f"run-1 is {state}", f"run-2 is {state}"]
    assert [(path, body) for _, path, body in mesh.asked] == [
        (f"/runs/{run}/{wish}", {"reason": "the source is down"}) for run in ("run-1", "run-2")
    ]


def test_a_run_that_cannot_be_paused_does_not_keep_the_others_from_it(mesh: Mesh) -> None:
    mesh.answers = {"POST /runs/run-2/pause": {"id": "run-2", "state": "paused"}}
    done = mesh.cli("pause", "run-1", "run-2", code=4)
    assert done.stdout == "run-2 is paused\n"
    assert "no /runs/run-1/pause" in done.stderr
    answers = json.loads(mesh.cli("pause", "run-1", "run-2", "--json", code=4).stdout)["runs"]
    assert [answer.get("state", answer.get("error", {}).get("code")) for answer in answers] == ["not-found", "paused"]


@pytest.mark.parametrize("key", ["", "k\u00e4se", "a\nb", "k" * 201])
def test_what_cannot_be_a_key_is_refused_before_anything_is_sent(mesh: Mesh, key: str) -> None:
    for words in (("run", "shop/totals"), ("rerun", "run-1")):
        assert "cannot be a key: it has 1 to 200 letters" in mesh.cli(*words, "--key", key, code=2).stderr
    assert mesh.asked == []


def test_what_can_be_no_id_is_told_in_words_of_the_command(mesh: Mesh) -> None:
    mesh.answers = {"POST /runs/run-2/cancel": {"id": "run-2", "state": "cancelled"}}
    done = mesh.cli("cancel", "shop/totals", "run-2", code=4)
    assert done.stdout == "run-2 is cancelled\n"
    assert done.stderr == "plugmesh: there is no run 'shop/totals': `plugmesh runs` lists them\n"
    assert "there is no run 'totals/flow.yaml'" in mesh.cli("rerun", "totals/flow.yaml", code=4).stderr
    assert "`plugmesh dlq ls` lists them" in mesh.cli("dlq", "show", "a/b", code=4).stderr
    assert "there is no run '..'" in mesh.cli("show", "..", code=4).stderr


def test_one_run_answers_as_the_mesh_does(mesh: Mesh) -> None:
    mesh.answers = {"POST /runs/run-2/resume": {"id": "run-2", "state": "running"}}
    assert json.loads(mesh.cli("resume", "run-2", "--json").stdout) == {"id": "run-2", "state": "running"}
    assert "no /runs/run-1/resume" in mesh.cli("resume", "run-1", code=4).stderr
    mesh.answers = {"POST /runs/run-2/cancel": {"id": "run-2", "state": "succeeded"}}
    assert mesh.cli("cancel", "run-2").stdout == "run-2 had already ended: it is succeeded\n"


def test_a_run_that_is_cancelled_before_it_began_is_not_told_to_have_ended_before(mesh: Mesh) -> None:
    mesh.answers = {"POST /runs/run-2/cancel": {"id": "run-2", "state": "cancelled"}}
    assert mesh.cli("cancel", "run-2").stdout == "run-2 is cancelled\n"


def test_a_paused_run_shows_why_and_until_when_it_stays(mesh: Mesh) -> None:
    reason = "paused by ann: the source is down"
    waits = [
        {"state": "paused", "reason": reason, "step": None, "steps": 0, "until": 0.0},
        {"state": "running", "reason": "at work", "step": "it", "steps": 1, "until": None},
        {"state": "parked", "reason": "nobody serves x", "step": "each.0", "steps": 40, "until": 86_400.0},
    ]
    paused = {**RUN, "state": "paused", "reason": reason, "ended_at": None, "priority": 7, "deadline": 4101820200.0}
    paused["timeout_s"] = 120.0
    mesh.answers = {"GET /runs/run-1": {**paused, "waits_for": waits}, "GET /runs/run-1/steps": {"steps": STEPS}}
    said = mesh.cli("show", "run-1").stdout
    assert "run-1 paused" in said
    assert reason in said
    assert "priority 7, timeout 2 min 0 s, deadline 2099-12-2" in said
    assert "let it go on: plugmesh resume run-1" in said
    assert "it waits until 19" in said
    assert "each.0 and 39 more are parked: nobody serves x (until 19" in said
    assert "at work" not in said


def test_a_queued_run_shows_what_it_waits_for(mesh: Mesh) -> None:
    waits = [{"state": "queued", "reason": "a scheduler, which takes it up", "step": None, "steps": 0, "until": None}]
    queued = {**RUN, "state": "queued", "started_at": None, "ended_at": None, "steps": [], "waits_for": waits}
    mesh.answers = {"GET /runs/run-1": queued, "GET /runs/run-1/steps": {"steps": []}}
    assert "it waits for a scheduler, which takes it up" in mesh.cli("show", "run-1").stdout


def test_usage_and_what_would_be_removed_are_shown(mesh: Mesh) -> None:
    mesh.answers["GET /data/usage"] = {
        "bytes": 12_345_678, "limit_bytes": 20_000_000, "marked_runs": 1, "marked_bytes": 9_000, "free_bytes": 4_000,
        "swept_at": None,
        "kinds": [{"kind": "data", "objects": 3, "bytes": 12_000_000}, {"kind": "logs", "objects": 1, "bytes": 345_678}],
        "flows": [{"namespace": "shop", "flow": "totals", "runs": 2, "objects": 3, "bytes": 12_000_000,
                   "log_objects": 1, "log_bytes": 345_678}],
        "files": [{"namespace": "default", "versions": 4, "bytes": 10, "deleted": 1}],
        "held": [{"held": "run-1", "by": "pin", "actor": "ann", "reason": "audit", "until": None}],
    }  # fmt: skip
    counts = dict.fromkeys(
        ("young_runs", "measured_runs", "data_runs", "data_bytes", "log_runs", "event_runs", "removed_runs",
         "file_versions", "released_objects", "released_bytes", "garbage_objects", "garbage_bytes",
         "abandoned_writes", "stuck_objects", "later_runs", "later_bytes", "failures"), 0,
    )  # fmt: skip
    mesh.answers["POST /data/gc"] = {"dry_run": True, **counts, "data_runs": 2, "data_bytes": 5_000, "young_runs": 1}
    said = mesh.cli("data", "ls").stdout
    assert "12.3 MB are kept (data 12.0 MB, logs 346 KB); outputs may take up to 20.0 MB" in said
    assert "1 run with 9.0 KB will be deleted soon" in said
    assert "4.0 KB of deleted data are free to be written again" in said
    assert "shop/totals" in said
    assert "pin of ann" in said
    said = mesh.cli("data", "gc", "--dry-run").stdout
    assert "would be marked: data of 2 runs, 5.0 KB" in said
    assert "1 run ended a moment ago" in said
    assert "--yes" in mesh.cli("data", "gc", code=2).stderr
    mesh.answers["POST /data/gc"] = {"dry_run": False, **counts, "stuck_objects": 1}
    assert "could not be deleted: 1 object; see the log" in mesh.cli("data", "gc", "--yes").stdout
    mesh.answers["POST /data/gc"] = {"dry_run": False, **counts}
    assert mesh.cli("data", "gc", "--yes").stdout == "nothing to remove\n"
    assert mesh.asked[-1][2] == {"dry_run": False}


def test_a_run_is_pinned_until_a_day_and_unpinned(mesh: Mesh) -> None:
    mesh.answers["POST /runs/run-1/pin"] = {}
    mesh.answers["DELETE /runs/run-1/pin"] = {}
    mesh.cli("pin", "run-1", "--reason", "audit", "--until", "1900000000")
    assert mesh.asked[-1][2] == {"reason": "audit", "until": 1_900_000_000.0}
    mesh.cli("unpin", "run-1")


def test_notifications_are_listed_and_tried_again(mesh: Mesh) -> None:
    one = {
        "id": "n-1",
        "run": "run-1",
        "url": "https://a.example",
        "state": "failed",
        "attempts": 12,
        "error": "503\nno",
    }
    mesh.answers["GET /notifications"] = {"notifications": [one], "next_cursor": None}
    mesh.answers["POST /notifications/n-1/retry"] = {}
    assert "503 no" in mesh.cli("notifications", "ls", "--state", "failed").stdout
    assert mesh.asked[-1][1] == "/notifications?limit=50&state=failed"
    mesh.cli("notifications", "retry", "n-1")


def test_pages_are_followed_to_the_limit(mesh: Mesh) -> None:
    mesh.answers["GET /runs"] = {"runs": [RUN] * 1000, "next_cursor": "c"}
    assert len(json.loads(mesh.cli("runs", "--limit", "1500", "--json").stdout)["runs"]) == 1500
    assert [path for _, path, _ in mesh.asked] == ["/runs?limit=1000", "/runs?cursor=c&limit=500"]


@pytest.mark.parametrize("word", ["run-\udcff", "..%2fetc", "a b", "%2e%2e", "\x00"])
def test_no_word_becomes_another_path_or_a_traceback(mesh: Mesh, word: str) -> None:
    mesh.cli("show", word, code=4)
    assert mesh.asked[-1][1].count("/") == 2


@pytest.mark.parametrize("url", ["http://a:b:c", "http://[", "ftp://x", "http://h:99999", "http://h\x01"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    done = CliRunner().invoke(whole_app(), ["runs", "--url", url])
    assert done.exit_code == 2
    assert "is no address of a mesh" in done.stderr


def test_a_run_whose_data_was_removed_is_shown_without_it(mesh: Mesh) -> None:
    table = {"kind": "table", "step": "pot", "port": "out", "rows": 3}
    mesh.answers["GET /runs/run-1"] = {**RUN, "state": "succeeded", "data_gone_at": 120.0, "outputs": {"made": table}}
    mesh.answers["GET /runs/run-1/steps"] = {"steps": STEPS, "next_cursor": None}
    said = mesh.cli("show", "run-1").stdout
    assert "its data was removed" in said
    assert "made: 3 rows" in said


AGAIN = {
    "id": "run-2",
    "state": "queued",
    "repeated": False,
    "origin": "run-1",
    "recovered": 1,
    "again": 2,
    "warnings": [],
}


def test_a_rerun_says_what_is_used_again(mesh: Mesh) -> None:
    mesh.answers["POST /runs/run-1/rerun"] = AGAIN
    said = mesh.cli("rerun", "run-1").stdout
    assert "run-2 is queued, a rerun of run-1: 1 step recovered, 2 run again" in said
    assert mesh.asked == [("POST", "/runs/run-1/rerun", {})]
    mesh.answers["POST /runs/run-1/rerun"] = {**AGAIN, "repeated": True, "again": None, "recovered": 3}
    said = mesh.cli("rerun", "run-1", "--key", "again").stdout
    assert "run-2 was made before, it is queued, a rerun of run-1: 3 steps recovered\n" in said


def test_a_rerun_is_asked_for_as_the_options_say(mesh: Mesh) -> None:
    mesh.answers["POST /runs/run-1/rerun"] = AGAIN
    mesh.answers["GET /runs/run-1"] = {**RUN, "params": {"day": "Mon", "least": 3, "item": None}}
    mesh.cli("rerun", "run-1", "--from", "it", "--from", "pot", "-p", "day=5", "-p", "least=5", "-p", "item=x")
    assert mesh.asked[-1][2] == {"from": ["it", "pot"], "params": {"day": "5", "least": 5, "item": "x"}}
    mesh.cli("rerun", "run-1", "--only", "each.3", "-i", "n:=7", "-l", "team=a", "--priority", "5", "--timeout-s", "9")
    assert mesh.asked[-1][2] == {
        "only": ["each.3"], "inputs": {"n": {"value": 7}}, "labels": {"team": "a"}, "priority": 5, "timeout_s": 9.0,
    }  # fmt: skip
    mesh.cli("rerun", "run-1", "--start")
    assert mesh.asked[-1][2] == {"from": "start"}
    refused = mesh.cli("rerun", "run-1", "--start", "--only", "it", code=2).stderr
    assert "choose one of them" in " ".join(refused.split())


def test_a_run_shows_what_it_repeats_and_what_repeats_it(mesh: Mesh) -> None:
    steps = [{**STEPS[1], "state": "recovered", "recovered_from": "/api/v1/runs/run-8/steps/pot"}]
    shown = {**RUN, "id": "run-9", "origin": "run-8", "root": "run-1", "reruns": [f"run-{n}" for n in range(10, 15)]}
    mesh.answers["GET /runs/run-9"] = {**shown, "steps": steps}
    mesh.answers["GET /runs/run-9/steps"] = {"steps": steps, "next_cursor": None}
    said = mesh.cli("show", "run-9").stdout
    assert "rerun of run-8, the first of them run-1; 1 of its steps recovered" in said
    assert "run again as 2 others and run-12, run-13, run-14" in said
    one = {**steps[0], "run": "run-9", "module": "shop.pot", "attempts": []}
    mesh.answers["GET /runs/run-9/steps/pot"] = one
    assert "run-8 --step pot" in mesh.cli("show", "run-9", "--step", "pot").stdout
