"""Adapters between rooms: each implements one room's protocol with another room's object."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.threads import deferToThreadPool

from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.accounts.setup.wizard import Offer
from parachute_hub.app.installed import InstalledModules
from parachute_hub.modules import assembly
from parachute_hub.modules.definition.catalog import CatalogEntry
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.oauth.metadata import Service
from parachute_hub.oauth.tokens.claims import InvalidToken
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.oauth.tokens.token_guard import TokenGuard
from parachute_hub.problems import address_probe
from parachute_hub.proxy.audience import Rank
from parachute_hub.proxy.routes import ErrorResponse, Mount
from parachute_hub.settings import Settings
from parachute_hub.site.errors import Refused
from parachute_hub.site.well_known import vault_name
from parachute_hub.system.records import frozen

# Descriptions of the modules for people who are new to Parachute.
_PURPOSES = {
    "vault": "The place where your notes live. The other modules, and assistants such as Claude, read and write here.",
    "notes": "An app in your browser or on your phone to write, find and dictate notes.",
    "scribe": "Turns recordings into text. It needs an API key of a speech service, or a local program.",
    "surface": "Small web apps on top of your vault.",
}
SELF_CHECK_SECONDS = 5


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


class WizardInstalls:
    """The installer for the wizard (implements `accounts.setup.wizard.SetupInstalls`).

    API keys are kept in memory for a retry until the module has them, and never written to a job's record.
    """

    def __init__(self, modules: assembly.ModuleServices) -> None:
        self._modules = modules
        self._requests: dict[str, InstallRequest] = {}

    def offers(self) -> Sequence[Offer]:
        """The core modules of the catalog."""
        directory = self._modules.files.directory
        return [
            Offer(
                short=entry.short,
                name=entry.display_name,
                tagline=entry.tagline,
                purpose=_PURPOSES.get(entry.short, entry.tagline),
                memory_mb=entry.memory_mb,
                reference=entry.reference,
                installed=directory.row(entry.short) is not None,
            )
            for entry in self._modules.files.outside.catalog.entries
            if entry.focus == "core"
        ]

    async def begin(self, short: str, options: Mapping[str, Any]) -> str:
        """Start an install and return the job's id. Raises Refused."""
        return await self._start(
            evolve(
                request_for(self._entry(short)),
                env=dict(options.get("environment") or {}),
                vault=options.get("first_vault"),
            )
        )

    def job(self, job_id: str) -> Mapping[str, Any] | None:
        """The job's progress; None for an unknown id."""
        try:
            return self._modules.jobs.get(job_id).to_json()
        except Refused:
            return None

    async def retry(self, job_id: str, *, lean: bool = False) -> str:
        """Retry a failed job. After a restart the typed API keys are gone. Raises Refused."""
        request = self._requests.get(job_id)
        if request is None:
            job = self._modules.jobs.get(job_id)
            request = evolve(request_for(self._entry(job.short)), vault=job.params.get("vault"))
        return await self._start(evolve(request, without_optional=lean or request.without_optional))

    async def _start(self, request: InstallRequest) -> str:
        job_id = (await self._modules.jobs.recorded(self._modules.installer.install(request))).id
        self._requests[job_id] = request
        Deferred.fromCoroutine(self._forget(job_id))
        return job_id

    async def _forget(self, job_id: str) -> None:
        """Drop the request once it has succeeded."""
        if (await self._modules.jobs.finished(job_id)).status == "succeeded":
            self._requests.pop(job_id, None)

    def _entry(self, short: str) -> CatalogEntry:
        entry = self._modules.files.outside.catalog.get(short)
        if entry is None:
            raise Refused(404, "not_found", f"There is no module {short} in the catalog.")
        return entry


def request_for(entry: CatalogEntry) -> InstallRequest:
    """The install request for a catalog entry."""
    return InstallRequest(short=entry.short, package=entry.package, source=entry.source)


def self_check(instance: str, reactor: Any) -> Callable[[str], Awaitable[str | None]]:
    """Creates a check that requests /health at an origin. It returns None if this very hub answers, else what
    is wrong.
    """

    async def check(origin: str) -> str | None:
        threads = reactor.getThreadPool()
        asking = deferToThreadPool(reactor, threads, address_probe.probe, origin, instance, time.time())
        try:
            found = await asking.addTimeout(SELF_CHECK_SECONDS, reactor)
        except TimeoutError:
            found = None
        if found is None or found.fault is not None:
            return (
                f"This hub could not reach itself at {origin}. That is fine when the address only works from outside; "
                "otherwise check the name and the certificate."
            )
        if not found.ours:
            return f"{origin} is answered by a different server. Check the address."
        return None

    return check
