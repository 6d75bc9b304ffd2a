"""The other machine of one module: what is proxied to it, and what the hub asks of it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from attrs import field
from twisted.internet.task import deferLater
from twisted.logger import Logger

from parachute_hub.elsewhere.calls import Caller, CallRefused
from parachute_hub.elsewhere.dial import Dialer
from parachute_hub.modules.state.link import Link
from parachute_hub.modules.state.services_file import RegistryRefused
from parachute_hub.supervise.far import Sighting, Unreached, Word
from parachute_hub.system.records import define

CONTROL: Final[Mapping[str, str]] = {"X-Parachute-Link": "control"}
"""Marks the hub's own requests to a host. Headers with this beginning never come from visitors."""
TOKEN_HEADER: Final = "X-Parachute-Hub-Token"
"""Carries the hub's token to an upstream that is not steered."""
TOKEN_SECONDS: Final = 300.0
API: Final = "/.parachute/host"
"""The paths of a host's own API begin so."""
_INSTALL_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 5.0
_UNWELL: Final = 500
_LINES: Final = 500
_WORDS: Final[Mapping[str, str]] = {
    "memory_limit": "limit of memory",
    "cpu_limit": "limit of processor time",
    "sleep_after": "time until it sleeps",
}
_ID = re.compile(r"[0-9A-Za-z-]{1,64}\Z").match


class Knows(Protocol):
    """What the hub knows of the module, for its other machine."""

    def health(self, short: str) -> str:
        """The path that says whether it is well."""

    def installed(self, short: str) -> tuple[str, str] | None:
        """Package and version here, which the other machine is to have too."""

    def configuration(self, short: str) -> Mapping[str, Any]:
        """What the module is told there: origin, settings, environment."""

    def wishes(self, short: str) -> Mapping[str, int | None]:
        """What the owner chose for the module that a host is told: settings of its record, by name."""

    def mounted(self, short: str, mounts: list[str]) -> Awaitable[None]:
        """The module there has these mounts."""


