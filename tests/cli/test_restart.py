"""`parachute restart hub`: what it waits for, and what it tells."""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli import restart
from parachute_hub.cli.client import CommandError, HubDown
from parachute_hub.cli.parser import parser
from parachute_hub.cli.restart import in_place

WAITING = {"state": "waiting", "problem": None}


class FakeClient:
    """A hub that answers in this order; exceptions are raised."""

    def __init__(self, healths: list[Any], states: list[Any]) -> None:
        self.healths = iter(healths)
        self.states = iter(states)

    def health(self) -> dict[str, Any]:
        return self.given(self.healths)

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        if method == "POST":
            return {"before": "1.0", "version": "1.1"}
        return self.given(self.states)

    @staticmethod
    def given(answers: Any) -> dict[str, Any]:
        answer: dict[str, Any] | Exception = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


OLD: dict[str, Any] = {"instance": "a", "phase": "up", "version": "1.0"}
NEW: dict[str, Any] = {"instance": "b", "phase": "up", "version": "1.1"}


class InPlaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(restart, "_POLL", 0.0)

    def made(self, *healths: Any, states: tuple[Any, ...] = (WAITING,) * 5) -> Callable[[], Any]:
        client = FakeClient([OLD, *healths], list(states))
        return lambda: client

    def test_it_waits_until_the_new_one_is_up(self) -> None:
        """While it takes over, nobody may answer for a moment."""
        client = self.made(OLD, HubDown("Nobody answers."), {**NEW, "phase": "starting"}, NEW)
        self.assertEqual(in_place(client), {"before": "1.0", "version": "1.1"})

    def test_why_it_did_not_happen_is_told(self) -> None:
        for healths, states, why in (
            ((OLD, OLD), (WAITING, {"state": "idle", "problem": "It was at work."}), "It was at work."),
            (({**NEW, "phase": "failed"},), (), "could not start"),
        ):
            with self.assertRaises(CommandError) as caught:
                in_place(self.made(*healths, states=states))
            self.assertIn(why, str(caught.exception))

    def test_one_that_never_answers_is_given_up(self) -> None:
        self.patch(restart, "_PATIENCE", 0.0)
        with self.assertRaisesRegex(CommandError, "does not answer yet"):
            in_place(self.made())

    def test_the_word(self) -> None:
        for last, said in (
            (NEW, "Version 1.1 took over from 1.0. Its modules kept running.\n"),
            ({**NEW, "version": "1.0"}, "The hub restarted. Its modules kept running.\n"),
        ):
            client = self.made(last)()
            self.patch(restart, "client_of", lambda arguments, client=client: client)
            arguments = parser().parse_args(["restart", "hub"])
            with redirect_stdout(StringIO()) as out:
                self.assertEqual(arguments.action(arguments), 0)
            self.assertEqual(out.getvalue(), said)
