"""What the hub answers while it starts, stops, or could not start."""

from parachute_hub.proxy.front import Backend, NoModules
from parachute_hub.proxy.routes import Table
from parachute_hub.site.errors import Refused


def startup_backend(issuer: str) -> Backend:
    """Send every request to the site, which answers that the hub is starting."""
    table = Table.unknown(issuer)
    return Backend(table=lambda: table, modules=NoModules())


class Closed:
    """The gate while the hub is `starting`, `stopping` or `failed`: only /health is answered."""

    def __init__(self, phase: str) -> None:
        self._phase = phase

    def check(self, method: bytes, path: bytes, html: bool) -> Refused | None:
        """503 for everything else, with a page that reloads itself."""
        if path == b"/health":
            return None
        if self._phase == "failed":
            return Refused(
                503, "failed", "The hub could not start. Fix the problem shown in its log, then restart the hub."
            )
        text = f"The hub is {self._phase}. Try again in a moment."
        return Refused(503, self._phase, text, headers={"Retry-After": "1", "Refresh": "1"})
