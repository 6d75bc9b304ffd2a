"""Composes the notices: the kinds of destinations, and what they are sent."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.encryption import Sealer
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.notices.outbound import Outbound
from parachute_hub.notices.records import Kind, NoticesFile
from parachute_hub.notices.service import RESTING_SECONDS, TICK_SECONDS, Notices
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.root import MountedArea, later
from parachute_hub.system.doer import Done
from parachute_hub.system.loading import lazily, load
from parachute_hub.system.records import frozen

with lazily():
    from parachute_hub.admin import notices_api
    from parachute_hub.notices import apprise_sender, email_sender, senders, webpush

if TYPE_CHECKING:
    from parachute_hub.notices.senders import Sender

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")


@frozen
class NoticeRoom:
    """What the rest of the hub uses of the notices."""

    notices: Notices
    _core: ProcessContext

    def timer(self) -> LoopingCall:
        """Send what is due."""
        tick = lambda: Deferred.fromCoroutine(self.notices.tick())  # noqa: E731
        return self._core.rest.every(TICK_SECONDS, RESTING_SECONDS, tick, "Sending notices")

    def part(self, who: Authenticator, accounts: Accounts) -> MountedArea:
        """The API."""
        return later(
            ("/api/notices",),
            (notices_api, *_code()),
            lambda: notices_api.NoticesApi(who=who, step_up=accounts.step_up, notices=self.notices).app,
        )


def build_notices(
    core: ProcessContext,
    engine: ModuleRuntime,
    sealer: Sealer,
    issuer: Callable[[], str],
    resolve: Callable[[str], Awaitable[Sequence[str]]],
    done: Done,
) -> NoticeRoom:
    """Create the notices. `issuer` is the hub's address, `resolve` gives the addresses of a host."""
    in_thread = engine.modules.files.outside.in_thread
    outbound = Outbound(reactor=core.reactor, resolve=resolve)
    passed_on = core.settings.passed_on

    @cache
    def by_kind() -> "Mapping[Kind, Sender]":
        return {
            "ntfy": senders.Ntfy(outbound),
            "webhook": senders.Webhook(outbound, time.time),
            "ping": senders.Ping(outbound),
            "email": email_sender.Email(outbound, in_thread),
            "push": senders.Push(
                outbound,
                key=lambda: notices.key(),
                subject=lambda: _contact(issuer()),
                now=time.time,
                random=secrets.token_bytes,
            ),
            "apprise": apprise_sender.Apprise(
                core.reactor, {name: passed_on[name] for name in _PASSED_ON if name in passed_on}
            ),
        }

    notices = Notices(
        file=NoticesFile(core.settings.home / "hub" / "notices.json"),
        seals=sealer,
        senders=by_kind,
        bus=engine.bus,
        page=lambda: f"{issuer()}/admin/",
        minute=minute_of_day,
        now=time.time,
        new_id=lambda: str(uuid4()),
        in_thread=in_thread,
        done=done,
    )
    if notices.state.destinations:  # They are told of problems after an update on the disk, too.
        load(*_code())
    return NoticeRoom(notices, core)


def _code() -> tuple[ModuleType, ...]:
    """What sends."""
    return senders, webpush, email_sender, apprise_sender


def minute_of_day(now: float, zone: str) -> int:
    """The minute of the day in a time zone. Raises LookupError for one that is not known here."""
    # Half a megabyte that a hub without quiet hours does without.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        there = datetime.fromtimestamp(now, UTC if zone == "UTC" else ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise LookupError(zone) from error
    return there.hour * 60 + there.minute


def _contact(issuer: str) -> str:
    """A contact for push services (RFC 8292, 2.1), which must be an https or mailto URL."""
    return issuer if issuer.startswith("https://") else "mailto:owner@localhost.invalid"
