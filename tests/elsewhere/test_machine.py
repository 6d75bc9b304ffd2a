"""What the hub asks of another machine beside its module's state: sizes of vaults, and when the module may sleep."""

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
        self.sent: list[Any] = []

    async def json(self, method: str, path: str, body: object = None, *, seconds: float = 10.0) -> Any:
        self.asked.append((method, path))
        self.sent.append(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class FakeKnows:
    """The vault may sleep after a quarter of an hour."""

    def health(self, short: str) -> str:
        return "/health"

    def installed(self, short: str) -> tuple[str, str] | None:
        return ("@openparachute/vault", "1.0.0")

    def configuration(self, short: str) -> dict[str, Any]:
        return {"origin": "https://hub.test", "settings": {}, "environment": {}}

    def sleeps(self, short: str) -> int | None:
        return 15

    async def mounted(self, short: str, mounts: list[str]) -> None: ...


class MachineCase(SynchronousTestCase):
    def machine(self, answer: object, **link: Any) -> FarMachine:
        """One that answers so."""
        given: Any = SimpleNamespace(reactor=Clock())
        machine = FarMachine(
            short="vault",
            link=evolve(PAIRED, **link),
            dialer=given,
            knows=FakeKnows(),
            mint=given,
            now=lambda: 0.0,
            failed_there=lambda short: None,
        )
        self.caller = machine.caller = FakeCaller(answer)  # type: ignore[assignment]
        return machine


class SleepTests(MachineCase):
    def test_a_host_is_told_once_when_its_module_may_sleep(self) -> None:
        for said, told in (({"sleep_after": None}, True), ({"sleep_after": 60}, True), ({"sleep_after": 15}, False)):
            machine = self.machine({"state": "running", "package": "@openparachute/vault", **said})
            self.successResultOf(Deferred.fromCoroutine(machine.look()))
            settings = [body["settings"] for body in self.caller.sent if body is not None]
            self.assertEqual(settings, [{"sleep_after": 15}] if told else [])

    def test_an_older_host_is_told_nothing(self) -> None:
        """It would refuse the whole configuration. Nor is one that has no module yet."""
        for said in ({"package": "@openparachute/vault"}, {"package": None, "sleep_after": None}):
            self.successResultOf(Deferred.fromCoroutine(self.machine({"state": "running", **said}).look()))
            self.assertEqual(self.caller.sent, [None])


class SizesTests(MachineCase):
    def ask(self, answer: object, **link: Any) -> Any:
        """What the machine makes of an answer."""
        return Deferred.fromCoroutine(self.machine(answer, **link).sizes())

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
