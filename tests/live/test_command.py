"""The `parachute` command with and without a running hub."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import OWNER, ROOT, HubProcess, fetch, hub, packed_examples
from tests.live.ports import free_port


def run(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "parachute"), *words]
    if words[0] not in ("module", "completion", "--help"):
        command += ["--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)


class Running(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub: HubProcess = hub(self, catalog=packed_examples()).start()

    def test_the_life_of_a_module_from_a_shell(self) -> None:
        """install, status, logs, stop, start, restart, uninstall; each reports what happened and exits 0."""
        home = self.hub.home
        installed = run(home, "install", "hello")
        self.assertEqual(installed.returncode, 0, installed.stderr)
        self.assertIn("hello is installed", installed.stdout)
        self.assertIn("hello", run(home, "status").stdout)
        listing = json.loads(run(home, "status", "--json").stdout)
        self.assertEqual([m["state"] for m in listing["modules"] if m["short"] == "hello"], ["ready"])
        self.assertIn("listening", run(home, "logs", "hello").stdout)
        for word, state in (("stop", "stopped"), ("start", "ready"), ("restart", "ready")):
            done = run(home, word, "hello")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(state, done.stdout)
        self.assertNotEqual(run(home, "uninstall", "hello").returncode, 0, "it did not ask")
        removed = run(home, "uninstall", "hello", "--yes")
        self.assertEqual(removed.returncode, 0, removed.stderr)
        shown = run(home, "status").stdout
        self.assertTrue(shown.startswith("Nothing is installed yet."), shown)
        self.assertIn("Backups are not set up.", shown)

    def test_an_author_installs_a_folder_or_a_pack(self) -> None:
        """By path; the package names the module."""
        home = self.hub.home
        for place in (ROOT / "examples" / "hello", next((ROOT / ".cache" / "packs").glob("hello-*.tgz"))):
            installed = run(home, "install", str(place))
            self.assertEqual(installed.returncode, 0, installed.stderr)
            self.assertIn("hello is installed", installed.stdout)
        unknown = run(home, "install", "@openparachute/no-such-module")
        self.assertEqual(unknown.returncode, 1)
        self.assertNotIn("Traceback", unknown.stderr)

    def test_mistakes_are_one_line_without_a_traceback(self) -> None:
        """An unknown module, a wrong option, an unknown user."""
        for words in (("install", "nothing-of-that-name"), ("logs", "nothing"), ("upgrade",), ("rollback", "hello")):
            failed = run(self.hub.home, *words)
            self.assertIn(failed.returncode, (1, 2), words)
            self.assertNotIn("Traceback", failed.stderr)
            self.assertTrue(failed.stderr.strip().splitlines()[-1].startswith("parachute: "), failed.stderr)

    def test_a_module_whose_port_was_taken_gets_another_when_asked(self) -> None:
        """The other program is named and keeps running; `doctor --fix` moves the module, which is then reachable."""
        home = self.hub.home
        self.assertEqual(run(home, "install", "hello").returncode, 0)
        port = self.hub.module("hello")["port"]
        self.hub.stop()
        with socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("127.0.0.1", port))
            stranger.listen()
            self.hub.start()
            self.hub.wait_for(lambda: self.hub.module("hello")["state"] == "held", "hello to be held")
            self.assertEqual(self.hub.module("hello")["port_drift"], "squatted")
            told = run(home, "doctor")
            self.assertEqual(told.returncode, 1)
            self.assertIn(f"Port {port} is used by process {os.getpid()} (", told.stdout)
            fixed = run(home, "doctor", "--fix", "--json")
            self.assertEqual(
                (fixed.returncode, json.loads(fixed.stdout)["fixed"]), (0, ["module-port:hello"]), fixed.stdout
            )
            self.assertEqual(fetch(f"{self.hub.url}/hello/health").status, 200)
            moved = self.hub.module("hello")
        self.assertEqual((moved["state"], moved["port_drift"]), ("ready", None))
        self.assertNotEqual(moved["port"], port)

    def test_what_anybody_writes_into_a_row_leads_no_request_astray(self) -> None:
        """Requests go where the module's own process listens, and the row gets its assigned port back."""
        home = self.hub.home
        self.assertEqual(run(home, "install", "hello").returncode, 0)
        services = home / "services.json"
        content = json.loads(services.read_text())
        with socket.socket() as thief:
            thief.bind(("127.0.0.1", 0))
            thief.listen()
            thief.settimeout(0.5)
            ours = content["services"][0]["port"]
            content["services"][0]["port"] = thief.getsockname()[1]
            services.write_text(json.dumps(content))
            self.hub.wait_for(
                lambda: json.loads(services.read_text())["services"][0]["port"] == ours, "the port to be put back"
            )
            for _ in range(20):
                self.assertEqual(fetch(f"{self.hub.url}/hello/health").status, 200)
            self.assertRaises(TimeoutError, thief.accept)

    def test_an_operation_is_cancelled_from_another_shell(self) -> None:
        """A registry that never answers: the waiting command is told, and the operation is undone. Also in JSON."""
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            self.hub.stop()
            self.hub.environment = {**OWNER, "BUN_CONFIG_REGISTRY": f"http://127.0.0.1:{silent.getsockname()[1]}"}
            self.hub.start()
            home = self.hub.home
            words = [
                str(Path(sys.executable).parent / "parachute"),
                "install",
                "@a/clock",
                "--home",
                str(home),
                "--json",
            ]
            waiting = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.hub.wait_for(
                lambda: self.hub.client.call("GET", "/api/modules/operations")["operations"], "the installation"
            )
            done = run(home, "cancel", "clock")
            told, _ = waiting.communicate(timeout=30)
        self.assertEqual((done.returncode, waiting.returncode), (0, 1), done.stderr)
        self.assertIn("It was cancelled.", done.stdout)
        self.assertEqual(json.loads(told)["error"].splitlines()[0], "It was cancelled.")
        again = run(home, "cancel", "clock")
        self.assertEqual((again.returncode, again.stderr), (1, "parachute: No operation is running for clock.\n"))

    def test_a_healthy_hub_passes_the_doctor(self) -> None:
        """All green, also in JSON."""
        done = run(self.hub.home, "doctor", "--json")
        self.assertEqual(done.returncode, 0, done.stdout)
        told = json.loads(done.stdout)
        self.assertEqual([one for one in told["problems"] if one["severity"] != "info"], [])
        self.assertEqual(self.hub.client.call("GET", "/api/problems"), {"problems": told["problems"], "complete": True})

    def test_the_owner_gets_back_in(self) -> None:
        """A new password is printed once, and the old one stops working."""
        done = run(self.hub.home, "auth", "reset-owner", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["username"], "owner")
        self.assertGreaterEqual(len(answer["password"]), 20)
        self.assertNotIn(answer["password"], self.hub.log())


