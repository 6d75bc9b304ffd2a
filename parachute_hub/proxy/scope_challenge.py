"""What a vault's 403 lacks: the challenge that tells a client which scope to ask for (RFC 6750, 3.1).

Vaults answer 403 with JSON and no challenge. With one, a client can send its user to consent once more: a step up.
"""

from parachute_hub.proxy.head import ResponseHead
from parachute_hub.proxy.plan import Passage
from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson

# A body that is larger, or comes later than its head, is not waited for.
_LARGEST_READ = 4096
_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
_VERBS = frozenset(("read", "write", "admin"))
_FOR_ADMINS = (b"/tokens", b"/.parachute/config")


def challenge_lines(passage: Passage, head: ResponseHead, body: bytes | None) -> list[bytes]:
    """The header lines to add to a module's 403; `body` is its whole body, None when that is not there yet.

    None are added unless a vault refused a token of ours, and said nothing itself about how to go on.
    """
    vault = _vault(passage.mount.prefix)
    present = {name: value for name, value, _ in head.fields}
    if not vault or not passage.tokens or b"www-authenticate" in present:
        return []
    verb = _said(present, body) if body is not None and len(body) <= _LARGEST_READ else _guessed(passage)
    if verb is None:
        return []
    challenge = (
        f'WWW-Authenticate: Bearer error="insufficient_scope", scope="vault:{vault}:{verb}", '
        f'resource_metadata="{passage.issuer}/.well-known/oauth-protected-resource/vault/{vault}/mcp"'
    )
    lines = [challenge.encode("latin-1")]
    exposed = present.get(b"access-control-expose-headers", b"").lower()
    if b"access-control-allow-origin" in present and not passage.place.mcp and b"www-authenticate" not in exposed:
        lines.append(b"Access-Control-Expose-Headers: WWW-Authenticate")
    return lines


def _vault(prefix: bytes) -> str:
    """The vault's name; empty for other mounts, and where one process answers for every vault."""
    parts = prefix.split(b"/")
    named = len(parts) == 3 and parts[1] == b"vault" and parts[2] != b"admin"
    return parts[2].decode("latin-1") if named else ""


def _said(present: dict[bytes, bytes], body: bytes) -> str | None:
    """The verb of `required_scope` (`vault:write`); None when the refusal was not about scopes."""
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


def _guessed(passage: Passage) -> str:
    """What the request most likely needed, by its method and path."""
    below = passage.path[len(passage.mount.prefix) :]
    if any(below == path or below.startswith(path + b"/") for path in _FOR_ADMINS):
        return "admin"
    return "read" if passage.request.method in _SAFE else "write"
