"""HTTP client for a hub: the one on this machine, or another. Synchronous, since a command does one thing and exits."""

import http.client
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from parachute_hub import __version__
from parachute_hub.system import strict_json
from parachute_hub.system.home import Home
from parachute_hub.system.log_lines import visible
from parachute_hub.system.strict_json import BadJson

TIMEOUT = 150.0
NOT_UP = {
    "starting": "The hub is starting. Try again in a moment.",
    "stopping": "The hub is stopping.",
    "failed": "The hub could not start. `parachute logs hub` says why; restart it once that is mended.",
}
"""What to say of a hub in a phase of `/health` other than `up`."""

OTHER_VERSION = (
    f"The hub {{}}. It may be of another version than this command, which is {__version__}: update it, and let the new "
    "version take over (parachute restart hub)."
)
"""What to say of a hub that knows less than this command, or says it in another way."""

_CHUNK = 256 * 1024
_NOT_A_SEGMENT = re.compile(r"[/\\%\x00]")


class CommandError(Exception):
    """The command failed. The text says why and what to do; `code` is the exit code.

    `detail` is the API's `error_detail` of a failed operation.
    """

    def __init__(self, text: str, code: int = 1, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.detail = detail or {}


class HubDown(CommandError):
    """No hub answers for this home."""

    def __init__(self, text: str) -> None:
        super().__init__(text, code=3)


class HubRefused(CommandError):
    """The hub returned an error with this `status` and `body`. `help` says what to do about a refused token."""

    def __init__(self, status: int, body: dict[str, Any], help: str = "") -> None:
        text = str(body.get("error_description") or body.get("error") or f"The hub answered {status}.")
        if status == 404 and text == "not found":
            text = OTHER_VERSION.format("does not know this request")
        super().__init__(f"{text} {help}" if status == 401 and help else text)
        self.status = status
        self.body = body


class Link(Protocol):
    """How to reach a hub, and with which token. `help` is for when it does not take the token."""

    help: str
    elsewhere: bool

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """A connection, not opened yet. Raises HubDown."""

    def token(self) -> str:
        """A token for the API of that hub and no other. Raises CommandError."""

    def silent(self) -> HubDown:
        """The error for a hub that does not answer."""

    def instance(self) -> str | None:
        """Which hub must answer; None for any. Raises HubDown if there is none."""

    def opens(self, vault: str, verb: str) -> Callable[[], str] | None:
        """Gives a token that it has for this vault; None if one has to be made."""

    def confirmed(self, client: "HubClient", operation: str) -> str | None:
        """A proof that the person agrees to an operation; None if this link has nobody to ask."""


class HubHere:
    """The hub that holds `home`. Raises CommandError if the home belongs to another user."""

    help = "Restart the hub: it makes a new operator.token."
    elsewhere = False

    def __init__(self, home: Path) -> None:
        file = next((one for one in (home, *home.parents) if one.is_file()), None)
        if file is not None:
            raise CommandError(f"{file} is a file. Name the hub's folder with --home or PARACHUTE_HOME.", code=2)
        if home.exists() and not os.access(home, os.X_OK):
            raise CommandError(f"{home} belongs to another user. Run this as the hub's own user.")
        self._home = home
        self._announced = Home(home).announced()

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """Over loopback."""
        return http.client.HTTPConnection("127.0.0.1", int(self._there()["port"]), timeout=timeout)

    def token(self) -> str:
        """The operator token."""
        try:
            return (self._home / "operator.token").read_text().strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise CommandError(
                f"{self._home / 'operator.token'} cannot be read: {error.strerror}. Run this as the hub's own user."
            ) from None

    def silent(self) -> HubDown:
        """It announced itself, but may have stopped."""
        return HubDown(
            f"The hub for {self._home} does not answer on port {self._there()['port']}. "
            "It may have stopped; start it with `parachute serve`."
        )

    def instance(self) -> str | None:
        """The one that announced itself."""
        return str(self._there().get("instance"))

    def opens(self, vault: str, verb: str) -> Callable[[], str] | None:
        """The operator token opens no vault."""
        return None

    def confirmed(self, client: "HubClient", operation: str) -> str | None:
        """The operator token needs no proof."""
        return None

    def _there(self) -> Mapping[str, Any]:
        if self._announced is None:
            raise HubDown(f"No hub is running for {self._home}. Start it with `parachute serve`, or name its --home.")
        return self._announced


class HubClient:
    """The API of a hub: the one that holds this home, or the one at the end of a link."""

    def __init__(self, hub: Path | Link) -> None:
        self.link: Link = HubHere(hub) if isinstance(hub, Path) else hub
        self.phase = "up"

    @property
    def running(self) -> bool:
        """True if the hub that announced itself for this home answers.

        Raises HubDown if one on another machine does not.
        """
        try:
            instance = self.link.instance()
        except HubDown:
            return False
        try:
            health = self.health()
        except CommandError:
            if self.is_elsewhere:
                raise
            return False
        self.phase = str(health.get("phase", "up"))
        return instance in (None, health.get("instance"))

    @property
    def is_elsewhere(self) -> bool:
        """True for a hub on another machine."""
        return self.link.elsewhere

    def not_up(self) -> str | None:
        """A sentence about a hub that was found `running` but is not up; None for one that is."""
        return NOT_UP.get(self.phase)

    def health(self) -> dict[str, Any]:
        return self.call("GET", "/health")

    def call(
        self, method: str, path: str, body: dict[str, Any] | bytes | None = None, *, bearer: str | None = None
    ) -> dict[str, Any]:
        """One API call; returns the JSON object. Raises HubDown or HubRefused.

        `bearer` is sent in place of the link's token. Where the hub wants a confirmation, the person is asked for it.
        """
        try:
            return self._call(method, path, body, bearer=bearer)
        except HubRefused as refused:
            if refused.body.get("error") != "step_up_required":
                raise
            proof = self.link.confirmed(self, str(refused.body.get("operation", "")))
            if proof is None:
                raise
            return self._call(method, path, body, bearer=bearer, proof=proof)

    def _call(
        self, method: str, path: str, body: dict[str, Any] | bytes | None, *, bearer: str | None, proof: str = ""
    ) -> dict[str, Any]:
        connection, response = self._ask(method, path, body, bearer=bearer, proof=proof)
        try:
            raw = response.read()
        except (OSError, http.client.HTTPException):
            raise HubDown("The hub stopped answering. Check its log.") from None
        finally:
            connection.close()
        try:
            value = strict_json.read(raw, limit=len(raw)).value if raw.strip() else {}
        except BadJson:
            value = {"error": "not_json", "error_description": f"The hub answered {response.status} without JSON."}
        if response.status >= 400:
            raise HubRefused(response.status, value if isinstance(value, dict) else {}, self.link.help)
        return value if isinstance(value, dict) else {"value": value}

    def save(self, path: str, file: BinaryIO, told: Callable[[int], None] = lambda written: None) -> int:
        """Write a response of any length to `file`; returns its size. Raises CommandError if it was cut short.

        `told` is called with the bytes written so far.
        """
        connection, response = self._ask("GET", path, None, endless=True)
        try:
            if response.status >= 400:
                raise HubRefused(response.status, {}, self.link.help)
            written = 0
            while chunk := response.read(_CHUNK):
                written += file.write(chunk)
                told(written)
            return written
        except (OSError, http.client.HTTPException) as error:
            raise CommandError("The hub stopped in the middle. What was written is not complete.") from error
        finally:
            connection.close()

    def lines(self, path: str) -> Iterator[str]:
        """The lines of a streamed text response, without a timeout between lines."""
        connection, response = self._ask("GET", path, None, endless=True)
        try:
            if response.status >= 400:
                raw = response.read()
                try:
                    value = strict_json.read(raw, limit=len(raw)).value
                except BadJson:
                    value = {}
                raise HubRefused(response.status, value if isinstance(value, dict) else {}, self.link.help)
            for line in response:
                yield line.decode("utf-8", "replace").rstrip("\n")
        except (OSError, http.client.HTTPException):
            raise HubDown("The hub stopped answering.") from None
        finally:
            connection.close()

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | bytes | None,
        *,
        endless: bool = False,
        bearer: str | None = None,
        proof: str = "",
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = self.link.connect(TIMEOUT)
        headers = {"Accept": "application/json", "Authorization": f"Bearer {bearer or self.link.token()}"}
        headers |= {"X-Parachute-Proof": proof} if proof else {}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        try:
            connection.request(method, path, json.dumps(body) if isinstance(body, dict) else body, headers)
            wire, response = connection.sock, connection.getresponse()
            if endless:
                wire.settimeout(None)
        except (OSError, http.client.HTTPException):
            connection.close()
            raise self.link.silent() from None
        if 300 <= response.status < 400:
            # The token stays with the origin that issued it, so no redirect is followed.
            place = response.headers.get("Location", "")
            connection.close()
            raise CommandError(f"The hub sends the command elsewhere ({visible(place)[:200]}). It was not followed.")
        return connection, response


def module_path(short: str, action: str = "") -> str:
    """The API path of a module, with the user-supplied name quoted. Raises CommandError if it cannot be one."""
    return f"/api/modules/{module_part(short)}" + (f"/{action}" if action else "")


def module_part(short: str) -> str:
    """The quoted name of a module in a path. Raises CommandError if it cannot be one."""
    return _part(short, "module", "`parachute status` shows their names, such as vault.")


def vault_part(name: str) -> str:
    """The quoted name of a vault in a path. Raises CommandError if it cannot be one."""
    return _part(name, "vault", "See: parachute vaults list")


def _part(name: str, called: str, see: str) -> str:
    """One segment of a path: what some program on the way could read as several, or as another one, is refused."""
    if not name or name in (".", "..") or _NOT_A_SEGMENT.search(name):
        raise CommandError(f'"{name}" cannot be the name of a {called}. {see}')
    return quote(name, safe="")
