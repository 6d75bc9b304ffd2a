"""Composes the accounts, which answer the wizard's first question. All else may be loaded after them."""

import secrets
import time
from typing import cast

from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from parachute_hub.accounts import assemble as accounts_of
from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.encryption import KEY_FILE, Sealer
from parachute_hub.accounts.passkeys.verifier import ProcessVerifier
from parachute_hub.accounts.setup.gate import SETUP, SetupGate
from parachute_hub.accounts.signin.passwords import Hasher, HashThreads
from parachute_hub.app.closed import Closed
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.foundation import Foundation
from parachute_hub.app.hub_vaults import HubVaults, vaults_of
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.app.self_check import self_check
from parachute_hub.app.tally import Tally
from parachute_hub.app.vault_exports import VaultExports
from parachute_hub.app.wizard_installs import WizardInstalls
from parachute_hub.migration.home import is_older
from parachute_hub.site.cookies import Jar
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import MountedArea
from parachute_hub.system.pinned import loopback_agent
from parachute_hub.system.records import frozen

_log = Logger()


@frozen(kw_only=True)
class Entrance:
    """The accounts, and what was made for them."""

    accounts: Accounts
    sealer: Sealer
    hash_threads: HashThreads
    tally: Tally
    vaults: HubVaults
    exports: VaultExports


@frozen
class _Connections:
    """Tells the issuer (implements `accounts.model.AccessWatch`)."""

    _of: Foundation

    def access_ended(self, user_id: str) -> None:
        """Apps lose what they hold."""
        self._of.oauth().connections.access_ended(user_id)

    def access_changed(self, user_id: str) -> None:
        """Apps keep what the user still has."""
        self._of.oauth().connections.access_changed(user_id)


def build_entrance(core: ProcessContext, on: Foundation) -> Entrance:
    """Create the accounts. What they need of modules and issuer is asked for when it is used."""
    hash_threads = HashThreads(core.reactor)
    sealer = Sealer.from_file(core.settings.home / "hub" / KEY_FILE, secrets.token_bytes)
    tally = Tally()
    vaults = vaults_of(core, on.engine)
    exports = VaultExports(
        loopback_agent(core.reactor, timeout=5.0),
        lambda: on.oauth().issuer,
        on.database.write,
        lambda short, seconds: on.engine().sleeper.reach(short, seconds),
        lambda short: on.engine().modules.files.directory.elsewhere(short) is not None,
    )
    accounts = accounts_of.build(
        on.database,
        sealer=sealer,
        # The key alone does not distinguish hubs: containers may share a port number, and a copied home has the same
        # key.
        jar=Jar(sealer.tag(f"cookies of port {core.settings.port}")),
        hasher=Hasher(hash_threads.run),
        older_hub=is_older(core.settings.home),
        caller=RequestCaller(),
        origin=on.origin,
        installs=WizardInstalls(lambda: on.engine().modules),
        self_check=self_check(core.health.instance, core.reactor),
        watch=_Connections(on),
        links=lambda signed_in: [("Connected apps", "Apps that may read or write your notes", "/account/apps")],
        apps=lambda user_id: [app.in_short() for app in on.oauth().connections.of_user(user_id)],
        verifier=ProcessVerifier(core.reactor),
        vaults=vaults,
        exports=exports,
        clock=time.time,
        random=secrets.token_bytes,
    )
    accounts.audit.subscribe(tally.acted)
    return Entrance(
        accounts=accounts,
        sealer=sealer,
        hash_threads=hash_threads,
        tally=tally,
        vaults=vaults,
        exports=exports,
    )


async def boot_accounts(core: ProcessContext, accounts: Accounts) -> None:
    """Before the first request: make the owner whom the environment names, or log the token that makes one."""
    for line in await accounts.boot(core.settings.initial_admin, core.settings.reset_owner):
        _log.info("", module_line=line)


class FirstQuestion:
    """The gate while all else is loaded: the wizard is open (implements `site.root.Gate`)."""

    def __init__(self, gate: SetupGate) -> None:
        self._gate = gate
        self._closed = Closed("starting")

    def check(self, method: bytes, path: bytes, html: bool) -> Refused | None:
        """None for the wizard and its style; the front page leads there, and all else is told to come again."""
        if path == b"/" or f"{path.decode('latin-1')}/".startswith((f"{SETUP}/", "/static/hub/")):
            return self._gate.check(method, path, html)
        return self._closed.check(method, path, html)


class EarlyWizard(Resource):
    """The wizard while all else is loaded: it shows its question, and keeps what else comes until then."""

    isLeaf = True

    def __init__(self, wizard: IResource) -> None:
        super().__init__()
        self._wizard = wizard
        self._kept: list[Request] = []

    def render(self, request: IRequest) -> bytes | int:
        """The question, or nothing yet."""
        if request.method in (b"GET", b"HEAD") and request.path.rstrip(b"/") == SETUP.encode():
            return self._wizard.render(request)  # type: ignore[no-any-return]
        kept = cast(Request, request)
        self._kept.append(kept)
        kept.notifyFinish().addErrback(lambda _: self._kept.remove(kept) if kept in self._kept else None)
        return NOT_DONE_YET

    def go_on(self, site: IResource) -> None:
        """Let the site answer what was kept."""
        kept, self._kept = self._kept, []
        for request in kept:
            request.render(site)


def ask_first_question(core: ProcessContext, accounts: Accounts) -> EarlyWizard:
    """Open the site for the wizard's first question."""
    wizard = next(part for part in accounts.parts if SETUP in part.prefixes)
    early = EarlyWizard(wizard.resource)
    style = [part for part in accounts.parts if "/static/hub" in part.prefixes]
    core.root.open(
        [MountedArea(("/health",), core.health), MountedArea((SETUP,), early), *style], FirstQuestion(accounts.gate)
    )
    return early
