"""A module's configuration, through its `/.parachute/config`, or through its `.env` as described by its manifest's
schema.

Values that the schema marks writeOnly, or whose name suggests a secret, are never returned.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import Factory
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from parachute_hub.modules.definition import manifests, validation
from parachute_hub.modules.definition.links import main_mount
from parachute_hub.modules.definition.model import Manifest, ServiceRow, fits
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.launch.answer import Answer
from parachute_hub.modules.launch.environment import DOTENV_LIMIT, change_dotenv, parse_dotenv
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.site.errors import Refused, not_stored
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_text
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen
from parachute_hub.system.request_body import Body
from parachute_hub.system.strict_json import BadJson

SECONDS = 5.0
# A test makes the module ask a service elsewhere, or start a program.
TEST_SECONDS = 75.0
MOST_WORDS = 500
ANSWER_LIMIT = 256 * 1024
_SECRET = re.compile(r"(?i)(secret|password|passwd|token|api_?key|_key$|^key$|credential)")


class MintsTokens(Protocol):
    """Issues the hub's tokens for a module's admin API."""

    async def for_administration(self, short: str, instance: str | None) -> str | None:
        """A one-minute bearer token with `<short>:admin`, for a vault `vault:<instance>:admin`; None without an
        issuer.
        """


@frozen(kw_only=True)
class Configuration:
    """Reads and changes module configuration. `agent` reaches modules on loopback.

    `reach` returns the port of the module's own process, which it wakes if it sleeps and keeps awake for some seconds;
    `listens` returns it without either. Tokens are only sent there.
    """

    home: Path
    directory: ModuleDirectory
    files: FileWriter = Factory(FileWriter)
    agent: IAgent
    clock: IReactorTime
    tokens: MintsTokens
    reach: Callable[[str, float], Awaitable[int | None]]
    listens: Callable[[str], int | None]

    async def read(self, short: str) -> dict[str, Any]:
        """`{"schema", "values", "writable"}`. Raises Refused."""
        row, manifest = self._module(short)
        if manifest is not None and manifest.config_schema is not None:
            found = parse_dotenv(self._dotenv(short))
            values = _typed(found, manifest.config_schema)
            return {
                "schema": manifest.config_schema,
                "values": _shown(values, manifest.config_schema),
                "writable": True,
            }
        schema, values = await self._present(row, manifest)
        writable = any(not told.get("readOnly") for told in _properties(schema).values())
        return {"schema": schema, "values": _shown(values, schema), "writable": writable}

    async def change(self, short: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Set these values and leave the others. `restart` in the result tells whether a restart is needed.

        Raises Refused, in which case nothing was changed.
        """
        row, manifest = self._module(short)
        if manifest is None or manifest.config_schema is None:
            told, present = await self._present(row, manifest)
            answer = await self._ask("PUT", row, manifest, "/.parachute/config", _whole(present, changes, told))
            return {"values": _shown(answer, told), "restart": False}
        schema = manifest.config_schema
        try:
            _check(changes, schema)
        except Invalid as error:
            raise Refused(400, "validation_failed", str(error), detail={"field": error.field}) from None
        try:
            text = await self.files(self._rewrite, short, {name: _text(value) for name, value in changes.items()})
        except OSError as error:
            raise not_stored(error, f"The settings of {short} could not be saved: {error.strerror}.") from None
        return {"values": _shown(_typed(parse_dotenv(text), schema), schema), "restart": True}

    async def test(self, short: str) -> dict[str, Any]:
        """Whether the module can work with the settings that it has: `{"ok", "message"}`, in its words.

        Raises Refused 404 `no_test` unless its schema says `x-test`.
        """
        row, manifest = self._module(short)
        schema = {} if manifest is None or manifest.config_schema is None else manifest.config_schema
        schema = schema or await self._ask("GET", row, manifest, "/.parachute/config/schema")
        if schema.get("x-test") is not True:
            raise Refused(404, "no_test", f"{short} has no test of its settings.")
        told = await self._ask("POST", row, manifest, "/.parachute/config/test", {}, seconds=TEST_SECONDS)
        ok, message = told.get("ok") is True, told.get("message")
        words = message[:MOST_WORDS] if isinstance(message, str) and message else None
        return {"ok": ok, "message": words or ("It works." if ok else "It does not work.")}

    async def missing(self, short: str) -> list[str]:
        """Titles of the settings without which it cannot do its work. Asking keeps no module awake. Raises Refused."""
        row, manifest = self._module(short)
        if manifest is not None and manifest.config_schema is not None:
            given = {**parse_dotenv(self._dotenv(short)), **(self.directory.records.get(short).env or {})}
            return unmet(manifest.config_schema, {**_typed(given, manifest.config_schema), **given})
        return unmet(*await self._present(row, manifest, used=False))

    async def _present(
        self, row: ServiceRow, manifest: Manifest | None, *, used: bool = True
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The module's schema and values, from its own endpoint."""
        schema = await self._ask("GET", row, manifest, "/.parachute/config/schema", used=used)
        return schema, await self._ask("GET", row, manifest, "/.parachute/config", used=used)

    def _module(self, short: str) -> tuple[ServiceRow, Manifest | None]:
        row, folder = self.directory.row(short), self.directory.folder(short)
        if row is None:
            raise Refused(400, "not_installed", f"{short} is not installed.")
        if self.directory.elsewhere(short) is not None:
            text = f"The settings of {short} are on another machine. Bring it back here to change them."
            raise Refused(409, "elsewhere", text)
        try:
            return row, manifests.read_manifest(folder) if folder else None
        except Invalid:
            return row, None

    def _rewrite(self, short: str, changes: Mapping[str, str | None]) -> str:
        """Change the module's `.env` and return its text. Blocks. Raises OSError and Refused."""
        text = change_dotenv(self._dotenv(short), changes)
        private_folder(self.home / short)
        atomic_write(self.home / short / ".env", text.encode())
        return text

    def _dotenv(self, short: str) -> str:
        try:
            return read_text(self.home / short / ".env", DOTENV_LIMIT, links=False)
        except FileNotFoundError:
            return ""
        except OSError as error:
            text = f"The settings of {short} ({short}/.env) cannot be read: {error.strerror}. Repair that file first."
            raise Refused(409, "settings_unreadable", text) from None

    async def _ask(
        self,
        method: str,
        row: ServiceRow,
        manifest: Manifest | None,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float = SECONDS,
        used: bool = True,
    ) -> dict[str, Any]:
        short = self.directory.short_of(row.name)
        port = await self.reach(short, seconds) if used else self.listens(short)
        if port is None:
            raise Refused(409, "not_running", f"{short} serves its own settings and is not running. Start it first.")
        # The path becomes part of a URL and of a token's scope, so it must be one that may be served.
        mount = main_mount(self.directory.mounts(row)[0])
        strip = manifest.strip_prefix if manifest else None
        entry = self.directory.entry(short)
        strip = entry.strip_prefix if strip is None and entry else strip
        instance = mount.removeprefix("/vault/").partition("/")[0] if row.is_vault else None
        token = await self.tokens.for_administration(short, instance)
        # Some modules only serve it at their root, where the hub's path of that name is not theirs.
        places = ("",) if strip else (mount, "")
        for place in places:
            url = f"http://127.0.0.1:{port}{place}{path}"
            answer, content = await self._once(method, short, url, token, body, seconds)
            if answer != 404:
                break
        return _understood(short, answer, content)

    async def _once(
        self, method: str, short: str, url: str, token: str | None, body: Mapping[str, Any] | None, seconds: float
    ) -> tuple[int, bytes]:
        fields = Headers({"Accept": ["application/json"]})
        if token:
            fields.addRawHeader("Authorization", f"Bearer {token}")
        if body is not None:
            fields.addRawHeader("Content-Type", "application/json")
        sent = None if body is None else Body(json.dumps(dict(body)).encode())
        asking = Deferred.fromCoroutine(self._asked(method, url, fields, sent))
        try:
            return await asking.addTimeout(seconds, self.clock)
        except Exception as error:
            raise Refused(502, "module_unreachable", f"{short} did not answer. Is it running?") from error

    async def _asked(self, method: str, url: str, fields: Headers, body: Body | None) -> tuple[int, bytes]:
        response = await self.agent.request(method.encode(), url.encode(), fields, body)
        answer = Answer(ANSWER_LIMIT)
        response.deliverBody(answer)
        return int(response.code), await answer.whole


def _understood(short: str, status: int, content: bytes) -> dict[str, Any]:
    """The module's JSON. Raises Refused with the module's error."""
    try:
        value = validation.parse_object(content, "the answer", ANSWER_LIMIT)
    except Invalid:
        value = {}
    if 200 <= status < 300:
        return value
    said = value.get("message") or value.get("error_description") or value.get("error")
    told = f" It says: {said}" if isinstance(said, str) else ""
    if status == 404:
        raise Refused(404, "no_configuration", f"{short} has nothing to configure here.")
    if status == 405:
        raise Refused(405, "read_only", f"The configuration of {short} is read-only.")
    if status == 400:
        detail = {"errors": value["errors"]} if isinstance(value.get("errors"), list) else None
        raise Refused(400, "validation_failed", f"{short} does not accept this.{told}", detail=detail)
    if status in (401, 403):
        raise Refused(502, "module_refused", f"{short} refused the hub access.{told}")
    raise Refused(502, "module_failed", f"{short} answered with status {status}.{told}")


def _properties(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    properties = schema.get("properties")
    found = properties if isinstance(properties, dict) else {}
    return {name: told for name, told in found.items() if isinstance(told, dict)}


def unmet(schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Titles of settings that are needed and not there.

    Needed are those in `required`, and secrets of which the module says by a read-only `<name>_set` that it has none.
    If another setting chooses between services, only the secret of the chosen one is needed.

    >>> told = {"how": {"enum": ["a", "b"]}, "a_key": {"title": "Key"}, "a_key_set": {"readOnly": True}}
    >>> [unmet({"properties": told}, {"how": how, "a_key_set": False}) for how in ("a", "b")]
    [['Key'], []]
    """
    properties = _properties(schema)
    required = schema.get("required")
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    needed = [name for name in names if values.get(name) in (None, "") and f"{name}_set" not in properties]
    chosen = {values.get(name) for name, told in properties.items() if isinstance(told.get("enum"), list)}
    choices = {one for told in properties.values() if isinstance(told.get("enum"), list) for one in told["enum"]}
    for name in properties:
        service = next((one for one in choices if isinstance(one, str) and name.startswith(f"{one}_")), None)
        flag = f"{name}_set"
        if (
            values.get(flag) is False
            and properties.get(flag, {}).get("readOnly")
            and (not service or service in chosen)
        ):
            needed.append(name)
    return [str(properties.get(name, {}).get("title") or name) for name in needed]


def is_secret(name: str, told: Mapping[str, Any]) -> bool:
    """True if the value must never be returned."""
    return bool(told.get("writeOnly")) or _SECRET.search(name) is not None


def _whole(present: Mapping[str, Any], changes: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The complete form to send: some modules reset omitted values to their defaults, except for secrets, which they
    keep.

    The placeholder a module shows for a secret is not sent back. A change to null removes the value.
    """
    kept = {
        name: present[name]
        for name, told in _properties(schema).items()
        if name in present
        and not told.get("readOnly")
        and not told.get("writeOnly")
        and not (isinstance(present[name], str) and is_secret(name, told))
    }
    return {name: value for name, value in {**kept, **changes}.items() if value is not None}


def _shown(values: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = _properties(schema)
    return {name: value for name, value in values.items() if not is_secret(name, properties.get(name, {}))}


def _typed(found: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema's values from a `.env`, with defaults for missing ones."""
    values: dict[str, Any] = {}
    for name, told in _properties(schema).items():
        if name in found:
            values[name] = found[name] if told["type"] == "string" else _parsed(found[name])
        elif "default" in told:
            values[name] = told["default"]
    return values


def _parsed(text: str) -> Any:
    try:
        return strict_json.read_strictly(text, limit=DOTENV_LIMIT)
    except BadJson:
        return text


def _check(changes: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Each value must be in the schema and have its type; null removes an optional one. Raises Invalid."""
    properties = _properties(schema)
    for name, value in changes.items():
        told = properties.get(name)
        if told is None:
            raise Invalid(name[:60], "is not among the settings of this module")
        if value is None:
            if name in (schema.get("required") or ()):
                raise Invalid(name, "must be given")
            continue
        if not fits(value, told["type"]):
            raise Invalid(name, f"must be a {told['type']}")
        if "enum" in told and value not in told["enum"]:
            raise Invalid(name, f"must be one of {', '.join(map(str, told['enum']))}")
        if isinstance(value, str) and any(character in value for character in "\n\r\0"):
            raise Invalid(name, "must be one line")


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else strict_json.write(value).decode()
