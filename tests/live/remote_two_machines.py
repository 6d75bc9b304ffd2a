"""Run by test_remote_command in a network of its own: the hub is here, the command on a second machine beside it."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import OWNER, HubProcess, hub
from tests.live.oauth_rig import Person, fields
from tests.live.ports import free_port
from tests.requirements import find

HUB, OTHER = "10.77.0.1", "10.77.0.2"
PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]


def ip(*words: str) -> None:
    subprocess.run([find("ip") or "ip", *words], check=True, timeout=10)


class TwoMachines(SynchronousTestCase):
    hub: HubProcess

    def setUp(self) -> None:
        ip("link", "set", "lo", "up")
        self.machine = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.addCleanup(self.end_machine)
        assert self.machine.stdout is not None
        self.assertEqual(self.machine.stdout.readline(), b"ready\n")
        ip("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(self.machine.pid))
        ip("addr", "add", f"{HUB}/24", "dev", "here")
        ip("link", "set", "here", "up")
        self.within = ["nsenter", f"--net=/proc/{self.machine.pid}/ns/net", "--"]
        for words in (["addr", "add", f"{OTHER}/24", "dev", "there"], ["link", "set", "there", "up"]):
            subprocess.run([*self.within, find("ip") or "ip", *words], check=True, timeout=10)
        port = free_port()
        self.origin = f"http://{HUB}:{port}"
        self.hub = hub(self, port=port, interface="0.0.0.0", environment={"PARACHUTE_HUB_ORIGIN": self.origin}).start()
        self.person = Person(self.origin).sign_in()
        self.home = Path(self.mktemp()).absolute()
        self.home.mkdir(parents=True)

    def end_machine(self) -> None:
        assert self.machine.stdin is not None and self.machine.stdout is not None
        self.machine.stdin.close()
        self.machine.wait(10)
        self.machine.stdout.close()

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """The command, on the other machine, as another user would have it."""
        program = str(Path(sys.executable).parent / "parachute")
        dropped = ("PARACHUTE_", "XDG_", "DISPLAY", "BROWSER")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        return subprocess.Popen(
            [*self.within, program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "HOME": str(self.home)},
            text=True,
        )

    def run_command(self, *words: str) -> tuple[int | None, str]:
        process = self.start(*words)
        out, wrong = process.communicate(timeout=30)
        return process.returncode, out + wrong

    def heard(self, process: "subprocess.Popen[str]", pattern: str) -> str:
        """Read what the command says until it has said this."""
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            found = re.search(pattern, said)
            if found is not None:
                return found[1]
        raise AssertionError(f"it ended without {pattern}: {said}")

    def answered(self, path: str, more: Sequence[tuple[str, str]]) -> str:
        """Send a form of the hub's page as the person's browser would."""
        _, _, page = self.person.open(path)
        status, _, text = self.person.open(path, [*fields(page), *more])
        self.assertEqual(status, 200, text)
        return text

    def test_sign_in_use_confirm_and_sign_out(self) -> None:
        self.assertEqual(self.run_command("status")[0], 3)
        refused, told = self.run_command("login", "--device", self.origin)
        self.assertEqual((refused, "--plain-http" in told), (2, True), told)
        login = self.start("login", "--device", "--plain-http", self.origin)
        code = self.heard(login, r"([A-Z]{4}-[A-Z]{4})")
        shown = self.answered("/oauth/device", [("user_code", code)])
        self.assertIn(OTHER, shown)
        answer = [*fields(shown), ("password", PASSWORD), ("approve", "yes")]
        self.assertEqual(self.person.open("/oauth/device", answer)[0], 200)
        self.assertEqual(login.wait(30), 0)
        kept = self.home / ".config" / "parachute"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (kept, *kept.iterdir())}
        self.assertEqual(modes["parachute"], 0o700)
        self.assertEqual({mode for name, mode in modes.items() if name != "parachute"}, {0o600}, modes)
        status, told = self.run_command("status")
        self.assertEqual((status, "Nothing is installed yet." in told), (0, True), told)
        sheet = self.start("backup", "sheet", "--json")
        link = self.heard(sheet, r"(/account/confirm/\S+)")
        self.assertIn("Confirmed", self.answered(link, [("password", PASSWORD), ("approve", "yes")]))
        out, wrong = sheet.communicate(timeout=30)
        self.assertEqual((sheet.returncode, "AGE-SECRET-KEY-1" in out), (0, True), wrong)
        out_of, told = self.run_command("logout")
        self.assertEqual(out_of, 0, told)
        self.assertNotIn("refresh_token", (kept / "tokens.json").read_text())
        self.assertEqual(self.run_command("status")[0], 3)
        _, _, apps = self.person.open("/api/apps")
        self.assertIn('"active":false', apps.replace(" ", ""))
        for process in (login, sheet):
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                stream.close()
