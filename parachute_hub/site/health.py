"""`/health`: is the hub alive. It answers from the first moment, before everything else is loaded."""

from collections.abc import Callable

from attrs import define
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from parachute_hub import __version__
from parachute_hub.site.answers import as_json


@define
class Phase:
    """How far the start has come; `/health` tells it, and never fails because of it.

    `database` is asked anew for each answer: `ok`, `unconfigured`, or `error: ...`.
    """

    name: str = "starting"
    database: Callable[[], str] = lambda: "unconfigured"


class Health(Resource):
    """`GET /health`: 200 while the process lives, before any gate and without asking modules."""

    isLeaf = True

    def __init__(self, phase: Phase, instance: str) -> None:
        super().__init__()
        self._phase = phase
        self.instance = instance

    def render_GET(self, request: IRequest) -> bytes:
        """Status, version, and the truth about the database."""
        return as_json(
            request,
            {
                "status": "ok",
                "service": "parachute-hub",
                "version": __version__,
                "phase": self._phase.name,
                "db": self._phase.database(),
                "instance": self.instance,
            },
        )
