"""`/api/problems`: what is wrong now, for administrators."""

from collections.abc import Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from parachute_hub.problems.model import Standing
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.doer import Done


class ProblemList(Protocol):
    """The part of `problems.service.Problems` that pages use."""

    @property
    def complete(self) -> bool: ...

    def all(self) -> Sequence[Standing]: ...

    async def dismiss(self, key: str, dismissed: bool = True) -> str | None: ...

    def look(self) -> "Deferred[Any]": ...


class ProblemsApi:
    """Keys contain colons and dots, so they are sent in the body."""

    app: Klein = area()

    def __init__(self, *, who: Authenticator, problems: ProblemList, done: Done) -> None:
        self._who = who
        self._problems = problems
        self._done = done

    @app.route("/api/problems", methods=["GET"])
    def problems(self, request: IRequest) -> bytes:
        """Every problem, the most serious first. `complete` is false until every check has looked once."""
        self._who.need(request, ADMIN)
        return self._told(request)

    @app.route("/api/problems/dismiss", methods=["POST"])
    async def dismiss(self, request: IRequest) -> bytes:
        """`{key}`: hide it until it changes."""
        return await self._dismissed(request, True)

    @app.route("/api/problems/restore", methods=["POST"])
    async def restore(self, request: IRequest) -> bytes:
        """`{key}`: show a dismissed problem again."""
        return await self._dismissed(request, False)

    @app.route("/api/problems/look", methods=["POST"])
    async def look(self, request: IRequest) -> bytes:
        """Run every check now, and answer with what they found."""
        self._who.need(request, ADMIN)
        await self._problems.look()
        await self._done("problems-looked-for")
        return self._told(request)

    async def _dismissed(self, request: IRequest, dismissed: bool) -> bytes:
        self._who.need(request, ADMIN)
        key = read_json(request).get("key")
        if not isinstance(key, str):
            raise Refused(400, "invalid_request", "Give the key of the problem.")
        title = await self._problems.dismiss(key, dismissed)
        if title is None:
            raise not_found("There is no such problem now. It may have just been solved.")
        await self._done("problem-dismissed" if dismissed else "problem-shown-again", title)
        return self._told(request)

    def _told(self, request: IRequest) -> bytes:
        told = [standing.to_json() for standing in self._problems.all()]
        return as_json(request, {"problems": told, "complete": self._problems.complete})
