"""Installs modules for the wizard."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve
from twisted.internet.defer import Deferred

from parachute_hub.accounts.setup.wizard import Offer
from parachute_hub.site.errors import Refused
from parachute_hub.system.loading import lazily

with lazily():
    from parachute_hub.modules.operations import install

if TYPE_CHECKING:
    from parachute_hub.modules.assembly import ModuleServices
    from parachute_hub.modules.definition.catalog import CatalogEntry
    from parachute_hub.modules.operations.install import InstallRequest

# Descriptions of the modules for people who are new to Parachute.
_PURPOSES = {
    "vault": "The place where your notes live. The other modules, and assistants such as Claude, read and write here.",
    "notes": "An app in your browser or on your phone to write, find and dictate notes.",
    "scribe": "Turns recordings into text. It needs an API key of a speech service, or a local program.",
    "surface": "Small web apps on top of your vault.",
}


class WizardInstalls:
    """The installer for the wizard (implements `accounts.setup.wizard.SetupInstalls`).

    `modules` is there once it was loaded. API keys are kept in memory for a retry until the module has them, and
    never written to a job's record.
    """

    def __init__(self, modules: "Callable[[], ModuleServices]") -> None:
        self._modules_of = modules
        self._requests: dict[str, InstallRequest] = {}

    @property
    def _modules(self) -> "ModuleServices":
        return self._modules_of()

    def offers(self) -> Sequence[Offer]:
        """The core modules of the catalog."""
        directory = self._modules.files.directory
        return [
            Offer(
                short=entry.short,
                name=entry.display_name,
                tagline=entry.tagline,
                purpose=_PURPOSES.get(entry.short, entry.tagline),
                memory_mb=entry.memory_mb,
                reference=entry.reference,
                installed=directory.row(entry.short) is not None,
            )
            for entry in self._modules.files.outside.catalog.entries
            if entry.focus == "core"
        ]

    async def begin(self, short: str, options: Mapping[str, Any]) -> str:
        """Start an install and return the job's id. Raises Refused."""
        return await self._start(
            evolve(
                request_for(self._entry(short)),
                env=dict(options.get("environment") or {}),
                vault=options.get("first_vault"),
            )
        )

    def job(self, job_id: str) -> Mapping[str, Any] | None:
        """The job's progress; None for an unknown id."""
        try:
            return self._modules.jobs.get(job_id).to_json()
        except Refused:
            return None

    async def retry(self, job_id: str, *, lean: bool = False) -> str:
        """Retry a failed job. After a restart the typed API keys are gone. Raises Refused."""
        request = self._requests.get(job_id)
        if request is None:
            job = self._modules.jobs.get(job_id)
            request = evolve(request_for(self._entry(job.short)), vault=job.params.get("vault"))
        return await self._start(evolve(request, without_optional=lean or request.without_optional))

    async def _start(self, request: "InstallRequest") -> str:
        job_id = (await self._modules.jobs.recorded(self._modules.installer.install(request))).id
        self._requests[job_id] = request
        Deferred.fromCoroutine(self._forget(job_id))
        return job_id

    async def _forget(self, job_id: str) -> None:
        """Drop the request once it has succeeded."""
        if (await self._modules.jobs.finished(job_id)).status == "succeeded":
            self._requests.pop(job_id, None)

    def _entry(self, short: str) -> "CatalogEntry":
        entry = self._modules.files.outside.catalog.get(short)
        if entry is None:
            raise Refused(404, "not_found", f"There is no module {short} in the catalog.")
        return entry


def request_for(entry: "CatalogEntry") -> "InstallRequest":
    """The install request for a catalog entry."""
    return install.InstallRequest(short=entry.short, package=entry.package, source=entry.source)
