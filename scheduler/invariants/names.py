"""The invariants by name, and what each of them says, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping

INVARIANTS: Mapping[str, str] = {
    "submitted": "a run that was accepted exists",
    "rows": "every row can be read, and belongs to a run",
    "terminal": "a run that has ended stays as it is, and its steps have ended with it",
    "transitions": "runs and steps only go from one state to one that may follow it",
    "accepted": "one attempt of a step is accepted: the one that was out",
    "parents": "a step begins only after all that it needs was accepted",
    "cancelled": "after a cancel nothing is assigned and nothing accepted",
    "paused": "while a run is paused nothing is assigned",
    "retries": "failed attempts are repeated as often and as late as their policy says",
    "progress": "a run that has not ended has something that will move it on, and says what it waits for",
    "replay": "the events of a run, replayed, give its rows",
    "visible": "outputs are those of accepted attempts",
    "recovered": "a recovered step has the outputs that its origin's step was accepted with",
    "permits": "never more runs are under way than their limit allows",
    "letters": "rejected rows belong to an attempt that has ended",
    "objects": "the data that accepted outputs name is there, with its length and hash",
    "effects": "what an idempotent sink does, it does once",
}
