"""The JSON API of modules, used by the admin app and the command."""

from collections.abc import Callable
from typing import Any

from attrs import evolve
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from parachute_hub.admin.logs_api import Logs
from parachute_hub.admin.modules_bodies import (
    LIMITS,
    Room,
    asked_for,
    channel_of,
    choices_of,
    lenient,
    local_request,
    settings_changes,
    text_of,
    vault_of,
    version_of,
)
from parachute_hub.admin.modules_view import ModulesView, moved_json, settings_json, state_json
from parachute_hub.jobs.model import Job
from parachute_hub.modules.assembly import ModuleServices
from parachute_hub.modules.definition import names
from parachute_hub.modules.definition.names import BadName
from parachute_hub.modules.launch.configuration import Configuration
from parachute_hub.modules.operations.agreement import granted_of
from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.operations.upgrade import UpgradeRequest
from parachute_hub.modules.packages.fetcher import guess_short
from parachute_hub.modules.state.records import RecordsRefused
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, AUTH, Authenticator, Principal, StepUp, prove_person
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found, not_stored
from parachute_hub.supervise.model import ModuleState
from parachute_hub.system.doer import Done

_WEIGHTY = frozenset({"env", "trusted", "exposure", "registry_keys", "isolation", "may_read", "may_change"})
_RESTING = (ModuleState.STOPPED, ModuleState.HELD, ModuleState.STOPPING, ModuleState.ASLEEP)
_RESTARTS = _WEIGHTY | {"smol", "port"}


