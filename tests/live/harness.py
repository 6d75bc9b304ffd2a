"""Whole hubs as processes, for live and browser tests. Everything ends with the test that started it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import HubClient, HubDown
from parachute_hub.cli.progress import ProgressPrinter, follow
from parachute_hub.site import cookies
from tests.live.ports import free_port, module_ports
from tools.pack_examples import pack_all

ROOT = Path(__file__).parent.parent.parent
PACKS = ROOT / ".cache" / "packs"
PATIENCE = float(os.environ.get("PARACHUTE_TEST_PATIENCE", "60"))
"""Seconds; long proofs on a machine that others use need more."""
OWNER = {"PARACHUTE_INITIAL_ADMIN_USERNAME": "owner", "PARACHUTE_INITIAL_ADMIN_PASSWORD": "correct-horse-battery"}


@frozen
class Reply:
    """An HTTP answer: status, headers (lower-case names), body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(NoRedirects, urllib.request.ProxyHandler({}))


def fetch(url: str, *, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    """One request; HTTP errors are returned, not raised."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"Accept": "application/json", **(headers or {})}
    if data is not None:
        sent.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(url, data, sent, method=method)
    try:
        with _OPENER.open(request, timeout=PATIENCE) as answer:
            return Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


@define
class HubProcess:
    """One hub. `start` waits until it is up, `stop` ends it like a platform does."""

    home: Path
    catalog: Path | None = None
    environment: Mapping[str, str] = field(factory=dict)
    port: int = field(factory=free_port)
    interface: str = "127.0.0.1"
    module_ports: range = field(factory=module_ports)
    program: tuple[str, ...] = (sys.executable, "-P", "-m", "parachute_hub")
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> HubClient:
        return HubClient(self.home)

    @property
    def log_path(self) -> Path:
        return self.home.with_name(self.home.name + ".log")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def spawn(self) -> "subprocess.Popen[bytes]":
        """Start the process without waiting for it."""
        words = [*self.program, "--home", str(self.home), "--listen", f"tcp:{self.port}:interface={self.interface}"]
        if self.catalog:
            words += ["--catalog", str(self.catalog)]
        # A person's Python keeps what it has compiled; only a build machine is told not to.
        dropped = ("PARACHUTE_", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        kept["PARACHUTE_MODULE_PORTS"] = f"{self.module_ports[0]}-{self.module_ports[-1]}"
        with self.log_path.open("ab") as out:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**kept, **self.environment}, cwd=ROOT
            )
        return self.process

    def start(self) -> "HubProcess":
        self.spawn()
        self.wait_for(lambda: self.client.running and self.client.health().get("phase") == "up", "the hub to be up")
        return self

    def wait_for(self, condition: Any, what: str, patience: float = PATIENCE) -> None:
        """Poll until the condition holds; transport errors count as not yet."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the hub ended by itself ({self.process.returncode}):\n{self.log()}")
            if condition():
                return
            time.sleep(0.02)
        raise AssertionError(f"waited {patience:.0f} s in vain for {what}:\n{self.log()[-6000:]}")

    def wait_for_restart(self, instance: str) -> None:
        """Until the hub is up again as another one than `instance`."""

        def again() -> bool:
            try:
                health = self.client.health()
            except HubDown:
                return False
            return health.get("phase") == "up" and health.get("instance") != instance

        self.wait_for(again, "the hub to start again")

    def install(self, short: str, **body: Any) -> dict[str, Any]:
        """Install a module through the API and wait for the job; raises CommandError with its reason."""
        begun = self.client.call("POST", f"/api/modules/{short}/install", body)
        return follow(self.client, begun["operation_id"], ProgressPrinter(quiet=True))

    def module(self, short: str) -> dict[str, Any]:
        """A module in the API's form."""
        listing = self.client.call("GET", "/api/modules")["modules"]
        found: dict[str, Any] = next(module for module in listing if module["short"] == short)
        return found

    def stop(self, patience: float = 30.0) -> int:
        """SIGTERM, as a platform stops a container; the hub then ends by that same signal."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        return process.wait(patience)

    def kill(self) -> None:
        """SIGKILL: no cleanup."""
        assert self.process is not None
        process, self.process = self.process, None
        process.kill()
        process.wait(10)

    def end(self) -> None:
        """Clean up whatever state the test left."""
        process = self.process
        if process is not None and process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def registry(test: SynchronousTestCase, packs: Path = PACKS) -> str:
    """A package registry that serves `packs` until the test ends; returns its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.live.registry", str(packs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None and process.stdout is not None

    def end() -> None:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait(10)
        process.stdout.close()

    test.addCleanup(end)
    return process.stdout.readline().decode().strip()


def hub(test: SynchronousTestCase, **options: Any) -> HubProcess:
    """A hub with an empty home and an owner, not started yet; it ends with the test."""
    home = Path(test.mktemp()).absolute()
    home.parent.mkdir(parents=True, exist_ok=True)
    environment = {**OWNER, **options.pop("environment", {})}
    process = HubProcess(home=home, environment=environment, **options)
    test.addCleanup(process.end)
    return process


@frozen
class SignedIn:
    """What a browser keeps of signing in: its cookies, and the key that belongs to this port."""

    cookie: str
    key: str


def session_of_owner(
    running: HubProcess,
    username: str = OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"],
    password: str = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"],
) -> SignedIn:
    """Sign in the owner, or someone else."""
    stranger = fetch(f"{running.url}/account/session")
    said = {
        "__csrf": stranger.json()["csrf"],
        "username": username,
        "password": password,
    }
    headers = {"Content-Type": "application/json", "Cookie": stranger.headers["set-cookie"].partition(";")[0]}
    # `fetch` keeps one Set-Cookie of many, so this asks by itself.
    connection = HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
    try:
        connection.request("POST", "/login", json.dumps(said), headers)
        answer = connection.getresponse()
        lines, told = answer.headers.get_all("set-cookie") or [], json.loads(answer.read())
    finally:
        connection.close()
    kept = [line.partition(";")[0] for line in lines if line.startswith((cookies.SESSION, cookies.DEVICE))]
    return SignedIn("; ".join(kept), told["key"])


def packed_examples() -> Path:
    """The reference modules as packs; the catalog that names them."""
    return pack_all(PACKS)


def gone(pid: int) -> bool:
    """Whether no process has this number any longer (zombies count as gone)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
