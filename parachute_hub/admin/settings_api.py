"""`/api/settings/hub-origin`: the hub's public address."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.model import Clock
from parachute_hub.accounts.passkeys.policy import Loss
from parachute_hub.accounts.setup.public_origin import FORMER_SECONDS, FormerOrigin, HubOrigin
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, StepUp
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused
from parachute_hub.system.timestamps import to_the_second


class AffectedPasskeys(Protocol):
    """Knows whose passkeys belong to the present address."""

    def losses(self, text: str | None) -> Sequence[Loss]:
        """Who loses passkeys when the address becomes `text`."""


class SettingsApi:
    """Changing the address needs a step-up proof for `hub.origin`, since every token is bound to it.

    `apps` names the apps that are connected, `invitations` counts the open ones. `reach` says why this hub cannot be
    reached at an address, or None. `called` is what a user is called.
    """

    app: Klein = area()

    def __init__(
        self,
        *,
        origin: HubOrigin,
        who: Authenticator,
        step_up: StepUp,
        clock: Clock,
        apps: Callable[[], Sequence[str]],
        invitations: Callable[[], int],
        reach: Callable[[str], Awaitable[str | None]],
        passkeys: AffectedPasskeys,
        called: Callable[[str], str],
    ) -> None:
        self._origin = origin
        self._who = who
        self._step_up = step_up
        self._clock = clock
        self._apps = apps
        self._invitations = invitations
        self._reach = reach
        self._passkeys = passkeys
        self._called = called

    @app.route("/api/settings/hub-origin", methods=["GET"])
    def look(self, request: IRequest) -> bytes:
        """The stored and the effective address, and where it was set."""
        self._who.need(request, ADMIN)
        return self._answer(request)

    @app.route("/api/settings/hub-origin/plan", methods=["GET"])
    async def plan(self, request: IRequest) -> bytes:
        """What a change to the address `?hub_origin=` would mean. Asks the hub for itself there; changes nothing."""
        self._who.need(request, ADMIN)
        text = request.args.get(b"hub_origin", [b""])[0].decode("utf-8", "replace")
        origin = self._origin.plan(text)
        before = self._origin.issuer()
        # An address that stays the hub's for good is not given up by a change.
        until = self._clock() + FORMER_SECONDS if self._origin.stored() == before else None
        return as_json(
            request,
            {
                "from": before,
                "to": origin,
                "from_answers_until": until and to_the_second(until),
                "unreachable": await self._reach(origin),
                "renew": {"apps": [*self._apps()], "invitations": self._invitations()},
                "passkeys": [self._lost(loss) for loss in self._passkeys.losses(text)],
            },
        )

    @app.route("/api/settings/hub-origin", methods=["PUT", "POST"])
    async def choose(self, request: IRequest) -> bytes:
        """`{hub_origin}`; null or an empty text restores the address configured at startup.

        Refused 409 `locks_out` while somebody has no other way in than passkeys of the present address.
        """
        principal = self._who.need(request, ADMIN)
        chosen = _chosen(request)
        self._step_up.prove(request, principal, "hub.origin")
        await self._origin.choose(chosen, self._clock())
        return self._answer(request)

    def _lost(self, loss: Loss) -> dict[str, Any]:
        person = {"id": loss.user_id, "name": self._called(loss.user_id)}
        return {"person": person, "passkeys": [*loss.passkeys], "all": loss.all, "locked_out": loss.locked_out}

    def _answer(self, request: IRequest) -> bytes:
        return as_json(
            request,
            {
                "hub_origin": self._origin.stored(),
                "resolved_issuer": self._origin.issuer(),
                "source": self._origin.source(),
                "origins": [*self._origin.bound()],
                "former": [_former(one) for one in self._origin.former()],
            },
        )


def _chosen(request: IRequest) -> str | None:
    chosen = read_json(request).get("hub_origin")
    if chosen is not None and not isinstance(chosen, str):
        raise Refused(400, "invalid_request", "Give hub_origin as a text or null.")
    return chosen


def _former(one: FormerOrigin) -> dict[str, str]:
    return {"origin": one.origin, "answers_until": to_the_second(one.until)}
