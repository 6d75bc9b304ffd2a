"""The ports that modules may use on this machine."""

import socket

from parachute_hub.system.records import frozen


@frozen
class LocalPorts:
    """`allowed` are the ports the owner reserved for modules; None means all."""

    allowed: range | None

    def busy(self, port: int) -> bool:
        """True if a module cannot use this port: it is not allowed, or cannot be bound on loopback."""
        if self.allowed is not None and port not in self.allowed:
            return True
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return True
        return False