class WithoutHub(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()

    def test_status_works_from_the_disk(self) -> None:
        """Shows what is registered and that nothing runs: exit code 3."""
        self.home.mkdir(mode=0o700, parents=True)
        row = {"name": "parachute-vault", "port": 1940, "paths": [], "health": "/health", "version": "1.2.3"}
        (self.home / "services.json").write_text(json.dumps({"services": [row]}))
        done = run(self.home, "status")
        self.assertEqual(done.returncode, 3)
        self.assertIn("not running", done.stdout)
        self.assertIn("1.2.3", done.stdout)

    def test_the_doctor_repairs_what_is_safe(self) -> None:
        """File modes, without a hub; what it cannot repair is still reported."""
        self.home.mkdir(mode=0o755, parents=True)
        (self.home / "operator.token").write_text("x\n")
        (self.home / "operator.token").chmod(0o644)
        told = run(self.home, "doctor")
        self.assertEqual(told.returncode, 1)
        self.assertIn("--fix", told.stdout)
        fixed = run(self.home, "doctor", "--fix", "--json")
        self.assertEqual(json.loads(fixed.stdout)["fixed"], ["open-file:operator.token", "open-file:The hub's folder"])
        self.assertEqual(fixed.returncode, 0, fixed.stdout)
        self.assertEqual((self.home / "operator.token").stat().st_mode & 0o777, 0o600)

    def test_other_words_say_how_to_start_it(self) -> None:
        """Exit code 3, one line."""
        for words in (("install", "vault"), ("logs", "vault"), ("stop", "vault")):
            done = run(self.home, *words)
            self.assertEqual(done.returncode, 3)
            self.assertIn("parachute serve", done.stderr)

    def test_a_module_folder_is_checked(self) -> None:
        """The reference module passes; an empty folder does not."""
        good = run(self.home, "module", "check", str(ROOT / "examples" / "hello"))
        self.assertEqual(good.returncode, 0, good.stdout)
        empty = Path(self.mktemp()).absolute()
        empty.mkdir()
        bad = run(self.home, "module", "check", str(empty))
        self.assertEqual(bad.returncode, 1)
        self.assertIn("package.json", bad.stdout)

    def test_serve_is_the_same_process_as_twistd(self) -> None:
        """It listens, answers, and exits on SIGTERM."""
        one = hub(self)
        words = ["serve", "--home", str(one.home), "--listen", f"tcp:{one.port}:interface=127.0.0.1"]
        with one.log_path.open("wb") as out:
            one.process = subprocess.Popen(
                [str(Path(sys.executable).parent / "parachute"), *words], stdout=out, stderr=out, cwd=ROOT
            )
        one.wait_for(lambda: one.client.running, "the hub")
        self.assertEqual(one.stop(), -signal.SIGTERM)

    def test_a_home_that_no_disk_takes(self) -> None:
        """What the hub itself finds is a line, too."""
        for home, said in (("x" * 300, "File name too long. Check the disk"), ("/dev/null", "a file in the place of")):
            ended = run(Path(home), "serve", "--listen", str(free_port()))
            self.assertEqual((ended.returncode, len(ended.stderr.splitlines())), (1, 1), ended.stderr)
            self.assertIn(said, ended.stderr)

    def test_every_word_explains_itself(self) -> None:
        """--help names the variables; each shell gets its completion."""
        self.assertIn("upgrade", run(self.home, "--help").stdout)
        self.assertIn("reset-owner", subprocess.run(
            [str(Path(sys.executable).parent / "parachute"), "auth", "--help"],
            capture_output=True, text=True, timeout=60, check=False,
        ).stdout)  # fmt: skip
        for shell in ("bash", "zsh", "fish"):
            self.assertRegex(run(self.home, "completion", shell).stdout, r"complete .*parachute")
