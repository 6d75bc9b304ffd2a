"""Restarting the hub in place, for example after an update."""

from typing import Protocol

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub import __version__
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.system.doer import Done


class Restart(Protocol):
    """Replaces this hub by the version that is installed now; implemented by `app.restart_in_place`."""

    @property
    def state(self) -> str:
        """`idle`, `checking` or `waiting`."""

    @property
    def problem(self) -> str:
        """Why the last one did not happen."""

    def refusal(self) -> Refused | None:
        """Why it cannot happen now."""

    async def begin(self) -> str:
        """Check the installed version, which then takes over soon. Returns it. Raises Refused."""


class RestartArea:
    """`/api/hub/restart`."""

    app: Klein = area()

    def __init__(self, *, who: Authenticator, restart: Restart, done: Done) -> None:
        self._who = who
        self._restart = restart
        self._done = done

    @app.route("/api/hub/restart", methods=["GET"])
    def state(self, request: IRequest) -> bytes:
        """Whether it may happen now, and how the last one went."""
        self._who.need(request, ADMIN)
        refusal = self._restart.refusal()
        told = {
            "version": __version__,
            "state": self._restart.state,
            "problem": self._restart.problem or None,
            "possible": refusal is None,
            "why": refusal.description if refusal is not None else None,
        }
        return as_json(request, told)

    @app.route("/api/hub/restart", methods=["POST"])
    async def begin(self, request: IRequest) -> bytes:
        """Check the installed version. It takes over once the requests under way are answered."""
        self._who.need(request, ADMIN)
        version = await self._restart.begin()
        await self._done("hub-restarted", version)
        return as_json(request, {"version": version, "before": __version__}, status=202)
