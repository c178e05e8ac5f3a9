"""What of an attempt's end speaks against the version of its module."""

from __future__ import annotations

import pytest

from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass
from scheduler.effects import Convict
from scheduler.events import Assigned, AttemptFailed, AttemptLost, AttemptStarted, Begin, CancelAsked
from scheduler.step import ALONE_AFTER
from scheduler.walk import advance
from tests.unit.scheduler.walking import flow_of, new_run

DIED = StepError(error_class=ErrorClass.TRANSIENT, type="ExecutorDied", message="it died", traceback="in x.py")


@pytest.fixture
def run():
    made = new_run(flow_of({"a": ()}))
    advance(made, Begin(1.0))
    return made


def convicted(run, *events):
    return [effect for event in events for effect in advance(run, event).effects if isinstance(effect, Convict)]


def tried(epoch, *, started=True):
    begun = (AttemptStarted(1.0, "a", epoch, "i"),) if started else ()
    return (Assigned(1.0, "a", "i", "1.2.0"), *begun)


def died(epoch=1, *, convicting=True):
    return AttemptFailed(2.0, "a", epoch, "i", DIED, 0.0, convicting=convicting)


def module(run):
    return run.plan.flow.nodes["a"].module


def test_a_death_that_a_supervisor_saw_does(run):
    assert convicted(run, *tried(1), died()) == [Convict("a", 1, module(run), "1.2.0", "it died", "in x.py")]


def test_an_error_does_not(run):
    assert convicted(run, *tried(1), died(convicting=False)) == []


def test_an_attempt_that_is_not_current_does_not(run):
    assert convicted(run, *tried(1), AttemptLost(1.5, "a", 1, "silence"), *tried(2), died(1)) == []


def test_a_death_while_the_run_is_cancelled_does(run):
    assert len(convicted(run, *tried(1), CancelAsked(1.5, "ana", ""), died())) == 1


def test_a_lost_instance_does_only_when_the_step_ran_alone_there(run):
    for epoch in range(1, ALONE_AFTER + 1):
        assert convicted(run, *tried(epoch), AttemptLost(2.0, "a", epoch, "silence")) == []
    alone = ALONE_AFTER + 1
    (found,) = convicted(run, *tried(alone), AttemptLost(3.0, "a", alone, "silence"))
    assert (found.epoch, found.reason) == (alone, "its instance was lost while nothing else ran there: silence")


def test_an_instance_that_went_before_it_could_say_that_the_step_began_does(run):
    for epoch in range(1, ALONE_AFTER + 1):
        assert convicted(run, *tried(epoch, started=False), AttemptLost(2.0, "a", epoch, "gone", gone=True)) == []
    alone = ALONE_AFTER + 1
    assert convicted(run, *tried(alone, started=False), AttemptLost(3.0, "a", alone, "gone", gone=True))


def test_an_attempt_that_never_began_does_not(run):
    for epoch in range(1, ALONE_AFTER + 2):
        assert convicted(run, *tried(epoch, started=False), AttemptLost(2.0, "a", epoch, "not accepted")) == []
