"""`<home>/operator.token`, a token for whoever controls the machine. Created at boot, renewed before it expires."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from parachute_hub.oauth.authorization.scopes import HOST_SCOPES, Authority
from parachute_hub.oauth.tokens.claims import Claims, InvalidToken
from parachute_hub.oauth.tokens.issuer import Issuer, TokenRequest
from parachute_hub.store.rows import Act
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.writer import Write
from parachute_hub.system.atomic_files import atomic_write, read_bounded

_TOKEN_LIMIT = 16 * 1024
InThread = Callable[..., Awaitable[Any]]
LIFETIME = 90 * 86400.0
RENEW_BEFORE = 7 * 86400.0
# The scope sets. Modules never accept this token, since its audience is `operator`.
SCOPE_SETS = {
    "install": ("parachute:host:install", "vault:read"),
    "start": ("parachute:host:start",),
    "expose": ("parachute:host:expose",),
    "auth": ("parachute:host:auth",),
    "vault": ("parachute:host:vault",),
    "admin": ("hub:admin", *HOST_SCOPES, "vault:admin", "scribe:admin"),
}


class OperatorToken:
    """The file and its token. The file is 0600 and replaced atomically."""

    _log = Logger()

    def __init__(
        self,
        *,
        path: Path,
        write: Write,
        issuer: Issuer,
        tokens: Tokens,
        note: Callable[[Act], None],
        clock: IReactorTime,
        in_thread: InThread,
    ) -> None:
        self._path = path
        self._write = write
        self._in_thread = in_thread
        self._last_own: str | None = None
        self._issuer = issuer
        self._tokens = tokens
        self._note = note
        self._clock = clock

    async def ensure(self) -> None:
        """Ensure a valid token; replace one that expires soon, is revoked or names an old issuer.

        A token that this hub signed keeps its scope set; any other content is replaced by an `admin` token, since
        whoever can write this file controls the machine. If the disk is full, only the `parachute` command is affected.
        """
        held = self._held()
        try:
            if held is None or not self._is_good(held):
                await self.renew()
            elif self._path.stat().st_mode & 0o077:
                self._path.chmod(0o600)
        except OSError as error:
            self._log.error(
                "The token of the `parachute` command could not be written to {path}: {why}. "
                "Free some space, then restart the hub.",
                path=str(self._path),
                why=error.strerror or str(error),
            )

    async def rotate(self, scope_set: str | None = None) -> None:
        """As `renew`, for somebody who asked for it: recorded with the end of the old token."""
        await self.renew(scope_set, act="rotate-operator")

    async def renew(self, scope_set: str | None = None, *, act: str | None = None) -> None:
        """Write a new token and revoke the old one; None keeps its scope set. Raises KeyError."""
        held = self._held()
        scope_set = scope_set or (_scope_set(held) if held else "admin")
        await self._replace(scope_set)

        def replaced() -> None:
            now = self._clock.seconds()
            if held is not None:
                self._tokens.revoke(held.jti, now)
            if act is not None:
                self._note(Act(at=now, actor="", action=act, subject=scope_set))

        await self._write(replaced)

    def scope_set(self) -> str | None:
        """The scope set of the current token; None without one. Blocks."""
        held = self._held()
        return _scope_set(held) if held else None

    def is_foreign(self) -> bool:
        """Whether somebody else replaced the file: it is there, and this hub did not sign what is in it. Blocks.

        A signature that was verified is not verified again: in an idle hub, that alone would keep 3.5 MB of
        cryptography's code mapped.
        """
        with suppress(OSError, ValueError):
            if self._read() == self._last_own:
                return False
        return self._path.exists() and self._held() is None

    def _read(self) -> str:
        """What the file holds. Raises OSError and ValueError."""
        return read_bounded(self._path, _TOKEN_LIMIT).decode("ascii").strip()

    def _held(self) -> Claims | None:
        try:
            token = self._read()
            claims = self._issuer.signed(token)
        except (OSError, ValueError, InvalidToken):
            return None
        if claims.audience != ("operator",):
            return None
        self._last_own = token
        return claims

    def _is_good(self, held: Claims) -> bool:
        remaining = held.expires_at - self._clock.seconds()
        return remaining >= RENEW_BEFORE and held.issuer == self._issuer.issuer and self._tokens.is_live(held.jti)

    async def _replace(self, scope_set: str) -> None:
        scopes: Sequence[str] = SCOPE_SETS[scope_set]
        minted = await self._write(
            self._issuer.mint,
            TokenRequest(
                subject="operator",
                client_id="parachute-hub",
                scopes=scopes,
                authority=Authority(every_vault="admin", exact=frozenset(scopes)),
                lifetime=LIFETIME,
                created_via="operator_mint",
                audience="operator",
                claims={"pa_scope_set": scope_set},
            ),
        )
        await self._in_thread(atomic_write, self._path, f"{minted.token}\n".encode())
        self._log.info("Wrote {path}: scope set {scope_set}", path=str(self._path), scope_set=scope_set)


def _scope_set(claims: Claims) -> str:
    """The scope set named by the hub's own token. Never extended for unknown origins."""
    name = claims.extra.get("pa_scope_set")
    return name if isinstance(name, str) and name in SCOPE_SETS else "auth"
