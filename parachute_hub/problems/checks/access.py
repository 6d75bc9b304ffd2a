"""Apps and tokens that need the owner."""

from collections.abc import Callable, Sequence
from typing import Final

from parachute_hub.problems.check import Wake
from parachute_hub.problems.model import Problem, link
from parachute_hub.system.records import frozen

EXPIRES_DAYS: Final = 7


@frozen(kw_only=True)
class WaitingApps:
    """Apps that wait for approval. `waiting` counts them.

    Strangers can register apps: their names are not shown here, and another one does not undo a dismissal.
    """

    waiting: Callable[[], int]
    name: str = "apps waiting for approval"
    period: float = 15.0
    wakes: tuple[Wake, ...] = ("app-approved", "app-refused", "app-removed")

    def look(self) -> list[Problem]:
        """One problem for all of them."""
        count = self.waiting()
        if not count:
            return []
        text = "An app asked for access" if count == 1 else f"{count} apps asked for access"
        return [
            Problem(
                key="apps-waiting",
                severity="info",
                title="An app is waiting for your approval" if count == 1 else "Apps are waiting for your approval",
                text=f"{text}. If it is not one of yours, ignore it: it can read nothing.",
                clears="It goes away once you approve or remove it, or when the request expires.",
                found={"waiting": count},
                fixes=(link("Show apps", "/admin/apps"),),
            )
        ]


@frozen(kw_only=True)
class ExpiringToken:
    """A long-lived token that somebody made: its public id, and the days that are left."""

    token_id: str
    days: float


@frozen(kw_only=True)
class ExpiringTokens:
    """Tokens made for scripts and apps that stop working soon."""

    expiring: Callable[[], Sequence[ExpiringToken]]
    name: str = "tokens that expire"
    period: float = 3600.0
    wakes: tuple[Wake, ...] = ("revoke-token", "locked")

    def look(self) -> list[Problem]:
        """One problem for all, new when another token joins them."""
        tokens = self.expiring()
        if not tokens:
            return []
        soonest = min(token.days for token in tokens)
        when = "today" if soonest < 1 else f"in {int(soonest)} day{'s' if soonest >= 2 else ''}"
        many = len(tokens) > 1
        return [
            Problem(
                key="tokens-expiring",
                severity="warning",
                title="Tokens expire soon" if many else "A token expires soon",
                text=(
                    f"{f'{len(tokens)} tokens stop' if many else 'A token stops'} working soon, the first {when}. "
                    "What uses it will lose access. Make a new one and revoke the old."
                ),
                clears="It goes away once the token is revoked or has expired.",
                found={"tokens": [{"id": token.token_id, "days": round(token.days, 1)} for token in tokens]},
                fixes=(link("Show tokens", "/admin/tokens"),),
                essence=" ".join(sorted(token.token_id for token in tokens)),
            )
        ]
