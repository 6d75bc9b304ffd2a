"""Notices through apprise (optional): a process of its own for each, so that the hub loads nothing of it."""

import importlib.util
import sys
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.utils import getProcessOutputAndValue

from parachute_hub.notices.model import Message
from parachute_hub.notices.outbound import NotSent
from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

WORKER: Final = "parachute_hub.notices.apprise_worker"
WORK_SECONDS: Final = 60.0
_MISSING: Final = "apprise is not installed here. Install parachute-hub with its apprise extra, then restart the hub."
_ANSWER: Final = 64 * 1024


@frozen
class Apprise:
    """A `url` of apprise, such as tgram://token/chat. `environment` is that of the process."""

    reactor: Any
    environment: Mapping[str, str]

    def label(self, told: Any, *, private: bool) -> str:
        """Raises NotSent."""
        if importlib.util.find_spec("apprise") is None:
            raise NotSent("not_installed", _MISSING)
        url = told.get("url")
        scheme, found, rest = str(url or "").partition("://")
        if not isinstance(url, str) or not found or not rest or not scheme.isalnum() or len(url) > 4096:
            raise NotSent("invalid_address", "Give an address of apprise, such as tgram://token/chat.")
        return f"{scheme} by apprise"

    async def send(self, told: Any, message: Message, *, private: bool) -> None:
        """Raises NotSent."""
        job = {
            "url": told["url"],
            "title": message.title,
            "body": f"{message.body}\n{message.link}",
            "severity": "success" if message.resolved else message.severity,
            "private": private,
        }
        running = getProcessOutputAndValue(
            sys.executable,
            ["-I", "-m", WORKER],
            env=dict(self.environment),
            reactor=self.reactor,
            stdinBytes=strict_json.write(job),
        )
        ended: Deferred[Any] = running.addTimeout(WORK_SECONDS, self.reactor)
        try:
            out, _, _ = await ended
        except TimeoutError:
            raise NotSent("unreachable", "The service did not answer in time.") from None
        try:
            answer: Any = strict_json.read(out, limit=_ANSWER).value
            kind, text = answer["kind"], answer["text"]
        except (BadJson, KeyError, TypeError):
            raise NotSent("failed", "apprise ended without an answer.") from None
        if kind != "sent":
            raise NotSent(str(kind), str(text))
