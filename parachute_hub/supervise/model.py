"""Records about a module's process: how to run it, its state, why it could not start."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

from attrs import asdict, field

from parachute_hub.confinement.rules import Rules
from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import to_the_millisecond


@frozen(kw_only=True)
class Isolation:
    """Whether a module is isolated from everything that is not its own: `on`, `partly`, or `off`.

    `missing` are nouns for what the kernel cannot restrict. `why` is a sentence if it is off.
    """

    state: Literal["on", "partly", "off"]
    missing: tuple[str, ...] = ()
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """The form of the API."""
        return {"state": self.state, "missing": list(self.missing), "why": self.why or None}


@frozen(kw_only=True)
class Launch:
    """One complete spawn.

    `argv[0]` is an absolute path. `env` is the child's whole environment. `port` is the TCP port on 127.0.0.1 it must
    listen on, and `health` the path to check there. `rules` confine it; None leaves it unconfined. `isolation`
    describes that to the user.
    """

    short: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(repr=False)
    port: int
    health: str
    rules: Rules | None = None
    isolation: Isolation | None = None


@frozen(kw_only=True)
class Allowance:
    """What a module may use: `memory` in bytes, `processor` as a part of one, such as 0.5. None is without a limit."""

    memory: int | None = None
    processor: float | None = None


# Faults that another try does not cure: somebody has to do what the text says.
LASTING: Final = frozenset({"bad_manifest", "missing_dependency", "no_start_cmd", "non_executable"})
# Start errors about the port, and the detail that names the ports on which the module listens instead.
SQUATTED: Final = "port_squatter"
UNBOUND: Final = "started_but_unbound"
NOT_ISOLATED: Final = "not_isolated"
LISTENS: Final = "listens"


class CannotLaunch(Exception):
    """A module cannot be spawned. The text is for the user and says what to do next.

    `error_type` is a stable word: `missing_dependency`, `non_executable`, `missing_package`, `port_squatter`,
    `started_but_unbound`, `not_isolated`.
    `detail` is added to the JSON form (`binary`, `why`, `docs_url`, `install`, `sysadmin_hint`).
    """

    def __init__(self, error_type: str, description: str, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(description)
        self.error_type = error_type
        self.description = description
        self.detail = dict(detail or {})

    def to_json(self) -> dict[str, Any]:
        """The JSON form, as in `supervisor_start_error` and `error_detail`."""
        return {
            "error": self.error_type,
            "error_type": self.error_type,
            "error_description": self.description,
            **self.detail,
        }


class ModuleState(StrEnum):
    """The states of the lifecycle (docs/lifecycle.md). Only the enabled flag is persisted, never a state."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    BACKOFF = "backoff"
    PARKED = "parked"
    STOPPING = "stopping"
    HELD = "held"
    ASLEEP = "asleep"


# The five published statuses of the API.
_PUBLISHED = {
    ModuleState.STOPPED: "stopped",
    ModuleState.STARTING: "starting",
    ModuleState.READY: "running",
    ModuleState.DEGRADED: "running",
    ModuleState.BACKOFF: "restarting",
    ModuleState.PARKED: "crashed",
    ModuleState.STOPPING: "stopped",
    ModuleState.HELD: "stopped",
    # It answers whoever asks.
    ModuleState.ASLEEP: "running",
}
# The states of a module that sleeps or is being woken.
WAKING: Final = frozenset({ModuleState.ASLEEP, ModuleState.STARTING, ModuleState.STOPPING})


@frozen
class LastExit:
    """How a module's last process ended: with exit `code`, or by `signal` (a name such as SIGKILL).

    `oom` is true if the kernel killed it for lack of memory. `at` is in epoch seconds.
    """

    code: int | None
    signal: str | None
    oom: bool
    at: float

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "signal": self.signal, "oom": self.oom, "at": timestamp(self.at)}


Reach: TypeAlias = Literal["unknown", "online", "not answering", "wrong certificate", "refused"]
"""How the last look at another machine ended."""


@frozen(kw_only=True)
class Elsewhere:
    """The other machine of a module: its `address`, and what it said last.

    A `steered` one was paired with this hub, which installs, starts and stops the module there. `why` is a sentence if
    it is not online, or does not take a setting. Sizes are in bytes, None if it did not say.
    """

    address: str
    steered: bool
    reach: Reach = "unknown"
    why: str = ""
    version: str | None = None
    memory: int | None = None
    disk_free: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The form of the API."""
        return asdict(self)


@frozen(kw_only=True)
class Status:
    """One module for the API and the pages. Times are in epoch seconds.

    `reason` is a sentence. `restarts` counts the hub's restarts since a user last started the module. `start_follows`
    means that a stopping module will start again, or that a stopped one waits for its turn at boot. `wakes` means that
    it sleeps, or is being woken or reached, and requests wait for it. `reports` is what the module says is wrong with
    itself, `warnings` are lines that read like failures while it started (`supervise.self_report`). `elsewhere` is set
    for one on another machine.
    """

    short: str
    state: ModuleState
    reason: str
    since: float
    restarts: int = 0
    next_retry_at: float | None = None
    pid: int | None = None
    started_at: float | None = None
    last_exit: LastExit | None = None
    start_error: Mapping[str, Any] | None = None
    port: int | None = None
    isolation: Isolation | None = None
    start_follows: bool = False
    wakes: bool = False
    reports: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    elsewhere: Elsewhere | None = None

    @property
    def supervisor_status(self) -> str:
        """The published status for the state."""
        if self.state is ModuleState.STOPPING and self.start_follows:
            return "restarting"
        return _PUBLISHED[self.state]

    def to_json(self) -> dict[str, Any]:
        """The API representation, as in `GET /api/modules`."""
        return {
            "short": self.short,
            "state": self.state.value,
            "reason": self.reason,
            "since": timestamp(self.since),
            "restarts": self.restarts,
            "next_retry_at": timestamp(self.next_retry_at),
            "last_exit": self.last_exit and self.last_exit.to_json(),
            "pid": self.pid,
            "port": self.port,
            "isolation": self.isolation and self.isolation.to_json(),
            "started_at": timestamp(self.started_at),
            "supervisor_status": self.supervisor_status,
            "supervisor_start_error": self.start_error,
            "reports": list(self.reports),
            "warnings": list(self.warnings),
            "elsewhere": self.elsewhere and self.elsewhere.to_json(),
        }


def timestamp(seconds: float | None) -> str | None:
    """ISO 8601 in UTC with milliseconds; None for None.

    >>> timestamp(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    return None if seconds is None else to_the_millisecond(seconds)
