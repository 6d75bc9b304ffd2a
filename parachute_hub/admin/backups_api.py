"""`/api/backups`: destinations, schedule, recovery sheet, manual backups, downloads."""

from collections.abc import Callable
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from parachute_hub.backup.records import parse_place
from parachute_hub.backup.service import Backups
from parachute_hub.backup.worker_process import WorkFailed
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, Principal, StepUp
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.random_tokens import hashed, new_token
from parachute_hub.system.records import frozen

LINK_SECONDS = 60.0
_MOST_LINKS = 20


@frozen
class _Link:
    session_id: str | None
    expires_at: float


class BackupsApi:
    """For administrators. Anything useful to someone with a stolen session needs a step-up proof."""

    app: Klein = area()

    def __init__(
        self,
        *,
        who: Authenticator,
        step_up: StepUp,
        backups: Backups,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        new_id: Callable[[], str],
    ) -> None:
        self._who = who
        self._step_up = step_up
        self._backups = backups
        self._clock = clock
        self._random = random
        self._new_id = new_id
        self._links: dict[str, _Link] = {}

    @app.route("/api/backups", methods=["GET"])
    def look(self, request: IRequest) -> bytes:
        """Destinations with their backups, the schedule, the recovery sheet, and problems."""
        self._who.need(request, ADMIN)
        return as_json(request, self._state())

    # --- recovery sheet

    @app.route("/api/backups/key", methods=["POST"])
    async def make_key(self, request: IRequest) -> bytes:
        """Create a key. Only this response contains it, for the recovery sheet."""
        self._prove(request, "backup.key")
        identity = await self._backups.make_key()
        # Half a megabyte that only this needs.
        import segno

        code = segno.make(identity, error="m", micro=False).svg_data_uri(scale=4, border=2)
        return as_json(request, {"identity": identity, "qr": code, **self._state()})

    @app.route("/api/backups/key/confirm", methods=["POST"])
    async def confirm(self, request: IRequest) -> bytes:
        """`{characters}`: the last four characters of the key on the recovery sheet."""
        self._who.need(request, ADMIN)
        await self._backups.confirm_sheet(str(read_json(request).get("characters", "")))
        return as_json(request, self._state())

    @app.route("/api/backups/key", methods=["DELETE"])
    async def forget(self, request: IRequest) -> bytes:
        """Delete the stored key, so that only the recovery sheet has it."""
        self._prove(request, "backup.key")
        await self._backups.forget_identity()
        return as_json(request, self._state())

    # --- destinations

    @app.route("/api/backups/places", methods=["POST"])
    async def add(self, request: IRequest) -> bytes:
        """`{kind: "folder", path}` or `{kind: "s3", endpoint, region, bucket, prefix, key_id, secret}`, and `label`."""
        self._who.need(request, ADMIN)
        body = read_json(request)
        place = parse_place(body, self._new_id(), self._clock())
        self._prove(request, "backup.place")
        place = await self._backups.places.add(place, str(body.get("secret", "")))
        return as_json(request, place.to_json(), status=201)

    @app.route("/api/backups/places/<place_id>", methods=["DELETE"])
    async def remove(self, request: IRequest, place_id: str) -> bytes:
        """Remove a destination. Its backups are kept."""
        self._prove(request, "backup.place")
        await self._backups.places.remove(place_id)
        return as_json(request, self._state())

    @app.route("/api/backups/places/<place_id>/test", methods=["POST"])
    async def test(self, request: IRequest, place_id: str) -> bytes:
        """Write, read and delete a small test object."""
        self._who.need(request, ADMIN)
        await self._backups.places.test(place_id)
        return as_json(request, {"works": True})

    @app.route("/api/backups/places/<place_id>/archives", methods=["GET"])
    async def archives(self, request: IRequest, place_id: str) -> bytes:
        """The archives at the destination, including other hubs', newest first."""
        self._who.need(request, ADMIN)
        return as_json(request, {"archives": await self._backups.places.listing(place_id)})

    # --- operations

    @app.route("/api/backups/places/<place_id>/run", methods=["POST"])
    async def run(self, request: IRequest, place_id: str) -> bytes:
        """Start a backup to this destination. `DELETE /api/modules/operations/<id>` cancels it."""
        self._who.need(request, ADMIN)
        job = await self._backups.jobs.recorded(self._backups.back_up(place_id))
        return as_json(request, {"operation_id": job.id, "operation": job.to_json()}, status=202)

    @app.route("/api/backups/places/<place_id>/verify", methods=["POST"])
    async def verify(self, request: IRequest, place_id: str) -> bytes:
        """`{name}`: read and verify this backup. With `whole` true, unpack it into scratch space, if there is room."""
        self._who.need(request, ADMIN)
        body = read_json(request)
        job = self._backups.verify(place_id, str(body.get("name", "")), whole=body.get("whole") is True)
        job = await self._backups.jobs.recorded(job)
        return as_json(request, {"operation_id": job.id, "operation": job.to_json()}, status=202)

    @app.route("/api/backups/schedule", methods=["PUT"])
    async def schedule(self, request: IRequest) -> bytes:
        """`{hour, daily, programs}`; the hour is 0 to 23, UTC."""
        self._who.need(request, ADMIN)
        body, state = read_json(request), self._backups.state
        hour, daily = body.get("hour", state.hour), body.get("daily", state.daily)
        programs = body.get("programs", state.programs)
        if type(hour) is not int or not 0 <= hour <= 23 or type(daily) is not bool or type(programs) is not bool:
            raise Refused(400, "invalid_request", "Give hour (0 to 23), daily and programs (booleans).")
        await self._backups.choose(hour=hour, daily=daily, programs=programs)
        return as_json(request, self._state())

    # --- download

    @app.route("/api/backups/download", methods=["POST"])
    def link(self, request: IRequest) -> bytes:
        """A link that downloads a new backup: once, within a minute, in this session."""
        principal = self._prove(request, "backup.download")
        if self._backups.state.key is None:
            raise Refused(409, "no_recovery_key", "Make a recovery sheet first.")
        now = self._clock()
        self._links = {key: one for key, one in self._links.items() if one.expires_at > now}
        if len(self._links) >= _MOST_LINKS:
            raise Refused(429, "too_many", "Use one of the links that were made in the last minute.")
        token = new_token(self._random)
        self._links[hashed(token)] = _Link(principal.session_id, now + LINK_SECONDS)
        return as_json(request, {"url": f"/api/backups/download/{token}"})

    @app.route("/api/backups/download/<token>", methods=["GET"])
    def download(self, request: IRequest, token: str) -> "Deferred[None]":
        """Stream the archive while it is created."""
        principal = self._who.need(request, ADMIN)
        link = self._links.pop(hashed(token), None)
        if link is None or link.session_id != principal.session_id or link.expires_at < self._clock():
            raise not_found("This link has been used or has expired. Start the download again.")
        sent = _Download(request).start(self._backups)
        Deferred.fromCoroutine(self._backups.done("backup-downloaded"))
        return sent

    def _prove(self, request: IRequest, operation: str) -> Principal:
        principal = self._who.need(request, ADMIN)
        self._step_up.prove(request, principal, operation)
        return principal

    def _state(self) -> dict[str, Any]:
        state = self._backups.state
        key = state.key
        return {
            "places": [
                {**place.to_json(), "backups": [one.to_json() for one in state.copies_at(place.id)]}
                for place in state.places
            ],
            "key": key and {"madeAt": key.made_at, "confirmedAt": key.confirmed_at, "kept": key.identity is not None},
            "schedule": {"hour": state.hour, "daily": state.daily, "programs": state.programs},
            "problems": [{"key": name, "text": text} for name, text in self._backups.problems()],
        }


