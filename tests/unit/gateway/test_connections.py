"""How many connections there may be and how slow: told by a set clock and connections that are only their numbers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.connections import Connections, Phase
from plugmesh.settings.settings import Settings


@dataclass(eq=False)
class Fake:
    address: str = "10.0.0.1"
    phase: Phase = Phase.HEAD
    turn: int = 0
    received: int = 0
    unread: bool = False
    unsent: bool = False
    dropped: str | None = None

    def drop(self, reason: str) -> None:
        self.dropped = reason


def opened(settings: Settings, *fakes: Fake) -> Connections:
    connections = Connections(settings)
    for fake in fakes:
        connections.opened(fake, 0.0)
    return connections


def sweep(connections: Connections, until_s: int, begin_s: int = 1) -> None:
    for second in range(begin_s, until_s + 1):
        connections.sweep(float(second))


def test_a_head_that_does_not_come_ends_the_connection() -> None:
    slow, quick = Fake(), Fake()
    connections = opened(Settings(), slow, quick)
    sweep(connections, 5)
    quick.phase = Phase.IDLE
    sweep(connections, 10, 6)
    assert (slow.dropped, len(connections)) == (None, 2)
    sweep(connections, 12, 11)
    assert "head did not come within 10 s" in (slow.dropped or "")
    assert (quick.dropped, len(connections)) == (None, 1)


def test_each_head_on_a_kept_connection_has_its_own_time() -> None:
    kept = Fake()
    connections = opened(Settings(), kept)
    for second in range(1, 60):
        kept.turn += second % 8 == 0
        connections.sweep(float(second))
    assert kept.dropped is None


def test_a_body_that_stops_coming_ends_the_connection_unless_nobody_reads_it() -> None:
    stopped, waiting = Fake(phase=Phase.BODY), Fake(phase=Phase.BODY, unread=True)
    connections = opened(Settings(), stopped, waiting)
    sweep(connections, 31)
    assert "no byte" in (stopped.dropped or "")
    sweep(connections, 300, 32)
    assert waiting.dropped is None


@pytest.mark.parametrize(("rate", "kept"), [(10, False), (1023, False), (1024, True), (10**6, True)])
def test_a_body_must_come_at_some_rate(rate: int, kept: bool) -> None:
    client = Fake(phase=Phase.BODY)
    connections = opened(Settings(), client)
    for second in range(1, 130):
        client.received += rate
        connections.sweep(float(second))
    assert (client.dropped is None) == kept
    assert kept or "too slowly" in (client.dropped or "")


def test_a_client_that_takes_nothing_of_its_answer_is_dropped() -> None:
    stuck, slow = Fake(phase=Phase.ANSWER, unsent=True), Fake(phase=Phase.ANSWER, unsent=True)
    connections = opened(Settings(), stuck, slow)
    for second in range(1, 200):
        slow.unsent = second % 30 != 0
        connections.sweep(float(second))
    assert "nothing of the answer" in (stuck.dropped or "")
    assert slow.dropped is None


def test_one_too_many_ends_the_one_that_was_idle_for_longest() -> None:
    busy, young, old = Fake(phase=Phase.ANSWER), Fake(phase=Phase.BODY), Fake(phase=Phase.IDLE)
    connections = opened(Settings(connections=3), busy, young, old)
    sweep(connections, 3)
    young.phase, young.turn = Phase.IDLE, 1
    sweep(connections, 5, 4)
    assert connections.opened(Fake(), 6.0)
    assert (busy.dropped, young.dropped, old.dropped) == (None, None, "")


def test_where_all_are_busy_there_is_no_room() -> None:
    connections = opened(Settings(connections=2), *(Fake(phase=Phase.BODY) for _ in range(2)))
    newcomer = Fake()
    assert not connections.opened(newcomer, 1.0)
    assert connections.crowded(newcomer)
    connections.closed(newcomer)
    assert len(connections) == 2


def test_an_address_with_too_many_loses_its_own_not_those_of_others() -> None:
    others = Fake("10.0.0.2", Phase.IDLE)
    mine = [Fake(phase=Phase.IDLE) for _ in range(3)]
    connections = opened(Settings(connections_per_address=3), others, *mine)
    assert connections.opened(Fake(), 1.0)
    assert [fake.dropped for fake in (others, *mine)] == [None, "", None, None]


def test_links_of_modules_have_places_of_their_own() -> None:
    connections = opened(Settings(connections=1, connections_for_modules=2), Fake(phase=Phase.BODY))
    for room in (True, True, False):
        link = Fake()
        connections.opened(link, 1.0)
        assert not connections.overrun
        assert connections.link_opened(link) == room
        connections.closed(link)
    connections.link_closed()
    assert connections.link_opened(Fake())


def test_short_limits_are_looked_at_often_enough() -> None:
    assert Connections(Settings()).sweep_s == 1.0
    assert Connections(Settings(head_timeout_s=0.2)).sweep_s == 0.05
