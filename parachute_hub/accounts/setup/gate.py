"""Until there is an owner, only health, public documents and the wizard are available."""

from parachute_hub.site.errors import Refused
from parachute_hub.store.users import Users

SETUP = "/admin/setup"
_OPEN = ("/health", "/api/ready", "/.well-known", SETUP, "/static", "/robots.txt")


class SetupGate:
    """Implements `site.root.Gate`. The proxy checks `closed` before forwarding to a module."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._has_owner = False

    @property
    def closed(self) -> bool:
        """True while there is no owner. Once false it stays false, since the last admin cannot be deleted."""
        if not self._has_owner:
            self._has_owner = self._users.count() > 0
        return not self._has_owner

    def check(self, method: bytes, path: bytes, html: bool) -> Refused | None:
        """None to continue; browsers are redirected to the wizard, everything else gets 503 `setup_required`."""
        if not self.closed or _is_open(path.decode("latin-1")):
            return None
        headers = {"Cache-Control": "no-store"}
        if html and method in (b"GET", b"HEAD") and not path.startswith(b"/api/"):
            return Refused(302, "setup_required", "This hub is not set up yet.", headers={**headers, "Location": SETUP})
        return Refused(
            503,
            "setup_required",
            f"This hub is not set up yet. Open {SETUP} in a browser.",
            headers=headers,
            detail={"setup_url": SETUP},
        )


def _is_open(path: str) -> bool:
    """Compares whole path segments.

    >>> _is_open("/admin/setup/account"), _is_open("/admin/setups"), _is_open("/.well-known/jwks.json")
    (True, False, True)
    """
    return any(path == prefix or path.startswith(prefix + "/") for prefix in _OPEN)
