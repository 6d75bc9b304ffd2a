"""Connects the audit log to what happens without a request: operations, modules, and the hub's own start and stop."""

import time

from parachute_hub import __version__
from parachute_hub.accounts.assemble import Accounts
from parachute_hub.admin.audit_events import EventTrail
from parachute_hub.events import Bus
from parachute_hub.store.audit import Filter
from parachute_hub.store.rows import Act

_STARTED, _STOPPED = "hub-started", "hub-stopped"


def follow(bus: Bus, accounts: Accounts) -> None:
    """Note the start of the hub, and what the bus tells. An end without a stop is told, too."""
    last = accounts.audit.latest(limit=1, only=Filter(actions=(_STARTED, _STOPPED)))
    unclean = bool(last) and last[0][1].action == _STARTED
    why = "It had ended without being stopped: a crash, a kill or a power cut." if unclean else ""
    accounts.trail.note(Act(at=time.time(), actor="", action=_STARTED, subject=__version__, why=why))
    bus.subscribe(EventTrail(note=accounts.trail.note, clock=time.time).heard, since=0)


def note_stop(accounts: Accounts) -> None:
    """Note that the hub stops; the database finishes its writes before it closes."""
    accounts.trail.note(Act(at=time.time(), actor="", action=_STOPPED, subject=__version__))
