"""Composes the engine that opens ways from other devices to this hub."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.installed import Installed
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.problems.checks.address import AddressFinding
from parachute_hub.reach.looking import Look, lan_addresses
from parachute_hub.reach.programs import Programs, end_left_over
from parachute_hub.reach.records import ReachFile
from parachute_hub.reach.service import Reach
from parachute_hub.reach.surroundings import Surroundings
from parachute_hub.reach.ways import LAN_PORT, Situation
from parachute_hub.store.rows import Act

if TYPE_CHECKING:
    from parachute_hub.reach.lan import Lan

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "https_proxy", "no_proxy")
_SAID = {
    "name": "The name is not known here yet.",
    "refused": "Nothing listens there.",
    "silent": "Nothing answered within a few seconds.",
    "certificate": "Its certificate is not valid yet.",
    "other": "The connection failed.",
}


def build_engine(
    core: ProcessContext,
    engine: ModuleRuntime,
    accounts: Accounts,
    origin: HubOrigin,
    *,
    ask: Callable[[str], Awaitable[AddressFinding]],
    weak: Callable[[], Sequence[str]],
) -> Reach:
    """`ask` asks for this hub at an address. `weak` names the owners without a second factor."""
    settings, outside = core.settings, engine.modules.files.outside
    folder = settings.home / "hub" / "reach"
    kept = {name: settings.passed_on[name] for name in _PASSED_ON if name in settings.passed_on}
    programs = Programs(
        reactor=core.reactor, environment={**kept, "HOME": str(settings.user_home)}, tag=str(settings.home)
    )

    async def failed(action: str, subject: str, why: str) -> None:
        now = accounts.clock()
        act = Act(at=now, actor="", action=action, subject=subject, outcome="failed", why=why)
        await accounts.trail.note(act)

    async def probe(address: str) -> str | None:
        finding = await ask(address)
        if finding.fault is not None:
            return _SAID[finding.fault]
        return None if finding.ours else "Another server answers there, not this hub."

    def lan() -> "Lan":
        # Certificates and the announcer are for those few hubs that have a local name.
        from parachute_hub.reach.certificates import Certificates
        from parachute_hub.reach.lan import Announcer, Lan

        return Lan(
            reactor=core.reactor,
            factory=core.front,
            certificates=Certificates(folder=folder / "lan", now=time.time),
            announcer=Announcer(),
            addresses=lan_addresses,
            in_thread=outside.in_thread,
            port=LAN_PORT,
        )

    return Reach(
        around=Surroundings(
            address=origin,
            situation=lambda: Situation(
                port=settings.port,
                has_owner=accounts.setup.has_owner,
                proxied=_proxied(core),
                without_factor=weak(),
                open_pages=open_pages(engine.installed_modules.modules()),
            ),
            trust=core.front.trust_local,
            probe=probe,
            done=accounts.trail.done,
            failed=failed,
            in_thread=outside.in_thread,
            end_left_over=partial(end_left_over, str(settings.home)),
            now=time.time,
            clock=core.reactor,
        ),
        look=Look(programs=programs, user_home=settings.user_home, in_thread=outside.in_thread),
        programs=programs,
        file=ReachFile(folder),
        lan=lan,
    )


def open_pages(modules: Sequence[Installed]) -> list[str]:
    """The modules with pages that ask for no sign-in."""
    return [
        module.manifest.display_name if module.manifest and module.manifest.display_name else module.short
        for module in modules
        if module.exposure == "allowed" and any(unit.audience in ("public", "surface") for unit in module.row.uis)
    ]


def _proxied(core: ProcessContext) -> str:
    """Why the hub runs no program of others here; "" where it does."""
    settings = core.settings
    if settings.platform != "local":
        called = {"render": "Render", "fly": "Fly"}[settings.platform]
        return f"This hub runs at {called}, so its address is public already: {settings.issuer}"
    if settings.home == Path("/parachute"):
        return "This hub runs in a container. Open a way on the machine around it; docs/deploy.md shows how."
    if settings.trusted_hops:
        return "A proxy in front of this hub makes it public already (PARACHUTE_TRUSTED_HOPS)."
    return ""
