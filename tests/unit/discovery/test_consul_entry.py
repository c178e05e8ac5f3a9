"""An instance as other tools see it in Consul."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.instance import Beat, Offer, Registration
from plugmesh.discovery.consul.entry import MOST_BYTES, Page, service_of, statuses

texts = st.text(max_size=700)
registrations = st.builds(
    Registration,
    instance=st.from_regex(r"[a-z]{1,20}-[0-9a-z]{16}", fullmatch=True),
    host=texts,
    slots=st.integers(1, 1024),
    partition=st.integers(0, 63),
    labels=st.dictionaries(texts, texts, max_size=5),
    offers=st.just(tuple(Offer(name=f"demo.m{n}", version="1.2.0", digest="sha256:" + "0" * 64) for n in range(3))),
    sdk=texts,
)


@given(registrations)
def test_no_registration_exceeds_what_consul_takes_in_a_service(registration: Registration) -> None:
    service = service_of(registration, "north")
    assert all(len(value.encode()) < MOST_BYTES for value in service["meta"].values())
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,128}", name) for name in service["meta"])
    assert len(service["meta"]) <= 64


@given(registrations, st.booleans())
def test_a_document_comes_back_as_it_was_written(registration: Registration, draining: bool) -> None:
    page = Page(
        registration=registration, beat=Beat(instance=registration.instance, draining=draining, held=("r/a/1",))
    )
    assert Page.model_validate_json(page.encode()) == page


def test_a_service_says_its_mesh_and_modules_as_tags() -> None:
    offer = Offer(name="demo.echo", version="1.0.0", digest="sha256:" + "0" * 64)
    service = service_of(Registration(instance="i-1", host="h", partition=0, offers=(offer,)), "north")
    assert service["tags"] == ["mesh=north", "demo.echo@1.0.0"]
    assert service["check"]["Status"] == "passing"


def row(instance: str | None, *checks: str) -> dict[str, Any]:
    meta = None if instance is None else {"instance": instance}
    return {"Service": {"Meta": meta}, "Checks": [{"Status": status} for status in checks]}


def test_an_instance_passes_when_no_check_of_it_or_of_its_node_is_critical() -> None:
    rows = [row("a", "passing", "passing"), row("b", "critical", "passing"), row("c", "warning"), row("d")]
    assert statuses(rows) == {"a": True, "b": False, "c": True, "d": True}


def test_an_instance_that_two_nodes_know_passes_where_it_is_now() -> None:
    assert statuses([row("a", "passing"), row("a", "critical")]) == {"a": True}


def test_a_service_of_another_tool_with_the_same_name_is_passed_over() -> None:
    assert statuses([row(None, "passing"), row("a", "passing")]) == {"a": True}
