"""The operator token: whoever can read `<home>/operator.token` controls the machine, and so the hub."""

import hmac
import secrets
from pathlib import Path

from twisted.web.iweb import IRequest

from parachute_hub.home import replace_file
from parachute_hub.site.refused import Refused
from parachute_hub.site.who import ADMIN, AUTH, Principal

OPERATOR_SCOPES = frozenset({ADMIN, AUTH})


def bearer(request: IRequest) -> str | None:
    """The bearer token of a request; the scheme in any case (RFC 9110 11.1)."""
    header = request.getHeader("Authorization")
    if header is None:
        return None
    scheme, _, value = header.strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def ensure_operator_token(path: Path) -> str:
    """The token in the file; a new one is made when there is none. The file is for its owner's eyes only (0600)."""
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        token = ""
    if not token:
        token = f"parachute-operator-{secrets.token_urlsafe(32)}"
        replace_file(path, token + "\n")
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return token


class OperatorRecogniser:
    """Recognises the operator token and nothing else."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def recognise(self, request: IRequest) -> Principal | None:
        """The operator; 401 for any other bearer."""
        presented = bearer(request)
        if presented is None:
            return None
        if not hmac.compare_digest(presented.encode(), self._token):
            raise Refused(
                401,
                "invalid_token",
                "This token is not valid here.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return Principal(kind="operator", name="operator", scopes=OPERATOR_SCOPES)
