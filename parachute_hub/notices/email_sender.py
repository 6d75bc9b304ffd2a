"""Notices by e-mail: what is sent, and through which server."""

import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Final

from parachute_hub.notices.model import Message
from parachute_hub.notices.outbound import NotSent, Outbound
from parachute_hub.system.records import frozen

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}


@frozen
class Email:
    """`host`, `port`, `username`, `password`, `sender`, `to`, and `security`: starttls, tls, or none if it is private.

    `context` creates the TLS settings.
    """

    outbound: Outbound
    in_thread: Callable[..., Awaitable[Any]]
    context: Callable[[], "ssl.SSLContext"] = lambda: ssl.create_default_context()

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
        # Few hubs send mail; the others do without smtplib.
        from parachute_hub.notices.smtp import Server, deliver

        security = _line(told, "security") or "starttls"
        server = Server(
            host=host,
            address=address,
            port=_port(told, security),
            security=security,
            username=_line(told, "username"),
            password=_line(told, "password"),
        )
        await self.in_thread(deliver, server, _letter(told, message), self.context)


def _letter(told: Any, message: Message) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = _line(told, "sender"), _line(told, "to"), message.title
    letter["Date"] = formatdate()
    letter["Message-ID"] = make_msgid(domain="parachute.invalid")
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(f"{message.title}.\n\n{message.body}\n{message.link}\n")
    return letter


def _port(told: Any, security: str) -> Any:
    port = told.get("port")
    return _PORTS[security] if port is None else port


def _line(told: Any, name: str) -> str:
    value = told.get(name, "")
    if not isinstance(value, str) or len(value) > 1000 or "\n" in value or "\r" in value:
        raise NotSent("invalid_address", f"Give {name} as one line of text.")
    return value
