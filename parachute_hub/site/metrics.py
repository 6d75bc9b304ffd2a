"""`/metrics`: request counts and latencies for monitoring."""

from collections.abc import Callable
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator


class MetricsArea:
    """In the Prometheus text format, and as JSON for the admin app."""

    app: Klein = area()

    def __init__(self, who: Authenticator, render: Callable[[], str], as_dict: Callable[[], dict[str, Any]]) -> None:
        self._who = who
        self._render = render
        self._as_dict = as_dict

    @app.route("/metrics", methods=["GET"])
    def text(self, request: IRequest) -> bytes:
        """For a collector with the operator token or another one with the same scope."""
        self._who.need(request, ADMIN)
        request.setHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        request.setHeader("Cache-Control", "no-store")
        return self._render().encode()

    @app.route("/api/metrics", methods=["GET"])
    def json(self, request: IRequest) -> bytes:
        """By module, with `hub` for the hub's own pages."""
        self._who.need(request, ADMIN)
        return as_json(request, {"modules": self._as_dict()})
