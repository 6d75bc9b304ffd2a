from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app import hosted
from parachute_hub.app.hosted import HostComposition
from parachute_hub.system.reactor_lag import LagProbe
from parachute_hub.system.timers import every


class HostCompositionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(hosted, "heed_signals", lambda: None)
        self.clock = Clock()
        self.lag = LagProbe(clock=self.clock, now=self.clock.seconds)

        async def stop() -> None:
            pass

        supervisor = SimpleNamespace(
            startService=lambda: None, boot=lambda shorts: None, stopService=lambda: succeed(None)
        )
        modules: Any = SimpleNamespace(
            files=SimpleNamespace(to_start=list, outside=SimpleNamespace(files=SimpleNamespace(stop=lambda: None))),
            watch=list,
            jobs=SimpleNamespace(stop=stop),
        )
        nothing: Any = SimpleNamespace(short="toy", sweep=lambda: None, surely=lambda work: None)
        sleeper = SimpleNamespace(start=lambda rest: every(self.clock, 1.0, lambda: None))
        engine: Any = SimpleNamespace(supervisor=supervisor, modules=modules, sleeper=sleeper)
        self.host = HostComposition(
            backend=nothing,
            module=nothing,
            moves=nothing,
            engine=engine,
            files=nothing,
            clock=self.clock,
            rest=nothing,
            lag=self.lag,
        )

    def test_nothing_is_left_of_it(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.host.start()))
        self.assertTrue(self.lag.running)
        self.successResultOf(Deferred.fromCoroutine(self.host.stop()))
        self.assertEqual((self.lag.running, self.clock.getDelayedCalls()), (False, []))
