"""What the wizard expects of an installer: the fake and the real one."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from parachute_hub.accounts.setup.wizard import Offer, SetupInstalls
from parachute_hub.app.wizard_installs import WizardInstalls
from parachute_hub.modules.packages.bun import Bun
from parachute_hub.site.errors import Refused
from tests.admin.test_modules_api import ApiCase
from tests.support.at_once import at_once
from tests.support.front_door import FakeInstalls


def told(ask: Callable[..., Any], *words: Any) -> Any:
    """The result, or the refusal as plain values."""
    try:
        answer = ask(*words)
        return at_once(answer) if isinstance(answer, Coroutine) else answer
    except Refused as refused:
        return refused.status, refused.error


async def never(*words: Any) -> None:
    """A registry that does not answer."""
    await Deferred[None]()


class InstallsContract(ApiCase):
    def test_both_answer_alike(self) -> None:
        self.patch(Bun, "add", never)
        self.patch(Bun, "info", never)
        self.assertEqual(self.walk(WizardInstalls(lambda: self.modules)), self.walk(FakeInstalls()))

    def walk(self, installs: SetupInstalls) -> list[object]:
        answers: list[object] = [{type(offer) for offer in installs.offers()} == {Offer}]
        answers += [told(installs.begin, "nobody", {}), told(installs.job, "none"), told(installs.retry, "none")]
        begun = at_once(installs.begin("vault", {"first_vault": "default"}))
        job = installs.job(begun)
        assert job is not None
        answers += [job["id"] == begun, job["kind"], job["short"], job["status"], type(job["steps"]), type(job["log"])]
        answers += [
            at_once(installs.begin("vault", {"first_vault": "default"})) == begun,
            at_once(installs.retry(begun)) == begun,
        ]
        answers += [told(installs.begin, "vault", {"first_vault": "other"})]
        answers += [at_once(installs.begin("notes", {})) != begun]
        return answers
