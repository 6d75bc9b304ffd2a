"""The metadata documents: authorization server (RFC 8414), protected resources (RFC 9728), account.

All URLs in them start with the canonical issuer, because clients compare strings.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from parachute_hub.oauth.authorization.resource import Target
from parachute_hub.oauth.authorization.scopes import ScopeCatalog, vault_scope
from parachute_hub.oauth.device.policy import GRANT
from parachute_hub.system.records import frozen

DOCUMENTATION = "https://parachute.computer"
_AUTH_METHODS = ["none", "client_secret_post", "client_secret_basic"]


def authorization_server(issuer: str, catalog: ScopeCatalog) -> dict[str, Any]:
    """RFC 8414, with the additions of RFC 8628, RFC 9207 and CIMD. Also served as openid-configuration."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "registration_endpoint": f"{issuer}/oauth/register",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": catalog.advertised(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", GRANT],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": _AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": _AUTH_METHODS,
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
        "service_documentation": DOCUMENTATION,
    }


def protected_resource(issuer: str, path: str, target: Target, catalog: ScopeCatalog) -> dict[str, Any]:
    """RFC 9728 for the resource at `issuer + path`. For a vault only read and write; admin must be requested by
    name.
    """
    if target.kind == "vault":
        scopes = [f"vault:{target.name}:read", f"vault:{target.name}:write"]
    elif target.kind == "mcp":
        scopes = [scope for scope in catalog.advertised() if scope.startswith("vault:")]
    elif target.kind == "module":
        scopes = [scope for scope in catalog.advertised() if scope.startswith(f"{target.name}:")]
    else:
        scopes = catalog.advertised()
    return {
        "resource": issuer + path,
        "authorization_servers": [issuer],
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
        "resource_documentation": DOCUMENTATION,
    }


def account_document(issuer: str, *, importing: bool = False) -> dict[str, Any]:
    """`/.well-known/parachute-account`: how clients find the account API."""
    return {
        "issuer": issuer,
        "door": "hub",
        "account_endpoint": f"{issuer}/account",
        "auth": {"methods": ["password"], "signin_path": "/login"},
        "vault_url_template": f"{issuer}/vault/{{name}}",
        "account_token": {"endpoint": "/account/token", "method": "POST", "scheme": "cookie"},
        "capabilities": {"vault_create": True, "vault_rename": False, "vault_delete": False},
        "plans": [],
        "features": {
            "vault_create": True,
            "vault_delete": False,
            "plans": None,
            "modules": True,
            "expose": False,
            "import": importing,
            "export": False,
            "billing": False,
        },
        "caps_writable": False,
        "limits": {"vaults_max": None},
    }


@frozen(kw_only=True)
class Service:
    """A service that an app may learn about. `vault` is the name if it is one; `path` starts with /."""

    short: str
    path: str
    version: str
    vault: str | None = None


def services(issuer: str, scopes: Iterable[str], known: Iterable[Service]) -> dict[str, dict[str, str]]:
    """The `services` member of a token response: where the granted resources are.

    Vaults are listed as `vault:<name>`, the first one also as `vault`; other modules by short name.
    """
    found: dict[str, dict[str, str]] = {}
    held = tuple(scopes)
    named = {scope.name for scope in map(vault_scope, held) if scope}
    prefixes = {scope.partition(":")[0] for scope in held}
    for service in known:
        entry = {"url": issuer + (service.path.rstrip("/") or "/"), "version": service.version}
        if service.vault is not None:
            if service.vault in named:
                found[f"vault:{service.vault}"] = entry
                found.setdefault("vault", entry)
        elif service.short in prefixes:
            found.setdefault(service.short, entry)
    return found


def only_vault(scopes: Iterable[str]) -> str | None:
    """The granted vault's name if there is exactly one. Notes reads it first."""
    names = {scope.name for scope in map(vault_scope, scopes) if scope and scope.name}
    return names.pop() if len(names) == 1 else None


def revocation_list(generated_at: str, jtis: list[str]) -> Mapping[str, Any]:
    """The document that modules poll each minute."""
    return {"generated_at": generated_at, "jtis": jtis}
