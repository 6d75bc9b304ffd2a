"""Adapters between rooms: each implements one room's protocol with another room's object."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.app.installed import InstalledModules
from parachute_hub.oauth.metadata import Service
from parachute_hub.oauth.tokens.claims import InvalidToken
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.oauth.tokens.token_guard import TokenGuard
from parachute_hub.proxy.audience import Rank
from parachute_hub.proxy.routes import ErrorResponse, Mount
from parachute_hub.settings import Settings
from parachute_hub.site.well_known import vault_name
from parachute_hub.system.records import frozen


@frozen
class FixedOrigins:
    """The configured origins, for a hub whose database is unreadable."""

    settings: Settings

    def issuer(self) -> str:
        """The configured origin, else the local one."""
        return self.settings.issuer

    def bound(self) -> Sequence[str]:
        """The issuer and the local origins."""
        return self.settings.origins

    def answering(self) -> Sequence[str]:
        """The same: former addresses are in the database."""
        return self.settings.origins


@frozen
class InstalledResources:
    """What is installed, for the issuer (implements `oauth.well_known.Resources`)."""

    installed_modules: InstalledModules

    def vaults(self) -> Sequence[str]:
        """Vault names, the default one first."""
        return self.installed_modules.vaults()

    def module_scopes(self) -> Mapping[str, Sequence[str]]:
        """The scopes that each installed module's manifest defines."""
        return {
            module.short: module.manifest.scopes
            for module in self.installed_modules.modules()
            if module.manifest is not None
        }

    def services_catalog(self) -> Iterator[Service]:
        """The location of each vault and module."""
        for module in self.installed_modules.modules():
            if not module.row.is_vault:
                path = module.paths[0] if module.paths else "/"
                yield Service(short=module.short, path=path, version=module.row.version)
                continue
            for path in module.paths:
                yield Service(
                    short="vault", path=path, version=module.row.version, vault=vault_name(module.row.name, path)
                )


@frozen
class ModuleTokens:
    """Short-lived tokens with which the hub configures modules (implements
    `modules.launch.configuration.MintsTokens`).
    """

    issuer: Issuer

    async def for_administration(self, short: str, instance: str | None) -> str | None:
        """A one-minute token with `<short>:admin`, for a vault `vault:<instance>:admin`."""
        return await self.issuer.for_service([f"{short}:{instance}:admin" if instance else f"{short}:admin"])


@frozen
class ProxyGuard:
    """Wraps the issuer's token guard for the proxy (implements `proxy.model.TokenChecker`)."""

    guard: TokenGuard
    count: Callable[[str, str], None] = lambda module, error: None

    def refusal(self, mount: Mount, path: bytes, token: str) -> ErrorResponse | None:
        """Why this bearer token must not reach the module, or None."""
        vault = None
        if mount.prefix.startswith(b"/vault/") and not mount.prefix.startswith(b"/vault/admin"):
            vault = mount.prefix.split(b"/")[2].decode("latin-1")
        refused = self.guard.refusal(mount.short, vault, token, suffix="" if path == mount.prefix else "/mcp")
        if refused is None:
            return None
        self.count(mount.short, refused.error)
        return ErrorResponse(refused.status, refused.error, refused.description, tuple(refused.headers.items()))


@frozen
class ProxyVisitors:
    """Sessions and tokens for the proxy (implements `proxy.audience.Visitors`)."""

    sessions: SessionRecogniser
    issuer: Issuer

    def rank(self, cookie: bytes, secure: bool) -> Rank:
        """The rank of the session in a Cookie header."""
        found = self.sessions.behind(cookie, secure=secure)
        if found is None:
            return "nobody"
        return "admin" if found.user.is_admin else "member"

    def scopes(self, token: str) -> frozenset[str] | None:
        """The scopes of a token issued by this hub; None for any other."""
        try:
            return self.issuer.verify(token).scopes
        except InvalidToken:
            return None
