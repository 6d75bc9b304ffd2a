"""Adds a scope challenge to a vault's 403 (RFC 6750, section 3.1).

Vaults answer 403 with JSON and no challenge. With one, a client can ask the user for consent to more scopes (step-up).
"""

from parachute_hub.proxy.head import ResponseHead
from parachute_hub.proxy.plan import ModuleRequest
from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson

# A larger body, or one that arrives after its head, is not awaited.
_LARGEST_READ = 4096
_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
_VERBS = frozenset(("read", "write", "admin"))
_FOR_ADMINS = (b"/tokens", b"/.parachute/config")


def challenge_lines(passage: ModuleRequest, head: ResponseHead, body: bytes | None) -> list[bytes]:
    """The header lines to add to a module's 403. `body` is the whole body, None if it has not arrived.

    Empty unless a vault refused a token issued by this hub without sending a challenge.
    """
    vault = _vault(passage.mount.prefix)
    present = {name: value for name, value, _ in head.fields}
    if not vault or not passage.tokens or b"www-authenticate" in present:
        return []
    verb = _said(present, body) if body is not None and len(body) <= _LARGEST_READ else _guessed(passage)
    if verb is None:
        return []
    suffix = "" if passage.path == passage.mount.prefix else "/mcp"
    challenge = (
        f'WWW-Authenticate: Bearer error="insufficient_scope", scope="vault:{vault}:{verb}", '
        f'resource_metadata="{passage.issuer}/.well-known/oauth-protected-resource/vault/{vault}{suffix}"'
    )
    lines = [challenge.encode("latin-1")]
    exposed = present.get(b"access-control-expose-headers", b"").lower()
    if b"access-control-allow-origin" in present and not passage.place.mcp and b"www-authenticate" not in exposed:
        lines.append(b"Access-Control-Expose-Headers: WWW-Authenticate")
    return lines


def _vault(prefix: bytes) -> str:
    """The vault's name; empty for other mounts, and for a process that serves several vaults."""
    parts = prefix.split(b"/")
    named = len(parts) == 3 and parts[1] == b"vault" and parts[2] != b"admin"
    return parts[2].decode("latin-1") if named else ""


def _said(present: dict[bytes, bytes], body: bytes) -> str | None:
    """The verb of `required_scope` (`vault:write`); None if the refusal was not about scopes."""
    if not present.get(b"content-type", b"").strip().lower().startswith(b"application/json"):
        return None
    try:
        said = strict_json.read(body, limit=_LARGEST_READ).value
    except BadJson:
        return None
    if not isinstance(said, dict) or said.get("error_type") != "insufficient_scope":
        return None
    verb = str(said.get("required_scope", "")).rpartition(":")[2]
    return verb if verb in _VERBS else None


def _guessed(passage: ModuleRequest) -> str:
    """The scope the request probably needed, from its method and path."""
    below = passage.path[len(passage.mount.prefix) :]
    if any(below == path or below.startswith(path + b"/") for path in _FOR_ADMINS):
        return "admin"
    return "read" if passage.request.method in _SAFE else "write"
