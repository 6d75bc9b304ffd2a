"""The hub as a service of the user, with a systemd that keeps what it is told."""

from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.service import Service, unit


class Systemd:
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
        self.systemd = Systemd()
        self.service = Service(folder=Path(self.mktemp()) / "systemd" / "user", run=self.systemd.run)

    def test_install_status_uninstall(self) -> None:
        self.service.install("one")
        self.service.install("two")
        self.assertEqual(self.service.path.read_text(), "two")
        told = ["daemon-reload", "enable parachute.service", "restart parachute.service"]
        self.assertEqual(self.systemd.calls, told * 2)
        state = self.service.state()
        self.assertEqual((state["installed"], state["enabled"], state["active"]), (True, True, "active"))
        self.assertTrue(self.service.uninstall())
        self.assertEqual(self.systemd.calls[-2:], ["disable --now parachute.service", "daemon-reload"])
        self.assertFalse(self.service.path.exists())
        self.assertFalse(self.service.uninstall())

    def test_without_a_session_systemd_is_quoted(self) -> None:
        self.systemd.fails = "daemon-reload"
        with self.assertRaises(CommandError) as caught:
            self.service.install("one")
        self.assertEqual(
            str(caught.exception), "`systemctl --user daemon-reload` failed: Failed to connect to bus: No medium found"
        )

    def test_the_unit_quotes_what_it_is_given(self) -> None:
        text = unit(["/usr/bin/python3", "serve", "--home", "/home/a b/100%$x"], {"PATH": "/bin"})
        self.assertIn('ExecStart="/usr/bin/python3" "serve" "--home" "/home/a b/100%%$$x"\n', text)
        self.assertIn('Environment="PATH=/bin"\nRestart=on-failure\n', text)
        with self.assertRaises(CommandError):
            unit(["a\nExecStartPre=/bin/sh"], {})
