"""Adapters between packages: what the wizard remembers of its installs."""

from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.wizard_installs import WizardInstalls
from parachute_hub.jobs.model import Job
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.site.errors import not_found
from tests.support.at_once import at_once


@define
class FakeInstalls:
    """The part of `assembly.Modules` that the wizard needs. `end` ends the newest job."""

    asked: list[InstallRequest] = field(factory=list)
    jobs_by_id: dict[str, Job] = field(factory=dict)
    _waiting: dict[str, "Deferred[None]"] = field(factory=dict)

    @property
    def installer(self) -> Any:
        return self

    @property
    def jobs(self) -> Any:
        return self

    @property
    def files(self) -> Any:
        return self

    outside = files

    @property
    def catalog(self) -> Catalog:
        return Catalog()

    def install(self, request: InstallRequest) -> Job:
        self.asked.append(request)
        job = Job(id=str(len(self.asked)), kind="install", short=request.short, params={}, started_at=0.0)
        self.jobs_by_id[job.id], self._waiting[job.id] = job, Deferred()
        return job

    async def recorded(self, job: Job) -> Job:
        return job

    def get(self, job_id: str) -> Job:
        if job_id not in self.jobs_by_id:
            raise not_found("There is no such operation.")
        return self.jobs_by_id[job_id]

    async def finished(self, job_id: str) -> Job:
        await self._waiting[job_id]
        return self.get(job_id)

    def end(self, status: str) -> None:
        job_id = str(len(self.asked))
        self.jobs_by_id[job_id] = evolve(self.jobs_by_id[job_id], status=status, finished_at=1.0)
        self._waiting[job_id].callback(None)


class WizardInstallsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.modules = FakeInstalls()
        self.wizard = WizardInstalls(lambda: self.modules)  # type: ignore[arg-type, return-value]

    def test_a_failed_install_is_tried_again_with_the_keys_that_were_typed(self) -> None:
        job = at_once(self.wizard.begin("scribe", {"environment": {"GROQ_API_KEY": "gsk-1"}}))
        self.modules.end("failed")
        at_once(self.wizard.retry(job))
        self.assertEqual(self.modules.asked[1].env, {"GROQ_API_KEY": "gsk-1"})

    def test_what_does_not_fit_is_tried_without_optional_parts(self) -> None:
        """Then and at every further try."""
        job = at_once(self.wizard.begin("scribe", {}))
        self.modules.end("failed")
        job = at_once(self.wizard.retry(job, lean=True))
        self.modules.end("failed")
        at_once(self.wizard.retry(job))
        self.assertEqual([request.without_optional for request in self.modules.asked], [False, True, True])

    def test_a_key_is_forgotten_when_the_module_has_it(self) -> None:
        """It is not needed any longer."""
        job = at_once(self.wizard.begin("scribe", {"environment": {"GROQ_API_KEY": "gsk-1"}}))
        self.modules.end("succeeded")
        at_once(self.wizard.retry(job))
        self.assertEqual(self.modules.asked[1].env, {})
