"""Calls the webhooks that are due. The rows in SQL are the truth: whatever was at work when a server died is called
again by the next one, with the same id, so that a receiver can tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from plugmesh import __version__
from plugmesh.contracts.run import shard_of
from plugmesh.errors import ConfigurationError, PlugmeshError
from plugmesh.figures import Latency
from plugmesh.outgoing.client import Answer
from plugmesh.outgoing.errors import AddressRefused
from plugmesh.outgoing.url import parse_url
from plugmesh.outgoing.webhook_key import sign
from plugmesh.runtime import Runtime
from plugmesh.state.notifications import (
    DELIVERED,
    FAILED,
    StoredNotification,
    due_notifications,
    next_notification,
    notification_tried,
    stored_notification,
)
from plugmesh.state.reads import Reader
from plugmesh.state.store import State
from scheduler.notify.body import webhook_body
from scheduler.notify.judge import Outcome, judge
from scheduler.notify.lanes import Lanes

_log = logging.getLogger(__name__)

AT_A_TIME = 64
"""Calls at a time, to all hosts together."""
_PAGE, _PAGES = 500, 20
_LOOK_AGAIN_S = 30.0
_BREATH_S = 0.5
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_GATHER_S = 0.02
"""Least time between two looks: runs may end hundreds of times a second."""
_ANSWER_LIMIT_BYTES = 16 * 1024


class WebhookSettings(Protocol):
    """What is read anew for each try."""

    @property
    def webhook_attempts(self) -> int: ...

    @property
    def webhook_timeout_s(self) -> float: ...


class HttpClient(Protocol):
    """What the notifier needs of `plugmesh.outgoing.client.Client`."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        answer_limit_bytes: int,
    ) -> Answer: ...


class Notifier:
    """`start` before use, `stop` after it; `wake` when there are new rows.

    `owned` gives the shards whose runs' webhooks are this process's; `link` makes a run's address for people;
    `changed` hears what became of each try.
    """

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        client: HttpClient,
        *,
        key: str,
        settings: WebhookSettings,
        owned: Callable[[], Collection[int]],
        link: Callable[[str], str],
        changed: Callable[[StoredNotification], None] = lambda _: None,
    ) -> None:
        self._runtime, self._state, self._client = runtime, state, client
        self._key, self._settings, self._owned, self._link = key, settings, owned, link
        self._changed = changed
        self._lanes = Lanes()
        self._woken = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._after: tuple[float, str] | None = None
        self.tries = self.delivered = self.failed = 0
        """Counts since the start, for metrics."""
        self.lasted = Latency(
            "plugmesh_webhook_seconds", "Time until a called webhook answered, or failed to", _SECONDS
        )

    @property
    def waiting(self) -> int:
        """Webhooks that are due and queued or being called, for metrics."""
        return len(self._lanes)

    def start(self) -> None:
        """Begin with what is due."""
        self._task = self._runtime.spawn(self._run(), "notifier")

    async def stop(self) -> None:
        """End at once. Calls at work are broken off; the next server makes them again."""
        tasks = [task for task in (self._task, *self._calls) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        """Look for rows now."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                pause_s = await self._look()
            except Exception:  # noqa: BLE001  whatever it was, webhooks must go on
                _log.exception("the webhooks that are due could not be read; trying again")
                pause_s = _LOOK_AGAIN_S
            self._begin_calls()
            await self._rest(pause_s)
            await self._runtime.sleep(_GATHER_S)

    async def _look(self) -> float:
        """Queue what is due; returns the seconds until something else will be."""
        now = self._runtime.wall()
        for _ in range(_PAGES):
            rows = await self._state.read(due_notifications, now, self._after, _PAGE)
            self._queue(rows)
            if len(rows) < _PAGE:
                self._after = None
                break
            self._after = (rows[-1].next_at or 0.0, rows[-1].id)
        if self._after is not None:
            return _BREATH_S
        following = await self._state.read(next_notification, now)
        return _LOOK_AGAIN_S if following is None else min(max(_BREATH_S, following - now), _LOOK_AGAIN_S)

    def _queue(self, rows: list[StoredNotification]) -> None:
        owned = self._owned()
        for row in rows:
            if shard_of(row.run) in owned:
                self._lanes.offer(_host_of(row.url), row)

    async def _rest(self, seconds: float) -> None:
        alarm = self._runtime.spawn(self._alarm(seconds), "notifier clock")
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()

    async def _alarm(self, seconds: float) -> None:
        await self._runtime.sleep(seconds)
        self._woken.set()

    def _begin_calls(self) -> None:
        while len(self._calls) < AT_A_TIME and (taken := self._lanes.take()) is not None:
            task = self._runtime.spawn(self._call(*taken), "webhook")
            self._calls.add(task)
            task.add_done_callback(self._called)

    def _called(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            self._begin_calls()

    async def _call(self, host: str, row: StoredNotification) -> None:
        try:
            outcome = await self._try(row)
            if outcome is not None:
                self._runtime.point("notify.called")
                await self._write_down(host, row, outcome)
        except Exception:  # noqa: BLE001  the row is as it was: it is tried again
            _log.exception("what became of the webhook %s could not be written down; it is called again", row.id)
            await self._runtime.sleep(_LOOK_AGAIN_S)
        finally:
            if self._lanes.done(host, row):
                self.wake()

    async def _try(self, row: StoredNotification) -> Outcome | None:
        """Call once; `None` if the row changed since it was read: it was called already."""
        now, body = await self._state.read(_current, row.id, self._link(row.run))
        if now is None or (now.state, now.attempts) != (row.state, row.attempts):
            return None
        if body is None:
            return Outcome(error="the run was deleted before this could be delivered", hopeless=True)
        at = int(self._runtime.wall())
        headers = {
            "content-type": "application/json",
            "user-agent": f"plugmesh/{__version__}",
            "webhook-id": row.id,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(self._key, row.id, at, body),
        }
        self.tries += 1
        begun = self._runtime.now()
        try:
            answer = await self._client.request(
                "POST",
                row.url,
                headers=headers,
                body=body,
                timeout_s=self._settings.webhook_timeout_s,
                answer_limit_bytes=_ANSWER_LIMIT_BYTES,
            )
        except (AddressRefused, ConfigurationError) as error:
            return Outcome(error=str(error), hopeless=True)
        except PlugmeshError as error:
            return Outcome(error=str(error))
        finally:
            self.lasted.observe(self._runtime.now() - begun)
        return Outcome(answer.status, retry_after=answer.headers.get("retry-after"))

    async def _write_down(self, host: str, row: StoredNotification, outcome: Outcome) -> None:
        jitter = self._runtime.random().random()
        attempts = self._settings.webhook_attempts
        after = judge(row, outcome, attempts=attempts, now=self._runtime.wall(), jitter=jitter)
        await self._state.write(notification_tried, after)
        self._changed(after)
        self.delivered += after.state == DELIVERED
        self.failed += after.state == FAILED
        if after.state == FAILED:  # the host alone: path and query may hold the receiver's secrets
            _log.warning("the webhook %s to %s failed at try %d: %s", row.id, host, after.attempts, after.error or "")


def _current(reader: Reader, notification: str, link: str) -> tuple[StoredNotification | None, bytes | None]:
    row = stored_notification(reader, notification)
    return row, None if row is None else webhook_body(reader, row.run, link)


def _host_of(url: str) -> str:
    try:
        return parse_url(url).origin
    except ConfigurationError:
        return ""
