"""The hub's side of one link: reads lines, publishes and subscribes for the process behind it.

The hot path is `pub` in one direction and `msg` in the other: both look at a few words of a line and never at its
payload, and the `pub` lines of a frame go to their readers as one batch a partition.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from pydantic import ValidationError

from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES
from plugmesh.contracts.instance import Beat, Registration
from plugmesh.discovery.port import Entry, Watch
from plugmesh.errors import InvalidMessage, PlugmeshError
from plugmesh.hub.directory import Directory, Seat
from plugmesh.hub.ends import LinkOrigin, WireReader
from plugmesh.hub.outbox import Outbox
from plugmesh.hub.presence import presence_of
from plugmesh.hub.topics import Partition, Topics, sorted_partitions
from plugmesh.hub.wire import Problem, line

_log = logging.getLogger(__name__)
_Batch = dict[Partition, tuple[list[bytes], list[int]]]


class Session:
    """One live link. `feed` takes its frames; `end` undoes what it set up, and keeps what it published."""

    def __init__(self, topics: Topics, directory: Directory, origin: LinkOrigin, outbox: Outbox) -> None:
        self._topics = topics
        self._directory = directory
        self._origin = origin
        self._outbox = outbox
        self._seat = Seat()
        self._readers: dict[str, WireReader] = {}
        self._watches: dict[str, Watch] = {}
        self._commands: dict[bytes, Callable[[str], None]] = {
            b"sub": self._sub,
            b"unsub": self._unsub,
            b"commit": self._commit,
            b"end": self._end,
            b"reg": self._reg,
            b"beat": self._beat,
            b"dereg": self._dereg,
            b"watch": self._watch,
            b"unwatch": self._unwatch,
        }
        self.ended = False
        origin.outbox = outbox

    @property
    def must_wait(self) -> bool:
        """Too much is kept, this link is one that added to it, and it is not the one whose commits would free it."""
        if not self._topics.full or not self._origin.pending:
            return False
        return not any(reader.reads_kept() for reader in self._readers.values())

    def feed(self, frame: bytes) -> None:
        """Do what the lines of a frame say, in order. A line that cannot be understood is logged and skipped."""
        batch: _Batch = {}
        for text in frame.split(b"\n"):
            if text.startswith(b"pub "):
                self._collect(text, batch)
            elif text:
                if batch:
                    self._publish(batch)
                    batch = {}
                self._command(text)
        if batch:
            self._publish(batch)

    def end(self) -> None:
        """The link is gone: nothing more is read or sent for it. Harmless when called twice."""
        if self.ended:
            return
        self.ended = True
        if self._origin.outbox is self._outbox:
            self._origin.outbox = None
        for reader in self._readers.values():
            reader.leave()
        for watch in self._watches.values():
            watch.close()
        self._directory.lost(self._seat)

    # -- the hot path ------------------------------------------------------------------------------------------

    def _collect(self, text: bytes, batch: _Batch) -> None:
        try:
            _, topic, index, digits, payload = text.split(b" ", 4)
            seq = int(digits)
            partition = self._topics.wire_partition(topic, index)
            if len(payload) > MESSAGE_LIMIT_BYTES:
                raise InvalidMessage(f"a message of {len(payload)} bytes is over {MESSAGE_LIMIT_BYTES}")
        except (ValueError, PlugmeshError) as error:
            _log.warning("a line was dropped, it cannot be published: %s (%r)", error, text[:80])
            return
        if seq and not self._is_new(partition, seq):
            return
        queued = batch.get(partition)
        if queued is None:
            batch[partition] = ([payload], [seq])
        else:
            queued[0].append(payload)
            queued[1].append(seq)

    def _is_new(self, partition: Partition, seq: int) -> bool:
        """Note a number. After a reconnect a sender repeats all that it has no acknowledgement for."""
        origin = self._origin
        if seq <= origin.seen:
            if seq not in origin.pending:
                self._outbox.ack(seq)
            return False
        origin.seen = seq
        if partition.kept:
            origin.pending.add(seq)
        else:
            self._outbox.ack(seq)
        return True

    def _publish(self, batch: _Batch) -> None:
        for partition, (messages, seqs) in batch.items():
            partition.publish(messages, self._origin, seqs)

    # -- everything else ---------------------------------------------------------------------------------------

    def _command(self, text: bytes) -> None:
        verb, _, rest = text.partition(b" ")
        command = self._commands.get(verb)
        if command is None:
            _log.debug("a line with the unknown verb %r was ignored", verb[:40])
            return
        try:
            command(rest.decode())
        except (ValueError, PlugmeshError) as error:  # ValidationError and UnicodeDecodeError are ValueErrors
            self._refuse(verb, rest, error)

    def _refuse(self, verb: bytes, rest: bytes, error: Exception) -> None:
        reason = _first_problem(error)
        _log.warning("a %r line was refused: %s", verb, reason)
        request = rest.partition(b" ")[0]
        if verb in (b"sub", b"end", b"reg", b"dereg", b"watch") and request.isalnum():
            self._outbox.put(line("no", request.decode(), Problem.of(reason)))

    def _sub(self, rest: str) -> None:
        name, topic, partitions, start = rest.split(" ")
        reader = WireReader(name, self._topics, self._outbox)
        if name in self._readers:
            raise InvalidMessage(f"the subscription id {name} is in use")
        found = [self._topics.partition(topic, index) for index in sorted_partitions(map(int, partitions.split(",")))]
        begin = None if start == "-" else start
        self._outbox.put(line("ok", name, self._topics.offset(self._topics.start(begin).after)))
        self._readers[name] = reader
        for partition in found:
            reader.join(partition, begin)

    def _unsub(self, rest: str) -> None:
        reader = self._readers.pop(rest, None)
        if reader is not None:
            reader.leave()

    def _commit(self, rest: str) -> None:
        topic, index, first, last = rest.split(" ")
        self._topics.partition(topic, int(index)).release(int(first), int(last))

    def _end(self, rest: str) -> None:
        request, topic, index = rest.split(" ")
        self._topics.partition(topic, int(index))
        self._outbox.put(line("ok", request, self._topics.offset(self._topics.number)))

    def _reg(self, rest: str) -> None:
        request, _, document = rest.partition(" ")
        self._directory.enter(Registration.model_validate_json(document), self._seat)
        self._outbox.put(line("ok", request))

    def _beat(self, rest: str) -> None:
        self._directory.heard(Beat.model_validate_json(rest))

    def _dereg(self, rest: str) -> None:
        request, instance = rest.split(" ")
        self._directory.leave(instance)
        self._outbox.put(line("ok", request))

    def _watch(self, rest: str) -> None:
        if rest in self._watches:
            raise InvalidMessage(f"the watch id {rest} is in use")

        def tell(instance: str, entry: Entry | None) -> None:
            if entry is None:
                self._outbox.put(line("left", rest, instance))
            else:
                self._outbox.put(line("entry", rest, presence_of(entry, self._directory.now())))

        self._watches[rest] = self._directory.watch(tell)
        self._outbox.put(line("ok", rest))

    def _unwatch(self, rest: str) -> None:
        with suppress(KeyError):
            self._watches.pop(rest).close()


def _first_problem(error: Exception) -> Exception:
    if not isinstance(error, ValidationError):
        return error
    first = error.errors(include_url=False, include_input=False)[0]
    return InvalidMessage(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
