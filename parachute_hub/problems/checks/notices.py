"""Notices that do not arrive."""

from collections.abc import Callable, Sequence

from parachute_hub.problems.check import Wake
from parachute_hub.problems.model import Problem, click, link
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class NoticeTrouble:
    """Destinations whose last notice did not arrive: id, name, and why."""

    failures: Callable[[], Sequence[tuple[str, str, str]]]
    name: str = "notices"
    period: float = 15.0
    wakes: tuple[Wake, ...] = ("notice-destination-removed", "notice-tested")

    def look(self) -> list[Problem]:
        """One problem for each destination in trouble."""
        return [
            Problem(
                key=f"notice-failed:{destination_id}",
                severity="warning",
                title="A notice did not arrive",
                text=f"{label}: {why}",
                clears="It goes away with the next notice that arrives there.",
                fixes=(
                    click("Try again", "POST", f"/api/notices/destinations/{destination_id}/test", safe=True),
                    link("Notices", "/admin/notices"),
                ),
            )
            for destination_id, label, why in self.failures()
        ]