@define(kw_only=True, eq=False)
class FarMachine:
    """One link in use: a `supervise.far.Machine` and a `proxy.model.Remote`.

    `mint` makes a token for an audience. `now` is in epoch seconds. `failed_there` is called if a request did not reach
    it.
    """

    short: str
    link: Link
    dialer: Dialer
    knows: Knows
    mint: Callable[[str], Awaitable[str]]
    now: Callable[[], float]
    failed_there: Callable[[str], None]
    caller: Caller = field(init=False)
    _token: str = field(default="", init=False, repr=False)
    _token_until: float = field(default=0.0, init=False)
    _after: int = field(default=0, init=False)
    _epoch: str | None = field(default=None, init=False)
    _mounts: list[str] | None = field(default=None, init=False)
    _refused: dict[str, tuple[tuple[object, ...], str]] = field(factory=dict, init=False)
    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self.use(self.link, self.dialer)

    def use(self, link: Link, dialer: Dialer) -> None:
        """From now on, connect as this link says: its certificate was renewed."""
        if self.dialer is not dialer:
            self.caller.close()
        self.link, self.dialer = link, dialer
        self.caller = Caller(dialer=dialer, headers=self._headers, known=link.paired)

    # --- for the proxy

    @property
    def key(self) -> str:
        return f"{self.link.id}:{self.link.renewed_at}"

    def connect(self, factory: Any, seconds: float) -> None:
        """Connect once."""
        self.dialer.connect(factory, seconds)

    def stamp(self, head: bytes) -> bytes:
        """A request head with the hub's token, for an upstream. A host knows the hub by its certificate."""
        if self.link.paired or not self._token:
            return head
        return b"%b%b: %b\r\n\r\n" % (head[:-2], TOKEN_HEADER.encode(), self._token.encode())

    def failed(self) -> None:
        self.failed_there(self.short)

    # --- for the supervisor

    @property
    def address(self) -> str:
        return self.link.address.origin

    @property
    def steered(self) -> bool:
        return self.link.paired

    async def look(self) -> Sighting:
        """Raises Unreached."""
        if not self.link.paired:
            return await self._look_at_upstream()
        state = await self.state()
        mounts = state.get("mounts")
        if isinstance(mounts, list) and mounts != self._mounts and all(isinstance(path, str) for path in mounts):
            self._mounts = mounts
            try:
                await self.knows.mounted(self.short, mounts)
            except RegistryRefused as refused:
                self._log.warn(
                    "The mounts that {short} has there are not taken: {why}", short=self.short, why=str(refused)
                )
        refusals = await self._settle(state) if state.get("package") else []
        disk = state.get("disk")
        return Sighting(
            state=_text(state.get("state")) or "crashed",
            message=_text(state.get("message")),
            refusal=" ".join(refusals),
            version=_text(state.get("version")) or None,
            memory=_number(state.get("memory")),
            disk_free=_number(disk.get("free")) if isinstance(disk, dict) else None,
        )

    async def order(self, word: Word) -> None:
        """Pass on what the owner wants, on a host that has the version that is installed here. Raises Unreached."""
        if not self.link.paired:
            return
        try:
            if word != "stop":
                await self.install()
                await self.call("POST", "/configure", self.knows.configuration(self.short))
            await self.call("POST", f"/{word}", {})
        except CallRefused as refused:
            raise Unreached("refused", f"The other machine refused: {refused}") from None

    async def _settle(self, state: Mapping[str, Any]) -> list[str]:
        """Tell the host what the owner chose, and return what it refuses. That it is not told again until it says
        something else, starts anew or changes its version, or the owner chooses something else. An older host does not
        say what it has, and would refuse all of it.
        """
        for name, wanted in self.knows.wishes(self.short).items():
            if name not in state or state[name] == wanted:
                self._refused.pop(name, None)
                continue
            asked = (wanted, state[name], state.get("epoch"), state.get("version"))
            if name in self._refused and self._refused[name][0] == asked:
                continue
            self._refused.pop(name, None)
            body = {**self.knows.configuration(self.short), "settings": {name: wanted}}
            try:
                await self.call("POST", "/configure", body)
            except CallRefused as refused:
                why = f"The other machine does not take the {_WORDS.get(name, name)} that you chose: {refused}"
                # What went wrong there may not go wrong again.
                self._refused[name] = (asked if refused.status < _UNWELL else (), why)
                self._log.warn("{short}: {why}", short=self.short, why=why)
        return [why for _, why in self._refused.values()]

    async def lines(self) -> list[str]:
        """Raises Unreached."""
        try:
            told = await self.call("GET", f"/logs?after={self._after}&limit={_LINES}")
        except CallRefused:
            return []
        if not isinstance(told, dict) or not isinstance(told.get("lines"), list):
            return []
        epoch = _text(told.get("epoch"))
        if epoch != self._epoch:
            first, self._epoch = self._epoch is None, epoch
            if self._after and not first:
                self._after = 0
                return await self.lines()
        self._after = _number(told.get("next")) or self._after
        return [_text(line.get("text")).replace("\n", " ") for line in told["lines"] if isinstance(line, dict)]

    # --- for limits of vaults

    async def sizes(self) -> dict[str, tuple[int, int]] | None:
        """For each folder of the module's data its bytes, and those of the files in it; None if the other machine does
        not tell them. Raises Unreached.
        """
        if not self.link.paired:
            return None
        try:
            told = await self.call("GET", "/sizes")
        except CallRefused:
            return None
        folders = told.get("folders") if isinstance(told, dict) else None
        if not isinstance(folders, dict):
            return None
        found = {}
        for name, one in folders.items():
            if not isinstance(one, dict):
                continue
            total, files = _number(one.get("bytes")), _number(one.get("files_bytes"))
            if total is not None and files is not None:
                found[name] = (total, files)
        return found

    # --- for pairing and moves

    async def call(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        """A request to the host's own API. Raises Unreached and CallRefused."""
        return await self.caller.json(method, API + path, body, **more)

    async def state(self) -> dict[str, Any]:
        """What the host says. Raises Unreached."""
        try:
            state = await self.call("GET", "/state", seconds=_LOOK_SECONDS)
        except CallRefused as refused:
            raise Unreached("refused", f"The other machine refuses this hub: {refused}") from None
        if not isinstance(state, dict):
            raise Unreached("refused", "It answers, but not as a host for modules does.")
        return state

    async def install(self) -> None:
        """Give the host the version that is installed here. Raises Unreached and CallRefused."""
        here = self.knows.installed(self.short)
        if here is None:
            return
        package, version = here
        state = await self.state()
        if (state.get("package"), state.get("version")) == here:
            return
        begun = await self.call("POST", "/install", {"package": package, "version": version, "allow_new": True})
        job = id_in(begun, "job")
        by = self.now() + _INSTALL_SECONDS
        while self.now() < by:
            told = await self.call("GET", f"/jobs/{job}")
            if not isinstance(told, dict) or told.get("state") == "failed":
                why = _text(told.get("error")) if isinstance(told, dict) else ""
                raise Unreached("refused", f"{package} {version} could not be installed there. {why}".strip())
            if told.get("state") == "done":
                return
            await deferLater(self.dialer.reactor, _POLL_SECONDS)
        raise Unreached("refused", f"{package} {version} was not installed there in time.")

    # --- internals

    async def _look_at_upstream(self) -> Sighting:
        await self._renew_token()
        status = await self.caller.status(self.knows.health(self.short), seconds=_LOOK_SECONDS)
        if status >= _UNWELL:
            raise Unreached("not answering", f"Its health path answers with status {status}.")
        return Sighting()

    async def _renew_token(self) -> None:
        """A new one halfway through the life of the former."""
        if self.now() < self._token_until - TOKEN_SECONDS / 2:
            return
        try:
            self._token = await self.mint(self.link.address.origin)
        except Exception:
            self._log.failure("The token for the other machine of {short} could not be made", short=self.short)
        else:
            self._token_until = self.now() + TOKEN_SECONDS

    def _headers(self) -> Mapping[str, str]:
        if self.link.paired:
            return CONTROL
        return {TOKEN_HEADER: self._token} if self._token else {}


def id_in(answer: object, name: str) -> str:
    """An id that becomes part of a path. Raises Unreached."""
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, str) or _ID(value) is None:
        raise Unreached("refused", "It answers, but not as a host for modules does.")
    return value


def _text(value: object) -> str:
    return value[:2000] if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None
