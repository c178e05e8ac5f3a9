"""What one process enters into Consul: a service and a document for each instance, and a session that keeps the documents.

All calls block, and belong to one thread.
"""

from __future__ import annotations

from typing import Any

from consul import ACLPermissionDenied, ConsulException, NotFound

from plugmesh.contracts.instance import Registration
from plugmesh.discovery.consul.address import ConsulPlace
from plugmesh.discovery.consul.client import in_our_words, open_client
from plugmesh.discovery.consul.entry import FORGET_S, SERVICE, Page, key, mesh_tag, service_id, service_of
from plugmesh.errors import NotReachable

ANSWER_S = 3.0
_FILTERED = "X-Consul-Results-Filtered-By-ACLs"


class ConsulWriter:
    """Every call raises `Unauthorized`, `ConfigurationError` or `NotReachable`."""

    def __init__(self, place: ConsulPlace) -> None:
        self._place = place
        self._client: Any = open_client(place, ANSWER_S)
        self.session: str | None = None
        """What keeps the documents: they go with it."""

    def check(self) -> None:
        """Read and write as registering and watching do, and leave nothing behind."""
        with in_our_words(self._place):
            trial = f"plugmesh/{self._place.mesh}/trial"
            self._client.kv.put(trial, b"")
            self._client.kv.delete(trial)
            path, tag = f"/v1/health/service/{SERVICE}", mesh_tag(self._place.mesh)
            headers = self._client.prepare_headers()
            answer = self._client.http.get(lambda answer: answer, path, params=[("tag", tag)], headers=headers)
            if answer.headers.get(_FILTERED) == "true":
                raise ACLPermissionDenied("it may not read the services")

    def enter(self, page: Page) -> None:
        """Write the document, then register the service, passing."""
        registration = page.registration
        self.write(page)
        with in_our_words(self._place):
            self._client.agent.service.register(**service_of(registration, self._place.mesh))

    def visible(self, registration: Registration) -> bool:
        """The agent has told the servers of the service as it is now."""
        wanted = service_of(registration, self._place.mesh)
        with in_our_words(self._place):
            _, rows = self._client.health.service(SERVICE, filter_expr=f'Service.ID == "{wanted["service_id"]}"')
        return any((row["Service"]["Meta"], row["Service"]["Tags"]) == (wanted["meta"], wanted["tags"]) for row in rows)

    def live(self, instance: str) -> bool:
        """Give a sign of life; False when the agent does not know the instance (any more)."""
        with in_our_words(self._place):
            try:
                return bool(self._client.agent.check.ttl_pass(service_id(self._place.mesh, instance)))
            except ConsulException as error:
                if str(error).startswith("500"):  # so say agents before 1.11
                    return False
                raise

    def renew(self) -> bool:
        """Keep the documents for longer; False when Consul has dropped them meanwhile."""
        if self.session is None:
            return False
        with in_our_words(self._place):
            try:
                self._client.session.renew(self.session)
            except NotFound:
                self.session = None
                return False
        return True

    def write(self, page: Page) -> None:
        """Write the document, so that it goes when this process is long gone."""
        place, value = key(self._place.mesh, page.registration.instance), page.encode()
        with in_our_words(self._place):
            if self.session is None:
                self.session = self._new_session()
            if self._put(place, value):
                return
            self.session = self._new_session()  # the old one has ended, or another process had this instance
            self._client.kv.delete(place)
            if not self._put(place, value):
                raise NotReachable(f"{self._place} (setting `discovery`) has not kept the document {place}")

    def leave(self, instance: str) -> None:
        """Strike an instance out; the service first, so that whoever sees the document gone knows that it left."""
        with in_our_words(self._place):
            self._client.agent.service.deregister(service_id(self._place.mesh, instance))
            self._client.kv.delete(key(self._place.mesh, instance))

    def end(self) -> None:
        """Give the session back."""
        session, self.session = self.session, None
        if session is not None:
            with in_our_words(self._place):
                self._client.session.destroy(session)

    def _put(self, place: str, value: bytes) -> bool:
        try:
            return bool(self._client.kv.put(place, value, acquire=self.session))
        except ConsulException as error:
            if "invalid session" in str(error):
                return False
            raise

    def _new_session(self) -> str:
        # Bound to no check: a document outlives a silence, as the service does.
        session: str = self._client.session.create(
            name=f"plugmesh {self._place.mesh}", checks=[], lock_delay=0, behavior="delete", ttl=int(FORGET_S)
        )
        return session
