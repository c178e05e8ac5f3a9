"""What an instance remembers of its attempts."""

from module_sdk.supervisor.attempts import KEPT_RESULTS, KNOWN_ENDS, Attempts, Head, Held


def head(step: str, epoch: int = 1) -> Head:
    return Head(type="assign", instance="i", shard=2, term=1, run="r", step=step, epoch=epoch)


def ended(attempts: Attempts, step: str) -> Held:
    attempt = attempts.add(head(step), b"", 0.0, concurrent=False)
    attempts.queue.remove(attempt)
    attempt.result = step.encode()
    attempts.forget(attempt)
    return attempt


def test_an_ended_attempt_is_known_and_its_result_kept() -> None:
    attempts = Attempts()
    attempt = ended(attempts, "s")
    assert attempts.ended(attempt.key)
    assert attempts.result_of(attempt.key) == (2, b"s")
    assert not attempts.held


def test_memory_is_bounded_ids_outlive_results() -> None:
    attempts = Attempts()
    first = ended(attempts, "first")
    for number in range(KEPT_RESULTS):
        ended(attempts, f"s{number}")
    assert attempts.ended(first.key)
    assert attempts.result_of(first.key) is None
    for number in range(KNOWN_ENDS):
        ended(attempts, f"t{number}")
    assert not attempts.ended(first.key)


def test_a_forgotten_attempt_leaves_the_queue_and_keeps_no_result() -> None:
    attempts = Attempts()
    attempt = attempts.add(head("s"), b"", 0.0, concurrent=False)
    attempts.forget(attempt, keep_result=False)
    assert attempts.unended() == 0
    assert attempts.ended(attempt.key)
    assert attempts.result_of(attempt.key) is None


def test_the_newest_epoch_of_a_step_is_known_while_it_is_held() -> None:
    attempts = Attempts()
    old = attempts.add(head("s", 1), b"", 0.0, concurrent=False)
    new = attempts.add(head("s", 2), b"", 0.0, concurrent=False)
    attempts.forget(old)
    assert attempts.newest(("r", "s", 3)) is new
    attempts.forget(new)
    assert attempts.newest(("r", "s", 3)) is None


def test_leases_are_renewed_for_what_was_accepted_or_has_a_result() -> None:
    attempts = Attempts()
    accepted = attempts.add(head("a"), b"", 0.0, concurrent=False)
    finished = attempts.add(head("b"), b"", 0.0, concurrent=False)
    attempts.add(head("c"), b"", 0.0, concurrent=False)
    accepted.told_accepted = True
    finished.result = b"{}"
    assert attempts.by_shard() == {2: ["r/a/1", "r/b/1"]}
