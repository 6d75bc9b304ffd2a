"""An assistant's message to a vault that has no room: held until it is complete, then passed on or refused."""

from parachute_hub.proxy.exchange import Exchange
from parachute_hub.proxy.routes import ErrorResponse
from parachute_hub.proxy.vault_writes import MESSAGE_LIMIT, refused_message


class VettedExchange:
    """The connection's handler until the message is known; it then forwards everything to the exchange."""

    def __init__(self, exchange: Exchange, refusal: ErrorResponse) -> None:
        self._exchange = exchange
        self._refusal = refusal
        self._held: list[bytes] = []
        self._size = 0
        self._started = False
        self._complete = False
        self._over = False

    def start(self) -> None:
        """Decide, if the whole message came with the head."""
        self._started = True
        if self._complete or not self._exchange.sending:
            self._decide()

    def body(self, data: bytes) -> None:
        """Hold a piece of the message."""
        if self._over:
            return
        self._held.append(data)
        self._size += len(data)
        if self._size > MESSAGE_LIMIT:
            self._refuse(self._refusal)

    def body_done(self) -> None:
        """The message is complete."""
        self._complete = True
        if self._started and not self._over:
            self._decide()

    def begun(self) -> bool:
        return self._exchange.begun()

    def endless(self) -> bool:
        return self._exchange.endless()

    def client_lost(self) -> None:
        """The client is gone."""
        self._over = True
        self._exchange.client_lost()

    def held(self, *, exactly: bool) -> int:
        return self._size + self._exchange.held(exactly=exactly)

    def _decide(self) -> None:
        body = b"".join(self._held)
        self._held.clear()
        refusal = refused_message(body, self._refusal)
        if refusal is not None:
            self._refuse(refusal)
            return
        self._size = 0
        self._over = True
        self._exchange.start()
        if body:
            self._exchange.body(body)
        if self._complete:
            self._exchange.body_done()

    def _refuse(self, refusal: ErrorResponse) -> None:
        self._over = True
        self._exchange.refuse(refusal)
