"""The memory guard's restart lets running requests finish; the proxy is told first."""

import signal

from parachute_hub.supervise.model import ModuleState
from tests.supervise.fixture import SupervisorCase

WHY = "Memory use is 900 MB of 1000 MB. Restarting it."


class FinishingTests(SupervisorCase):
    def setUp(self) -> None:
        super().setUp()
        self.process = self.ready()
        self.under_way[self.plan.ports["vault"]] = 1

    def test_nothing_is_ended_while_a_request_is_under_way(self) -> None:
        """The state changes first, so that the proxy sends nothing new; SIGTERM follows when nothing is left."""
        self.supervisor.restart_for("vault", WHY)
        self.assertEqual((self.state(), self.status().reason), (ModuleState.STOPPING, WHY))
        self.assertEqual(self.status().supervisor_status, "restarting")
        self.pass_time(1)
        self.assertEqual(self.process.signals, [])
        self.under_way.clear()
        self.pass_time(0.2)
        self.assertEqual(self.process.signals[0], signal.SIGTERM)
        self.assertEqual((self.state(), len(self.reactor.spawned)), (ModuleState.READY, 2))

    def test_a_request_without_end_is_not_waited_for(self) -> None:
        self.supervisor.restart_for("vault", WHY)
        self.pass_time(self.timing.finish - 0.2)
        self.assertEqual(self.process.signals, [])
        self.pass_time(0.4)
        self.assertEqual(self.process.signals[0], signal.SIGTERM)

    def test_it_ends_by_itself_meanwhile(self) -> None:
        """The next process is not affected by what was meant for this one."""
        self.supervisor.restart_for("vault", WHY)
        self.process.exit(1)
        self.pass_time(5)
        self.assertEqual((self.state(), len(self.reactor.spawned)), (ModuleState.READY, 2))
        self.assertEqual(self.reactor.spawned[1].signals, [])

    def test_a_stop_by_hand_does_not_wait(self) -> None:
        stopped = self.begin(self.supervisor.stop("vault"))
        self.turn()
        self.assertEqual(self.successResultOf(stopped).state, ModuleState.STOPPED)

    def test_what_was_switched_off_meanwhile_stays_off(self) -> None:
        """The guard measures in a thread: its verdict may come after a manual stop."""
        stopped = self.begin(self.supervisor.stop("vault"))
        self.turn()
        self.successResultOf(stopped)
        self.supervisor.restart_for("vault", WHY)
        self.turn()
        self.assertEqual((self.state(), len(self.reactor.spawned)), (ModuleState.STOPPED, 1))


class UnboundTests(SupervisorCase):
    """Alive without a listener is reported as a start error as long as it lasts."""

    def error(self) -> str | None:
        return (self.status().start_error or {}).get("error_type")

    def test_told_while_late_and_taken_back_when_it_answers(self) -> None:
        self.plan.ports["vault"] = 2000
        started = self.begin(self.supervisor.start("vault"))
        self.pass_time(self.timing.late - 1)
        self.assertIsNone(self.error())
        self.pass_time(2)
        self.successResultOf(started)
        self.assertEqual((self.state(), self.error()), (ModuleState.STARTING, "started_but_unbound"))
        self.assertIn("port 2000 refuses connections", (self.status().start_error or {})["error_description"])
        self.reactor.listening[2000] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.pass_time(1)
        self.assertEqual((self.state(), self.error()), (ModuleState.DEGRADED, None))

    def test_where_it_listens_instead_is_told(self) -> None:
        """Needed to repair such a drift."""
        self.plan.ports["vault"] = 2000
        self.system.listening = [3000]
        self.begin(self.supervisor.start("vault"))
        self.pass_time(self.timing.late + 1)
        self.assertEqual((self.status().start_error or {})["listens"], [3000])

    def test_one_that_listens_but_is_unwell_is_bound(self) -> None:
        self.reactor.listening[2000] = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        self.begin(self.supervisor.start("vault"))
        self.pass_time(self.timing.late + 1)
        self.assertEqual((self.state(), self.error()), (ModuleState.STARTING, None))

    def test_its_end_takes_it_back(self) -> None:
        self.begin(self.supervisor.start("vault"))
        self.pass_time(self.timing.late + 1)
        self.assertEqual(self.error(), "started_but_unbound")
        self.reactor.spawned[0].exit(1)
        self.turn()
        self.assertIsNone(self.error())
