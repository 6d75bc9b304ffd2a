"""Tells the proxy whether a token may go to a module, so that a revoked token is rejected within a second."""

from parachute_hub.oauth.tokens.claims import Claims, ForeignToken, InvalidToken
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.site.errors import Refused


class TokenGuard:
    """Rejects the hub's own tokens that are forged, expired, revoked or meant for another module."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def refusal(self, mount_short: str, vault_name: str | None, token: str, *, suffix: str = "/mcp") -> Refused | None:
        """None to forward the request: the token is valid, or was not issued by this hub.

        `vault_name` is None for a path that names no vault, such as `/mcp`, where a token for any vault is accepted.
        `suffix` ends the resource that a vault's challenge names.

        The challenge follows RFC 6750, section 3, and RFC 9728, section 5.1.
        """
        try:
            claims = self._issuer.verify(token)
        except ForeignToken:
            return None
        except InvalidToken as error:
            return self._refuse(mount_short, vault_name, suffix, str(error))
        if _is_for(claims, mount_short, vault_name):
            return None
        return self._refuse(mount_short, vault_name, suffix, "This token is meant for another part of the hub.")

    def _refuse(self, short: str, vault: str | None, suffix: str, description: str) -> Refused:
        parts = [f'error="invalid_token", error_description="{description}"']
        if short == "vault":
            path = f"/vault/{vault}{suffix}" if vault else "/mcp"
            parts.append(f'resource_metadata="{self._issuer.issuer}/.well-known/oauth-protected-resource{path}"')
            if vault:
                parts.append(f'scope="vault:{vault}:read vault:{vault}:write"')
        return Refused(401, "invalid_token", description, headers={"WWW-Authenticate": "Bearer " + ", ".join(parts)})


def _is_for(claims: Claims, short: str, vault: str | None) -> bool:
    if short == "vault":
        if vault is None:
            return any(word.startswith("vault.") for word in claims.audience)
        return f"vault.{vault}" in claims.audience
    return any(word == short or word.startswith(f"{short}.") for word in claims.audience)
