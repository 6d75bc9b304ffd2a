"""A module listens elsewhere than the hub looks for it: which of three ways it is, and what heals it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import frozen

from parachute_hub.modules.definition import ports
from parachute_hub.supervise.model import LISTENS, SQUATTED, UNBOUND

Kind: TypeAlias = Literal["elsewhere", "squatted", "row"]
"""It listens on another port than it was given; somebody else has its port; its row names another than it runs on."""


@frozen(kw_only=True)
class Standing:
    """`row` is the port in services.json, `given` the one that the running process got, None when none runs.

    `error` is the supervisor's error of the start, `well` says that the module answers.
    """

    row: int
    given: int | None
    error: Mapping[str, Any]
    well: bool


@frozen
class Remedy:
    """A port for the row, None to leave it as it is, and a sentence for the owner. The module is started anew."""

    port: int | None
    text: str


class NoRemedy(Exception):
    """Nothing to heal, or nothing that the hub can decide; the text says what to do."""


def kind(standing: Standing) -> Kind | None:
    """Which drift it is, None if there is none."""
    error_type = standing.error.get("error_type")
    if error_type == SQUATTED:
        return "squatted"
    if error_type == UNBOUND and standing.error.get(LISTENS):
        return "elsewhere"
    if standing.well and standing.given is not None and standing.given != standing.row:
        return "row"
    return None


def remedy(
    short: str, standing: Standing, listens: Iterable[int], taken: Iterable[int], busy: Callable[[int], bool]
) -> Remedy:
    """What to do. `listens` are the ports of its own processes now, `taken` those of other rows and of the hub.

    Raises NoRemedy, and ports.NoPort.
    """
    match kind(standing):
        case "squatted":
            port = ports.choose(None, {*taken, standing.row}, busy).port
            return Remedy(port, f"Another program has port {standing.row}, so {short} gets {port}.")
        case "elsewhere":
            return _adopted(short, sorted({*listens} - {*taken}))
        case "row":
            return Remedy(None, f"{short} is started anew on port {standing.row}, which services.json names.")
        case None:
            raise NoRemedy(f"{short} listens where the hub looks for it. There is nothing to heal.")


def _adopted(short: str, theirs: list[int]) -> Remedy:
    match theirs:
        case [port]:
            return Remedy(port, f"{short} listens on port {port} whatever it is given, so the hub looks for it there.")
        case []:
            raise NoRemedy(f"{short} listens on no port that could be its own. Look at its log.")
        case _:
            several = ", ".join(map(str, theirs))
            raise NoRemedy(f"{short} listens on {several}. Write the right one into its row in services.json.")
