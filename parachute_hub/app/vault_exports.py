"""Asks the vault module for an export, or to empty the trash, on behalf of a person."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import User
from parachute_hub.store.writer import Write
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import frozen

with lazily():
    from parachute_hub.oauth.authorization import scopes
    from parachute_hub.oauth.tokens import issuer as tokens

if TYPE_CHECKING:
    from parachute_hub.oauth.tokens.issuer import Issuer

LIFETIME = 600.0
# A download keeps the vault awake for so many seconds.
_LONGEST = 900.0


@frozen
class VaultExports:
    """Implements `accounts.people.download_pages.Exports`. `issuer`, `reach` (a module's port, woken if it sleeps) and
    `is_elsewhere` (whether a module is on another machine) are there once they were loaded."""

    agent: Agent
    issuer: "Callable[[], Issuer]"
    write: Write
    reach: Callable[[str, float], Awaitable[int | None]]
    is_elsewhere: Callable[[str], bool]

    async def begin(self, user: User, vault: str) -> IResponse:
        """The answer of `GET /vault/<name>/api/export`."""
        response = await self._asked(b"GET", user, vault, "api/export?format=markdown", "read")
        if response.code != 200:
            text = "This version of the vault gives no download. Ask the person who runs this hub to update it."
            raise Refused(502, "no_export", text)
        return response

    async def empty_trash(self, user: User, vault: str) -> None:
        """Delete for good what is in the trash of a vault. Raises Refused."""
        response = await self._asked(b"DELETE", user, vault, "api/trash", "write")
        await readBody(response)
        if response.code != 200:
            raise Refused(502, "no_trash", "This version of the vault has no trash that can be emptied from here.")

    async def _asked(self, method: bytes, user: User, vault: str, path: str, verb: str) -> IResponse:
        """The answer to a request with a token that opens this vault for ten minutes. Raises Refused."""
        if self.is_elsewhere("vault"):
            text = (
                "This vault is on another machine, so this cannot be done here. Ask the person who runs this hub to "
                "bring it back first."
            )
            raise Refused(409, "elsewhere", text)
        port = await self.reach("vault", _LONGEST)
        if port is None:
            raise Refused(503, "not_running", "The vault is not running right now. Try again in a minute.")
        minted = await self.write(
            self.issuer().mint,
            tokens.TokenRequest(
                subject=user.id,
                user_id=user.id,
                client_id="parachute-hub",
                scopes=(f"vault:{vault}:{verb}",),
                authority=scopes.authority_of(user),
                lifetime=LIFETIME,
                created_via="session_mint",
            ),
        )
        url = f"http://127.0.0.1:{port}/vault/{vault}/{path}"
        headers = Headers({"Authorization": [f"Bearer {minted.token}"]})
        try:
            response: IResponse = await self.agent.request(method, url.encode(), headers)
        except Exception as error:
            raise Refused(502, "module_unreachable", "The vault did not answer. Try again in a minute.") from error
        return response
