"""Destinations of backups: adding, trying and listing them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from parachute_hub.backup.ledger import Ledger
from parachute_hub.backup.records import BackupPlace, SecretBox, parse_place
from parachute_hub.backup.worker_process import Workers, WorkFailed
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.doer import Done
from parachute_hub.system.public_addresses import is_public
from parachute_hub.system.records import frozen

LOOK_SECONDS = 150.0
"""Longer than the patience of `archive.destinations` with a service that is down for a moment."""
_MOST_PLACES = 8


@frozen(kw_only=True)
class Places:
    """The destinations of a hub with this `home`.

    `resolve` gives every address of a host; `seals` keeps their secrets unreadable on the disk.
    """

    home: str
    ledger: Ledger
    workers: Workers
    seals: SecretBox
    resolve: Callable[[str], Awaitable[Sequence[str]]]
    now: Callable[[], float]
    done: Done

    async def add(self, place: BackupPlace, secret: str) -> BackupPlace:
        """Try it, then keep it. Raises Refused; `private_address` asks the owner to confirm."""
        if len(self.ledger.state.places) >= _MOST_PLACES:
            raise Refused(409, "too_many", f"There can be {_MOST_PLACES} destinations. Remove one first.")
        sealed = self.seals.seal(secret, f"backup-place:{place.id}").hex() if secret else ""
        place = evolve(place, secret=sealed, added_at=self.now())
        try:
            await self.probe(place)
        except Refused as error:
            # A bucket may keep backups out of a thief's reach; then its own rules remove old ones.
            if error.error != "no_delete":
                raise
        await self.ledger.change(lambda state: state.with_place(place))
        await self.done("backup-place-added", place.label)
        return place

    async def remove(self, place_id: str) -> None:
        """Forget a destination. The backups there stay."""
        place = self.get(place_id)
        await self.ledger.change(lambda state: state.without_place(place.id))
        await self.done("backup-place-removed", place.label)

    async def test(self, place_id: str) -> None:
        """As `probe`, for an owner who asks for it."""
        place = self.get(place_id)
        await self.probe(place)
        await self.done("backup-place-tested", place.label)

    async def probe(self, place: BackupPlace) -> None:
        """Write, read and delete a small object there. Raises Refused 400 with what is wrong."""
        try:
            await self.guard(place)
            job = {"do": "probe", "at": self.address(place), "home": self.home}
            await self.workers.do(job, silence=LOOK_SECONDS)
        except WorkFailed as error:
            raise Refused(400, error.kind, str(error)) from None

    async def listing(self, place_id: str) -> list[Mapping[str, Any]]:
        """The archives at a destination, of this hub and of others, the newest first. Raises Refused."""
        place = self.get(place_id)
        await self.guard(place)
        return await self.listing_at(self.address(place))

    async def listing_at(self, address: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The same for a destination in the worker's words."""
        try:
            found = await self.workers.do({"do": "list", "at": address}, silence=LOOK_SECONDS)
        except WorkFailed as error:
            raise Refused(502, error.kind, str(error)) from None
        return list(reversed(found["archives"]))

    async def described(self, told: Mapping[str, Any]) -> Mapping[str, Any]:
        """A destination in the worker's words, from its `id` or from a full description. Raises Refused."""
        if isinstance(told.get("id"), str):
            place = self.get(told["id"])
            await self.guard(place)
            return self.address(place)
        place = parse_place(told, "", self.now())
        await self.guard(place)
        return {**self._words(place), **({"secret": told["secret"]} if place.kind == "s3" else {})}

    def address(self, place: BackupPlace) -> dict[str, Any]:
        """The destination in the worker's words, with its secret."""
        words = self._words(place)
        if place.kind == "s3":
            words["secret"] = self.seals.open(bytes.fromhex(place.secret), f"backup-place:{place.id}")
        return words

    def _words(self, place: BackupPlace) -> dict[str, Any]:
        if place.kind == "folder":
            return {"kind": "folder", "path": place.path}
        return {
            "kind": "s3",
            "endpoint": place.endpoint,
            "region": place.region,
            "bucket": place.bucket,
            "prefix": place.prefix,
            "key_id": place.key_id,
        }

    def get(self, place_id: str) -> BackupPlace:
        """The destination of this id. Raises Refused 404."""
        place = self.ledger.state.place(place_id)
        if place is None:
            raise not_found("There is no such destination.")
        return place

    async def guard(self, place: BackupPlace) -> None:
        """A private address is used only when the owner confirmed it. Raises Refused."""
        host = urlsplit(place.endpoint).hostname
        if place.kind != "s3" or place.private or host is None:
            return
        try:
            addresses = await self.resolve(host)
        except OSError:
            raise Refused(400, "unreachable", f"The name {host} is not known. Check the address.") from None
        if not all(is_public(address) for address in addresses):
            text = f"{host} is an address in a private network. Confirm that backups may go there."
            raise Refused(409, "private_address", text)
