"""A front door whose home an older hub has used."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyotp
from attrs import define

from parachute_hub.accounts.people.owner_reset import here
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.admin.move_in_pages import BASE, MoveInPages
from parachute_hub.migration.service import MoveIn
from parachute_hub.site.root import MountedArea
from parachute_hub.store.older_hub import MoveInStore
from parachute_hub.store.settings import StoredSettings
from parachute_hub.system.random_tokens import new_id
from tests.support.at_once import at_once
from tests.support.front_door import CountedRandom, FrontDoor
from tests.support.older_hub import make


@define
class KeptChannel:
    """The channel in memory."""

    channel: str | None = None

    async def choose_channel(self, channel: str | None) -> None:
        self.channel = channel


async def _now(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


class MovingIn:
    """`door` offers to move in from a generated home. `restarts` counts what the process would do."""

    def __init__(self, home: Path, *, now: float | None = None) -> None:
        self.home = home
        self.door = FrontDoor(hasher=Hasher(here), older_hub=True)
        self.door.now = now or self.door.now
        self.older = make(home, now=self.door.now)
        self.restarts: list[bool] = []
        self.channels = KeptChannel()
        door, random = self.door, CountedRandom()
        self.service = MoveIn(
            home=home,
            found=True,
            has_owner=lambda: not door.accounts.gate.closed,
            write=lambda work, *args, **kwargs: self._write(work, *args, **kwargs),
            store=MoveInStore(door.database, seal=door.sealer.seal, new_id=lambda: new_id(random)),
            audit=door.accounts.audit,
            settings=StoredSettings(door.database),
            channels=self.channels,
            is_origin=lambda text: True,
            is_key=lambda pem: True,
            in_thread=_now,
            restart=lambda: self.restarts.append(True),
            now=lambda: door.now,
            random=random,
        )
        self._write: Any = door.database.write
        pages = MoveInPages(
            move_in=self.service, setup=door.accounts.setup, browser=door.accounts.browser, who=door.who
        )
        door.root.open([*door.parts, MountedArea((BASE,), pages.app.resource())], door.accounts.gate, None)
        at_once(door.accounts.boot(None, None))
        assert door.accounts.setup.token is not None
        self.token = door.accounts.setup.token.value

    def choose(self, channel: str) -> None:
        """The older hub's release channel."""
        with closing(sqlite3.connect(self.home / "hub.db")) as opened:
            opened.execute("UPDATE hub_settings SET value = ? WHERE key = 'module_install_channel'", (channel,))
            opened.commit()

    def fail_writes(self) -> None:
        """The disk refuses from now on."""

        def refuse(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            def fail() -> None:
                work(*args, **kwargs)
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error

            return self.door.database.write(fail)

        self._write = refuse

    def restarted(self) -> None:
        """What the next start does."""
        at_once(self.service.finish())

    def code(self) -> str:
        """The owner's authenticator app."""
        return pyotp.TOTP(self.older.totp_secret).at(int(self.door.now))

    def close(self) -> None:
        self.door.close()
