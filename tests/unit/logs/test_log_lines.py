"""Log lines: what is in them, and what never is."""

import json
import logging
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.logs.lines import JsonLines, TextLines

RUN, INSTANCE = "run-06h041zpyw45fyzv", "inst-06h041zgq7dj0cj0"


def record(text: str, *args: object, level: int = logging.WARNING, error: BaseException | None = None, **extra: Any):
    made = logging.getLogger("some.part").makeRecord("some.part", level, "f.py", 1, text, args, None, extra=extra)
    if error is not None:
        made.exc_info = (type(error), error, error.__traceback__)
    return made


def as_json(*args: Any, **kwargs: Any) -> dict[str, Any]:
    line = JsonLines(always={"role": "gateway"}).format(record(*args, **kwargs))
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_says_when_how_bad_where_and_what() -> None:
    found = as_json("no room in %s", "here")
    assert (found["level"], found["logger"], found["message"], found["role"]) == (
        "warning", "some.part", "no room in here", "gateway",
    )  # fmt: skip
    assert found["time"].endswith("Z")


def test_ids_come_from_who_logs() -> None:
    found = as_json("it failed", run=RUN, step="a.3", attempt=2, instance=INSTANCE)
    assert [found[name] for name in ("run", "step", "attempt", "instance")] == [RUN, "a.3", 2, INSTANCE]


def test_ids_are_found_in_the_text_too() -> None:
    found = as_json("the log of %s could not be kept at %s", f"{RUN}/load.3/2", INSTANCE)
    assert [found[name] for name in ("run", "step", "attempt", "instance")] == [RUN, "load.3", 2, INSTANCE]
    assert as_json("run %s: it went wrong", RUN)["run"] == RUN
    assert not {"run", "step", "instance"} & as_json("run-time was long, inst-ead").keys()


def test_what_who_logs_says_goes_before_the_text() -> None:
    assert as_json("%s was repeated", "run-aaaaaaaaaaaaaaaa", run=RUN)["run"] == RUN


def test_an_exception_is_part_of_the_line_without_local_variables() -> None:
    hidden_local = "local-value"
    try:
        raise ValueError("cannot reach postgresql://me:hunter2@db/x")
    except ValueError as error:
        found = as_json("it failed", error=error)
        text = TextLines().format(record("it failed", error=error))
    for shown in (found["exception"], text):
        assert "ValueError: cannot reach postgresql://***@db/x" in shown
        assert "Traceback" in shown
        assert hidden_local not in shown


@given(st.text(max_size=200))
def test_any_text_makes_one_line_of_json(text: str) -> None:
    assert as_json("%s", text)["message"] is not None


def test_known_secrets_are_in_no_line_wherever_they_come_from() -> None:
    for lines in (JsonLines(["s3cr3t"]), TextLines(["s3cr3t"])):
        error = OSError("refused s3cr3t")
        assert "s3cr3t" not in lines.format(record("with s3cr3t and %s", "s3cr3t", error=error))


def test_lines_for_people_have_a_date_in_files_only() -> None:
    assert TextLines().format(record("so"))[2] == ":"
    assert TextLines(dated=True).format(record("so"))[4] == "-"
    assert TextLines().format(record("so")).endswith("[warning  ] so [some.part]")
    assert "\x1b[33m" in TextLines(colours=True).format(record("so"))


def test_a_wrong_call_does_not_end_who_logs(capsys: Any) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.handle(record("%d apples", "many"))
    assert "many" in capsys.readouterr().err
