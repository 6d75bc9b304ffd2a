"""A hub with a vault, a person with a browser, and third-party clients, for live tests of the issuer."""

import html
import http.cookiejar
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.packages import bun
from tests.live.harness import OWNER, ROOT, HubProcess, NoRedirects, fetch, hub, packed_examples, registry
from tests.live.ports import free_port
from tools.locks import locked

CLIENTS = Path(__file__).parent / "clients"
NODE_CACHE = ROOT / ".cache" / "oauth-clients"
NODE_PACKAGES = (
    "oauth4webapi@3.8.8",
    "openid-client@6.9.0",
    "@modelcontextprotocol/sdk@1.32.2",
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12.0",
    "mcp-remote@0.15.1",
)
PYTHON_PACKAGES = ("mcp==2.3.0", "authlib==1.9.9", "httpx==0.28.1")
PATIENCE = 60.0


def bun_program() -> str:
    """The bun that the hub uses."""
    return str(bun.find(None, os.environ.get("PATH")))


def node_clients() -> Path:
    """A folder with the JavaScript clients, downloaded once."""
    with locked(NODE_CACHE):
        if not _is_current(NODE_CACHE, NODE_PACKAGES):
            NODE_CACHE.mkdir(parents=True, exist_ok=True)
            (NODE_CACHE / "package.json").write_text('{"name":"oauth-clients","private":true,"type":"module"}')
            subprocess.run([bun_program(), "add", "--exact", *NODE_PACKAGES], cwd=NODE_CACHE, check=True, timeout=300)
            _note(NODE_CACHE, NODE_PACKAGES)
    return NODE_CACHE


def python_clients() -> str:
    """A Python with the Python clients."""
    return str(python_environment("oauth-python", PYTHON_PACKAGES))


def python_environment(name: str, packages: tuple[str, ...]) -> Path:
    """A Python environment with exactly these packages, created once."""
    folder = ROOT / ".cache" / name
    python = folder / "bin" / "python"
    with locked(folder):
        if not _is_current(folder, packages):
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=300)
            words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
            subprocess.run(words, check=True, timeout=300)
            _note(folder, packages)
    return python


def _is_current(folder: Path, packages: tuple[str, ...]) -> bool:
    note = folder / ".packages"
    return note.exists() and note.read_text() == "\n".join(packages)


def _note(folder: Path, packages: tuple[str, ...]) -> None:
    (folder / ".packages").write_text("\n".join(packages))


def vault_hub(test: SynchronousTestCase, **environment: str) -> HubProcess:
    """A running hub with the reference vault in it."""
    address = registry(test)
    process = hub(test, catalog=packed_examples(), environment={"BUN_CONFIG_REGISTRY": address, **environment}).start()
    process.install("vault")
    process.wait_for(lambda: process.module("vault")["supervisor_status"] == "running", "the vault")
    return process


@define
class Person:
    """A person with a browser of which only the hub's own script runs. `hub` is the origin."""

    hub: str
    key: str = ""
    jar: http.cookiejar.CookieJar = field(factory=http.cookiejar.CookieJar)

    def open(self, url: str, form: Any = None, **headers: str) -> tuple[int, str, str]:
        """Status, Location and text of one request, as a navigation."""
        kept = [("__key", self.key)] if self.key else []
        data = None if form is None else urllib.parse.urlencode([*form, *kept]).encode()
        request = urllib.request.Request(urllib.parse.urljoin(self.hub, url), data)
        request.add_header("Accept", "text/html")
        request.add_header("Sec-Fetch-Site", "same-origin" if form is not None else "cross-site")
        request.add_header("Sec-Fetch-Mode", "navigate")
        request.add_header("Sec-Fetch-Dest", "document")
        if form is not None:
            request.add_header("Origin", self.hub)
        opener = urllib.request.build_opener(
            NoRedirects, urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.jar)
        )
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, "", answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Location") or "", error.read().decode()

    def sign_in(self, username: str = "owner", password: str = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]) -> "Person":
        """Through the form."""
        _, _, page = self.open("/login")
        status, place, text = self.open("/login", [*fields(page), ("username", username), ("password", password)])
        assert status == 303, text
        self.key = urllib.parse.urlsplit(place).fragment
        return self

    def allow(self, url: str, password: str = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]) -> str:
        """Allow everything that an authorization request offers; returns the redirect address."""
        status, location, page = self.open(url)
        if status == 200:
            answered = [*fields(page), ("password", password), ("approve", "yes")]
            status, location, page = self.open("/oauth/authorize", answered)
        assert status == 303, page
        return location


# RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def connect_an_app(hub_url: str, name: str, scope: str) -> None:
    """An app that the owner consented to, and that has redeemed its code."""
    app = {"client_name": name, "redirect_uris": ["http://127.0.0.1:1/back"]}
    client = fetch(f"{hub_url}/oauth/register", method="POST", body=app).json()["client_id"]
    both = {"client_id": client, "redirect_uri": "http://127.0.0.1:1/back"}
    asked = {**both, "response_type": "code", "scope": scope, "state": "s"}
    asked |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    back = Person(hub_url).sign_in().allow(f"/oauth/authorize?{urllib.parse.urlencode(asked)}")
    (code,) = urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"]
    wanted = {**both, "grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urllib.parse.urlencode(wanted).encode()
    answer = fetch(f"{hub_url}/oauth/token", method="POST", body=body, headers=form)
    assert answer.status == 200, answer.body


def fields(page: str) -> list[tuple[str, str]]:
    """What the page's form would submit, without buttons and empty text fields."""
    found = []
    for tag in re.findall(r"<input\b[^>]*>", page):
        attributes = {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        kind = attributes.get("type", "text")
        if kind == "hidden" or (kind in ("checkbox", "radio") and "checked" in attributes):
            found.append((attributes["name"], attributes.get("value", "")))
    return found


def run_client(words: list[str], person: Person, cwd: Path) -> str:
    """Run a client that says `AUTHORIZE <url>` and waits for the address of the answer; everything that it says.

    Raises AssertionError with its words when it fails.
    """
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    said: list[str] = []
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("AUTHORIZE "):
                process.stdin.write(person.allow(line.removeprefix("AUTHORIZE ").strip()) + "\n")
                process.stdin.flush()
        status = process.wait(PATIENCE)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()
    if status != 0:
        raise AssertionError(f"{words[-2:]} ended with {status}:\n{''.join(said)}")
    return "".join(said)


def run_listener(words: list[str], person: Person, home: Path) -> str:
    """Run a client that prints the address to open and listens for the answer itself; everything it prints.

    Raises AssertionError with its output when it fails. What it keeps goes to `home`.
    """
    kept = {"HOME": str(home), "MCP_REMOTE_CONFIG_DIR": str(home), "MCP_CATALOG_PATH": str(home / "catalog.json")}
    # There is no browser to open; the inspector asks for one all the same.
    environment = {**os.environ, **kept, "BROWSER": "true", "MCP_AUTO_OPEN_ENABLED": "true"}
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True
    )
    assert process.stdout is not None
    said: list[str] = []
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            said.append(line)
            found = re.search(r"http://\S+/oauth/authorize\?\S+", line)
            if found is not None and not any("/oauth/authorize?" in before for before in said[:-1]):
                assert fetch(person.allow(found[0])).status == 200
        status = process.wait(PATIENCE)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()
    if status != 0:
        raise AssertionError(f"{words[1]} ended with {status}:\n{''.join(said)}")
    return "".join(said)


def wait_until(condition: Any, what: str) -> None:
    """Poll a condition of another process."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.05)


def conformance(process: HubProcess, person: Person, resource: str) -> dict[str, str]:
    """Run the official conformance scenarios for authorization servers; the status of each check by id."""
    packages, port = node_clients(), free_port()
    callback = f"http://127.0.0.1:{port}/callback"
    client = fetch(f"{process.url}/oauth/register", method="POST", body={"redirect_uris": [callback]}).json()
    tool = packages / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    words = [bun_program(), str(tool), "authorization", "--url", process.url, "--client-id", client["client_id"]]
    words += ["--resource", resource, "-p", str(port), "--verbose", "-o", str(process.home / "conformance")]
    # A file, because the tool buffers what it says into a pipe.
    said = process.home.with_name("conformance.txt")
    with said.open("wb") as out:
        tool_process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=packages)
    try:
        wait_until(lambda: asked_address(said) or tool_process.poll() is not None, "the authorization request")
        address = asked_address(said)
        if address is not None:
            fetch(person.allow(address))
        tool_process.wait(PATIENCE)
    finally:
        if tool_process.poll() is None:
            tool_process.kill()
            tool_process.wait(10)
    checks: dict[str, str] = {}
    for path in (process.home / "conformance").rglob("checks.json"):
        for check in json.loads(path.read_text()):
            checks[check["id"]] = check["status"]
    assert checks, said.read_text()
    return checks


def asked_address(said: Path) -> str | None:
    """The address that the tool asks a person to open."""
    found = re.search(r"^(http://\S+/oauth/authorize\?\S+)\s", said.read_text(), re.MULTILINE)
    return None if found is None else found[1]
