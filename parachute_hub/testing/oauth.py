"""What tests of the issuer start from: a real database in a temporary folder, a still clock, keys."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import define, field
from twisted.internet.task import Clock

from parachute_hub.oauth.issuer import Issuer
from parachute_hub.oauth.keys import Keyring, make_private_pem
from parachute_hub.oauth.metadata import Service
from parachute_hub.store.database import Database
from parachute_hub.store.keys import SigningKeys
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.users import User, Users, VaultRole

ISSUER = "https://hub.test"
LOCAL = "http://127.0.0.1:1939"
NOW = 1_900_000_000.0

_pems: list[str] = []


def counted_random() -> Callable[[int], bytes]:
    """Bytes that are never the same twice and the same in every run."""
    count = 0

    def random(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_128(str(count).encode()).digest(size)

    return random


class PemSupply:
    """Keys made once for the whole test run, handed out in order: making one takes long."""

    def __init__(self) -> None:
        self._next = 0

    async def __call__(self, make: Callable[[], str]) -> str:
        """The next key, in place of `make()`."""
        if make is not make_private_pem:
            raise ValueError("only keys are made off the thread")
        if self._next == len(_pems):
            _pems.append(make())
        self._next += 1
        return _pems[self._next - 1]


@define
class FakeResources:
    """What is installed: two vaults and scribe, unless a test changes it."""

    names: list[str] = field(factory=lambda: ["default", "work"])
    scopes: dict[str, list[str]] = field(
        factory=lambda: {
            "vault": ["vault:read", "vault:write", "vault:admin"],
            "scribe": ["scribe:transcribe", "scribe:admin"],
        }
    )

    def vaults(self) -> Sequence[str]:
        """The vaults' names."""
        return self.names

    def module_scopes(self) -> Mapping[str, Sequence[str]]:
        """The scopes that modules define."""
        return self.scopes

    def services_catalog(self) -> Iterable[Service]:
        """Where they are."""
        vaults = [Service(short="vault", path=f"/vault/{name}", version="1.0", vault=name) for name in self.names]
        others = [Service(short=short, path=f"/{short}", version="1.0") for short in self.scopes if short != "vault"]
        return [*vaults, *others]


class World:
    """A hub's issuer with its stores and a clock, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.random = counted_random()
        self.database = Database.open(folder / "parachute.db")
        self.tokens = Tokens(self.database)
        self.users = Users(self.database)
        self.resources = FakeResources()
        self.keys = Keyring(store=SigningKeys(self.database), clock=self.clock, off_thread=PemSupply())
        self.issuer = Issuer(
            issuer=ISSUER,
            origins=[LOCAL],
            keys=self.keys,
            tokens=self.tokens,
            clock=self.clock,
            random=self.random,
        )

    def add_user(self, name: str, *, admin: bool = False, vaults: Mapping[str, VaultRole] | None = None) -> User:
        """A person whose id is `id-<name>`."""
        user = User(
            id=f"id-{name}",
            username=name,
            password_hash="unused",
            role="admin" if admin else "member",
            must_change_password=False,
            email=None,
            created_at=NOW,
            password_changed_at=NOW,
            vaults=vaults or {},
        )
        self.users.add(user)
        return user

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()
