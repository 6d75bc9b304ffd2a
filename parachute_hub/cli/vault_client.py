"""A vault's own API, reached through the running hub with a token for an hour, which ends with the command."""

import http.client
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import quote

from parachute_hub.cli.client import CommandError, HubClient, HubDown
from parachute_hub.system import strict_json
from parachute_hub.system.records import define
from parachute_hub.system.strict_json import BadJson
from parachute_hub.system.timestamps import from_utc

_ANSWER_SECONDS = 300.0
_TOKEN_LIFETIME = 12 * 3600
_CHUNK = 256 * 1024
_SPARE = 60.0
# What is sent goes by way of a temporary file beyond this many bytes.
_IN_MEMORY = 8 << 20


class VaultRefused(CommandError):
    """The vault returned an error with this `status`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@define
class VaultClient:
    """One vault. Requests use one connection, which is opened again after it broke."""

    name: str
    _connect: Callable[[float], http.client.HTTPConnection]
    _token: Callable[[], str]
    _connection: http.client.HTTPConnection | None = None

    def get(self, path: str) -> Any:
        """JSON below `/vault/<name>/`. Raises VaultRefused or HubDown."""
        response = self._ask("GET", path, None, {})
        return self._read(response)

    def save(self, path: str) -> Iterator[bytes]:
        """The bytes of a file."""
        response = self._ask("GET", path, None, {})
        if response.status >= 400:
            self._read(response)
        try:
            while chunk := response.read(_CHUNK):
                yield chunk
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise HubDown("The vault stopped in the middle of a file.") from error

    def send(self, path: str, body: Iterable[bytes]) -> Any:
        """POST what the parts are together; the answer as JSON. A vault with a limit must know how much comes."""
        with SpooledTemporaryFile(_IN_MEMORY) as whole:
            whole.writelines(body)
            size = whole.tell()
            whole.seek(0)
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            return self._read(self._ask("POST", path, whole, headers))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(
        self, method: str, path: str, body: IO[bytes] | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        fresh = self._connection is None
        if self._connection is None:
            self._connection = self._connect(_ANSWER_SECONDS)
        sent = {"Authorization": f"Bearer {self._token()}", "Accept": "application/json", **headers}
        try:
            self._connection.request(method, f"/vault/{quote(self.name, safe='')}/{path}", body, sent)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not fresh and body is None:
                # The hub closes idle connections.
                return self._ask(method, path, body, headers)
            raise HubDown("The hub or the vault stopped answering. Run the same command again.") from error

    def _read(self, response: http.client.HTTPResponse) -> Any:
        try:
            raw = response.read()
            value = strict_json.read(raw, limit=len(raw)).value if raw.strip() else {}
        except BadJson:
            value = {}
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise HubDown("The vault stopped answering. Run the same command again.") from error
        if response.status >= 400:
            told = value if isinstance(value, dict) else {}
            words = told.get("message") or told.get("error_description") or told.get("error")
            raise VaultRefused(response.status, str(words or f"The vault answered {response.status}."))
        return value


@contextmanager
def open_vault(client: HubClient, name: str, verb: str) -> Iterator[VaultClient]:
    """The vault with `read` or `write` access. Raises CommandError if there is no such vault."""
    held = client.link.opens(name, verb)
    if held is not None:
        tokens, end = held, _nothing
    else:
        known = [str(vault["name"]) for vault in client.call("GET", "/vaults")["vaults"]]
        if name not in known:
            there = f"There are: {', '.join(known)}." if known else "Install the vault first."
            raise CommandError(f"There is no vault {json.dumps(name, ensure_ascii=False)}. {there}")
        minted = _Minted(client, f"vault:{name}:{verb}")
        tokens, end = minted.token, minted.end
    vault = VaultClient(name, client.link.connect, tokens)
    try:
        yield vault
    finally:
        vault.close()
        end()


def _nothing() -> None:
    return


@define
class _Minted:
    """A token for a vault, renewed before it ends: one that another token makes lives no longer than that."""

    _client: HubClient
    _scope: str
    _now: dict[str, Any] | None = None

    def token(self) -> str:
        """A token that is good for another minute."""
        if self._now is None or from_utc(self._now["expires_at"]) < time.time() + _SPARE:
            wish = {"scope": self._scope, "expires_in": _TOKEN_LIFETIME, "name": "parachute command"}
            self._now = self._client.call("POST", "/api/auth/mint-token", wish)
        return str(self._now["token"])

    def end(self) -> None:
        """Revoke it. One that was made by a sign-in is left to end by itself, because the sign-in would end with it."""
        if self._now is not None and not self._client.is_elsewhere:
            with suppress(CommandError):
                self._client.call("POST", "/api/auth/revoke-token", {"jti": self._now["jti"]})
