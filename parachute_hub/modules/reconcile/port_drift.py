"""Diagnoses a module that does not listen where the hub expects it, and chooses a remedy."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from parachute_hub.modules.definition import ports
from parachute_hub.supervise.model import LISTENS, SQUATTED, UNBOUND
from parachute_hub.system.records import frozen

Kind: TypeAlias = Literal["elsewhere", "squatted", "row"]
"""Listens on a different port than assigned; another program has its port; its record names a different port."""


@frozen(kw_only=True)
class PortState:
    """`row` is the port in the hub's record, `given` the one passed to the running process, None if none runs.

    `error` is the supervisor's start error, `well` is true if the module answers.
    """

    row: int
    given: int | None
    error: Mapping[str, Any]
    well: bool


@frozen
class Remedy:
    """The port to write to the record (None leaves it) and a message for the owner. The module is restarted."""

    port: int | None
    text: str


class NoRemedy(Exception):
    """Nothing to repair, or nothing the hub can decide. The text says what to do."""


def kind(standing: PortState) -> Kind | None:
    """The kind of drift, or None."""
    error_type = standing.error.get("error_type")
    if error_type == SQUATTED:
        return "squatted"
    if error_type == UNBOUND and standing.error.get(LISTENS):
        return "elsewhere"
    if standing.well and standing.given is not None and standing.given != standing.row:
        return "row"
    return None


def remedy(
    short: str, standing: PortState, listens: Iterable[int], taken: Iterable[int], busy: Callable[[int], bool]
) -> Remedy:
    """What to do. `listens` are the ports of the module's own processes, `taken` those of other modules and of the hub.

    Raises NoRemedy, and ports.NoPort.
    """
    match kind(standing):
        case "squatted":
            port = ports.choose(None, {*taken, standing.row}, busy).port
            return Remedy(port, f"Another program has port {standing.row}, so {short} gets {port}.")
        case "elsewhere":
            return _adopted(short, sorted({*listens} - {*taken}))
        case "row":
            return Remedy(None, f"{short} restarts on port {standing.row}, as its settings say.")
        case None:
            raise NoRemedy(f"{short} already listens on its assigned port. There is nothing to repair.")


def _adopted(short: str, theirs: list[int]) -> Remedy:
    match theirs:
        case [port]:
            return Remedy(port, f"{short} always listens on port {port}, so the hub now uses that port.")
        case []:
            raise NoRemedy(f"{short} listens on no port of its own. Check its log.")
        case _:
            several = ", ".join(map(str, theirs))
            raise NoRemedy(f"{short} listens on {several}. Set the right one in its settings.")
