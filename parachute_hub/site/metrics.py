"""`/metrics`: the hub's figures for monitoring."""

from collections.abc import Awaitable, Callable
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, METRICS, Authenticator
from parachute_hub.site.openmetrics import CONTENT_TYPE, Figures, render


class MetricsArea:
    """In the OpenMetrics text format, and as JSON for the admin app."""

    app: Klein = area()

    def __init__(
        self,
        who: Authenticator,
        figures: Callable[[], Figures],
        as_dict: Callable[[], dict[str, Any]],
        in_thread: Callable[..., Awaitable[Any]],
    ) -> None:
        """`in_thread` renders: the first time, that loads a library."""
        self._who = who
        self._figures = figures
        self._as_dict = as_dict
        self._in_thread = in_thread

    @app.route("/metrics", methods=["GET"])
    async def text(self, request: IRequest) -> bytes:
        """For a collector, whose token needs no other scope than that for metrics."""
        self._who.need(request, METRICS, ADMIN)
        request.setHeader("Content-Type", CONTENT_TYPE)
        request.setHeader("Cache-Control", "no-store")
        text: bytes = await self._in_thread(render, self._figures())
        return text

    @app.route("/api/metrics", methods=["GET"])
    def json(self, request: IRequest) -> bytes:
        """By module, with `hub` for the hub's own pages."""
        self._who.need(request, ADMIN)
        return as_json(request, {"modules": self._as_dict()})
