"""What the owner does with links: set, pair, renew and end them."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from attrs import evolve
from OpenSSL import SSL
from twisted.logger import Logger

from parachute_hub.elsewhere.calls import CallRefused
from parachute_hub.elsewhere.dial import Dialer, Trust, creator
from parachute_hub.elsewhere.keys import Identity
from parachute_hub.elsewhere.links import Links
from parachute_hub.elsewhere.machine import FarMachine
from parachute_hub.link import code as codes
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.state.link import HOST_PORT, Address, Link, Near, nearness, pin_of
from parachute_hub.site.errors import Refused, not_stored
from parachute_hub.supervise.far import Unreached
from parachute_hub.system.records import frozen

_NEARBY: Final[Mapping[Near, str]] = {
    "private": "is in a private network",
    "loopback": "is this machine itself",
}


@frozen(kw_only=True)
class Linking:
    """Changes links. `new_id` returns 16 hexadecimal digits."""

    links: Links
    new_id: Callable[[], str]
    _log = Logger()

    async def set_upstream(self, short: str, address: str, *, near: bool, pin: str | None, ca: str | None) -> Link:
        """Link the module to a server that this hub does not steer. `near`: a private address was approved.

        Raises Refused.
        """
        where, trust = self.upstream_of(short, address, pin=pin, ca=ca)
        kind = await self._nearness(where, near)
        if not where.tls and kind == "public":
            raise Refused(400, "invalid_address", "Over http others could read along. Use https.")
        link = Link(
            id=self.new_id(),
            kind="upstream",
            host=where.host,
            port=where.port,
            tls=where.tls,
            near=kind,
            pin=trust.pin,
            ca=ca,
            made_at=self.links.now(),
            active=True,
        )
        await self.links.store(short, link)
        return link

    async def pair(self, short: str, address: str, code: str, *, near: bool) -> Link:
        """Pair with a host by the code that it shows. The module still runs here afterwards. Raises Refused."""
        where = self.host_of(short, address, code)
        kind = await self._nearness(where, near)
        identity = Identity.new()
        link = Link(
            id=self.new_id(),
            kind="host",
            host=where.host,
            port=where.port,
            near=kind,
            pin="0" * 64,
            made_at=self.links.now(),
            renewed_at=self.links.now(),
        )
        dialer = self.links.dialer(link, Trust(identity=identity, anyone=True))
        machine = self.links.made(short, link, dialer)
        pin = await self._proven(machine, dialer, identity, code, short)
        link = evolve(link, pin=pin)
        try:
            await self.links.in_thread(self.links.keys.write, link.id, identity)
            await self.links.store(short, link)
        except (OSError, Refused) as error:
            await _let_go(machine)
            if isinstance(error, Refused):
                raise
            raise not_stored(error, f"The link's key could not be stored: {error.strerror}.") from None
        return link

    async def renew(self, short: str) -> Link:
        """A new key and certificate for a paired host. Raises Refused."""
        machine = self.links.paired(short)
        if machine is None or not machine.link.paired:
            raise Refused(404, "not_paired", f"{short} is not paired with another machine.")
        link, coming, keys = machine.link, Identity.new(), self.links.keys
        in_thread = self.links.in_thread
        try:
            # An earlier try may have been understood there, so its key is offered again.
            coming = (await in_thread(partial(keys.read, link.id, coming=True))) or coming
            await in_thread(partial(keys.write, link.id, coming, coming=True))
            # The host takes both until the coming one is used, which is only done once that is on disk here.
            await machine.call("POST", "/certificate", {"certificate": coming.certificate.decode()})
            await in_thread(keys.promote, link.id)
            current = self.links.link(short)
            if current is None or current.id != link.id:
                raise Refused(409, "not_paired", "The link has ended meanwhile.")
            # A move may have switched it meanwhile.
            fresh = evolve(current, renewed_at=self.links.now())
            await self.links.store(short, fresh)
            machine.use(fresh, self.links.dialer(fresh, Trust(pin=fresh.pin, identity=coming)))
            await machine.state()
        except (Unreached, CallRefused) as error:
            raise Refused(502, "other_machine", f"The certificate was not renewed. {error}") from None
        except OSError as error:
            raise not_stored(error, f"The link's key could not be stored: {error.strerror}.") from None
        return fresh

    async def end(self, short: str) -> Link | None:
        """Forget the link; a host that can be reached is told. Raises Refused."""
        machine = self.links.paired(short)
        if machine is None:
            return None
        link = machine.link
        if link.paired:
            try:
                await machine.call("POST", "/unpair", {})
            except (Unreached, CallRefused) as error:
                self._log.warn("The other machine of {short} was not told: {why}", short=short, why=str(error))
        await self.links.store(short, None)
        self.links.forget(short)
        await self.links.in_thread(self.links.keys.forget, link.id)
        return link

    # --- what can be said without asking anybody, so that nobody gives a password for what cannot be

    def upstream_of(self, short: str, address: str, *, pin: str | None, ca: str | None) -> tuple[Address, Trust]:
        """Where the server is, and how it is known. Raises Refused."""
        self._may_link(short)
        try:
            where = Address.parse(address)
            trust = Trust(pin=None if pin is None else pin_of(pin), ca=ca)
        except Invalid as error:
            raise Refused(
                400, "invalid_address", f"The address {error.rule}." if error.field == "address" else str(error)
            ) from None
        try:
            creator(trust, where)
        except (SSL.Error, ValueError):
            raise Refused(400, "invalid_ca", "This is not a certificate in PEM form.") from None
        if ca is not None and "-----BEGIN CERTIFICATE-----" not in ca:
            raise Refused(400, "invalid_ca", "This is not a certificate in PEM form.")
        return where, trust

    def host_of(self, short: str, address: str, code: str) -> Address:
        """Where the host is; its code can be one. Raises Refused."""
        self._may_link(short)
        try:
            where = Address.parse(address, port=HOST_PORT)
        except Invalid as error:
            raise Refused(400, "invalid_address", f"The address {error.rule}.") from None
        try:
            codes.normal(code)
        except ValueError as error:
            raise Refused(400, "invalid_code", str(error)) from None
        return where

    # --- internals

    def _may_link(self, short: str) -> None:
        if self.links.link(short) is not None:
            raise Refused(409, "already_linked", "It is linked to another machine already. End that link first.")

    async def _nearness(self, where: Address, approved: bool) -> Near:
        """Where the address is. Raises Refused unless that was approved."""
        probe = Dialer(reactor=self.links.reactor, resolve=self.links.resolve, address=where, near="public")
        try:
            found = await probe.look_up()
        except Unreached as error:
            raise Refused(400, "unreachable", f"{error} Check the address.") from None
        kind = nearness(found)
        if kind is None:
            text = f"{where.host} leads to an address at which no module can be."
            raise Refused(400, "invalid_address", text)
        if kind != "public" and not approved:
            text = f"{where.host} {_NEARBY[kind]}. Confirm that the hub may connect to it there."
            raise Refused(409, "private_address", text, detail={"near": kind})
        return kind

    async def _proven(self, machine: FarMachine, dialer: Dialer, identity: Identity, code: str, short: str) -> str:
        """The host's key, once both sides have shown that they know the code. Raises Refused."""
        try:
            # The proof needs the host's key, which the first connection shows.
            await machine.call("GET", "/state")
        except CallRefused:
            pass  # It says nothing to strangers.
        except Unreached as error:
            raise Refused(502, "unreachable", f"Nothing could be paired. {error}") from None
        there, here = dialer.seen, bytes.fromhex(identity.pin)
        if there is None:
            raise Refused(502, "unreachable", "Nothing could be paired: it does not speak TLS.")
        body = {
            "hub": self.links.origin(),
            "certificate": identity.certificate.decode(),
            "proof": codes.proof(code, "hub", there, here),
        }
        try:
            told = await machine.call("POST", "/pair", body)
        except Unreached as error:
            raise Refused(502, "unreachable", f"Nothing could be paired. {error}") from None
        except CallRefused as error:
            raise _not_paired(error) from None
        finally:
            machine.caller.close()
        proof = told.get("proof") if isinstance(told, dict) else None
        if not isinstance(proof, str) or not codes.same(proof, codes.proof(code, "host", there, here)):
            raise Refused(502, "wrong_host", "What answers there does not know the code, so nothing was paired.")
        if dialer.seen != there:
            raise Refused(502, "wrong_host", "Two machines answer at that address, so nothing was paired.")
        if told.get("short") != short:
            await _let_go(machine)
            raise Refused(409, "wrong_module", f"That host is for {str(told.get('short'))[:40]}, not for {short}.")
        return there.hex()


async def _let_go(machine: FarMachine) -> None:
    """The host must not wait for a hub that has no key for it: no other could be paired with it."""
    with suppress(Unreached, CallRefused):
        await machine.call("POST", "/unpair", {})


def _not_paired(error: CallRefused) -> Refused:
    if error.word == "wrong_code":
        text = "That is not the code that the host shows now. After five wrong ones it needs a new one."
        return Refused(403, "wrong_code", text)
    if error.status == 429:
        return Refused(
            403, "code_spent", "Too many wrong codes. Let the host show a new one: parachute module host --pair"
        )
    if error.status == 403:
        text = "That host belongs to a hub already. To free it, run on its machine: parachute module host --unpair"
        return Refused(409, "paired_already", text)
    return Refused(502, "other_machine", f"The host refused: {error}")
