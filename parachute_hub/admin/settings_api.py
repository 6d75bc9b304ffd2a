"""`/api/settings/hub-origin`: the hub's public address."""

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.model import Clock
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, StepUp
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused


class SettingsApi:
    """Changing the address needs a step-up proof for `hub.origin`, since every token is bound to it."""

    app: Klein = area()

    def __init__(
        self,
        *,
        origin: HubOrigin,
        who: Authenticator,
        step_up: StepUp,
        clock: Clock,
    ) -> None:
        self._origin = origin
        self._who = who
        self._step_up = step_up
        self._clock = clock

    @app.route("/api/settings/hub-origin", methods=["GET"])
    def look(self, request: IRequest) -> bytes:
        """The stored and the effective address, and where it was set."""
        self._who.need(request, ADMIN)
        return self._answer(request)

    @app.route("/api/settings/hub-origin", methods=["PUT", "POST"])
    async def choose(self, request: IRequest) -> bytes:
        """`{hub_origin}`; null or an empty text restores the address configured at startup."""
        principal = self._who.need(request, ADMIN)
        chosen = read_json(request).get("hub_origin")
        if chosen is not None and not isinstance(chosen, str):
            raise Refused(400, "invalid_request", "Give hub_origin as a text or null.")
        self._step_up.prove(request, principal, "hub.origin")
        await self._origin.choose(chosen, self._clock())
        return self._answer(request)

    def _answer(self, request: IRequest) -> bytes:
        return as_json(
            request,
            {
                "hub_origin": self._origin.stored(),
                "resolved_issuer": self._origin.issuer(),
                "source": self._origin.source(),
                "origins": [*self._origin.bound()],
            },
        )
