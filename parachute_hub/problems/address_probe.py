"""Asks the public address as a browser would: name, connection, certificate, and who answers."""

import json
import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from parachute_hub.problems.checks.address import AddressFinding

SECONDS = 5.0
_ANSWER_LIMIT = 64 * 1024


def probe(
    origin: str, instance: str, now: float, *, trust: "ssl.SSLContext | None" = None, where: str = ""
) -> AddressFinding:
    """One request for /health. `instance` is what this hub answers there; `now` is in epoch seconds. Blocks.

    `trust` says which certificates are good, and `where` is the address of the name; otherwise the system knows both.
    """
    parts = urlsplit(origin)
    days: float | None = None
    connection: HTTPConnection
    if parts.scheme == "https":
        connection = _Secure(parts.hostname or "", parts.port, where, trust)
    else:
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        connection.connect()
        if isinstance(connection.sock, ssl.SSLSocket):
            days = _days_left(connection.sock, now)
        connection.request("GET", "/health", headers={"Accept": "application/json"})
        answer = json.loads(connection.getresponse().read(_ANSWER_LIMIT))
    except ssl.SSLCertVerificationError as error:
        return AddressFinding(fault="certificate", detail=error.verify_message)
    except socket.gaierror as error:
        return AddressFinding(fault="name", detail=str(error.strerror))
    except ConnectionRefusedError:
        return AddressFinding(fault="refused")
    except TimeoutError:
        return AddressFinding(fault="silent")
    except ValueError:
        return AddressFinding(ours=False, days_left=days)
    except (OSError, HTTPException) as error:
        return AddressFinding(fault="other", detail=type(error).__name__)
    finally:
        connection.close()
    ours = isinstance(answer, dict) and answer.get("instance") == instance
    return AddressFinding(ours=ours, days_left=days)


class _Secure(HTTPSConnection):
    """Connects to an address, and expects the certificate of the name."""

    def __init__(self, name: str, port: int | None, where: str, trust: "ssl.SSLContext | None") -> None:
        super().__init__(name, port, timeout=SECONDS)
        self._where = where or name
        self._trust = trust or ssl.create_default_context()

    def connect(self) -> None:
        """Like HTTPSConnection, with the name apart from the address."""
        wire = socket.create_connection((self._where, self.port), SECONDS)
        self.sock = self._trust.wrap_socket(wire, server_hostname=self.host)


def _days_left(wire: "ssl.SSLSocket", now: float) -> float | None:
    expires = (wire.getpeercert() or {}).get("notAfter")
    return (ssl.cert_time_to_seconds(expires) - now) / 86400 if isinstance(expires, str) else None
