"""Has answers of authenticators verified by a process of its own for each: the hub loads nothing of the library."""

import sys
from collections.abc import Awaitable, Mapping
from typing import Any, Final, Protocol

from attrs import field
from twisted.internet.defer import Deferred, DeferredSemaphore, TimeoutError
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import Logger

from parachute_hub.site.errors import Refused
from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

WORKER: Final = "parachute_hub.accounts.passkeys.worker"
WORK_SECONDS: Final = 20.0
AT_ONCE: Final = 2
QUEUE: Final = 16
_ANSWER: Final = 64 * 1024
_log = Logger()


class Verifier(Protocol):
    """Verifies one answer."""

    def verify(self, job: Mapping[str, Any]) -> Awaitable[Mapping[str, Any]]:
        """As `worker.verify`. Raises Refused 429 or 503."""


@frozen
class ProcessVerifier:
    """Two processes at once; QUEUE more wait."""

    reactor: Any
    _turn: DeferredSemaphore = field(factory=lambda: DeferredSemaphore(AT_ONCE), init=False)

    async def verify(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises Refused 429 while many wait, 503 if the process fails."""
        if len(self._turn.waiting) >= QUEUE:
            text = "Many sign-ins are being checked right now. Try again in a few seconds."
            raise Refused(429, "too_many_requests", text, headers={"Retry-After": "5"})
        out: bytes = await self._turn.run(self._run, strict_json.write(dict(job)))
        try:
            answer: Any = strict_json.read(out, limit=_ANSWER).value
            good = answer["good"]
        except (BadJson, KeyError, TypeError):
            good = None
        if not isinstance(good, bool):
            _log.error("Passkeys cannot be verified: the process ended without an answer.")
            raise Refused(503, "passkeys_failed", "Passkeys do not work right now. Use your password.")
        return dict(answer)

    def _run(self, told: bytes) -> "Deferred[bytes]":
        async def run() -> bytes:
            running = getProcessOutputAndValue(
                sys.executable, ["-I", "-m", WORKER], env={}, reactor=self.reactor, stdinBytes=told
            )
            ended: Deferred[Any] = running.addTimeout(WORK_SECONDS, self.reactor)
            try:
                out, errors, _ = await ended
            except TimeoutError:
                return b""
            if errors:
                _log.error("Verifying a passkey failed: {why}", why=errors[-500:].decode("utf-8", "replace"))
            return bytes(out)

        return Deferred.fromCoroutine(run())
