"""Validation of module requests."""

from pathlib import Path
from typing import Any

from twisted.web.iweb import IRequest

from parachute_hub.accounts.validation import vault_name_problem
from parachute_hub.modules.definition import names, validation
from parachute_hub.modules.definition.catalog import MEGABYTES, PERCENT, Catalog
from parachute_hub.modules.definition.model import EXPOSURES
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.operations.agreement import granted_of
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.packages.fetcher import guess_short
from parachute_hub.modules.state.records import CHANNELS, Record, paths, sleep_minutes, variables
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused
from parachute_hub.system.records import frozen

UPDATES = ("tell", "night", "pin")
"""What happens with a newer version: the owner is told, it is installed at night, or neither."""
LIMITS = frozenset({"memory_limit", "cpu_limit"})
"""Settings that hold at once."""
_FLAGS = ("pin", "autostart", "smol", "trusted", "registry_keys")


def asked_for(request: IRequest, name: bytes) -> bool:
    """True for `name=1` or `name=true` in the query."""
    return request.args.get(name, [b""])[0] in (b"1", b"true")


def lenient(request: IRequest) -> dict[str, Any]:
    """The JSON body; an unreadable one counts as empty."""
    try:
        return read_json(request)
    except Refused:
        return {}


def channel_of(body: dict[str, Any], default: str) -> str:
    """The release channel named in a request. Raises Refused 400."""
    channel = text_of(body, "channel") or default
    if channel not in CHANNELS:
        raise Refused(400, "invalid_channel", "The channel must be latest or rc.")
    return channel


def text_of(body: dict[str, Any], name: str) -> str:
    """A text field; empty if missing or of another type."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def version_of(body: dict[str, Any]) -> str | None:
    """The requested version or tag. Raises Refused 400."""
    version = body.get("version")
    if version is not None and (not isinstance(version, str) or not names.is_version(version)):
        raise Refused(400, "invalid_version", "The version must be a version such as 1.2.3, or a tag.")
    return version


def choices_of(body: dict[str, Any]) -> dict[str, Any]:
    """What the owner decided about an installation: fields of InstallRequest. Raises Refused 400."""
    init = body.get("init")
    if init is not None and not isinstance(init, bool):
        raise Refused(400, "invalid_request", "init must be true or false.")
    flags = {name: body.get(name) is True for name in ("allow_new", "without_optional")}
    return {**flags, "granted": granted_of(body), "init": init}


def vault_of(body: dict[str, Any]) -> str | None:
    """The name of the first vault. Raises Refused 400."""
    name = body.get("first_vault")
    if name is None:
        return None
    problem = vault_name_problem(name if isinstance(name, str) else "")
    if problem is not None:
        raise Refused(400, "invalid_vault", problem)
    return str(name)


@frozen(kw_only=True)
class Room:
    """What modules share: `memory` in bytes, of which `given` to others by the owner's limits, `processors`, and the
    `ports` that they have.
    """

    ports: frozenset[int]
    memory: int
    given: int
    processors: int


def settings_changes(body: dict[str, Any], record: Record, room: Room) -> dict[str, Any]:
    """The record fields that a body changes; `room` is what the machine has. Raises Refused."""
    changes: dict[str, Any] = {name: body[name] for name in _FLAGS if name in body}
    for name, value in changes.items():
        if not isinstance(value, bool):
            raise Refused(400, "invalid_request", f"{name} must be true or false.")
    if "updates" in body:
        if body["updates"] not in UPDATES:
            raise Refused(400, "invalid_request", f"updates must be one of {', '.join(UPDATES)}.")
        changes |= {"pin": body["updates"] == "pin", "night": body["updates"] == "night"}
    for name in ("may_read", "may_change"):
        if name in body:
            try:
                changes[name] = paths(body[name], name)
            except Invalid as error:
                raise Refused(400, "invalid_request", str(error)) from None
    if "isolation" in body:
        if body["isolation"] not in ("on", "off"):
            raise Refused(400, "invalid_request", "isolation must be on or off.")
        changes |= {"isolation": body["isolation"], "isolation_why": None}
    changes |= {name: _limit(name, body[name], room) for name in LIMITS & body.keys()}
    try:
        if "sleep_after" in body:
            given = body["sleep_after"]
            changes["sleep_after"] = None if given is None else sleep_minutes(given)
        if "exposure" in body:
            told = body["exposure"]
            changes["exposure"] = None if told is None else validation.one_of(told, "exposure", EXPOSURES)
        if "port" in body:
            changes["port"] = validation.port(body["port"], "port")
            if changes["port"] in room.ports - {record.port}:
                raise Refused(409, "port_taken", f"Another module has port {body['port']}.")
    except Invalid as error:
        raise Refused(400, "invalid_request", str(error)) from None
    if "env" in body:
        try:
            given = validation.mapping(body["env"], "env")
            kept = {name: value for name, value in (record.env or {}).items() if name not in given}
            changes["env"] = variables({**kept, **{name: value for name, value in given.items() if value is not None}})
        except Invalid as error:
            raise Refused(400, "invalid_request", str(error)) from None
    return changes


def _limit(name: str, value: object, room: Room) -> int | None:
    """A limit, 0 for none, None for the catalog's. Raises Refused."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(400, "invalid_request", f"{name} must be a whole number, 0 for no limit, or null for the usual.")
    if value == 0:
        return 0
    if name == "cpu_limit":
        least, most = PERCENT[0], 100 * room.processors
        if not least <= value <= most:
            text = f"The limit of the processor must be from {least}% to {most}%; 100% is one of {room.processors}."
            raise Refused(400, "invalid_request", text)
        return value
    if value < MEGABYTES[0] << 20:
        raise Refused(400, "invalid_request", f"A module needs at least {MEGABYTES[0]} MB of memory.")
    if value + room.given > room.memory:
        given = f" {room.given >> 20} MB of it are other modules' limits." if room.given else ""
        text = f"This machine has {room.memory >> 20} MB of memory for modules.{given} Choose a lower limit."
        raise Refused(400, "invalid_request", text)
    return value


def local_request(source: object, catalog: Catalog) -> InstallRequest:
    """The install of a tarball or a folder on this machine. Raises Refused 400."""
    if not isinstance(source, str) or not source.startswith("/"):
        raise Refused(400, "invalid_source", "Give the full path of a tarball (.tgz) or of a module's folder.")
    path = Path(source)
    if path.is_dir():
        return InstallRequest(short=guess_short(path.name), folder=path)
    if not path.is_file():
        raise Refused(400, "invalid_source", f"There is no file and no folder {source} on this machine.")
    entry = next((entry for entry in catalog.entries if entry.source == path), None)
    short = entry.short if entry else guess_short(path.name.removesuffix(".tgz"))
    return InstallRequest(short=short, source=path, package=entry.package if entry else None)
