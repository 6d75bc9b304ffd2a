"""`/api/ready` and `/api/hub`: whether the modules are up, and information about this process."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field
from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub import __version__
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.system.records import frozen

_TRANSIENT = frozenset({"starting", "backoff"})
_READY = frozenset({"ready", "degraded", "asleep"})


def readiness(states: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The body of `/api/ready`, from (short, state) pairs.

    Stopped and held modules are not expected to answer and are not counted.

    >>> readiness([("vault", "ready"), ("scribe", "backoff")])["ready"]
    False
    """
    pairs = list(states)
    transient = [short for short, state in pairs if state in _TRANSIENT]
    persistent = [short for short, state in pairs if state == "parked"]
    return {
        "ready": not transient and not persistent,
        "ready_modules": [short for short, state in pairs if state in _READY],
        "transient_modules": transient,
        "persistent_modules": persistent,
    }


def installed_as(home: Path, platform: str, *, clone: bool) -> str:
    """How the hub was installed, in the API's terms. `clone`: the program lies in a clone of its repository."""
    if home == Path("/parachute") or platform != "local":
        return "container"
    return "checkout" if clone else "pip"


class Ready:
    """`GET /api/ready`: public, so that a waiting page knows when to reload."""

    app: Klein = area()

    def __init__(self, states: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._states = states

    @app.route("/api/ready", methods=["GET", "HEAD"])
    def ready(self, request: IRequest) -> bytes:
        """Which modules are ready, starting or failed."""
        return as_json(request, readiness(self._states()))


@frozen(kw_only=True)
class AboutHub:
    """Information about this process for `/api/hub`."""

    started_at: str
    source: str
    facts: Mapping[str, str] = field(factory=dict)


class About:
    """`GET /api/hub`, for administrators."""

    app: Klein = area()

    def __init__(self, about: AboutHub, who: Authenticator, uptime: Callable[[], float]) -> None:
        self._about = about
        self._who = who
        self._uptime = uptime

    @app.route("/api/hub", methods=["GET"])
    def hub(self, request: IRequest) -> bytes:
        """Version, start time, and how the hub was installed."""
        self._who.need(request, ADMIN)
        body = {
            "version": __version__,
            "started_at": self._about.started_at,
            "uptime_ms": round(self._uptime() * 1000),
            "source": self._about.source,
            **self._about.facts,
        }
        return as_json(request, body)