class ModulesArea:
    """`/api/modules` and everything below."""

    app: Klein = area()

    def __init__(
        self,
        *,
        who: Authenticator,
        step_up: StepUp,
        modules: ModuleServices,
        supervisor: SupervisorApi,
        view: ModulesView,
        configuration: Configuration,
        logs: Logs,
        room: Callable[[str], Room],
        done: Done,
    ) -> None:
        self._who = who
        self._step_up = step_up
        self._modules = modules
        self._directory = modules.files.directory
        self._records = modules.files.directory.records
        self._supervisor = supervisor
        self._view = view
        self._configuration = configuration
        self._logs = logs
        self._room = room
        self._done = done

    # --- the list, and all operations

    @app.route("/api/modules", methods=["GET"])
    async def listing(self, request: IRequest) -> bytes:
        """All modules, installed or on offer; `?fresh=1` queries the registry for new versions first."""
        self._who.need(request, AUTH)
        if asked_for(request, b"fresh"):
            await self._modules.availability.renew(self._view.packages())
        files = self._modules.files
        channel = {
            "module_install_channel": files.channel(),
            "module_install_channel_fixed": files.outside.env_channel is not None,
        }
        return as_json(request, {**self._view.listing(), **channel})

    @app.route("/api/modules/channel", methods=["PUT"])
    async def channel(self, request: IRequest) -> bytes:
        """Set the release channel for further installs."""
        self._who.need(request, ADMIN)
        channel = channel_of(read_json(request), "")
        await self._stored(self._records.choose_channel(channel))
        await self._done("channel-changed", channel)
        return as_json(request, {"channel": self._modules.files.channel()})

    @app.route("/api/modules/install", methods=["POST"])
    async def install_package(self, request: IRequest) -> bytes:
        """Install by npm name (`name`, `name@version`, `name@tag`); the operator can also install from this machine."""
        principal = self._who.need(request, ADMIN)
        body = read_json(request)
        if body.get("source") is not None:
            return await self._install_local(request, principal, body)
        try:
            spec = names.parse_spec(text_of(body, "package"))
        except BadName as error:
            raise Refused(400, "invalid_package", str(error)) from None
        entry = self._directory.catalog.offers(spec.name)
        choices = choices_of(body)
        if entry is None or choices["init"] or "permissions" in body:
            self._step_up.prove(request, principal, f"install:{spec.name}")
        short = entry.short if entry else guess_short(spec.name)
        channel = channel_of(body, self._modules.files.channel())
        asked = InstallRequest(short=short, package=spec.name, version=spec.version, channel=channel)
        return await self._begun(request, self._modules.installer.install(evolve(asked, **choices)))

    @app.route("/api/modules/upgrade-all", methods=["POST"])
    async def upgrade_all(self, request: IRequest) -> bytes:
        """Upgrade every catalog module with a newer version, unless it is busy. Others need individual confirmation."""
        self._who.need(request, ADMIN)
        await self._modules.availability.renew(self._view.packages())
        begun, passed_over = [], []
        for module in self._view.listing()["modules"]:
            if not module["upgrade_available"]:
                continue
            if not module["first_party"]:
                passed_over.append(module["short"])
                continue
            try:
                job = self._modules.upgrader.upgrade(UpgradeRequest(short=module["short"]))
                await self._modules.jobs.recorded(job)
            except Refused:
                passed_over.append(module["short"])
            else:
                begun.append({"short": module["short"], "operation_id": job.id})
        return as_json(request, {"operations": begun, "passed_over": passed_over}, status=202)

    @app.route("/api/modules/operations", methods=["GET"])
    def operations(self, request: IRequest) -> bytes:
        """All recorded operations, newest first."""
        self._who.need(request, ADMIN)
        jobs = reversed(self._modules.jobs.all())
        return as_json(request, {"operations": [job.to_json() for job in jobs]})

    @app.route("/api/modules/operations/<job_id>", methods=["GET"])
    def operation(self, request: IRequest, job_id: str) -> bytes:
        self._who.need(request, ADMIN)
        return as_json(request, self._modules.jobs.get(job_id).to_json())

    @app.route("/api/modules/operations/<job_id>/cancel", methods=["POST"])
    async def cancel(self, request: IRequest, job_id: str) -> bytes:
        """Cancel an operation. Returns its final state, including what was undone."""
        self._who.need(request, ADMIN)
        self._modules.jobs.cancel(job_id)
        job = await self._modules.jobs.finished(job_id)
        await self._done("operation-cancelled", job.short)
        return as_json(request, job.to_json())

    # --- one module

    @app.route("/api/modules/<short>/install", methods=["POST"])
    async def install(self, request: IRequest, short: str) -> bytes:
        """Install a module of the catalog."""
        principal = self._who.need(request, ADMIN)
        body = lenient(request)
        if body.get("source") is not None:
            return await self._install_local(request, principal, body)
        entry = next((entry for entry in self._directory.catalog.entries if entry.short == short), None)
        if entry is None:
            raise not_found(f"There is no module {short[:64]} on offer.")
        version, choices = version_of(body), choices_of(body)
        if choices["granted"] is not None or choices["init"]:
            self._step_up.prove(request, principal, f"install:{entry.package}")
        elif version is not None:
            # It may be a version with known vulnerabilities.
            prove_person(self._step_up, request, principal, f"install:{entry.package}@{version}")
        wanted = InstallRequest(
            short=short,
            package=entry.package,
            version=version,
            channel=channel_of(body, self._modules.files.channel()),
            # A catalog entry with a source has exactly one version.
            source=entry.source if version is None else None,
            vault=vault_of(body),
            **choices,
        )
        return await self._begun(request, self._modules.installer.install(wanted))

    @app.route("/api/modules/<short>/adopt", methods=["POST"])
    async def adopt(self, request: IRequest, short: str) -> bytes:
        """Adopt and start a module that is in services.json but was not installed by this hub."""
        principal = self._known(request, short)
        self._refuse_busy(short)
        self._step_up.prove(request, principal, f"adopt:{short}")
        await self._modules.adoption.adopt(short)
        await self._done("module-adopt", short)
        return as_json(request, moved_json(await self._supervisor.start(short)))

    @app.route("/api/modules/<short>/upgrade", methods=["POST"])
    async def upgrade(self, request: IRequest, short: str) -> bytes:
        """Upgrade to the channel's newest version, or to `version`."""
        principal = self._known(request, short)
        body = lenient(request)
        if not self._directory.is_first_party(short) or "permissions" in body:
            self._step_up.prove(request, principal, f"install:{self._directory.package_of(short)}")
        older, newest = (body.get(name) is True for name in ("allow_downgrade", "allow_new"))
        if older:
            prove_person(self._step_up, request, principal, f"downgrade:{short}")
        asked = UpgradeRequest(short=short, version=version_of(body), granted=granted_of(body))
        wanted = evolve(asked, allow_downgrade=older, allow_new=newest)
        return await self._begun(request, self._modules.upgrader.upgrade(wanted))

    @app.route("/api/modules/<short>/rollback", methods=["POST"])
    async def rollback(self, request: IRequest, short: str) -> bytes:
        """Go back to the previous version; `restore_data` also restores its data."""
        principal = self._known(request, short)
        restore = read_json(request).get("restore_data") is True
        if restore:
            self._step_up.prove(request, principal, f"restore-data:{short}")
        else:
            prove_person(self._step_up, request, principal, f"downgrade:{short}")
        return await self._begun(request, self._modules.upgrader.rollback(short, restore_data=restore))

    @app.route("/api/modules/<short>/restore-data", methods=["POST"])
    async def restore_data(self, request: IRequest, short: str) -> bytes:
        """Restore the data from before the last version change."""
        principal = self._known(request, short)
        self._step_up.prove(request, principal, f"restore-data:{short}")
        return await self._begun(request, self._modules.upgrader.restore(short))

    @app.route("/api/modules/<short>/uninstall", methods=["POST"])
    async def uninstall(self, request: IRequest, short: str) -> bytes:
        """Uninstall the module and wait for the result."""
        principal = self._known(request, short)
        prove_person(self._step_up, request, principal, f"uninstall:{short}")
        job = await self._modules.jobs.recorded(self._modules.remover.uninstall(short))
        job = await self._modules.jobs.finished(job.id)
        if job.status == "failed":
            raise Refused(500, "module_op_failed", job.error or "It could not be uninstalled.")
        return as_json(request, {"short": short, "log": list(job.log), "operation_id": job.id})

    @app.route("/api/modules/<short>/delete-data", methods=["POST"])
    async def delete_data(self, request: IRequest, short: str) -> bytes:
        """Delete the data of an uninstalled module."""
        principal = self._who.need(request, ADMIN)
        if not names.is_short(short):
            raise not_found(f"There is no module {short[:64]}.")
        self._step_up.prove(request, principal, f"delete-data:{short}")
        return await self._begun(request, self._modules.remover.delete_data(short))

    @app.route("/api/modules/<short>/start", methods=["POST"])
    async def start(self, request: IRequest, short: str) -> bytes:
        """Enable and start."""
        self._runnable(request, short)
        moved = moved_json(await self._supervisor.start(short))
        await self._done("module-start", short)
        return as_json(request, moved)

    @app.route("/api/modules/<short>/restart", methods=["POST"])
    async def restart(self, request: IRequest, short: str) -> bytes:
        self._runnable(request, short)
        moved = moved_json(await self._supervisor.restart(short))
        await self._done("module-restart", short)
        return as_json(request, moved)

    @app.route("/api/modules/<short>/heal-port", methods=["POST"])
    async def heal_port(self, request: IRequest, short: str) -> bytes:
        """Repair a mismatch between the assigned port and the one the module uses, and restart it."""
        self._runnable(request, short)
        text, status = await self._modules.ports.heal(short)
        await self._done("module-heal-port", short)
        return as_json(request, {"short": short, "text": text, "state": state_json(status)})

    @app.route("/api/modules/<short>/stop", methods=["POST"])
    async def stop(self, request: IRequest, short: str) -> bytes:
        """Disable and stop."""
        self._known(request, short)
        self._refuse_busy(short)
        if self._supervisor.status(short) is None:
            if self._directory.row(short) is not None:
                await self._stored(self._records.want(short, False))
                await self._done("module-stop", short)
            return as_json(request, {"short": short, "stopped": False})
        state = await self._supervisor.stop(short)
        await self._done("module-stop", short)
        return as_json(request, {"short": short, "stopped": True, "state": state_json(state)})

    @app.route("/api/modules/<short>/logs", methods=["GET"])
    async def logs(self, request: IRequest, short: str) -> bytes | None:
        """The log, also of earlier runs of the hub; with `?follow=1` as a stream."""
        self._who.need(request, ADMIN)
        if not names.is_short(short):
            raise not_found(f"There is no module {short[:64]}.")
        return await self._logs.answer(request, short, self._supervisor.log(short))

    # --- settings

    @app.route("/api/modules/<short>/config", methods=["GET"])
    async def config(self, request: IRequest, short: str) -> bytes:
        """The module's configuration with its schema, without secrets."""
        self._known(request, short)
        return as_json(request, await self._configuration.read(short))

    @app.route("/api/modules/<short>/config", methods=["PUT"])
    async def configure(self, request: IRequest, short: str) -> bytes:
        """Change part of the configuration."""
        principal = self._known(request, short)
        self._refuse_busy(short)
        changes = read_json(request)
        self._step_up.prove(request, principal, f"configure:{short}")
        answer = await self._configuration.change(short, changes)
        await self._done("module-config", short)
        named = await self._modules.files.fence.named(short, changes)
        if (answer["restart"] or named) and self._runs(short):
            await self._supervisor.restart(short)
        return as_json(request, answer)

    @app.route("/api/modules/<short>/config/test", methods=["POST"])
    async def test_config(self, request: IRequest, short: str) -> bytes:
        """Let the module try whether it can work with its settings."""
        self._known(request, short)
        answer = await self._configuration.test(short)
        await self._done("module-config-tested", short)
        return as_json(request, answer)

    @app.route("/api/modules/<short>/settings", methods=["GET"])
    def settings(self, request: IRequest, short: str) -> bytes:
        """The hub's settings of a module."""
        self._known(request, short)
        return as_json(request, settings_json(self._records.get(short)))

    @app.route("/api/modules/<short>/settings", methods=["PUT"])
    async def set_settings(self, request: IRequest, short: str) -> bytes:
        """Change settings; null removes a variable from `env`."""
        principal = self._known(request, short)
        self._refuse_busy(short)
        changes = settings_changes(read_json(request), self._records.get(short), self._room(short))
        # Whatever a package will be tomorrow runs then without another question.
        if _WEIGHTY & changes.keys() or changes.get("night"):
            self._step_up.prove(request, principal, f"configure:{short}")
        await self._stored(self._records.change(short, **changes))
        await self._done("module-limits" if changes and changes.keys() <= LIMITS else "module-settings", short)
        await self._modules.rowkeeper.look()
        if _RESTARTS & changes.keys() and self._runs(short):
            await self._supervisor.restart(short)
        return as_json(request, settings_json(self._records.get(short)))

    # --- helpers

    async def _install_local(self, request: IRequest, principal: Principal, body: dict[str, Any]) -> bytes:
        """Install a tarball or folder of this machine, for those who control the machine."""
        if principal.kind != "operator":
            raise Refused(403, "operator_only", "Only this machine's operator can install from a file or a folder.")
        wanted = evolve(local_request(body["source"], self._directory.catalog), init=choices_of(body)["init"])
        return await self._begun(request, self._modules.installer.install(wanted))

    def _known(self, request: IRequest, short: str) -> Principal:
        """The caller, for a module that is installed or on offer; 404 for any other."""
        principal = self._who.need(request, ADMIN)
        installed = self._directory.row(short) is not None or self._records.known(short)
        installed = installed or bool(self._directory.unusable_rows(short) or self._directory.written(short))
        if not installed and self._directory.entry(short) is None:
            raise not_found(f"There is no module {short[:64]}.")
        return principal

    def _runnable(self, request: IRequest, short: str) -> None:
        self._known(request, short)
        if self._directory.row(short) is None:
            raise Refused(400, "not_installed", f"{short} is not installed. Install it first.")
        self._refuse_busy(short)

    def _refuse_busy(self, short: str) -> None:
        job = self._modules.jobs.active(short)
        if job is not None:
            raise Refused(
                409,
                "operation_in_progress",
                f"{short} is busy: {job.kind} is under way. Wait for it or cancel it, then try again.",
                detail={"operation_id": job.id},
            )

    def _runs(self, short: str) -> bool:
        return (status := self._supervisor.status(short)) is not None and status.state not in _RESTING

    async def _begun(self, request: IRequest, job: Job) -> bytes:
        await self._modules.jobs.recorded(job)
        return as_json(request, {"operation_id": job.id}, status=202)

    async def _stored(self, change: "Deferred[None]") -> None:
        try:
            await change
        except RecordsRefused as error:
            raise not_stored(error, str(error)) from None
