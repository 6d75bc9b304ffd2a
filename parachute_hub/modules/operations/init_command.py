"""Runs `init.command` of a package: once, before its first start, and only with the owner's consent."""

from collections.abc import Sequence
from typing import Final, Protocol

from twisted.internet.defer import CancelledError

from parachute_hub.confinement.kernel import NotConfined
from parachute_hub.confinement.rules import Confines
from parachute_hub.jobs.runner import JobFailed, Work
from parachute_hub.modules.launch.package_process import Reactor, Spawn, begin
from parachute_hub.supervise.model import CannotLaunch
from parachute_hub.system.records import frozen

SECONDS: Final = 120.0
_LAST_LINES = 20


class InitLauncher(Protocol):
    """Builds launches (`modules.launch.launcher.ModuleLauncher`)."""

    async def launch(self, short: str, words: Sequence[str]) -> Spawn:
        """Raises CannotLaunch."""


@frozen(kw_only=True)
class InitCommand:
    """Runs it with the environment and the confinement of the module. `confiner` is None if nothing is confined."""

    launcher: InitLauncher
    reactor: Reactor
    confiner: Confines | None

    async def run(self, work: Work, short: str, words: Sequence[str]) -> None:
        """Raises JobFailed unless it ends well within SECONDS."""
        try:
            launch = await self.launcher.launch(short, words)
            run = begin(self.reactor, self.confiner, launch, launch.argv, SECONDS)
        except CannotLaunch as problem:
            raise JobFailed(problem.description, problem.to_json()) from None
        except NotConfined as problem:
            raise JobFailed(f"The first command of {short} could not be separated: {problem}.") from None
        try:
            code = await run.ended
        except CancelledError:
            run.kill()
            await run.gone
            raise
        for line in (run.output + run.errors).decode("utf-8", "replace").splitlines()[-_LAST_LINES:]:
            work.line(f"  {line}")
        if code is None:
            raise JobFailed(f"The first command of {short} did not end within {SECONDS:.0f} s.")
        if code:
            raise JobFailed(f"The first command of {short} ended with exit code {code}; its last lines are in the log.")
