"""`/api/notices`: where notices go, which are sent, and when none is."""

import re
from collections.abc import Mapping
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.notices import webpush
from parachute_hub.notices.model import SEVERITIES
from parachute_hub.notices.records import KINDS, Quiet
from parachute_hub.notices.service import Notices
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, StepUp
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_OPERATION = "notice.destination"


class NoticesApi:
    """For administrators. Addresses go in and never come out again."""

    app: Klein = area()

    def __init__(self, *, who: Authenticator, step_up: StepUp, notices: Notices) -> None:
        self._who = who
        self._step_up = step_up
        self._notices = notices

    @app.route("/api/notices", methods=["GET"])
    def look(self, request: IRequest) -> bytes:
        """Destinations without their addresses, and the settings."""
        self._who.need(request, ADMIN)
        return as_json(request, self._state())

    @app.route("/api/notices/key", methods=["GET"])
    async def key(self, request: IRequest) -> bytes:
        """The public key with which a browser subscribes to push messages of this hub."""
        self._who.need(request, ADMIN)
        key = await self._notices.key()
        return as_json(request, {"key": webpush.encoded(webpush.public_bytes(key))})

    @app.route("/api/notices/destinations", methods=["POST"])
    async def add(self, request: IRequest) -> bytes:
        """`{kind, label, private}` and what the kind needs: `url`, `token`, `secret`, a mail server, a subscription."""
        self._who.need(request, ADMIN)
        body = read_json(request)
        kind = next((one for one in KINDS if one == body.get("kind")), None)
        if kind is None:
            raise Refused(400, "invalid_kind", f"The kind of a destination is one of {', '.join(KINDS)}.")
        name = body.get("label", "")
        if not isinstance(name, str):
            raise Refused(400, "invalid_request", "Give label as a text.")
        told = {word: value for word, value in body.items() if word not in ("kind", "label", "private")}
        private = body.get("private") is True
        # Before the password is asked for.
        self._notices.label_of(kind, told, private=private)
        self._prove(request)
        added = await self._notices.add(kind, told, private=private, name=name)
        return as_json(request, added.to_json(), status=201)

    @app.route("/api/notices/destinations/<destination_id>", methods=["DELETE"])
    async def remove(self, request: IRequest, destination_id: str) -> bytes:
        """Remove a destination, which is told so."""
        self._prove(request)
        await self._notices.remove(destination_id)
        return as_json(request, self._state())

    @app.route("/api/notices/destinations/<destination_id>/test", methods=["POST"])
    async def test(self, request: IRequest, destination_id: str) -> bytes:
        """Send a notice there now."""
        self._who.need(request, ADMIN)
        await self._notices.test(destination_id)
        return as_json(request, self._state())

    @app.route("/api/notices/settings", methods=["PUT"])
    async def choose(self, request: IRequest) -> bytes:
        """`{least: "error"|"warning"|"info", quiet: {from: "22:00", to: "07:00", zone: "Europe/Berlin"} or null}`."""
        self._who.need(request, ADMIN)
        body = read_json(request)
        state = self._notices.state
        least = next((one for one in SEVERITIES if one == body.get("least", state.least)), None)
        if least is None:
            raise Refused(400, "invalid_request", f"least is one of {', '.join(SEVERITIES)}.")
        quiet = _quiet(body["quiet"]) if "quiet" in body else state.quiet
        await self._notices.choose(least=least, quiet=quiet)
        return as_json(request, self._state())

    def _prove(self, request: IRequest) -> None:
        self._step_up.prove(request, self._who.need(request, ADMIN), _OPERATION)

    def _state(self) -> dict[str, Any]:
        state = self._notices.state
        quiet = state.quiet
        return {
            "destinations": [one.to_json() for one in state.destinations],
            "least": state.least,
            "quiet": None
            if quiet is None
            else {"from": _clock(quiet.begin), "to": _clock(quiet.end), "zone": quiet.zone},
        }


def _quiet(told: Any) -> Quiet | None:
    if told is None:
        return None
    if not isinstance(told, Mapping) or not isinstance(told.get("zone"), str):
        raise Refused(400, "invalid_request", "Give quiet hours as from, to and zone.")
    begin, end = (_CLOCK.fullmatch(str(told.get(name, ""))) for name in ("from", "to"))
    if begin is None or end is None or begin[0] == end[0]:
        raise Refused(400, "invalid_request", "Give the times of quiet hours as 22:00 and 07:00.")
    return Quiet(begin=int(begin[1]) * 60 + int(begin[2]), end=int(end[1]) * 60 + int(end[2]), zone=told["zone"])


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
