"""Hands a letter to a mail server that was checked before. Blocks, so call it in a thread."""

import smtplib
import socket
import ssl
from collections.abc import Callable
from email.message import EmailMessage

from parachute_hub.notices.outbound import SEND_SECONDS, NotSent
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class Server:
    """A mail server: its name, the checked `address`, and how to sign in (not at all without `username`).

    `security` is starttls, tls or none.
    """

    host: str
    address: str
    port: int
    security: str
    username: str
    password: str


def deliver(server: Server, letter: EmailMessage, context: Callable[[], ssl.SSLContext]) -> None:
    """Blocks for at most some time-outs. Raises NotSent."""
    host = server.host
    try:
        with _Pinned(server, context() if server.security == "tls" else None) as open_server:
            if server.security == "starttls":
                open_server.starttls(context=context())
            if server.username:
                open_server.login(server.username, server.password)
            open_server.send_message(letter)
    except smtplib.SMTPAuthenticationError:
        raise NotSent("refused", f"{host} does not accept the user name and password.") from None
    except smtplib.SMTPResponseException as error:
        raise NotSent("refused", f"{host} answered {error.smtp_code}.") from None
    except smtplib.SMTPRecipientsRefused:
        raise NotSent("refused", f"{host} does not take mail for that receiver.") from None
    except ssl.SSLCertVerificationError:
        raise NotSent("unreachable", f"The certificate of {host} is not valid.") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent("unreachable", f"{host} could not be reached ({type(error).__name__}).") from None


class _Pinned(smtplib.SMTP):
    """Connects to an address that was resolved and checked before. TLS verifies the host's name."""

    def __init__(self, server: Server, context: ssl.SSLContext | None) -> None:
        self._address = server.address
        self._context = context
        super().__init__(server.host, server.port, timeout=SEND_SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        return plain if self._context is None else self._context.wrap_socket(plain, server_hostname=host)
