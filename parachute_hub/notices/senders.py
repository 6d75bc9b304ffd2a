"""Delivers a message to each kind of destination."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from parachute_hub.notices import webpush
from parachute_hub.notices.model import Message, for_browser, for_ntfy, for_webhook
from parachute_hub.notices.outbound import NotSent, Outbound, check_url
from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import to_the_second

Told: TypeAlias = Mapping[str, Any]
"""A destination's address with its secrets, as it was sealed."""

_JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json"}


class Sender(Protocol):
    """One kind of destination."""

    def label(self, told: Told, *, private: bool) -> str:
        """What to call it, without address or secret. Raises NotSent `invalid_address` for one that cannot be used."""

    async def send(self, told: Told, message: Message, *, private: bool) -> None:
        """Deliver. Raises NotSent."""


@frozen
class Ntfy:
    """`url` of a topic (https://ntfy.sh/topic), and perhaps a `token`."""

    outbound: Outbound

    def label(self, told: Told, *, private: bool) -> str:
        return f"ntfy at {_host(check_url(_text(told, 'url'), private=private))}"

    async def send(self, told: Told, message: Message, *, private: bool) -> None:
        server, _, topic = _text(told, "url").rstrip("/").rpartition("/")
        body = strict_json.write(for_ntfy(message, topic))
        token = _text(told, "token")
        headers = {**_JSON, **({"Authorization": f"Bearer {token}"} if token else {})}
        _accepted(
            server, await self.outbound.request("POST", f"{server}/", private=private, headers=headers, body=body)
        )


@frozen
class Webhook:
    """A `url` that takes JSON. With a `secret`, the body is signed: `sha256=` and its HMAC-SHA256 in hexadecimal."""

    outbound: Outbound
    now: Callable[[], float]

    def label(self, told: Told, *, private: bool) -> str:
        return f"Webhook at {_host(check_url(_text(told, 'url'), private=private))}"

    async def send(self, told: Told, message: Message, *, private: bool) -> None:
        url, secret = _text(told, "url"), _text(told, "secret")
        body = strict_json.write(for_webhook(message, to_the_second(self.now())))
        headers = dict(_JSON)
        if secret:
            headers["X-Parachute-Signature"] = "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()
        _accepted(url, await self.outbound.request("POST", url, private=private, headers=headers, body=body))


@frozen
class Ping:
    """A `url` that is asked every five minutes while the hub runs, so that a service misses it when the hub is gone."""

    outbound: Outbound

    def label(self, told: Told, *, private: bool) -> str:
        return f"Sign of life to {_host(check_url(_text(told, 'url'), private=private))}"

    async def send(self, told: Told, message: Message, *, private: bool) -> None:
        url = _text(told, "url")
        _accepted(url, await self.outbound.request("GET", url, private=private, headers={}))


@frozen
class Push:
    """A browser's `subscription`. `key` is the hub's key pair, `subject` its contact for push services."""

    outbound: Outbound
    key: Callable[[], Awaitable[Any]]
    subject: Callable[[], str]
    now: Callable[[], float]
    random: Callable[[int], bytes]

    def label(self, told: Told, *, private: bool) -> str:
        try:
            check_url(webpush.Subscription.read(told.get("subscription")).endpoint, private=private)
        except webpush.BadSubscription as error:
            raise NotSent("invalid_address", str(error)) from None
        return _text(told, "browser")[:60] or "A browser"

    async def send(self, told: Told, message: Message, *, private: bool) -> None:
        subscription = webpush.Subscription.read(told["subscription"])
        body = webpush.encrypt(
            strict_json.write(for_browser(message)), subscription, salt=self.random(16), sender=webpush.new_key()
        )
        headers = webpush.headers(
            subscription.endpoint,
            key=await self.key(),
            subject=self.subject(),
            now=self.now(),
            urgent=message.severity == "error",
        )
        status = await self.outbound.request("POST", subscription.endpoint, private=private, headers=headers, body=body)
        if status in (404, 410):
            raise NotSent("gone", "This browser takes no more notices. Remove it, or turn notices on there again.")
        _accepted(subscription.endpoint, status)


def _accepted(url: str, status: int) -> None:
    if not 200 <= status < 300:
        raise NotSent("refused", f"{_host(url)} answered {status}.")


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _text(told: Told, name: str) -> str:
    value = told.get(name, "")
    if not isinstance(value, str) or len(value) > 4096 or "\n" in value or "\r" in value:
        raise NotSent("invalid_address", f"Give {name} as one line of text.")
    return value
