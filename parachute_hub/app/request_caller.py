"""The client of a request, for the hub's own pages, as the front identified it."""

from twisted.web.iweb import IRequest

from parachute_hub.proxy.site_channel import caller_of


class RequestCaller:
    """Implements `accounts.model.Caller`. Both methods raise TypeError for a request that did not pass the front."""

    def is_secure(self, request: IRequest) -> bool:
        """Whether the browser speaks https to a trusted hop before us."""
        return caller_of(request).secure

    def client_address(self, request: IRequest) -> str:
        """The browser's address."""
        return caller_of(request).address
