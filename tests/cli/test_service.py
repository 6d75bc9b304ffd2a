"""The hub as a service of the user, with a systemd and a launchd that keep what they are told."""

import plistlib
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.service import Launchd, Systemd, agent, unit


class FakeSystemd:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: str | None = None

    def run(self, words: Sequence[str]) -> tuple[int, str]:
        assert words[:2] == ["systemctl", "--user"]
        self.calls.append(" ".join(words[2:]))
        if words[2] == self.fails:
            return 1, "Failed to connect to bus: No medium found\n"
        return 0, {"is-enabled": "enabled\n", "is-active": "active\n"}.get(words[2], "")


class ServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.systemd = FakeSystemd()
        self.service = Systemd(folder=Path(self.mktemp()) / "systemd" / "user", run=self.systemd.run)

    def test_install_status_uninstall(self) -> None:
        self.service.install(["one"], {})
        self.service.install(["two"], {})
        self.assertEqual(self.service.path.read_text(), unit(["two"], {}))
        told = ["daemon-reload", "enable parachute.service", "restart parachute.service"]
        self.assertEqual(self.systemd.calls, told * 2)
        state = self.service.state()
        self.assertEqual((state["installed"], state["enabled"], state["active"]), (True, True, "active"))
        self.systemd.fails = "is-active"
        self.assertEqual(self.service.state()["active"], "unknown")
        self.systemd.fails = None
        self.assertTrue(self.service.uninstall())
        self.assertEqual(self.systemd.calls[-2:], ["disable --now parachute.service", "daemon-reload"])
        self.assertFalse(self.service.path.exists())
        self.assertFalse(self.service.uninstall())

    def test_without_a_session_systemd_is_quoted(self) -> None:
        self.systemd.fails = "daemon-reload"
        with self.assertRaises(CommandError) as caught:
            self.service.install(["one"], {})
        self.assertEqual(
            str(caught.exception), "`systemctl --user daemon-reload` failed: Failed to connect to bus: No medium found"
        )

    def test_the_unit_quotes_what_it_is_given(self) -> None:
        text = unit(["/usr/bin/python3", "serve", "--home", "/home/a b/100%$x"], {"PATH": "/bin"})
        self.assertIn('ExecStart="/usr/bin/python3" "serve" "--home" "/home/a b/100%%$$x"\n', text)
        self.assertIn('Environment="PATH=/bin"\nRestart=on-failure\n', text)
        with self.assertRaises(CommandError):
            unit(["a\nExecStartPre=/bin/sh"], {})


class FakeLaunchd:
    """Knows one agent, as launchctl(1) tells of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.loaded = False

    def run(self, words: Sequence[str]) -> tuple[int, str]:
        assert words[0] == "launchctl"
        self.calls.append(" ".join(words[1:]))
        if words[1] == "bootstrap":
            failed, self.loaded = self.loaded, True
            return (5, "Bootstrap failed: 5: Input/output error\n") if failed else (0, "")
        if not self.loaded:
            return 113, f'Could not find service "{words[-1]}"\n'
        if words[1] == "bootout":
            self.loaded = False
        return 0, "gui/501/local.parachute.hub = {\n\tstate = running\n}\n" if words[1] == "print" else ""


class LaunchdTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.launchd = FakeLaunchd()
        self.library = Path(self.mktemp())
        self.service = Launchd(
            folder=self.library / "LaunchAgents", logs=self.library / "Logs/hub.log", user=501, run=self.launchd.run
        )

    def test_install_restart_status_uninstall(self) -> None:
        self.assertEqual(self.service.state()["active"], "unknown")
        self.service.install(["one"], {})
        self.service.install(["two"], {})
        self.assertEqual(plistlib.loads(self.service.path.read_bytes())["ProgramArguments"], ["two"])
        self.assertTrue((self.library / "Logs").is_dir())
        state = self.service.state()
        self.assertEqual((state["installed"], state["enabled"], state["active"]), (True, True, "active"))
        self.service.restart()
        self.assertEqual(self.launchd.calls[-1], "kickstart -k gui/501/local.parachute.hub")
        self.assertTrue(self.service.uninstall())
        self.assertFalse(self.launchd.loaded)
        self.assertFalse(self.service.path.exists() or self.service.uninstall())
        with self.assertRaises(CommandError) as caught:
            self.service.restart()
        self.assertIn("Could not find service", str(caught.exception))

    def test_the_property_list_says_what_launchd_needs(self) -> None:
        told = plistlib.loads(agent(["/usr/bin/python3", "-m", "a & b"], {"PATH": "/bin"}, Path("/Users/a b/hub.log")))
        self.assertEqual(told["ProgramArguments"], ["/usr/bin/python3", "-m", "a & b"])
        self.assertEqual((told["RunAtLoad"], told["KeepAlive"]), (True, {"SuccessfulExit": False}))
        self.assertEqual((told["EnvironmentVariables"], told["ExitTimeOut"]), ({"PATH": "/bin"}, 30))
        self.assertEqual({told["StandardOutPath"], told["StandardErrorPath"]}, {"/Users/a b/hub.log"})
