"""Composes the updates at night."""

import time

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.modules.operations.night_updates import TICK_SECONDS, NightUpdates
from parachute_hub.system.timers import every


def night_updates(core: ProcessContext, engine: ModuleRuntime) -> LoopingCall:
    """Start the timer."""
    modules = engine.modules
    updates = NightUpdates(
        directory=modules.files.directory,
        availability=modules.availability,
        upgrader=modules.upgrader,
        jobs=modules.jobs,
        channel=modules.files.channel,
        now=time.time,
        hour=lambda now: time.localtime(now).tm_hour,
    )
    tick = lambda: Deferred.fromCoroutine(updates.tick())  # noqa: E731
    return every(core.reactor, TICK_SECONDS, tick, "Updating modules at night")
