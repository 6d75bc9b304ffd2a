"""What the hub believes of what another machine says about the sizes of vaults."""

from types import SimpleNamespace
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.elsewhere.calls import CallRefused
from parachute_hub.elsewhere.machine import FarMachine
from parachute_hub.supervise.far import Unreached
from tests.elsewhere.test_linking import PAIRED


class FakeCaller:
    """Answers each request with `answer`, or raises it."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def json(self, method: str, path: str, body: object = None) -> Any:
        self.asked.append((method, path))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class SizesTests(SynchronousTestCase):
    def ask(self, answer: object, **link: Any) -> Any:
        """What the machine makes of an answer."""
        given: Any = SimpleNamespace(reactor=Clock())
        machine = FarMachine(
            short="vault",
            link=evolve(PAIRED, **link),
            dialer=given,
            knows=given,
            mint=given,
            now=lambda: 0.0,
            failed_there=lambda short: None,
        )
        self.caller = machine.caller = FakeCaller(answer)  # type: ignore[assignment]
        return Deferred.fromCoroutine(machine.sizes())

    def test_what_a_host_says(self) -> None:
        told = {"folders": {"default": {"bytes": 7, "files_bytes": 3}, "odd": {"bytes": -1, "files_bytes": 0}, "no": 4}}
        self.assertEqual(self.successResultOf(self.ask(told)), {"default": (7, 3)})
        self.assertEqual(self.caller.asked, [("GET", "/.parachute/host/sizes")])
        refused = CallRefused(404, "not_found", "An older host.")
        answers: tuple[object, ...] = ({}, [], None, {"folders": 3}, refused)
        for nothing in answers:
            self.assertIsNone(self.successResultOf(self.ask(nothing)))
        self.failureResultOf(self.ask(Unreached("not answering", "Nothing listens there.")), Unreached)

    def test_an_upstream_is_not_asked(self) -> None:
        self.assertIsNone(self.successResultOf(self.ask({"folders": {}}, kind="upstream", pin=None)))
        self.assertEqual(self.caller.asked, [])
