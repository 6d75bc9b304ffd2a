"""Counts what happened since the hub started, for `/metrics`."""

from collections import Counter
from collections.abc import Iterable
from typing import cast

from attrs import evolve, field
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from parachute_hub.events import JobChanged, NumberedEvent
from parachute_hub.site.root import MountedArea
from parachute_hub.store.rows import Act
from parachute_hub.system.records import define


@define
class Tally:
    """Counts what happened since the hub started."""

    jobs: Counter[tuple[str, str]] = field(factory=Counter)
    sign_ins: Counter[str] = field(factory=Counter)
    token_requests: Counter[str] = field(factory=Counter)
    refusals: Counter[tuple[str, str]] = field(factory=Counter)

    def heard(self, numbered: NumberedEvent) -> None:
        """An event of the bus. A job that ended is published once as such."""
        event = numbered.event
        if isinstance(event, JobChanged) and "finishedAt" in event.job:
            self.jobs[str(event.job["kind"]), str(event.job["outcome"])] += 1

    def acted(self, act: Act) -> None:
        """An audited act. A sign-in counts once it is complete, whatever it took."""
        if act.action == "sign-in" or (act.action == "second-factor" and act.outcome != "ok"):
            self.sign_ins[act.outcome] += 1

    def refused(self, module: str, error: str) -> None:
        """A token was refused before a module."""
        self.refusals[module, error] += 1

    def counted(self, parts: Iterable[MountedArea]) -> list[MountedArea]:
        """The same areas; requests for tokens are counted."""
        return [
            evolve(part, resource=_Counted(part.resource, self.token_requests))
            if "/oauth/token" in part.prefixes
            else part
            for part in parts
        ]


class _Counted(Resource):
    """Counts the outcomes of `POST /oauth/token`."""

    isLeaf = True

    def __init__(self, inner: IResource, counts: Counter[str]) -> None:
        super().__init__()
        self._inner = inner
        self._counts = counts

    def render(self, request: IRequest) -> bytes | int:
        if (request.method, request.path) == (b"POST", b"/oauth/token"):
            asked = cast(Request, request)
            asked.notifyFinish().addBoth(lambda _: self._count(int(asked.code)))
        return self._inner.render(request)  # type: ignore[no-any-return]

    def _count(self, status: int) -> None:
        words = {2: "issued", 4: "refused"}
        self._counts[words.get(status // 100, "failed")] += 1
