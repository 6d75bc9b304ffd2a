"""The hub as a service of the user, with a systemd and a launchd that keep what they are told."""

import os
import plistlib
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli import service as service_words
from parachute_hub.cli.client import CommandError, HubClient
from parachute_hub.cli.main import main
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
        told = ["show-environment", "daemon-reload", "enable parachute.service", "restart parachute.service"]
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

    def test_without_a_session_systemd_is_quoted_and_nothing_is_written(self) -> None:
        self.systemd.fails = "show-environment"
        with self.assertRaises(CommandError) as caught:
            self.service.install(["one"], {})
        said = "`systemctl --user show-environment` failed: Failed to connect to bus: No medium found\n"
        self.assertTrue(str(caught.exception).startswith(said + "Nothing was changed. Sign in as this user"))
        self.assertFalse(self.service.folder.exists())

    def test_the_unit_quotes_what_it_is_given(self) -> None:
        text = unit(["/usr/bin/python3", "serve", "--home", "/home/a b/100%$x"], {"PATH": "/bin"})
        self.assertIn('ExecStart="/usr/bin/python3" "serve" "--home" "/home/a b/100%%$$x"\n', text)
        self.assertIn('Environment="PATH=/bin"\nRestart=on-failure\n', text)
        with self.assertRaises(CommandError):
            unit(["a\nExecStartPre=/bin/sh"], {})


class WordTests(SynchronousTestCase):
    """`service install` and `uninstall`, with the systemd that only keeps what it is told."""

    def setUp(self) -> None:
        self.here = Path(self.mktemp()).absolute()
        (self.here / "config").mkdir(parents=True)
        self.systemd = FakeSystemd()
        self.service = Systemd(folder=self.here / "config", run=self.systemd.run)
        self.patch(service_words, "manager", lambda: self.service)
        self.patch(os, "environ", {"HOME": str(self.here)})

    def said(self, *given: str) -> tuple[int, str]:
        """The exit code, and what was written."""
        with redirect_stdout(StringIO()) as out, redirect_stderr(out):
            code = main(["service", *given])
        return code, out.getvalue()

    def test_what_the_hub_would_not_start_with_is_refused(self) -> None:
        """It would be said in a log, while the command told that the hub runs."""
        file = self.here / "file"
        file.touch()
        for given, sentence in (
            (("--listen", "0"), "0 is not a port"),
            (("--listen", "tcp:80:foo=bar"), "--listen must be a port"),
            (("--catalog", "none.json"), "There is no catalog"),
            (("--home", str(file)), "is a file. Name the hub's folder"),
            (("--home", str(file / "hub")), "is a file. Name the hub's folder"),
            (("--home", "~nobody-of-that-name/hub"), "a user who is not known here"),
            (("--home", "a\nb"), "A control character"),
        ):
            code, told = self.said("install", *given)
            self.assertEqual((code, sentence in told), (2, True), told)
            self.assertFalse(self.service.path.exists())

    def test_a_hub_that_runs_in_a_terminal_is_not_fought(self) -> None:
        self.patch(HubClient, "running", True)
        self.systemd.fails = "is-active"
        code, told = self.said("install")
        self.assertEqual((code, "Stop it, then try again." in told, self.service.path.exists()), (1, True, False), told)
        self.systemd.fails = None
        self.assertEqual(self.said("install")[0], 0)

    def test_a_catalog_is_found_from_any_folder(self) -> None:
        catalog = self.here / "catalog.json"
        catalog.touch()
        for given, kept in ((os.path.relpath(catalog), str(catalog)), ("reference", "reference")):
            self.assertEqual(self.said("install", "--catalog", given)[0], 0)
            self.assertIn(f'"--catalog" "{kept}"', self.service.path.read_text())

    def test_nothing_to_uninstall_is_no_success(self) -> None:
        self.assertEqual([self.said(*given)[0] for given in (("install",), ("uninstall",), ("uninstall",))], [0, 0, 1])


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
