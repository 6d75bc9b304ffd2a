"""A user's second factor: an app, enabled only after a valid code, or passkeys. Each code is valid once."""

from collections.abc import Callable

from attrs import field

from parachute_hub.accounts.encryption import Sealer, Unsealable
from parachute_hub.accounts.model import Clock, Random
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.site.errors import Refused
from parachute_hub.store.factors import Factors
from parachute_hub.store.rows import Totp
from parachute_hub.system.loading import lazily
from parachute_hub.system.random_tokens import new_id
from parachute_hub.system.records import frozen

with lazily():
    from parachute_hub.accounts.signin import totp

START_LASTS = 15 * 60


@frozen
class Started:
    """The secret for the authenticator app, shown once."""

    secret: str = field(repr=False)
    url: str = field(repr=False)


class SecondFactor:
    """Authenticator apps and recovery codes of all users. Call changes within a transaction."""

    def __init__(
        self,
        *,
        factors: Factors,
        sealer: Sealer,
        hasher: Hasher,
        has_passkey: Callable[[str], bool],
        clock: Clock,
        random: Random,
    ) -> None:
        """`has_passkey` tells whether a passkey of a user works at the hub's address."""
        self._factors = factors
        self._has_passkey = has_passkey
        self._hasher = hasher
        self._sealer = sealer
        self._clock = clock
        self._random = random

    def enabled(self, user_id: str) -> bool:
        """True if a password is not enough to sign in."""
        return self.enrolled_at(user_id) is not None

    def enrolled_at(self, user_id: str) -> float | None:
        """When it was enabled, or None."""
        found = self._factors.totp(user_id)
        return found.confirmed_at if found else self.passkeys_since(user_id)

    def passkeys_since(self, user_id: str) -> float | None:
        """Since when it is the user's passkeys; None if it is an app, or off."""
        return self._factors.passkeys_since(user_id)

    def by_passkeys(self, user_id: str) -> list[str]:
        """Make the user's passkeys the second factor. Returns the recovery codes, to be shown once.

        Raises Refused 409 if there is one already.
        """
        if self.enabled(user_id):
            raise Refused(409, "already_enrolled", "A second factor is already on. Switch it off first to change it.")
        codes = totp.new_recovery_codes(self._random)
        self._factors.by_passkeys(user_id, new_id(self._random), now=self._clock(), codes=_hashes(codes))
        return codes

    def codes_left(self, user_id: str) -> int:
        """Number of unused recovery codes."""
        return self._factors.codes_left(user_id)

    def start(self, user_id: str, username: str, host: str) -> Started:
        """Create an unconfirmed secret. Raises Refused 409 if a second factor is already enabled."""
        if self.enabled(user_id):
            raise Refused(409, "already_enrolled", "A second factor is already on. Switch it off first to change it.")
        secret = totp.new_secret(self._random)
        row = new_id(self._random)
        self._factors.begin(
            Totp(
                id=row,
                user_id=user_id,
                secret=self._sealer.seal(secret, row),
                created_at=self._clock(),
                confirmed_at=None,
                last_step=0,
            )
        )
        return Started(secret=secret, url=totp.app_url(secret, username, host))

    def started(self, user_id: str, username: str, host: str) -> Started | None:
        """The unconfirmed secret, to show it again after a wrong code."""
        found = self._factors.unconfirmed(user_id)
        secret = self._secret(found) if found and self._clock() < found.created_at + START_LASTS else None
        return Started(secret=secret, url=totp.app_url(secret, username, host)) if secret else None

    def confirm(self, user_id: str, code: str) -> list[str]:
        """Enable it with a valid code. Returns the recovery codes, to be shown once.

        Raises Refused 400 for a wrong code or an expired start, 409 if already enabled.
        """
        if self.enabled(user_id):
            raise Refused(409, "already_enrolled", "A second factor is already on.")
        found = self._factors.unconfirmed(user_id)
        secret = self._secret(found) if found and self._clock() < found.created_at + START_LASTS else None
        if found is None or secret is None:
            raise Refused(400, "setup_expired", "That took too long. Start again with a new code to scan.")
        step = totp.matching_step(secret, code, self._clock())
        if step is None:
            raise Refused(
                400,
                "invalid_code",
                "That code is not correct. Check that your phone sets its clock automatically, and type the next code.",
            )
        codes = totp.new_recovery_codes(self._random)
        self._factors.confirm(found, step=step, now=self._clock(), codes=_hashes(codes))
        return codes

    async def older_code(self, user_id: str, code: str) -> str | None:
        """The hash of a recovery code that came from an older hub, for `use`; None if it is none.

        That hub kept argon2id hashes, which take too long for a transaction. Raises Refused 429 like a password.
        """
        plain = totp.older_recovery_code(code)
        for stored in self._factors.older_codes(user_id) if plain else ():
            if (await self._hasher.check(plain or "", stored)).right:
                return stored
        return None

    def use(self, user_id: str, code: str, older_code: str | None = None) -> str | None:
        """Consume a code. Returns its kind (`otp` or `recovery`), or None if it is wrong or was used before.

        `older_code` is what the method of that name returned. The last recovery code disables a second factor of which
        nothing else is left: nobody could sign in any more.
        """
        kind = self._use(user_id, code, older_code)
        if kind == "recovery" and not self.codes_left(user_id) and self._is_stranded(user_id):
            self.off(user_id)
        return kind

    def _is_stranded(self, user_id: str) -> bool:
        return self.passkeys_since(user_id) is not None and not self._has_passkey(user_id)

    def _use(self, user_id: str, code: str, older_code: str | None) -> str | None:
        if not self.enabled(user_id):
            return None
        if older_code is not None:
            return "recovery" if self._factors.use_code(user_id, older_code) else None
        as_recovery = totp.recovery_hash(code)
        if as_recovery is not None:
            return "recovery" if self._factors.use_code(user_id, as_recovery) else None
        found = self._factors.totp(user_id)
        secret = self._secret(found) if found else None
        step = totp.matching_step(secret, code, self._clock()) if secret else None
        if found is None or step is None or not self._factors.use_step(found.id, step):
            return None
        return "otp"

    def new_codes(self, user_id: str) -> list[str]:
        """Replace the recovery codes. Raises Refused 409 if no second factor is enabled."""
        if not self.enabled(user_id):
            raise Refused(409, "not_enrolled", "Switch the second factor on first.")
        codes = totp.new_recovery_codes(self._random)
        self._factors.replace_codes(user_id, _hashes(codes))
        return codes

    def off(self, user_id: str) -> None:
        """Disable it, in any state."""
        self._factors.off(user_id)

    def _secret(self, found: Totp) -> str | None:
        try:
            return self._sealer.open(found.secret, found.id)
        except Unsealable:
            return None


def _hashes(codes: list[str]) -> list[str]:
    return [hashed for hashed in map(totp.recovery_hash, codes) if hashed is not None]
