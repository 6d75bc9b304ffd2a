"""Devices that wait to be signed in: reads, decides and writes in one transaction each."""

from collections.abc import Callable

from attrs import evolve, frozen
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
from parachute_hub.store.rows import Client, DeviceCode, User
from parachute_hub.store.writer import Write
from parachute_hub.system.networks import network_of
from parachute_hub.system.random_tokens import hashed, new_token

MOST_WAITING = 200
PER_HOUR = 30
TRIES = 15
TRIES_IN = 600.0


@frozen(kw_only=True)
class Begun:
    """A new request. `device_code` is for the device alone, `user_code` for people."""

    device_code: str
    user_code: str


class DeviceRequests:
    """Begins, finds and answers them. Limits count by network, and tries of a code by person as well."""

    def __init__(
        self,
        *,
        write: Write,
        codes: DeviceCodes,
        clients: Clients,
        consents: Consents,
        issuer: Issuer,
        resources: Resources,
        clock: IReactorTime,
        random: Callable[[int], bytes],
    ) -> None:
        self._write = write
        self._codes = codes
        self._clients = clients
        self._consents = consents
        self._issuer = issuer
        self._resources = resources
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
        self._begun.use(network_of(address))
        secret = new_token(self._random)

        def add() -> str:
            now = self._clock.seconds()
            taken = {one.user_code for one in self._codes.waiting(now)}
            if len(taken) >= MOST_WAITING:
                text = "Too many devices are waiting to be signed in. Try again in a few minutes."
                raise Refused(429, "temporarily_unavailable", text, headers={"Retry-After": "120"})
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

    async def find(self, text: str, *, address: str, user_id: str) -> DeviceCode:
        """The request whose code a person typed. Raises Refused 400 for a wrong one, 429 after too many tries."""
        for who in (network_of(address), user_id):
            self._tries.use(who)

        def look() -> DeviceCode | None:
            tried = policy.decide_try(policy.typed(text), self._codes.waiting(self._clock.seconds()))
            for missed in tried.missed:
                self._codes.put(missed)
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
            self._codes.put(evolve(current, state="allowed", family_id=family_id))

        await self._write(record)

    async def deny(self, code: DeviceCode) -> None:
        """Refuse it. Raises Refused 410."""
        await self._write(lambda: self._codes.put(evolve(self._answerable(code), state="denied")))

    def _answerable(self, code: DeviceCode) -> DeviceCode:
        current = self._codes.get(code.hash)
        if current is None or not policy.can_be_answered(current, self._clock.seconds()):
            raise ended()
        return current


def ended() -> Refused:
    """The code is no longer waiting."""
    return Refused(410, "code_ended", "This code has ended. Start again on your device.")
