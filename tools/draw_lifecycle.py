"""Draws the lifecycle machine as Markdown: `python -m tools.draw_lifecycle > docs/lifecycle.md`."""

from collections import defaultdict
from collections.abc import Iterable

from parachute_hub.supervise.lifecycle import EVERY_STATE, new_lifecycle

_INTRO = """# The life of a module

Drawn from `parachute_hub/supervise/lifecycle.py` by `make lifecycle`; do not edit.

Commands are `start`, `stop`, `restart`, `recycle`, `hold`, `release`, `sleep` and `rest`; everything else is news from
the process, its watch and the proxy. `bouncing` is stopping with a start to follow, `pausing` with a hold, `dozing`
with sleep; the API shows all three as `stopping`. In `fallen`, which nobody sees, the machine chooses between waiting
and resting.
"""


def edges() -> dict[tuple[str, str], set[str]]:
    """The inputs that lead from one state to another."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for old, given, new, _ in new_lifecycle.__automat_automaton__.allTransitions():
        if old is not new:
            found[old.name, new.name].add(given.lstrip("_"))
    return found


def diagram() -> Iterable[str]:
    """A Mermaid state diagram, in the order of the states."""
    order = [state.name for state in EVERY_STATE]
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> stopped"
    for (old, new), inputs in sorted(edges().items(), key=lambda edge: tuple(map(order.index, edge[0]))):
        yield f"    {old} --> {new}: {', '.join(sorted(inputs))}"
    yield "```"


def table() -> Iterable[str]:
    """Every input in every state; an empty cell changes nothing."""
    targets: dict[tuple[str, str], str] = {}
    for old, given, new, outputs in new_lifecycle.__automat_automaton__.allTransitions():
        quiet = all(output.name == "constant" or output.name.startswith("returns(") for output in outputs)
        targets[old.name, given] = "" if quiet else ("itself" if old is new else new.name)
    inputs = list(dict.fromkeys(given for _, given in sorted(targets)))
    yield "| in \\ given | " + " | ".join(given.lstrip("_") for given in inputs) + " |"
    yield "|---" * (len(inputs) + 1) + "|"
    for state in EVERY_STATE:
        yield f"| **{state.name}** | " + " | ".join(targets[state.name, given] for given in inputs) + " |"


def page() -> str:
    """The whole of docs/lifecycle.md."""
    return "\n".join(
        [_INTRO, *diagram(), "", "Every input in every state; an empty cell changes nothing.", "", *table()]
    )


if __name__ == "__main__":
    print(page())
