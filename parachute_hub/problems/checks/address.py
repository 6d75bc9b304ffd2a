"""The public address: reachable, with a valid certificate, and not over plain http."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

from attrs import field

from parachute_hub.problems.check import Wake
from parachute_hub.problems.model import Problem, link, words
from parachute_hub.system.networks import opens_only_here
from parachute_hub.system.records import define, frozen

RENEWED_DAYS: Final = 14
_SETTINGS = link("Show the address", "/admin/settings")
Fault = Literal["name", "refused", "silent", "certificate", "other"]


@frozen(kw_only=True)
class AddressFinding:
    """What a request to the public address met.

    `fault` is None if something answered; `detail` is the system's own words for it. `ours`: it was this very hub.
    `days_left` counts until the certificate expires.
    """

    fault: Fault | None = None
    detail: str = ""
    ours: bool = False
    days_left: float | None = None


_TOLD: dict[Fault, str] = {
    "name": "The name does not exist in the DNS, or the DNS does not answer here.",
    "refused": "Nothing listens there.",
    "silent": "Nothing answered within a few seconds.",
    "other": "The connection failed.",
}


@define(kw_only=True)
class PublicAddress:
    """The configured address, asked from this machine. `origin` is None when there is only the local one.

    Some networks do not let a machine reach its own public address, so this is a warning, and it must fail twice.
    """

    origin: Callable[[], str | None]
    ask: Callable[[str], Awaitable[AddressFinding]]
    name: str = "the public address"
    period: float = 300.0
    wakes: tuple[Wake, ...] = ()
    _failed: int = field(default=0, init=False)

    async def look(self) -> Sequence[Problem]:
        """Ask /health there."""
        origin = self.origin()
        if origin is None:
            return []
        found = await self.ask(origin)
        return self.judged(origin, found)

    def judged(self, origin: str, found: AddressFinding) -> list[Problem]:
        """The problems with what was found; counts failures."""
        host = origin.partition("://")[2]
        if found.fault == "certificate":
            self._failed = 0
            return [_certificate(host, "error", f"Browsers refuse it: {found.detail}")]
        if found.fault is not None or not found.ours:
            self._failed += 1
            return [_unreachable(host, found)] if self._failed >= 2 else []
        self._failed = 0
        if found.days_left is not None and found.days_left < RENEWED_DAYS:
            days = max(0, int(found.days_left))
            return [_certificate(host, "warning", f"It expires in {days} days and has not been renewed.")]
        return []


def _unreachable(host: str, found: AddressFinding) -> Problem:
    text = _TOLD.get(found.fault or "other", "") if found.fault else "Another server answers there, not this hub."
    return Problem(
        key="address-unreachable",
        severity="warning",
        title=f"{host} does not lead to this hub",
        text=f"{text} Apps and other devices may not reach your notes. It was tried from this machine.",
        clears="It goes away once this hub answers there.",
        found={"fault": found.fault or "another server", "detail": found.detail},
        fixes=(
            _SETTINGS,
            words("Check the name, the tunnel or proxy in front, and its port."),
            words("If it works from elsewhere, your network cannot reach itself: dismiss this."),
        ),
        essence=f"{host} {found.fault}",
    )


def _certificate(host: str, severity: Literal["error", "warning"], text: str) -> Problem:
    return Problem(
        key="certificate",
        severity=severity,
        title=f"The certificate of {host} needs to be renewed",
        text=text,
        clears="It goes away with a valid certificate.",
        fixes=(words("Check the proxy that has the certificate (Caddy, nginx, your provider) and its log."),),
        essence=host,
    )


@frozen(kw_only=True)
class PlainHttp:
    """A public address without TLS: passwords and notes cross the network readable."""

    origin: Callable[[], str | None]
    name: str = "encryption of the public address"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """Every http address but those of this machine itself."""
        origin = self.origin() or ""
        scheme, _, host = origin.partition("://")
        if scheme != "http" or opens_only_here(origin):
            return []
        return [
            Problem(
                key="plain-http",
                severity="warning",
                title="Your address is not encrypted",
                text=f"Everyone on the way to http://{host} can read passwords and notes, and many apps refuse it.",
                clears="It goes away with an https address.",
                fixes=(_SETTINGS, words("Put a proxy with a certificate in front; docs/deploy.md shows several ways.")),
                essence=host,
            )
        ]


@frozen(kw_only=True)
class StartWarnings:
    """Settings that were understood, but probably not meant; `warnings` are sentences from the start."""

    warnings: Sequence[str]
    name: str = "settings of the start"
    period: float = 3600.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """One problem for each warning."""
        return [
            Problem(
                key=f"setting:{number}",
                severity="warning",
                title="A setting is probably not what you want",
                text=text,
                clears="It goes away once the hub starts with another setting.",
                fixes=(words("Change the variable or option, then restart the hub."),),
                essence=text,
            )
            for number, text in enumerate(self.warnings)
        ]
