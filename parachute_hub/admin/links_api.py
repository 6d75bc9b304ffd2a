"""`/api/links`: which modules run on another machine. Only the owner sets that, with a fresh proof of presence."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.elsewhere.links import Links
from parachute_hub.modules.assembly import ModuleServices
from parachute_hub.modules.definition import names
from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.state.link import Link
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, StepUp
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.doer import Done
from parachute_hub.system.timestamps import to_the_second

if TYPE_CHECKING:
    from parachute_hub.elsewhere.linking import Linking
    from parachute_hub.elsewhere.moving import Mover

_MOST_CA = 64 * 1024


class LinksArea:
    """The JSON API of links."""

    app: Klein = area()

    def __init__(
        self,
        *,
        who: Authenticator,
        step_up: StepUp,
        links: Links,
        linking: "Callable[[], Linking]",
        mover: "Callable[[], Mover]",
        modules: ModuleServices,
        supervisor: SupervisorApi,
        done: Done,
    ) -> None:
        self._who = who
        self._step_up = step_up
        self._links = links
        self._linking = linking
        self._mover = mover
        self._jobs = modules.jobs
        self._directory = modules.files.directory
        self._supervisor = supervisor
        self._done = done

    @app.route("/api/links", methods=["GET"])
    def listing(self, request: IRequest) -> bytes:
        """Every link, with what was seen last of the other machine."""
        self._who.need(request, ADMIN)
        links = [self._told(short) for short in self._directory.shorts() if self._links.link(short) is not None]
        return as_json(request, {"links": links})

    @app.route("/api/links/<short>", methods=["GET"])
    def shown(self, request: IRequest, short: str) -> bytes:
        """The link of a module; `link` is null for one that has none."""
        self._installed(request, short)
        return as_json(request, self._told(short))

    @app.route("/api/links/<short>", methods=["PUT"])
    async def upstream(self, request: IRequest, short: str) -> bytes:
        """Use a server at `address` in place of the module here. `private` approves an address nearby."""
        self._free(request, short)
        body, linking = read_json(request), self._linking()
        address, pin, ca = _text(body, "address"), _text(body, "pin") or None, _text(body, "ca", _MOST_CA) or None
        linking.upstream_of(short, address, pin=pin, ca=ca)
        self._prove(request, f"link:{short}")
        await linking.set_upstream(short, address, near=body.get("private") is True, pin=pin, ca=ca)
        await self._switched(short)
        await self._done("link-set", short)
        return as_json(request, self._told(short))

    @app.route("/api/links/<short>", methods=["DELETE"])
    async def end(self, request: IRequest, short: str) -> bytes:
        """End the link. With `leave_data`, what a module has stored on a paired host stays there."""
        self._free(request, short)
        leave = request.args.get(b"leave_data") == [b"1"]
        link = self._links.link(short)
        if link is not None and link.paired and link.active and not leave:
            text = "Its data is on the other machine. Move it back first, or say that the data may stay there."
            raise Refused(409, "data_elsewhere", text)
        self._prove(request, f"link:{short}")
        wanted = self._directory.records.wanted(short)
        if link is not None and link.active:
            await self._supervisor.stop(short)
        link = await self._linking().end(short)
        if link is None:
            raise not_found(f"{short} is not linked to another machine.")
        if link.active:
            await self._switched(short, wanted=wanted)
        await self._done("link-ended", short)
        return as_json(request, self._told(short))

    @app.route("/api/links/<short>/pair", methods=["POST"])
    async def pair(self, request: IRequest, short: str) -> bytes:
        """Pair with the host at `address` by the `code` it shows."""
        self._free(request, short)
        body, linking = read_json(request), self._linking()
        address, code = _text(body, "address"), _text(body, "code")
        linking.host_of(short, address, code)
        self._prove(request, f"link:{short}")
        await linking.pair(short, address, code, near=body.get("private") is True)
        await self._done("link-set", short)
        return as_json(request, self._told(short))

    @app.route("/api/links/<short>/renew", methods=["POST"])
    async def renew(self, request: IRequest, short: str) -> bytes:
        """A new certificate for a paired host."""
        self._free(request, short)
        await self._linking().renew(short)
        await self._done("link-renewed", short)
        return as_json(request, self._told(short))

    @app.route("/api/links/<short>/move", methods=["POST"])
    async def move(self, request: IRequest, short: str) -> bytes:
        """Move the module with its data to the paired host (`to`: `there`) or back (`here`). With `keep_data`, it uses
        what is there already.
        """
        self._installed(request, short)
        body = read_json(request)
        to = body.get("to")
        if to not in ("there", "here"):
            raise Refused(400, "invalid_request", "to must be there or here.")
        self._prove(request, f"move:{short}")
        keep = body.get("keep_data") is True
        job = await self._jobs.recorded(self._mover().move(short, there=to == "there", keep=keep))
        return as_json(request, {"operation_id": job.id, "operation": job.to_json()}, status=202)

    def _told(self, short: str) -> dict[str, Any]:
        status = self._supervisor.status(short)
        there = status.elsewhere if status is not None else None
        return {
            "short": short,
            "link": link_json(self._links.link(short)),
            "elsewhere": there.to_json() if there is not None else None,
        }

    def _prove(self, request: IRequest, operation: str) -> None:
        self._step_up.prove(request, self._who.need(request, ADMIN), operation)

    def _installed(self, request: IRequest, short: str) -> None:
        self._who.need(request, ADMIN)
        if not names.is_short(short) or self._directory.row(short) is None:
            raise not_found(f"{short} is not installed.")

    def _free(self, request: IRequest, short: str) -> None:
        """It is installed, and nothing is being done with it."""
        self._installed(request, short)
        job = self._jobs.active(short)
        if job is not None:
            raise Refused(409, "operation_in_progress", f"{short} is busy: wait until the {job.kind} has ended.")

    async def _switched(self, short: str, *, wanted: bool | None = None) -> None:
        """Let the supervisor see where the module runs now."""
        wanted = self._directory.records.wanted(short) if wanted is None else wanted
        await self._supervisor.remove(short)
        await (self._supervisor.start if wanted else self._supervisor.stop)(short)


def link_json(link: Link | None) -> dict[str, Any] | None:
    """The form of the API."""
    if link is None:
        return None
    return {
        "address": link.address.origin,
        "kind": link.kind,
        "active": link.active,
        "near": link.near,
        "trust": "pin" if link.pin else "ca" if link.ca else "system" if link.tls else "none",
        "pin": link.pin,
        "made_at": to_the_second(link.made_at),
        "renewed_at": to_the_second(link.renewed_at) if link.paired else None,
    }


def _text(body: dict[str, Any], name: str, most: int = 500) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise Refused(400, "invalid_request", f"{name} must be text.")
    return value.strip()
