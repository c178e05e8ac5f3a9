"""What a watcher of Consul tells, by what it was answered and when."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.instance import Beat, Registration
from plugmesh.discovery.consul.entry import DEAD_S, FORGET_S, SUSPECT_S, TTL_S, Page, key
from plugmesh.discovery.consul.roster import Roster
from plugmesh.discovery.port import Entry


class Book:
    """A roster, and what it has told."""

    def __init__(self) -> None:
        self.roster = Roster("m")
        self.told: dict[str, Entry] = {}
        self.left: list[str] = []

    def services(self, now: float, after_break: bool = False, **found: bool) -> None:
        self._note(self.roster.services(found, now, after_break=after_break))

    def documents(self, now: float, *items: dict[str, Any], after_break: bool = False) -> None:
        self._note(self.roster.documents(items, now, after_break=after_break))

    def time(self, now: float) -> None:
        self._note(self.roster.time(now))

    def silence_s(self, now: float) -> float:
        return now - self.told["i"].beat_at

    def _note(self, news: list[tuple[str, Entry | None]]) -> None:
        for instance, entry in news:
            if entry is None:
                del self.told[instance]
                self.left.append(instance)
            else:
                self.told[instance] = entry


def document(index: int = 1, instance: str = "i", **beat: Any) -> dict[str, Any]:
    registration = Registration(instance=instance, host="h", partition=0, offers=())
    page = Page(registration=registration, beat=Beat(instance=instance, **beat) if beat else None)
    return {"Key": key("m", instance), "ModifyIndex": index, "Value": page.encode()}


def present(now: float = 100.0) -> Book:
    book = Book()
    book.documents(now, document())
    book.services(now, i=True)
    return book


def test_an_instance_is_told_when_service_and_document_are_there_in_either_order() -> None:
    one, other = Book(), Book()
    one.documents(1.0, document())
    other.services(1.0, i=True)
    assert not one.told
    assert not other.told
    one.services(1.0, i=True)
    other.documents(1.0, document())
    assert one.told == other.told != {}


def test_a_document_without_a_service_is_nobody() -> None:
    book = Book()
    book.documents(1.0, document())
    book.time(10_000.0)
    assert not book.told
    assert not book.left


def test_what_a_beat_said_is_told() -> None:
    book = present()
    book.documents(101.0, document(2, running=3, draining=True, held=("r/a/1",)))
    entry = book.told["i"]
    assert (entry.running, entry.draining, entry.held, entry.beat_at) == (3, True, ("r/a/1",), 101.0)


def test_who_passes_is_never_silent_for_longer_than_the_check_allows() -> None:
    book = present()
    book.time(500.0)
    assert book.silence_s(500.0) == TTL_S < SUSPECT_S


def test_silence_is_counted_from_the_last_sign_of_life_when_the_check_turns_critical() -> None:
    book = present()
    book.time(500.0)
    book.services(501.0, i=False)
    book.time(516.0)
    assert book.silence_s(516.0) >= DEAD_S
    book.services(520.0, i=True)
    assert book.silence_s(520.0) == 0


def test_who_is_critical_is_not_acquitted_by_what_it_writes() -> None:
    book = present()
    book.services(101.0, i=False)
    book.documents(110.0, document(2, running=1))
    assert book.told["i"].running == 1
    assert book.silence_s(110.0) > SUSPECT_S


def test_who_is_critical_at_first_sight_is_suspect() -> None:
    book = Book()
    book.documents(100.0, document())
    book.services(100.0, i=False)
    assert book.silence_s(100.0) == SUSPECT_S


def test_who_has_neither_service_nor_document_has_left() -> None:
    one, other = present(), present()
    one.services(101.0)
    assert not one.left
    one.documents(101.0)
    other.documents(101.0)
    assert not other.left
    other.services(101.0)
    assert one.left == other.left == ["i"]


def test_who_was_forgotten_by_its_agent_is_silent_until_it_is_back() -> None:
    book = present()
    book.services(101.0)
    book.time(102.0 + SUSPECT_S)
    assert not book.left
    assert book.silence_s(102.0 + SUSPECT_S) > SUSPECT_S
    book.services(130.0, i=True)
    assert book.silence_s(130.0) == 0


def test_a_document_that_nobody_takes_care_of_is_forgotten() -> None:
    book = present()
    book.services(101.0)
    book.time(102.0 + FORGET_S)
    assert book.left == ["i"]
    book.documents(103.0 + FORGET_S, document())
    assert not book.told


def test_nobody_leaves_because_consul_was_started_anew_and_knows_nobody() -> None:
    book = present()
    book.services(101.0, after_break=True)
    book.documents(101.0, after_break=True)
    assert not book.left
    book.documents(103.0, document(1))
    book.services(103.0, i=True)
    assert not book.left
    assert book.silence_s(103.0) == 0


def test_a_consul_that_was_started_anew_may_number_other_documents_alike() -> None:
    book = present()
    book.documents(101.0, document(1, draining=True), after_break=True)
    assert book.told["i"].draining


def test_a_document_that_is_only_read_again_is_no_sign_of_life() -> None:
    book = present()
    book.documents(110.0, document(1), after_break=True)
    assert book.silence_s(110.0) == 10.0


def test_who_does_not_come_back_after_a_break_has_left() -> None:
    book = present()
    book.services(101.0, after_break=True)
    book.documents(101.0, after_break=True)
    book.time(101.0 + DEAD_S)
    assert book.left == ["i"]


def test_a_document_that_cannot_be_read_changes_nothing() -> None:
    book = present()
    before = dict(book.told)
    for value in (None, b"{", b'{"v": "99.0"}'):
        book.documents(101.0, document(2) | {"Value": value, "ModifyIndex": 7})
    assert book.told == before


def test_nothing_is_told_twice() -> None:
    book = present()
    assert book.roster.services({"i": True}, 101.0, after_break=False) == []
    assert book.roster.documents([document()], 101.0, after_break=False) == []


steps = st.lists(
    st.tuples(
        st.sampled_from(["services", "documents"]),
        st.sets(st.sampled_from("abc")),
        st.booleans(),
        st.booleans(),
        st.floats(0.1, 40),
    ),
    max_size=30,
)


@given(steps)
def test_whatever_happened_the_list_is_right_once_consul_shows_it(
    steps: list[tuple[str, set[str], bool, bool, float]],
) -> None:
    book, now = Book(), 0.0
    for number, (kind, names, passing, after_break, wait) in enumerate(steps):
        now += wait
        if kind == "services":
            book.services(now, after_break, **dict.fromkeys(names, passing))
        else:
            book.documents(now, *(document(number, name) for name in names), after_break=after_break)
        book.time(now)
    for end in (now + 1, now + DEAD_S + 2):
        book.services(end, a=True)
        book.documents(end, document(1000, "a"))
        book.time(end)
    assert set(book.told) == {"a"}
    assert now + DEAD_S + 2 - book.told["a"].beat_at <= TTL_S
