"""`/api/reach`: the ways from other devices to this hub, for administrators; and the certificate of the local name."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, StepUp
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.timestamps import to_the_second

if TYPE_CHECKING:
    from parachute_hub.reach.service import Reach
    from parachute_hub.reach.ways import Plan

HERE = "/api/reach"
CERTIFICATE = f"{HERE}/certificate"
OPEN, CLOSE = "reach.open", "reach.close"


class ReachApi:
    """What is run is fixed by the plan: a request names a way, and a host name that the plan has looked at."""

    app: Klein = area()

    def __init__(
        self,
        *,
        who: Authenticator,
        step_up: StepUp,
        reach: "Callable[[], Reach]",
        certificate: Callable[[], bytes | None],
    ) -> None:
        self._who = who
        self._step_up = step_up
        self._certificate = certificate
        self._reach = reach

    @app.route(HERE, methods=["GET"])
    def look(self, request: IRequest) -> bytes:
        """The open way, and what is happening to it. Asks no program."""
        self._who.need(request, ADMIN)
        return as_json(request, self._state())

    @app.route(f"{HERE}/ways", methods=["GET"])
    async def ways(self, request: IRequest) -> bytes:
        """A plan for each way: `?host=` and `?name=` are what the person has typed."""
        self._who.need(request, ADMIN)
        args = request.args
        given = {name: args[name.encode()][0].decode("utf-8", "replace")[:300] for name in _given(args)}
        plans = await self._reach().plans(given)
        return as_json(request, {"ways": [_shown(one) for one in plans], **self._state()})

    @app.route(HERE, methods=["POST"])
    async def open(self, request: IRequest) -> bytes:
        """`{way, host, name}`: begin to open a way."""
        principal = self._who.need(request, ADMIN)
        body = read_json(request)
        way = body.get("way")
        given = {name: body.get(name, "") for name in ("host", "name")}
        if not isinstance(way, str) or not all(isinstance(value, str) for value in given.values()):
            raise Refused(400, "invalid_request", "Give way, host and name as texts.")
        self._step_up.prove(request, principal, f"{OPEN}:{way}" if way.isascii() and way else OPEN)
        await self._reach().begin(way, given)
        return as_json(request, self._state(), status=202)

    @app.route(HERE, methods=["DELETE"])
    async def close(self, request: IRequest) -> bytes:
        """Begin to close the open way; with `?force=1` even if its program cannot be told."""
        self._step_up.prove(request, self._who.need(request, ADMIN), CLOSE)
        await self._reach().end(force=request.args.get(b"force") == [b"1"])
        return as_json(request, self._state(), status=202)

    @app.route(f"{HERE}/check", methods=["POST"])
    async def check(self, request: IRequest) -> bytes:
        """Ask for this hub at its address now."""
        self._who.need(request, ADMIN)
        await self._reach().check()
        return as_json(request, self._state())

    @app.route(CERTIFICATE, methods=["GET", "HEAD"])
    def certificate(self, request: IRequest) -> bytes:
        """What devices in the local network have to trust. It is no secret, so it needs no account."""
        certificate = self._certificate()
        if certificate is None:
            raise not_found("The local name is not in use.")
        request.setHeader("Content-Type", "application/x-x509-ca-cert")
        request.setHeader("Content-Disposition", 'attachment; filename="parachute.crt"')
        return certificate

    def _state(self) -> dict[str, Any]:
        reach = self._reach()
        record, progress = reach.record, reach.progress
        certificate = reach.lan.certificate if reach.lan is not None else None
        return {
            "open": None
            if record is None
            else {
                "way": record.way_id,
                "title": record.way.title,
                "audience": record.way.audience,
                "stage": record.stage,
                "origin": record.origin,
                "since": to_the_second(record.at),
                "fingerprint": certificate.fingerprint if certificate is not None else None,
            },
            "busy": reach.busy,
            "doing": progress.doing,
            "problem": progress.error,
            "remedy": progress.remedy,
            "reachable": progress.reachable,
            "finding": progress.finding,
        }


def _given(args: Mapping[bytes, object]) -> list[str]:
    return [name for name in ("host", "name") if name.encode() in args]


def _shown(plan: "Plan") -> dict[str, Any]:
    way = plan.way
    return {
        "id": way.id,
        "title": way.title,
        "text": way.text,
        "audience": way.audience,
        "program": way.program,
        "get": way.get,
        "fields": [
            {"name": one.name, "label": one.label, "hint": one.hint, "value": plan.choices[one.name]}
            for one in way.fields
        ],
        "origin": plan.origin,
        "commands": [" ".join((way.program, *command[1:])) for command in plan.commands],
        "config": plan.config,
        "by_hand": plan.by_hand,
        "runs_already": plan.runs_already,
        "public": list(plan.public),
        "refused": plan.refused,
        "remedy": plan.remedy,
        "wrong": plan.wrong,
    }
