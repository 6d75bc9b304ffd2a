"""Connects vault and scribe: the vault learns scribe's URL, and both share a token.

Without a token, scribe would transcribe for anyone who can reach its port, so it never starts without one.
"""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import Factory, field
from twisted.internet.defer import Deferred

from parachute_hub.jobs.runner import Work
from parachute_hub.modules.launch.environment import DOTENV_LIMIT, change_dotenv, parse_dotenv
from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.supervise.model import CannotLaunch, ModuleState
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded, read_text
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import define
from parachute_hub.system.storage_trouble import StorageBusy
from parachute_hub.system.strict_json import BadJson

TOKEN = "SCRIBE_AUTH_TOKEN"
URL = "SCRIBE_URL"
_CONFIG_LIMIT = 1024 * 1024
_RUNNING = frozenset({ModuleState.READY, ModuleState.DEGRADED, ModuleState.STARTING, ModuleState.BACKOFF})


@define(kw_only=True)
class Wiring:
    """Writes `vault/.env`, `scribe/.env` and `scribe/config.json`. `know_secret` adds new tokens to the log mask."""

    home: Path
    directory: ModuleDirectory
    files: FileWriter = Factory(FileWriter)
    know_secret: Callable[[str], None]

    _stale: set[str] = field(factory=set, init=False)

    async def connect(self, supervisor: SupervisorApi, work: Work | None = None) -> None:
        """Connect what is installed, and restart processes that use outdated files: scribe first, then the vault."""
        try:
            await self.heal()
        except (OSError, StorageBusy, ValueError) as error:
            if work is not None:
                work.line(f"Vault and scribe could not be connected: {error}")
        for short in sorted(self._stale):
            self._stale.discard(short)
            status = supervisor.status(short)
            if status is not None and status.state in _RUNNING:
                if work is not None:
                    work.line(f"Restarting {short}: vault and scribe are now connected.")
                await supervisor.restart(short)

    async def before_launch(self, short: str) -> None:
        """Scribe only starts with a token. Raises CannotLaunch."""
        try:
            await self.heal()
        except (OSError, StorageBusy, ValueError) as error:
            if short == "scribe":
                raise CannotLaunch(
                    "unprotected",
                    f"Scribe was not started: its token could not be written ({error}). Without a token it would "
                    "serve anybody. Make the hub's home writable, then start it again.",
                ) from None
        self._stale.discard(short)

    def heal(self) -> "Deferred[None]":
        """Repair the files, and remember which modules need a restart. Fails with OSError, StorageBusy or
        ValueError.
        """
        scribe, vault = self.directory.row("scribe"), self.directory.row("vault")
        port = scribe.port if scribe is not None else None
        return self.files.change(lambda: self._repair(port, vault is not None), self._repaired)

    def _repaired(self, outcome: tuple[str | None, set[str], Exception | None]) -> None:
        token, rewritten, trouble = outcome
        if token is not None:
            self.know_secret(token)
        self._stale |= rewritten
        if trouble is not None:
            raise trouble

    def _repair(self, scribe_port: int | None, vault: bool) -> tuple[str | None, set[str], Exception | None]:
        """The token, the modules whose files were rewritten, and what went wrong. Runs on the writer's thread, so that
        two modules that start together agree on one token.
        """
        token: str | None = None
        rewritten: set[str] = set()
        try:
            if scribe_port is not None:
                token = self.token() or secrets.token_hex(32)
                if self._set("scribe", {TOKEN: token}) | self._require(token):
                    rewritten.add("scribe")
                if vault and self._set("vault", {TOKEN: token, URL: f"http://127.0.0.1:{scribe_port}"}):
                    rewritten.add("vault")
            elif vault and self._points_here() and self._set("vault", {TOKEN: None, URL: None}):
                rewritten.add("vault")
        except (OSError, ValueError) as error:
            return token, rewritten, error
        return token, rewritten, None

    def token(self) -> str | None:
        """The shared token from the files; the vault's takes precedence."""
        for short in ("vault", "scribe"):
            token = parse_dotenv(self._dotenv(short)).get(TOKEN)
            if token:
                return token
        token = self._config().get("auth", {}).get("required_token")
        # The token becomes a line in a file and a header value.
        usable = isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token
        return token if usable and token else None

    def _points_here(self) -> bool:
        """True if the vault uses a scribe on this machine. A remote one is the owner's own choice."""
        return parse_dotenv(self._dotenv("vault")).get(URL, "").startswith("http://127.0.0.1:")

    def _dotenv(self, short: str) -> str:
        try:
            return read_text(self.home / short / ".env", DOTENV_LIMIT, links=False)
        except FileNotFoundError:
            return ""

    def _set(self, short: str, changes: Mapping[str, str | None]) -> bool:
        before = self._dotenv(short)
        after = change_dotenv(before, changes)
        if parse_dotenv(before) == parse_dotenv(after):
            return False
        private_folder(self.home / short)
        atomic_write(self.home / short / ".env", after.encode())
        return True

    def _config(self) -> dict[str, Any]:
        """Raises OSError or ValueError. A malformed file is never overwritten."""
        try:
            content = read_bounded(self.home / "scribe" / "config.json", _CONFIG_LIMIT, links=False)
        except FileNotFoundError:
            return {}
        try:
            config = strict_json.read(content, limit=_CONFIG_LIMIT).value
        except BadJson as error:
            raise ValueError(f"scribe/config.json {error}") from None
        if not isinstance(config, dict) or not isinstance(config.get("auth", {}), dict):
            raise ValueError("scribe/config.json has an unexpected structure")
        return config

    def _require(self, token: str) -> bool:
        """Set the token in scribe's configuration and keep its other keys."""
        config = self._config()
        if config.get("auth", {}).get("required_token") == token:
            return False
        config["auth"] = {**config.get("auth", {}), "required_token": token}
        private_folder(self.home / "scribe")
        atomic_write(self.home / "scribe" / "config.json", strict_json.write(config, indent=2) + b"\n")
        return True
