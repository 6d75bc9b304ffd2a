"""Objects created before composition."""

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import Factory

from parachute_hub.app.handover import Left
from parachute_hub.app.hub_log import HubLog
from parachute_hub.app.restart_in_place import RestartInPlace
from parachute_hub.proxy.front import Front
from parachute_hub.settings import Settings
from parachute_hub.site.health import Health, Phase
from parachute_hub.site.root import Root
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.logs import Masker
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import Rest


@frozen(kw_only=True)
class ProcessContext:
    """The objects that exist from the start of the process. `left` is what a hub before this one left in it.
    `stops` is told how to stop the modules, before they start; it raises if the hub stops already."""

    settings: Settings
    reactor: Any
    mask: Masker
    phase: Phase
    health: Health
    root: Root
    front: Front
    restart: Callable[[], None]
    hub_log: HubLog
    log_writer: FileWriter
    in_place: RestartInPlace
    left: Left | None
    stops: Callable[[Callable[[], Awaitable[object]]], None]
    rest: Rest = Factory(lambda self: Rest(self.reactor), takes_self=True)