class _Download:
    """Streams an archive to a browser. If the client disconnects, the worker is stopped."""

    def __init__(self, request: IRequest) -> None:
        self._request: Any = request
        self._run: Any = None
        self._gone = False

    def start(self, backups: Backups) -> "Deferred[None]":
        """Fires when the whole archive was sent."""
        try:
            name, self._run = backups.download(self, lambda report: None)
        except WorkFailed as error:
            raise Refused(500, error.kind, str(error)) from None
        request = self._request
        request.setHeader("Content-Type", "application/octet-stream")
        request.setHeader("Content-Disposition", f'attachment; filename="{name}"')
        request.setHeader("Cache-Control", "no-store")
        request.registerProducer(self, True)
        request.notifyFinish().addBoth(lambda _: self._leave())
        sent: Deferred[None] = self._run.ended.addCallbacks(lambda _: self._done(), lambda _: self._broken())
        return sent

    def write(self, data: bytes) -> None:
        """The next bytes."""
        if not self._gone:
            self._request.write(data)

    def pauseProducing(self) -> None:
        """The connection is full."""
        self._run.pause()

    def resumeProducing(self) -> None:
        """The connection takes more."""
        self._run.resume()

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._run.kill()

    def _leave(self) -> None:
        self._gone = True
        self._run.kill()

    def _done(self) -> None:
        if not self._gone:
            self._request.unregisterProducer()

    def _broken(self) -> None:
        """Reset the connection, so that a partial archive does not look complete."""
        if not self._gone:
            self._request.unregisterProducer()
            self._request.transport.abortConnection()
