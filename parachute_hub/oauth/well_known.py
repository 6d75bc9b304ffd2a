"""The `/.well-known/` documents from which modules and clients start. Open before set-up, never rate limited."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest

from parachute_hub.oauth import cors, metadata
from parachute_hub.oauth.authorization.resource import InvalidTarget, read
from parachute_hub.oauth.authorization.scopes import ScopeCatalog
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.oauth.tokens.keys import Keyring
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.timestamps import to_the_millisecond

_GET = ["GET", "HEAD", "OPTIONS"]
PREFIXES = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    "/.well-known/jwks.json",
    "/.well-known/parachute-revocation.json",
    "/.well-known/parachute-account",
)


class Resources(Protocol):
    """What is installed. Read on each request, so it should be cheap."""

    def vaults(self) -> Sequence[str]:
        """Vault names, the default one first."""

    def module_scopes(self) -> Mapping[str, Sequence[str]]:
        """The scopes that each installed module's manifest defines, by short name."""

    def services_catalog(self) -> Iterable[metadata.Service]:
        """The location of each vault and module."""


def catalog_of(resources: Resources) -> ScopeCatalog:
    """The scopes that can currently be requested."""
    scopes = {short: tuple(scopes) for short, scopes in resources.module_scopes().items()}
    return ScopeCatalog(tuple(resources.vaults()), scopes)


class WellKnownArea:
    """RFC 8414 and RFC 9728 in every spelling that clients try; keys; revocations; the account document."""

    app: Klein = area()

    def __init__(self, *, issuer: Issuer, keys: Keyring, resources: Resources, clock: IReactorTime) -> None:
        self._issuer = issuer
        self._keys = keys
        self._resources = resources
        self._clock = clock

    @app.route("/.well-known/oauth-authorization-server", methods=_GET)
    @app.route("/.well-known/oauth-authorization-server/<path:_path>", methods=_GET)
    @app.route("/.well-known/openid-configuration", methods=_GET)
    @app.route("/.well-known/openid-configuration/<path:_path>", methods=_GET)
    @app.route("/vault/<_path>/.well-known/oauth-authorization-server", methods=_GET)
    @app.route("/vault/<_path>/.well-known/openid-configuration", methods=_GET)
    @app.route("/vault/<_path>/mcp/.well-known/oauth-authorization-server", methods=_GET)
    @app.route("/vault/<_path>/mcp/.well-known/openid-configuration", methods=_GET)
    def authorization_server(self, request: IRequest, _path: str = "") -> bytes:
        """The same document for every resource, since there is one issuer."""
        return self._document(
            request, lambda: metadata.authorization_server(self._issuer.issuer, catalog_of(self._resources))
        )

    @app.route("/.well-known/oauth-protected-resource", methods=_GET)
    @app.route("/.well-known/oauth-protected-resource/<path:path>", methods=_GET)
    def protected_resource(self, request: IRequest, path: str = "") -> bytes:
        """The resource whose path follows the well-known prefix (RFC 9728, section 3.1)."""
        return self._document(request, lambda: self._resource(f"/{path}".rstrip("/")))

    @app.route("/vault/<name>/.well-known/oauth-protected-resource", methods=_GET)
    @app.route("/vault/<name>/mcp/.well-known/oauth-protected-resource", methods=_GET)
    def of_vault(self, request: IRequest, name: str) -> bytes:
        """The spelling that vaults use in their challenge."""
        return self._document(request, lambda: self._resource(f"/vault/{name}/mcp"))

    @app.route("/.well-known/jwks.json", methods=_GET)
    def jwks(self, request: IRequest) -> bytes:
        """The public keys, cached for a minute: less than the time a new key is published before it signs."""
        return self._document(request, self._keys.jwks, cache="public, max-age=60")

    @app.route("/.well-known/parachute-revocation.json", methods=_GET)
    def revocations(self, request: IRequest) -> bytes:
        """The revoked, unexpired tokens."""
        jtis = self._issuer.revoked_jtis()
        cors.allow_any(request, "GET, OPTIONS")
        if request.method == b"OPTIONS":
            return cors.preflight(request)
        tag = hashlib.sha256("\n".join(jtis).encode()).hexdigest()[:32].encode()
        request.setHeader("Cache-Control", "public, max-age=60")
        if request.setETag(b'"' + tag + b'"'):
            return b""
        now = to_the_millisecond(self._clock.seconds())
        document = metadata.revocation_list(now, jtis)
        return as_json(request, document, cache="public, max-age=60")

    @app.route("/.well-known/parachute-account", methods=_GET)
    def account(self, request: IRequest) -> bytes:
        return self._document(request, lambda: metadata.account_document(self._issuer.issuer))

    def _resource(self, path: str) -> dict[str, Any]:
        issuer, catalog = self._issuer.issuer, catalog_of(self._resources)
        try:
            target = read(issuer + path, origins=[issuer], catalog=catalog)
        except InvalidTarget:
            parts = path.split("/")
            if parts[:2] == ["", "vault"] and len(parts) > 2:
                raise Refused(404, "Vault not found", "There is no such vault.", detail={"vault": parts[2]}) from None
            raise not_found("There is no such resource on this hub.") from None
        return metadata.protected_resource(issuer, path, target, catalog)

    def _document(
        self, request: IRequest, make: Callable[[], Mapping[str, Any]], cache: str = "public, max-age=60"
    ) -> bytes:
        cors.allow_any(request, "GET, OPTIONS")
        if request.method == b"OPTIONS":
            return cors.preflight(request)
        return as_json(request, make(), cache=cache)
