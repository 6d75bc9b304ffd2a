"""The other side of a request, for the hub's own pages: what the front found out about it."""

from twisted.web.iweb import IRequest

from parachute_hub.proxy.peers import Caller


class RequestCaller:
    """The other side of a request, as the front has identified it (`accounts.model.Caller`)."""

    def is_secure(self, request: IRequest) -> bool:
        """Whether the browser speaks https, to us or to a trusted hop before us."""
        caller = _caller(request)
        return caller is not None and caller.scheme == "https"

    def client_address(self, request: IRequest) -> str:
        """The browser's address."""
        caller = _caller(request)
        return caller.address if caller is not None else str(getattr(request.getClientAddress(), "host", "unknown"))


def _caller(request: IRequest) -> Caller | None:
    """What the front found out; None for a request that came another way."""
    return getattr(getattr(request, "channel", None), "caller", None)
