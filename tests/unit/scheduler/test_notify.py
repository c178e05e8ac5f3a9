"""What becomes of a webhook, who is called next, and how a call is signed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.errors import ConfigurationError
from plugmesh.outgoing.webhook_key import ensure_webhook_key, read_webhook_key, sign
from plugmesh.state.notifications import StoredNotification
from scheduler.notify.judge import MOST_DELAY_S, Outcome, delay, judge, wanted_delay
from scheduler.notify.lanes import AT_A_TIME, WAITING, Lanes

NOW = 1_800_000_000.0


def row(number: int = 0, run: str = "r", attempts: int = 0) -> StoredNotification:
    return StoredNotification(
        f"{run}.{number}", run, "default", "http://h/", "pending", attempts, NOW, None, None, NOW, None
    )


def after(outcome: Outcome, attempts: int = 0, most: int = 12, jitter: float = 0.5) -> StoredNotification:
    return judge(row(attempts=attempts), outcome, attempts=most, now=NOW, jitter=jitter)


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_a_good_answer_delivers(status):
    tried = after(Outcome(status))
    assert (tried.state, tried.attempts, tried.next_at, tried.ended_at) == ("delivered", 1, None, NOW)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422, 301, 307])
def test_a_clients_error_or_a_redirect_fails_at_once(status):
    tried = after(Outcome(status))
    assert (tried.state, tried.next_at) == ("failed", None)
    assert str(status) in str(tried.error)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
def test_what_may_pass_is_tried_again(status):
    tried = after(Outcome(status))
    assert (tried.state, tried.attempts, tried.status) == ("pending", 1, status)
    assert tried.next_at == NOW + delay(1, 0.5)


def test_an_error_is_tried_again_unless_it_is_hopeless():
    assert after(Outcome(error="no answer")).state == "pending"
    assert after(Outcome(error="refused", hopeless=True)).state == "failed"


def test_the_last_try_fails():
    assert after(Outcome(503), attempts=10).state == "pending"
    assert after(Outcome(503), attempts=11).state == "failed"


def test_twelve_tries_take_about_a_day():
    whole = sum(delay(tries, 0.5) for tries in range(1, 12))
    assert 18 * 3600 < whole < 30 * 3600


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_delay_is_never_longer_than_the_longest(attempts, jitter):
    assert 0 < delay(attempts, jitter) < MOST_DELAY_S * 1.21


def test_retry_after_is_honoured():
    assert after(Outcome(429, retry_after="600")).next_at == NOW + 600
    assert after(Outcome(503, retry_after="Fri, 15 Jan 2027 08:10:00 GMT")).next_at == pytest.approx(NOW + 600)


@given(st.text(max_size=40))
def test_whatever_retry_after_says_the_wait_is_bounded(text):
    assert 0 <= wanted_delay(text, NOW) <= 86_400


def test_one_host_is_called_a_few_times_at_a_time_and_others_go_on():
    lanes = Lanes()
    for number in range(AT_A_TIME + 3):
        lanes.offer("slow", row(run=f"s{number}"))
    lanes.offer("other", row(run="o"))
    taken = [lanes.take() for _ in range(AT_A_TIME + 1)]
    assert [found[0] for found in taken if found].count("slow") == AT_A_TIME
    assert "other" in [found[0] for found in taken if found]
    assert lanes.take() is None


def test_the_webhooks_of_a_run_are_called_in_order_at_one_host():
    lanes = Lanes()
    lanes.offer("h", row(0))
    lanes.offer("h", row(1))
    first = lanes.take()
    assert first == ("h", row(0))
    assert lanes.take() is None
    lanes.done(*first)
    assert lanes.take() == ("h", row(1))


def test_a_full_lane_leaves_rows_in_sql_and_says_when_there_is_room():
    lanes = Lanes()
    for number in range(WAITING + 1):
        lanes.offer("h", row(run=f"r{number}"))
    assert len(lanes) == WAITING
    said = []
    while (taken := lanes.take()) is not None:
        said.append(lanes.done(*taken))
    assert said.count(True) == 1


def test_a_row_that_is_at_work_is_not_queued_again():
    lanes = Lanes()
    lanes.offer("h", row())
    lanes.take()
    lanes.offer("h", row())
    assert lanes.take() is None


def test_the_signature_is_that_of_the_scheme():
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    path = tmp_path / "webhook-key"
    key = ensure_webhook_key(path)
    assert key.startswith("whsec_")
    assert path.stat().st_mode & 0o777 == 0o600
    assert ensure_webhook_key(path) == key
    assert [entry.name for entry in tmp_path.iterdir()] == ["webhook-key"]


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_####", "whsec_c2hvcnQ="])
def test_a_file_without_a_key_is_refused_and_not_quoted(tmp_path, text):
    path = tmp_path / "webhook-key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="holds no webhook key"):
        read_webhook_key(path)


def test_a_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "webhook-key"
    ensure_webhook_key(path)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_webhook_key(path)
