"""The process that verifies, and the queue before it."""

import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from parachute_hub.accounts.passkeys import verifier
from parachute_hub.accounts.passkeys.verifier import AT_ONCE, QUEUE, WORK_SECONDS, ProcessVerifier
from parachute_hub.accounts.passkeys.worker import verify
from parachute_hub.site.errors import Refused
from tests.support.authenticator import Authenticator

ORIGIN = "https://hub.test"


def added() -> tuple[Authenticator, dict[str, Any]]:
    """A device, and the outcome of adding its passkey."""
    device = Authenticator(ORIGIN)
    user = {"id": "YWRh", "name": "ada"}
    options = {"rp": {"id": "hub.test"}, "user": user, "challenge": "AAAA", "excludeCredentials": []}
    job = {"kind": "webauthn.create", "credential": device.create(options)}
    return device, verify({**job, "challenge": "AAAA", "rp_id": "hub.test", "origin": ORIGIN})


def signing(device: Authenticator, key: str, **changes: Any) -> dict[str, Any]:
    """A job for an answer of the device."""
    options = {"rpId": "hub.test", "challenge": "BBBB", "allowCredentials": []}
    job = {"kind": "webauthn.get", "credential": device.get(options), "challenge": "BBBB", "rp_id": "hub.test"}
    return {**job, "origin": ORIGIN, "public_key": key, "verified": True, **changes}


class WorkerTests(SynchronousTestCase):
    def test_what_is_good_and_what_is_not(self) -> None:
        device, told = added()
        self.assertTrue(told["good"], told)
        self.assertEqual(verify(signing(device, told["public_key"])), {"good": True, "sign_count": 1})
        for changes in (
            {"challenge": "CCCC"},
            {"rp_id": "evil.example"},
            {"origin": "https://evil.example"},
            {"public_key": added()[1]["public_key"]},
            {"public_key": "AAAA"},
            {"credential": "{}"},
            {"credential": "x"},
        ):
            outcome = verify(signing(device, told["public_key"], **changes))
            self.assertFalse(outcome["good"], changes)
            self.assertTrue(outcome["why"], changes)

    def test_who_must_be_verified(self) -> None:
        device, told = added()
        device.verifies = False
        self.assertFalse(verify(signing(device, told["public_key"]))["good"])
        self.assertTrue(verify(signing(device, told["public_key"], verified=False))["good"])


class ProcessTests(TestCase):
    async def test_a_real_one(self) -> None:
        device, told = added()
        found = await ProcessVerifier(reactor).verify(signing(device, told["public_key"]))
        self.assertEqual(dict(found), {"good": True, "sign_count": 1})


class QueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.running: list[Deferred[Any]] = []
        self.patch(verifier, "getProcessOutputAndValue", self.start)
        self.clock = Clock()
        self.verifier = ProcessVerifier(self.clock)

    def start(self, *args: Any, **options: Any) -> "Deferred[Any]":
        self.running.append(Deferred())
        return self.running[-1]

    def ask(self) -> "Deferred[Any]":
        return Deferred.fromCoroutine(self.verifier.verify({"kind": "webauthn.get"}))

    def test_two_run_and_sixteen_wait(self) -> None:
        asked = [self.ask() for _ in range(AT_ONCE + QUEUE)]
        self.assertEqual(len(self.running), AT_ONCE)
        refused = self.failureResultOf(self.ask(), Refused).value
        self.assertEqual((refused.status, refused.headers["Retry-After"]), (429, "5"))
        for number, _ in enumerate(asked):
            self.running[number].callback((json.dumps({"good": True, "sign_count": number}).encode(), b"", 0))
        self.assertEqual([self.successResultOf(one)["sign_count"] for one in asked], list(range(AT_ONCE + QUEUE)))

    def test_a_process_that_fails(self) -> None:
        for out in (b"", b"nonsense", b"[]", b'{"good": "yes"}'):
            asked = self.ask()
            self.running[-1].callback((out, b"Traceback", 1))
            self.assertEqual(self.failureResultOf(asked, Refused).value.status, 503, out)

    def test_a_process_that_hangs(self) -> None:
        asked = self.ask()
        self.clock.advance(WORK_SECONDS)
        self.assertEqual(self.failureResultOf(asked, Refused).value.status, 503)
