"""What user code logs, on its way from an executor into the log of its supervisor."""

import json
import logging
import threading
from collections.abc import Iterator
from contextvars import Context

import pytest

from module_sdk.executor import told
from module_sdk.executor.told import Telling
from module_sdk.frames import FrameReader, Kind
from module_sdk.supervisor.told import log_told
from plugmesh.contracts.messages import Assign

ASSIGN = Assign(
    instance="i", shard=0, term=1, run="run-1", step="a", epoch=2, namespace="default", module="m.x", version="1.0.0",
    digest="d", prefix="p",
)  # fmt: skip


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def telling(sent: list[bytes]) -> Iterator[Telling]:
    made = Telling(sent.append)
    yield made
    logging.getLogger().removeHandler(made)
    made.close()


def frames(telling: Telling, sent: list[bytes]) -> list[dict[str, object]]:
    telling.close()
    found = FrameReader().feed(b"".join(sent))
    assert {(kind, number) for kind, number, _ in found} <= {(Kind.LOGGED, 7)}
    return [json.loads(payload) for _, _, payload in found]


def test_a_record_says_whose_it_is(telling: Telling, sent: list[bytes]) -> None:
    telling.begin(7, ASSIGN)
    logging.getLogger("mine").warning("%d apples", 3)
    [line] = frames(telling, sent)
    assert (line["message"], line["logger"], line["level"]) == ("3 apples", "mine", logging.WARNING)
    assert (line["run"], line["step"], line["attempt"]) == ("run-1", "a", 2)


def test_what_a_thread_of_user_code_logs_is_its_attempts(telling: Telling, sent: list[bytes]) -> None:
    telling.begin(7, ASSIGN)
    thread = threading.Thread(target=logging.getLogger("mine").warning, args=("from a thread",))
    thread.start()
    thread.join()
    assert [line["message"] for line in frames(telling, sent)] == ["from a thread"]


def test_outside_of_attempts_nothing_is_told(telling: Telling, sent: list[bytes]) -> None:
    Context().run(logging.getLogger("mine").warning, "at import")
    assert frames(telling, sent) == []


def test_an_attempt_that_logs_without_end_is_cut(
    telling: Telling, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "MOST_LINES", 3)
    telling.begin(7, ASSIGN)
    for number in range(10):
        logging.getLogger("mine").warning("line %d", number)
    lines = [str(line["message"]) for line in frames(telling, sent)]
    assert lines == ["line 0", "line 1", "line 2 (more lines of this attempt are in the step's log only)"]


def test_a_wrong_call_is_left_to_the_steps_log(telling: Telling, sent: list[bytes]) -> None:
    telling.begin(7, ASSIGN)
    telling.handle(logging.makeLogRecord({"msg": "%d", "args": ("x",), "levelno": 30}))
    assert frames(telling, sent) == []


def test_the_supervisor_logs_it_with_its_ids(caplog: pytest.LogCaptureFixture) -> None:
    line = {
        "created": 12.5,
        "level": 30,
        "logger": "mine",
        "message": "50 % of it",
        "run": "run-1",
        "step": "a",
        "attempt": 2,
    }
    log_told(json.dumps(line).encode())
    [record] = caplog.records
    assert (record.name, record.getMessage(), record.created) == ("step.mine", "50 % of it", 12.5)
    assert (record.run, record.step, record.attempt) == ("run-1", "a", 2)  # type: ignore[attr-defined]
    log_told(json.dumps({**line, "logger": "step"}).encode())
    assert caplog.records[-1].name == "step"


@pytest.mark.parametrize("text", [b"", b"x", b"[]", b"{}", b'{"logger": "a", "level": "high"}'])
def test_what_is_no_record_is_dropped(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    log_told(text)
    assert caplog.records == []
