"""How long requests wait for a hub that starts."""

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app import stages


class KeepingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.kept: list[bool] = []
        on: Any = None
        core: Any = SimpleNamespace(reactor=self.clock, front=SimpleNamespace(keep=self.kept.append))
        self.started: Deferred[None] = Deferred()
        self.patch(stages, "_start_modules", lambda core, on: self.started)
        self.loaded: Deferred[None] = Deferred()
        self.patch(stages, "_loaded", lambda core, *code: self.loaded)
        self.starting = Deferred.fromCoroutine(stages._modules_first(core, on))

    def test_they_are_told_that_it_starts_if_that_takes_long(self) -> None:
        """An operation that was interrupted is undone first, for which another machine may be asked."""
        self.assertEqual(self.kept, [True])
        self.clock.advance(stages.KEPT_SECONDS)
        self.assertEqual(self.kept, [True, False])
        self.started.errback(RuntimeError("as the test says"))
        self.failureResultOf(self.starting, RuntimeError)
        self.assertEqual((self.kept, self.clock.getDelayedCalls()), ([True, False], []))

    def test_what_modules_ask_waits_even_then(self) -> None:
        for seconds, kept in ((stages.KEPT_SECONDS - 1, [True, True]), (stages.KEPT_SECONDS + 1, [True, False, True])):
            self.setUp()
            self.clock.advance(seconds)
            self.started.callback(None)
            self.clock.advance(stages.KEPT_SECONDS - 1)
            self.assertEqual(self.kept, kept)
            self.loaded.errback(RuntimeError("as the test says"))
            self.failureResultOf(self.starting, RuntimeError)
            self.clock.advance(0)
            self.assertEqual((self.kept, self.clock.getDelayedCalls()), ([*kept, False], []))

    def test_they_are_told_what_failed(self) -> None:
        self.started.errback(RuntimeError("as the test says"))
        self.failureResultOf(self.starting, RuntimeError)
        self.assertEqual(self.kept, [True])
        self.clock.advance(0)
        self.assertEqual((self.kept, self.clock.getDelayedCalls()), ([True, False], []))
