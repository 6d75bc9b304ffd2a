"""Signing keys: created once, rotated without interruption, published as long as tokens depend on them."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from attrs import field
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import RSAKey
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from parachute_hub.store.keys import SigningKeys
from parachute_hub.store.rows import Act, StoredKey
from parachute_hub.store.writer import Write
from parachute_hub.system.records import frozen

T = TypeVar("T")
BITS = 2048
# Modules cache the JWKS for 5 minutes, so a new key is published for twice that before it signs.
PUBLISH_AHEAD = 600.0
ROTATE_AFTER = 90 * 86400.0


def make_private_pem() -> str:
    """A new RSA-2048 key as PKCS#8. Takes 50 to 500 ms, so never call it on the reactor's thread."""
    return RSAKey.generate_key(BITS, private=True).as_pem(private=True).decode()


def load_private_pem(pem: str) -> RSAKey:
    """Load a key from the database. Raises ValueError.

    Skips OpenSSL's primality check, which takes 40 ms per key and only matters for untrusted keys.
    """
    key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("The stored signing key is not an RSA key.")
    return RSAKey(key, key)


def is_private_pem(pem: str) -> bool:
    """True if `load_private_pem` can load it and it is a sound key: for keys that come from elsewhere. Takes 40 ms."""
    try:
        return isinstance(load_pem_private_key(pem.encode(), None), RSAPrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


@frozen
class Key:
    """One key. `kid` is its RFC 7638 thumbprint, so no other key can have the same id."""

    kid: str
    created_at: float
    signs_from: float
    jwk: RSAKey = field(repr=False, eq=False)


class Keyring:
    """The current keys. `off_thread` runs a slow function in a thread (`deferToThread`)."""

    _log = Logger()

    def __init__(
        self,
        *,
        write: Write,
        store: SigningKeys,
        note: Callable[[Act], None],
        clock: IReactorTime,
        off_thread: Callable[..., Awaitable[Any]],
    ) -> None:
        self._write = write
        self._store = store
        self._note = note
        self._clock = clock
        self._off_thread = off_thread
        self._keys: list[Key] = []
        self._load()

    async def ensure(self) -> None:
        """Create the first key if there is none."""
        if not self._keys:
            await self._add(ahead=0.0, act=None)

    async def rotate(self) -> str:
        """Publish a new key, which signs after ten minutes. Returns its id; a key still waiting to sign is reused."""
        newest = self._keys[0] if self._keys else None
        if newest is not None and newest.signs_from > self._clock.seconds():
            return newest.kid
        return await self._add(ahead=PUBLISH_AHEAD, act="rotate-key")

    async def replace_all(self, work: Callable[[StoredKey, Callable[[StoredKey], None]], T]) -> T:
        """Make a key that signs at once in place of all others, which no module accepts any more.

        `work` runs in the transaction, gets the key and calls the function that stores it.
        """
        pem = await self._off_thread(make_private_pem)
        now = self._clock.seconds()
        stored = StoredKey(kid=load_private_pem(pem).thumbprint(), private_pem=pem, created_at=now, signs_from=now)
        done = await self._write(work, stored, self._store.replace_all)
        self._load()
        self._log.info("Signing key {kid} replaces all earlier ones", kid=stored.kid)
        return done

    async def maintain(self) -> None:
        """Delete keys that no token needs, and rotate when due."""
        if await self._write(self._store.drop_unneeded, self.signer().kid, self._clock.seconds()):
            self._load()
        if self._keys[0].created_at + ROTATE_AFTER <= self._clock.seconds():
            await self.rotate()

    def signer(self) -> Key:
        """The current signing key. Raises LookupError before the first one exists."""
        now = self._clock.seconds()
        for key in self._keys:
            if key.signs_from <= now:
                return key
        if self._keys:
            # Only after the clock was set back; every module knows the oldest key.
            return self._keys[-1]
        raise LookupError("the hub has no signing key yet")

    def find(self, kid: str) -> Key | None:
        """The published key with this id."""
        return next((key for key in self._keys if key.kid == kid), None)

    def jwks(self) -> dict[str, Any]:
        """The public document (RFC 7517), newest key first."""
        return {"keys": [_public(key) for key in self._keys]}

    async def _add(self, *, ahead: float, act: str | None) -> str:
        pem = await self._off_thread(make_private_pem)
        now = self._clock.seconds()
        kid = load_private_pem(pem).thumbprint()
        stored = StoredKey(kid=kid, private_pem=pem, created_at=now, signs_from=now + ahead)

        def add() -> None:
            self._store.add(stored)
            if act is not None:
                self._note(Act(at=now, actor="", action=act))

        await self._write(add)
        self._load()
        self._log.info("Signing key {kid} is published and signs in {ahead} s", kid=kid, ahead=int(ahead))
        return kid

    def _load(self) -> None:
        self._keys = [
            Key(stored.kid, stored.created_at, stored.signs_from, load_private_pem(stored.private_pem))
            for stored in self._store.all()
        ]


def _public(key: Key) -> dict[str, Any]:
    public = key.jwk.as_dict(private=False)
    return {"kty": "RSA", "n": public["n"], "e": public["e"], "kid": key.kid, "alg": "RS256", "use": "sig"}
