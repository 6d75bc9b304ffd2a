"""Devices that wait to be signed in: reads, decides and writes in one transaction each."""

from collections.abc import Callable

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from parachute_hub.oauth.authorization.consents import ConsentingUser, Consents
from parachute_hub.oauth.authorization.policy import (
    AskConsent,
    AuthorizationRequest,
    ErrorPage,
    ErrorRedirect,
    Facts,
    IssueCode,
    device_question,
)
from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.oauth.device import policy
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.oauth.well_known import Resources, catalog_of
from parachute_hub.site.errors import Refused
from parachute_hub.site.rate_limit import RateLimit
from parachute_hub.store.clients import Clients
from parachute_hub.store.device_codes import DeviceCodes
from parachute_hub.store.rows import Act, Client, DeviceCode, User
from parachute_hub.store.writer import Write
from parachute_hub.system.networks import network_of
from parachute_hub.system.random_tokens import hashed, new_token
from parachute_hub.system.records import frozen

MOST_WAITING = 200
# Of one address or /64, and of the /48 around it.
MOST_WAITING_OF = {64: 5, 48: 20}
PER_HOUR = 30
# Seconds in which a device can still ask after its person has let it in at the last moment.
TO_COLLECT = 120.0
TRIES = 15
TRIES_IN = 600.0


@frozen(kw_only=True)
class Begun:
    """A new request. `device_code` is for the device alone, `user_code` for people."""

    device_code: str
    user_code: str


class DeviceRequests:
    """Begins, finds and answers them. Limits count by network, and tries of a code by person as well.

    `note` adds to the audit log within a transaction.
    """

    def __init__(
        self,
        *,
        write: Write,
        codes: DeviceCodes,
        clients: Clients,
        consents: Consents,
        issuer: Issuer,
        resources: Resources,
        note: Callable[[Act], None],
        clock: IReactorTime,
        random: Callable[[int], bytes],
    ) -> None:
        self._write = write
        self._codes = codes
        self._clients = clients
        self._consents = consents
        self._issuer = issuer
        self._resources = resources
        self._note = note
        self._clock = clock
        self._random = random
        self._begun = RateLimit(times=PER_HOUR, seconds=3600.0, clock=clock.seconds)
        self._tries = RateLimit(times=TRIES, seconds=TRIES_IN, clock=clock.seconds)

    def question(
        self, client: Client, user: User | None, *, scope: str, resource: str
    ) -> AskConsent | ErrorRedirect | ErrorPage | None:
        """What this user is asked; without one, only what is wrong with the request."""
        ask = AuthorizationRequest(values={"scope": scope, "resource": resource})
        facts = Facts(
            client=client,
            user=user,
            granted=(),
            catalog=catalog_of(self._resources),
            origins=self._issuer.origins,
            own_origins=self._issuer.own_origins,
        )
        return device_question(ask, facts)

    async def begin(self, client: Client, *, scope: str, resource: str, address: str) -> Begun:
        """A code for a device at `address`. Raises Refused 429."""
        self._begun.use(network_of(address, 48))
        secret = new_token(self._random)

        def add() -> str:
            now = self._clock.seconds()
            waiting = self._codes.waiting(now)
            if _is_full([one.address for one in waiting], address):
                text = "Too many devices are waiting to be signed in. Try again in a few minutes."
                raise Refused(429, "temporarily_unavailable", text, headers={"Retry-After": "120"})
            taken = {one.user_code for one in waiting}
            code = policy.user_code(self._random(16))
            while code in taken:
                code = policy.user_code(self._random(16))
            if client.client_id == COMMAND:
                self._clients.put(client)
            self._codes.put(
                DeviceCode(
                    hash=hashed(secret),
                    user_code=code,
                    client_id=client.client_id,
                    scope=scope,
                    resource=resource,
                    address=address,
                    created_at=now,
                    expires_at=now + policy.LIFETIME,
                    interval=policy.INTERVAL,
                )
            )
            return code

        return Begun(device_code=secret, user_code=await self._write(add))

    async def find(self, text: str, *, address: str, user_id: str, actor: str = "") -> DeviceCode:
        """The request whose code a person typed. Raises Refused 400 for a wrong one, 429 after too many tries.

        What cannot be a code is a slip, not a guess: it uses up no try.
        """
        code = policy.typed(text)
        if not code:
            raise Refused(
                400, "wrong_code", "A code has eight letters, none of them a vowel. Compare it with your device."
            )
        for who in (network_of(address), user_id):
            self._tries.use(who)

        def look() -> DeviceCode | None:
            tried = policy.decide_try(code, self._codes.waiting(self._clock.seconds()))
            for missed in tried.missed:
                self._codes.put(missed)
                if missed.state == "ended":
                    self._refused(missed, actor, address, "Its code was guessed at, so it has ended.")
            return tried.found

        found = await self._write(look)
        if found is None:
            raise Refused(400, "wrong_code", "That code is not right, or it has ended. Compare it with your device.")
        return found

    def found(self, user_code: str) -> DeviceCode:
        """The request that the person found before. Raises Refused 410 if it has ended."""
        code = next((one for one in self._codes.waiting(self._clock.seconds()) if one.user_code == user_code), None)
        if code is None:
            raise ended()
        return code

    async def allow(self, code: DeviceCode, issue: IssueCode, giver: ConsentingUser) -> None:
        """Let the device in as this person. Raises Refused 410."""

        def record() -> None:
            current = self._answerable(code)
            family_id = self._consents.record(issue, giver, "")
            expires_at = max(current.expires_at, self._clock.seconds() + TO_COLLECT)
            self._codes.put(evolve(current, state="allowed", family_id=family_id, expires_at=expires_at))

        await self._write(record)

    async def deny(self, code: DeviceCode, *, actor: str, address: str) -> None:
        """Refuse it. Raises Refused 410."""

        def record() -> None:
            self._codes.put(evolve(self._answerable(code), state="denied"))
            self._refused(code, actor, address, "")

        await self._write(record)

    def _refused(self, code: DeviceCode, actor: str, address: str, why: str) -> None:
        client = self._clients.get(code.client_id)
        act = Act(
            at=self._clock.seconds(),
            actor=actor,
            action="app-connected",
            subject=client.name if client is not None else code.client_id,
            outcome="refused",
            address=address,
            means="session",
            why=why,
        )
        self._note(act)

    def _answerable(self, code: DeviceCode) -> DeviceCode:
        current = self._codes.get(code.hash)
        if current is None or not policy.can_be_answered(current, self._clock.seconds()):
            raise ended()
        return current


def _is_full(waiting: list[str], address: str) -> bool:
    """True if no more codes may wait: of all networks together, or of the one around this address."""
    return len(waiting) >= MOST_WAITING or any(
        sum(network_of(one, prefix) == network_of(address, prefix) for one in waiting) >= most
        for prefix, most in MOST_WAITING_OF.items()
    )


def ended() -> Refused:
    """The code is no longer waiting."""
    return Refused(410, "code_ended", "This code has ended. Start again on your device.")
