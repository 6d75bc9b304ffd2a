"""Notices by e-mail. The library blocks, so it runs in a thread; it connects to the address that was checked."""

import smtplib
import socket
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Final

from attrs import frozen

from parachute_hub.notices.model import Message
from parachute_hub.notices.outbound import SEND_SECONDS, NotSent, Outbound

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}


@frozen
class Email:
    """`host`, `port`, `username`, `password`, `sender`, `to`, and `security`: starttls, tls, or none if it is private.

    `context` creates the TLS settings.
    """

    outbound: Outbound
    in_thread: Callable[..., Awaitable[Any]]
    context: Callable[[], ssl.SSLContext] = ssl.create_default_context

    def label(self, told: Any, *, private: bool) -> str:
        """Raises NotSent."""
        for name in ("host", "sender", "to"):
            if not _line(told, name):
                raise NotSent("invalid_address", "Give the mail server, the sender and the receiver.")
        security = _line(told, "security") or "starttls"
        if security not in _PORTS:
            raise NotSent("invalid_address", "security is starttls, tls or none.")
        if security == "none" and not private:
            raise NotSent(
                "private_address", "Without encryption others could read along. That is fine in your own network only."
            )
        port = _port(told, security)
        if not isinstance(port, int) or not 0 < port < 65536:
            raise NotSent("invalid_address", "port is a number from 1 to 65535.")
        return f"E-mail by {_line(told, 'host')}"

    async def send(self, told: Any, message: Message, *, private: bool) -> None:
        """Raises NotSent."""
        host = _line(told, "host")
        address = await self.outbound.address(host, private=private)
        await self.in_thread(_deliver, told, address, _letter(told, message), self.context)


def _letter(told: Any, message: Message) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = _line(told, "sender"), _line(told, "to"), message.title
    letter["Date"] = formatdate()
    letter["Message-ID"] = make_msgid(domain="parachute.invalid")
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(f"{message.title}.\n\n{message.body}\n{message.link}\n")
    return letter


def _deliver(told: Any, address: str, letter: EmailMessage, context: Callable[[], ssl.SSLContext]) -> None:
    """Blocks for at most some time-outs. Raises NotSent."""
    host, security = _line(told, "host"), _line(told, "security") or "starttls"
    port = _port(told, security)
    try:
        with _Pinned(address, host, port, context() if security == "tls" else None) as server:
            if security == "starttls":
                server.starttls(context=context())
            if _line(told, "username"):
                server.login(_line(told, "username"), _line(told, "password"))
            server.send_message(letter)
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

    def __init__(self, address: str, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._address = address
        self._context = context
        super().__init__(host, port, timeout=SEND_SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        return plain if self._context is None else self._context.wrap_socket(plain, server_hostname=host)


def _port(told: Any, security: str) -> Any:
    port = told.get("port")
    return _PORTS[security] if port is None else port


def _line(told: Any, name: str) -> str:
    value = told.get(name, "")
    if not isinstance(value, str) or len(value) > 1000 or "\n" in value or "\r" in value:
        raise NotSent("invalid_address", f"Give {name} as one line of text.")
    return value
