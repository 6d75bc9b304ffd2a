"""Restoring a backup: on an empty hub with the setup token, or on a hub in use by its owner."""

from collections.abc import Mapping
from typing import Any, Protocol

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, tags

from parachute_hub.accounts.validation import is_any_vault, vault_name_problem
from parachute_hub.backup.archive.parts import Part
from parachute_hub.backup.restore import Restores
from parachute_hub.backup.service import Backups
from parachute_hub.modules.definition.names import is_short
from parachute_hub.site.answers import as_json, see_other
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, Principal, StepUp, bearer
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import show, templates

BASE = "/admin/setup/restore"
IN_USE = "/admin/backups/restore"
CHUNK_BYTES = 1024 * 1024
_fill = templates("parachute_hub.accounts")


class SetupToken(Protocol):
    """What proves that an empty hub is one's own."""

    @property
    def has_owner(self) -> bool:
        """Whether the hub was claimed."""

    def check_token(self, token: str) -> object:
        """Raises Refused unless it is the setup token."""


class RestoreApi:
    """Both ways in; each begins with a proof, and goes on with the ticket that `begin` gave (as a bearer)."""

    app: Klein = area()

    def __init__(
        self,
        *,
        restores: Restores,
        backups: Backups,
        setup: SetupToken,
        who: Authenticator,
        step_up: StepUp,
    ) -> None:
        self._restores = restores
        self._backups = backups
        self._setup = setup
        self._who = who
        self._step_up = step_up

    @app.route(BASE, methods=["GET", "HEAD"])
    def page(self, request: IRequest) -> bytes:
        """The page for an empty hub. One in use has its own in the admin app."""
        if self._setup.has_owner:
            return see_other(request, IN_USE)
        return show(request, "Restore a backup", _fill("setup-restore"), head=_scripts())

    @app.route(BASE, methods=["POST"])
    async def begin(self, request: IRequest) -> bytes:
        """`{identity}` for an upload; with `from` (a destination) and `name` for an archive there.

        With `part`, as for `apply`, just that is unpacked.
        """
        body = read_json(request)
        principal = self._prove(request, body)
        source = body.get("from")
        started = await self._restores.begin(
            str(body.get("identity", "")),
            None if source is None else await self._source(source),
            str(body.get("name", "")),
            claimed=self._setup.has_owner,
            session_id=principal.session_id if principal else None,
            only=_part(body["part"]) if body.get("part") is not None else None,
        )
        return as_json(request, {"id": started.id, "ticket": started.ticket, "chunk": CHUNK_BYTES}, status=201)

    @app.route(f"{BASE}/archives", methods=["POST"])
    async def archives(self, request: IRequest) -> bytes:
        """The archives at a destination (`from`), the newest first."""
        body = read_json(request)
        self._prove(request, body)
        archives = await self._backups.places.listing_at(await self._source(body.get("from")))
        await self._backups.done("restore-looked")
        return as_json(request, {"archives": archives})

    @app.route(f"{BASE}/<restore_id>", methods=["GET"])
    def look(self, request: IRequest, restore_id: str) -> bytes:
        """How far it is, and the plan."""
        self._check(request, restore_id)
        return as_json(request, self._restores.state(restore_id))

    @app.route(f"{BASE}/<restore_id>/parts/<offset>", methods=["PUT"])
    async def part(self, request: IRequest, restore_id: str, offset: str) -> bytes:
        """The bytes of an uploaded archive from `offset` on."""
        self._check(request, restore_id)
        if not offset.isdigit() or len(offset) > 18:
            raise Refused(400, "invalid_request", "Say as a number from which byte on the part goes.")
        received = await self._restores.feed(restore_id, int(offset), request.content.read())
        return as_json(request, {"received": received})

    @app.route(f"{BASE}/<restore_id>/end", methods=["POST"])
    def end(self, request: IRequest, restore_id: str) -> bytes:
        """The whole archive was sent."""
        self._check(request, restore_id)
        self._restores.end(restore_id)
        return as_json(request, self._restores.state(restore_id))

    @app.route(f"{BASE}/<restore_id>/apply", methods=["POST"])
    async def apply(self, request: IRequest, restore_id: str) -> bytes:
        """`{mode}`: `move` when the old hub is gone, `copy` when it lives on. The hub restarts.

        Or `{part}`: `{module}` for the data of one module, `{vault}` for one vault, which with `as` goes beside the
        others under that name. The hub keeps running; the answer names the operation.
        """
        self._check(request, restore_id)
        body = read_json(request)
        if body.get("part") is not None:
            job = await self._restores.apply_part(restore_id, _part(body["part"]))
            return as_json(request, {"operation_id": job.id, "operation": job.to_json()}, status=202)
        await self._restores.apply(restore_id, str(body.get("mode", "")))
        return as_json(request, {"restarting": True}, status=202)

    @app.route(f"{BASE}/<restore_id>", methods=["DELETE"])
    async def cancel(self, request: IRequest, restore_id: str) -> bytes:
        """Drop it; nothing has changed."""
        self._check(request, restore_id)
        await self._restores.cancel(restore_id)
        return as_json(request, {"cancelled": True})

    def _prove(self, request: IRequest, body: Mapping[str, Any]) -> Principal | None:
        known = self._who.identify(request)
        if not self._setup.has_owner and (known is None or known.kind != "operator"):
            self._setup.check_token(str(body.get("setup_token", "")))
            return None
        principal = self._who.need(request, ADMIN)
        self._step_up.prove(request, principal, "backup.restore")
        return principal

    def _check(self, request: IRequest, restore_id: str) -> None:
        self._restores.check(restore_id, bearer(request) or "", claimed=self._setup.has_owner)

    async def _source(self, told: Any) -> Mapping[str, Any]:
        """A destination of this hub by its `id`, or one that is described in full. Raises Refused."""
        if not isinstance(told, dict):
            raise Refused(400, "invalid_request", "Say where the backup lies.")
        return await self._backups.places.described(told)


def _part(told: Any) -> Part:
    """Raises Refused 400."""
    if not isinstance(told, dict) or not set(told) <= {"module", "vault", "as"}:
        raise Refused(400, "invalid_request", "Say which part: a module, or a vault with or without another name.")
    module, vault, alias = (told.get(key) for key in ("module", "vault", "as"))
    if isinstance(module, str) and vault is None and alias is None and is_short(module):
        return Part(module)
    if not isinstance(vault, str) or module is not None or not is_any_vault(vault):
        raise Refused(400, "invalid_request", "Name either a module or a vault.")
    problem = None if alias is None else vault_name_problem(str(alias))
    if problem is not None:
        raise Refused(400, "invalid_name", problem)
    return Part("vault", vault, None if alias in (None, vault) else alias)


def _scripts() -> list[Tag]:
    return [tags.script(src=f"/static/hub/{name}.js", type="module") for name in ("setup-token", "restore")]
