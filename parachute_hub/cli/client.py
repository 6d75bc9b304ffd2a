"""HTTP client for the running hub over loopback. Synchronous, since a command does one thing and exits."""

import http.client
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from parachute_hub.system import strict_json
from parachute_hub.system.home import Home
from parachute_hub.system.strict_json import BadJson

TIMEOUT = 150.0
NOT_UP = {
    "starting": "The hub is starting. Try again in a moment.",
    "stopping": "The hub is stopping.",
    "failed": "The hub could not start. `parachute logs hub` says why; restart it once that is mended.",
}
"""What to say of a hub in a phase of `/health` other than `up`."""

_CHUNK = 256 * 1024


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
    """The hub returned an error with this `status` and `body`."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        text = str(body.get("error_description") or body.get("error") or f"The hub answered {status}.")
        super().__init__(f"{text} Restart the hub: it makes a new operator.token." if status == 401 else text)
        self.status = status
        self.body = body


class HubClient:
    """The API of the hub that holds `home`. Raises CommandError if the home belongs to another user."""

    def __init__(self, home: Path) -> None:
        if home.exists() and not os.access(home, os.X_OK):
            raise CommandError(f"{home} belongs to another user. Run this as the hub's own user.")
        self._home = home
        self._announced = Home(home).announced()
        self.phase = "up"

    @property
    def running(self) -> bool:
        """True if a hub announced itself for this home and still answers there."""
        if self._announced is None:
            return False
        try:
            health = self.health()
        except CommandError:
            return False
        self.phase = str(health.get("phase", "up"))
        return bool(health.get("instance") == self._announced.get("instance"))

    def not_up(self) -> str | None:
        """A sentence about a hub that was found `running` but is not up; None for one that is."""
        return NOT_UP.get(self.phase)

    @property
    def port(self) -> int:
        """The hub's port on 127.0.0.1. Raises HubDown."""
        if self._announced is None:
            raise HubDown(f"No hub is running for {self._home}. Start it with `parachute serve`, or name its --home.")
        return int(self._announced["port"])

    def health(self) -> dict[str, Any]:
        return self.call("GET", "/health")

    def call(
        self, method: str, path: str, body: dict[str, Any] | bytes | None = None, *, bearer: str | None = None
    ) -> dict[str, Any]:
        """One API call; returns the JSON object. Raises HubDown or HubRefused.

        `bearer` is sent in place of the operator token.
        """
        connection, response = self._ask(method, path, body, bearer=bearer)
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
            raise HubRefused(response.status, value if isinstance(value, dict) else {})
        return value if isinstance(value, dict) else {"value": value}

    def save(self, path: str, file: BinaryIO, told: Callable[[int], None] = lambda written: None) -> int:
        """Write a response of any length to `file`; returns its size. Raises CommandError if it was cut short.

        `told` is called with the bytes written so far.
        """
        connection, response = self._ask("GET", path, None, endless=True)
        try:
            if response.status >= 400:
                raise HubRefused(response.status, {})
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
                raise HubRefused(response.status, value if isinstance(value, dict) else {})
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
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        port = self.port
        headers = {"Accept": "application/json", "Authorization": f"Bearer {bearer or self._token()}"}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            connection.request(method, path, json.dumps(body) if isinstance(body, dict) else body, headers)
            wire, response = connection.sock, connection.getresponse()
            if endless:
                wire.settimeout(None)
            return connection, response
        except (OSError, http.client.HTTPException):
            connection.close()
            raise HubDown(
                f"The hub for {self._home} does not answer on port {port}. "
                "It may have stopped; start it with `parachute serve`."
            ) from None

    def _token(self) -> str:
        try:
            return (self._home / "operator.token").read_text().strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise CommandError(
                f"{self._home / 'operator.token'} cannot be read: {error.strerror}. Run this as the hub's own user."
            ) from None


def module_path(short: str, action: str = "") -> str:
    """The API path of a module, with the user-supplied name quoted."""
    return f"/api/modules/{quote(short, safe='')}" + (f"/{action}" if action else "")
