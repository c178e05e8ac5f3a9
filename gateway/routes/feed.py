"""`/events`: one stream of everything that a user interface shows."""

from __future__ import annotations

from types import UnionType
from typing import Annotated

from fastapi import FastAPI, Header, Query
from pydantic import BaseModel
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Stream
from gateway.core import Gateway
from gateway.documents.document import frames_of
from gateway.documents.frames import InstanceGone, InstanceTold, Resync, RunTold, SweptTold
from gateway.documents.modules import ShownModule
from gateway.documents.notifications import ShownNotification
from gateway.errors import BadRequest
from gateway.feed import TOPICS
from gateway.routing import API
from plugmesh.flows.problem import did_you_mean

EVENT_STREAM = "text/event-stream"
_SHOWN = 'id: feed-06f3k8m2:41\nevent: resync\ndata: {"topics":["run","module"]}\n\n'
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

Wanted = Annotated[
    str | None, Query(description=f"Only these, separated by commas, of {', '.join(TOPICS)}", max_length=200)
]
LastEventId = Annotated[
    str | None,
    Header(description="The id of the last frame that was seen; a browser sends it by itself", max_length=200),
]


class FeedRoutes:
    """The endpoint of the feed."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the route."""
        frames: dict[str, type[BaseModel] | UnionType] = {
            "resync": Resync,
            "run": RunTold,
            "module": ShownModule,
            "instance": InstanceTold | InstanceGone,
            "notification": ShownNotification,
            "data": SweptTold,
        }
        found = frames_of(frames, "Frames, each with one document", _SHOWN)
        add = app.add_api_route
        add(f"{API}/events", self.events, methods=["GET"], tags=["feed"], name="follow", responses=found)

    @access(Action.READ, Kind.MESH)
    async def events(self, topics: Wanted = None, last_event_id: LastEventId = None) -> Response:
        """Server-sent events `run`, `module`, `instance`, `notification` and `data`, each with the thing as it is now.

        The first frame is `resync`: read what you show, then follow. After a broken connection the stream goes on behind
        `Last-Event-ID`, or begins with `resync` when too much has happened since. Several changes of one thing may be
        told as one. `data` says what a round of the sweeper did. A `run` has `steps`: what changed, by step (null: too
        many, read the run). A comment is sent when nothing happens for a while.
        """
        settings = self._gateway.settings
        pieces = self._gateway.feed.stream(_topics(topics), last_event_id, lambda: settings.recheck_s)
        return Stream(pieces, EVENT_STREAM, settings.stall_s, HEADERS)


def _topics(given: str | None) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(given.split(","))) if given is not None else TOPICS
    for topic in wanted:
        if topic not in TOPICS:
            hint = did_you_mean(topic, TOPICS) or f"there are {', '.join(TOPICS)}"
            raise BadRequest(f"there is no topic {topic[:50]!r} ({hint})", parameter="topics")
    return wanted
