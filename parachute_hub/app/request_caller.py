"""Client information for the hub's own pages, as determined by the front."""

from twisted.web.iweb import IRequest

from parachute_hub.proxy.site_channel import caller_of


class RequestCaller:
    """Implements `accounts.model.Caller`. Raises TypeError for a request that did not pass through the front."""

    def is_secure(self, request: IRequest) -> bool:
        """True if the browser uses https, to us or to a trusted proxy."""
        return caller_of(request).secure

    def client_address(self, request: IRequest) -> str:
        """The browser's address."""
        return caller_of(request).address
