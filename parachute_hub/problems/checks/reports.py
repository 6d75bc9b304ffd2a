"""What other parts of the hub reported once: a row that vanished, a folder that a module keeps."""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from attrs import field

from parachute_hub.problems.check import Wake
from parachute_hub.problems.model import Problem, link
from parachute_hub.system.records import define

KEPT_SECONDS: Final = 86400.0
_MOST: Final = 50


@define(kw_only=True)
class Reports:
    """Sentences for the owner, each shown for a day. `clock` is in seconds."""

    clock: Callable[[], float]
    name: str = "reports"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ("reports",)
    _told: dict[str, float] = field(factory=dict, init=False)

    def report(self, text: str) -> None:
        """Show this sentence, or show it longer."""
        self._told.pop(text, None)
        self._told[text] = self.clock()
        while len(self._told) > _MOST:
            del self._told[next(iter(self._told))]

    def look(self) -> list[Problem]:
        """One problem for each sentence."""
        oldest = self.clock() - KEPT_SECONDS
        self._told = {text: at for text, at in self._told.items() if at > oldest}
        return [
            Problem(
                key=f"report:{sha256(text.encode()).hexdigest()[:12]}",
                severity="info",
                title="Something changed by itself",
                text="The hub noticed or repaired something that nobody asked for.",
                detail=text,
                clears="It goes away after a day.",
                fixes=(link("Modules", "/admin/modules"),),
            )
            for text in self._told
        ]
