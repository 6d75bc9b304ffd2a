"""The hub as a service: how it listens, and what it answers while it is starting or stopping."""

import resource
import socket
import struct
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.begun import COMPOSING_SECONDS
from parachute_hub.app.closed import Closed
from parachute_hub.app.handover import Handover, Left
from parachute_hub.app.listening import CannotListen, serve_again, why_not
from parachute_hub.app.service import Hub
from parachute_hub.proxy.holding import Held, KeptClient
from parachute_hub.settings import fold
from parachute_hub.system.file_writer import FileWriter


class ListenTests(SynchronousTestCase):
    def test_connections_are_bounded_by_the_descriptors_there_are(self) -> None:
        """Accepting pauses before descriptors run out, because the database and modules need some too."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, limits[1]), limits[1]))
        with tempfile.TemporaryDirectory() as folder:
            reactor: Any = MemoryReactorClock()
            hub = Hub(fold({"home": str(Path(folder) / "home")}, {}), reactor)
            raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            self.assertLess(hub.front.limits.descriptors, raised)

    def test_a_crowd_that_arrives_at_once_waits_in_the_kernel(self) -> None:
        for listen, backlog in (
            ("tcp:1939:interface=127.0.0.1", 1024),
            ("tcp6:1939", 1024),
            ("tcp:1939:backlog=7", 7),
        ):
            with tempfile.TemporaryDirectory() as folder:
                reactor: Any = MemoryReactorClock()
                hub = Hub(fold({"home": str(Path(folder) / "home"), "listen": listen}, {}), reactor)
                hub.occupy()
                self.addCleanup(hub.home.release)
                self.assertEqual(reactor.tcpServers[0][2], backlog, listen)

    def test_one_address_is_one_client_unless_a_trusted_proxy_stands_before_the_hub(self) -> None:
        for hops, most in (("0", 256), ("1", 11_000)):
            with tempfile.TemporaryDirectory() as folder:
                reactor: Any = MemoryReactorClock()
                hub = Hub(fold({"home": folder}, {"PARACHUTE_TRUSTED_HOPS": hops}), reactor)
                self.assertEqual(hub.front.limits.connections_per_address, most)


class LeavingTests(SynchronousTestCase):
    def hub(self, start: Any) -> Hub:
        """One that is loaded at once, and starts in this way."""
        hub = Hub(fold({"home": self.mktemp()}, {}), MemoryReactorClock())
        self.patch(hub, "_in_thread", lambda work, *arguments: succeed(work(*arguments)))
        self.patch(hub, "_load", lambda: start)
        self.patch(hub, "log_writer", FileWriter())
        hub.occupy()
        hub.startService()
        return hub

    def test_modules_do_not_start_once_it_was_told_to_stop(self) -> None:
        loaded: Deferred[None] = Deferred()
        began: list[str] = []

        async def start(core: Any) -> None:
            await loaded
            core.stops(lambda: succeed(None))
            began.append("modules")

        hub = self.hub(start)
        left = hub.stopService()
        loaded.callback(None)
        self.successResultOf(left)
        self.assertEqual((began, hub.phase.name), ([], "stopping"))

    def test_it_waits_for_what_is_being_composed(self) -> None:
        """Which notes the end in the activity; else the next start would call it a crash."""
        composing: Deferred[Any] = Deferred()

        async def start(core: Any) -> Any:
            return await composing

        class Composed:
            async def stop(self) -> None:
                noted.append("hub-stopped")

        noted: list[str] = []
        left = self.hub(start).stopService()
        self.assertNoResult(left)
        composing.callback(Composed())
        self.successResultOf(left)
        self.assertEqual(noted, ["hub-stopped"])

    def test_it_does_not_wait_for_ever(self) -> None:
        composing: Deferred[Any] = Deferred()

        async def start(core: Any) -> Any:
            return await composing

        hub = self.hub(start)
        left = hub.stopService()
        clock: Any = hub.reactor
        clock.advance(COMPOSING_SECONDS)
        self.successResultOf(left)

    def test_it_waits_for_modules_that_stop_because_it_could_not_start(self) -> None:
        stopped: Deferred[None] = Deferred()

        async def wait() -> None:
            await stopped

        async def start(core: Any) -> None:
            core.stops(wait)
            raise RuntimeError("as the test says")

        hub = self.hub(start)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        left = hub.stopService()
        self.assertNoResult(left)
        stopped.callback(None)
        self.successResultOf(left)


class Adopting(MemoryReactorClock):
    """Adopts connections as a real reactor does."""

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> Any:
        return Server._fromConnectedSocket(descriptor, family, factory, self)


class TakenOverTests(SynchronousTestCase):
    def setUp(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.clients, kept = [], []
        for _ in range(3):
            self.clients.append(socket.create_connection(listener.getsockname()))
            self.addCleanup(self.clients[-1].close)
            ours, _ = listener.accept()
            ours.setblocking(False)
            kept.append(KeptClient(descriptor=ours.detach(), family=socket.AF_INET, sent=b""))
        left = Left(life="a", gateway=None, modules=())
        self.given = Handover(format=1, version="1", lock=3, listener=4, family=2, left=left, clients=tuple(kept))
        self.reactor: Any = Adopting()
        self.hub = Hub(fold({"home": self.mktemp()}, {}), self.reactor)

    def test_a_client_that_reset_its_connection_meanwhile_harms_nobody(self) -> None:
        self.clients[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.clients[1].close()
        serve_again(self.reactor, self.given, self.hub.front)
        self.assertEqual(self.hub.front.connections, 2)

    def test_an_error_with_one_client_harms_nobody(self) -> None:
        wrong, go_on = [RuntimeError("as the test says")], Held.taken_over

        def fails_once(connection: Held, sent: bytes) -> None:
            if wrong:
                raise wrong.pop()
            go_on(connection, sent)

        self.patch(Held, "taken_over", fails_once)
        serve_again(self.reactor, self.given, self.hub.front)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.reactor.advance(0)
        self.assertEqual(self.hub.front.connections, 2)


class NoPortTests(SynchronousTestCase):
    def test_the_reason_comes_with_a_way_out(self) -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        port = taken.getsockname()[1]
        for listen, said in (
            (f"127.0.0.1:{port}", f"Another program uses port {port}, perhaps an earlier hub. Stop it, or choose"),
            (f"203.0.113.9:{port}", "This machine does not have the address of tcp:"),
        ):
            with tempfile.TemporaryDirectory() as folder:
                environ = {"PARACHUTE_STARTED_BY": "make run"}
                hub = Hub(fold({"home": str(Path(folder) / "home"), "listen": listen}, environ), global_reactor)
                self.addCleanup(hub.home.release)
                with self.assertRaises(CannotListen, msg=listen) as caught:
                    hub.occupy()
            self.assertIn(said, str(caught.exception))

    def test_a_name_that_nobody_knows(self) -> None:
        unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        told = why_not(unknown, fold({"listen": "nowhere.test:80"}, {}))
        self.assertIn("No machine is known by the name in tcp:80:interface=nowhere.test. Listen on", told)


class ClosedTests(SynchronousTestCase):
    def test_only_health_passes(self) -> None:
        """Only /health."""
        for phase in ("starting", "stopping", "failed"):
            self.assertIsNone(Closed(phase).check(b"GET", b"/health", False))
            refused = Closed(phase).check(b"GET", b"/", True)
            assert refused is not None
            self.assertEqual((refused.status, refused.error), (503, phase))

    def test_a_failed_hub_is_asked_again_after_a_minute_by_programs_alone(self) -> None:
        waiting, failed = (Closed(phase).check(b"GET", b"/", True) for phase in ("starting", "failed"))
        assert waiting is not None and failed is not None
        self.assertEqual(waiting.headers, {"Retry-After": "1", "Refresh": "1"})
        self.assertEqual(failed.headers, {"Retry-After": "60"})
        self.assertIn("log", failed.description)
