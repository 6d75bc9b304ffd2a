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
        self.refusal: CallRefused | None = None
        self.asked: list[tuple[str, str]] = []
        self.sent: list[Any] = []

    async def json(self, method: str, path: str, body: object = None, *, seconds: float = 10.0) -> Any:
        self.asked.append((method, path))
        self.sent.append(body)
        if self.refusal is not None and path.endswith("/configure"):
            raise self.refusal
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

    def __init__(self) -> None:
        self.wished: dict[str, int | None] = {"memory_limit": None, "sleep_after": 15}

    def wishes(self, short: str) -> dict[str, int | None]:
        return self.wished

    async def mounted(self, short: str, mounts: list[str]) -> None: ...


class MachineCase(SynchronousTestCase):
    def machine(self, answer: object, **link: Any) -> FarMachine:
        """One that answers so."""
        given: Any = SimpleNamespace(reactor=Clock())
        self.knows = FakeKnows()
        machine = FarMachine(
            short="vault",
            link=evolve(PAIRED, **link),
            dialer=given,
            knows=self.knows,
            mint=given,
            now=lambda: 0.0,
            failed_there=lambda short: None,
        )
        self.caller = machine.caller = FakeCaller(answer)  # type: ignore[assignment]
        return machine


class WishesTests(MachineCase):
    def settings(self) -> list[Any]:
        """What the host was told since the last question."""
        told = [body["settings"] for body in self.caller.sent if body is not None]
        self.caller.sent.clear()
        return told

    def test_a_host_is_told_the_limits(self) -> None:
        machine = self.machine({"package": "@openparachute/vault", "memory_limit": 7, "cpu_limit": 3})
        self.knows.wished = {"memory_limit": 256, "cpu_limit": None}
        self.successResultOf(Deferred.fromCoroutine(machine.look()))
        self.assertEqual(self.settings(), [{"memory_limit": 256}, {"cpu_limit": None}])

    def test_a_refusal_is_shown_and_not_asked_for_again_until_something_changes(self) -> None:
        state: dict[str, Any] = {"package": "@openparachute/vault", "version": "1.0", "epoch": "a", "sleep_after": None}
        machine = self.machine(state)
        self.caller.refusal = CallRefused(400, "invalid_request", "No.")

        def look() -> tuple[str, list[Any]]:
            seen = self.successResultOf(Deferred.fromCoroutine(machine.look()))
            return seen.refusal, self.settings()

        refused = "The other machine does not take the time until it sleeps that you chose: No."
        self.assertEqual(look(), (refused, [{"sleep_after": 15}]))
        self.assertEqual(look(), (refused, []))
        self.knows.wished["sleep_after"] = 20
        self.assertEqual([look(), look()], [(refused, [{"sleep_after": 20}]), (refused, [])])
        for change in ({"epoch": "b"}, {"version": "1.1"}, {"sleep_after": 5}):
            state.update(change)
            self.assertEqual([look(), look()], [(refused, [{"sleep_after": 20}]), (refused, [])], change)
        self.knows.wished["sleep_after"] = 5
        self.assertEqual(look(), ("", []))
        # What was refused once may be taken later, and what failed is tried again.
        self.knows.wished["sleep_after"], self.caller.refusal = 20, CallRefused(507, "disk_full", "No.")
        self.assertEqual([look(), look()], [(refused, [{"sleep_after": 20}])] * 2)
        self.caller.refusal = None
        self.assertEqual(look(), ("", [{"sleep_after": 20}]))

    def test_a_host_is_told_when_its_module_may_sleep(self) -> None:
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
