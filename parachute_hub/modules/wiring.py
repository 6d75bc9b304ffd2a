"""Vault and scribe: the vault is told where scribe is, and both share one token (modules.md 5.6).

Without a token scribe would transcribe for anybody who reaches its port, so it is never started without one.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from parachute_hub.jobs import Work
from parachute_hub.modules.environment import change_dotenv, parse_dotenv
from parachute_hub.modules.files import atomic_write, private_folder
from parachute_hub.modules.launcher import ModuleLauncher
from parachute_hub.modules.proving import Supervises
from parachute_hub.supervise.model import CannotLaunch, State

TOKEN = "SCRIBE_AUTH_TOKEN"
URL = "SCRIBE_URL"
_RUNNING = frozenset({State.READY, State.DEGRADED, State.STARTING, State.BACKOFF})


@frozen(kw_only=True)
class Wiring:
    """Writes `vault/.env`, `scribe/.env` and `scribe/config.json`. `know_secret` gives new tokens to the log's mask."""

    home: Path
    launcher: ModuleLauncher
    supervisor: Callable[[], Supervises]
    know_secret: Callable[[str], None]

    async def connect(self, work: Work | None = None) -> None:
        """Wire what is installed; restart the module whose files changed: scribe first, then the vault."""
        for short in self.heal():
            status = self.supervisor().status(short)
            if status is not None and status.state in _RUNNING:
                if work is not None:
                    work.line(f"{short} is restarted, because vault and scribe now know of each other.")
                await self.supervisor().restart(short)

    def heal(self) -> tuple[str, ...]:
        """Make the files right; the answer is whose environment changed. Raises OSError."""
        scribe = self.launcher.row("scribe")
        vault = self.launcher.row("vault")
        changed: list[str] = []
        if scribe is not None:
            token = self.token() or secrets.token_hex(32)
            self.know_secret(token)
            if self._set("scribe", {TOKEN: token}) | self._require(token):
                changed.append("scribe")
            if vault is not None and self._set("vault", {TOKEN: token, URL: f"http://127.0.0.1:{scribe.port}"}):
                changed.append("vault")
        elif vault is not None and self._set("vault", {TOKEN: None, URL: None}):
            changed.append("vault")
        return tuple(changed)

    def before_launch(self, short: str) -> None:
        """Scribe starts only with a token. Raises CannotLaunch."""
        if short != "scribe":
            return
        try:
            self.heal()
        except (OSError, ValueError) as error:
            raise CannotLaunch(
                "unprotected",
                f"Scribe was not started: its token could not be written ({error}). Without a token it would serve "
                "anybody. Make the hub's home writable, then start it again.",
            ) from None

    def token(self) -> str | None:
        """The shared token as the files have it; the vault's word counts first (modules.md 5.6)."""
        for short in ("vault", "scribe"):
            token = parse_dotenv(self._dotenv(short)).get(TOKEN)
            if token:
                return token
        token = self._config().get("auth", {}).get("required_token")
        return token if isinstance(token, str) and token else None

    def _dotenv(self, short: str) -> str:
        try:
            return (self.home / short / ".env").read_text("utf-8", "replace")
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
        try:
            config = json.loads((self.home / "scribe" / "config.json").read_bytes())
        except FileNotFoundError:
            config = {}
        if not isinstance(config, dict) or not isinstance(config.get("auth", {}), dict):
            raise ValueError("scribe/config.json is not what it should be")
        return config

    def _require(self, token: str) -> bool:
        """Write the token into scribe's own configuration; its other keys stay."""
        config = self._config()
        if config.get("auth", {}).get("required_token") == token:
            return False
        config["auth"] = {**config.get("auth", {}), "required_token": token}
        private_folder(self.home / "scribe")
        atomic_write(self.home / "scribe" / "config.json", (json.dumps(config, indent=2) + "\n").encode())
        return True
