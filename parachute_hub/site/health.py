"""`/health`: whether the hub is alive. Available from the start, before anything else is loaded."""

from collections.abc import Callable

from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from parachute_hub import __version__
from parachute_hub.site.answers import as_json
from parachute_hub.system.records import define


@define
class Phase:
    """The progress of the startup, as `/health` reports it.

    `database` and `disk` are evaluated for each response: `ok`, `unconfigured`, or `error: ...`.
    """

    name: str = "starting"
    database: Callable[[], str] = lambda: "unconfigured"
    disk: Callable[[], str] = lambda: "unconfigured"


class Health(Resource):
    """`GET /health`: 200 while the process lives, in front of any gate and without asking modules."""

    isLeaf = True

    def __init__(self, phase: Phase, instance: str) -> None:
        super().__init__()
        self._phase = phase
        self.instance = instance

    def render_GET(self, request: IRequest) -> bytes:
        """Status, version, and the state of the database and the disk."""
        return as_json(
            request,
            {
                "status": "ok",
                "service": "parachute-hub",
                "version": __version__,
                "phase": self._phase.name,
                "db": self._phase.database(),
                "disk": self._phase.disk(),
                "instance": self.instance,
            },
        )
