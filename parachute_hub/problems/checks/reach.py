"""The open way to this hub: whether it still leads here, and whether it is safe to be public."""

from collections.abc import Awaitable, Callable, Sequence

from parachute_hub.problems.check import Wake
from parachute_hub.problems.model import Problem, link
from parachute_hub.system.records import define, frozen

_PAGE = link("Show the way to your hub", "/admin/settings/reach")


@frozen(kw_only=True)
class ReachFacts:
    """`title` is the way's, "" if none is open. `trouble` says why it leads here no more, `stuck` why it could not be
    closed. `weak` are the owners without a second factor while the hub is public.
    """

    title: str = ""
    trouble: str = ""
    stuck: str = ""
    weak: tuple[str, ...] = ()


@define(kw_only=True)
class OpenWay:
    """Looks every two minutes."""

    facts: Callable[[], Awaitable[ReachFacts]]
    name: str = "the way to this hub"
    period: float = 120.0
    wakes: tuple[Wake, ...] = ("reach-closed", "second-factor-on", "passkey-added")

    async def look(self) -> Sequence[Problem]:
        """What is wrong with it."""
        return judged(await self.facts())


def judged(facts: ReachFacts) -> list[Problem]:
    """The problems with the open way."""
    found = []
    if facts.title and facts.trouble:
        found.append(
            Problem(
                key="reach-gone",
                severity="error",
                title=f"{facts.title} does not lead to this hub any more",
                text="Your phone and other devices cannot reach your notes this way.",
                detail=facts.trouble,
                clears="It goes away once the way works again, or is closed.",
                fixes=(_PAGE,),
                essence=facts.trouble[:60],
            )
        )
    if facts.title and facts.stuck:
        found.append(
            Problem(
                key="reach-stuck",
                severity="error",
                title=f"{facts.title} could not be closed",
                text="It may still lead to this hub.",
                detail=facts.stuck,
                clears="It goes away once the way is closed.",
                fixes=(_PAGE,),
                essence=facts.stuck[:60],
            )
        )
    if facts.title and facts.weak:
        found.append(
            Problem(
                key="reach-weak",
                severity="error",
                title="The hub is public, and an owner has no second factor",
                text="Whoever guesses a password owns this hub. Each owner needs a second factor.",
                detail=", ".join(facts.weak),
                clears="It goes away once each owner has a second factor, or the way is closed.",
                fixes=(link("People", "/admin/people"), _PAGE),
                essence=str(len(facts.weak)),
            )
        )
    return found
