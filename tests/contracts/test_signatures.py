"""Fakes have no methods that the real classes lack, and take the same arguments."""

import inspect
from collections.abc import Callable

from twisted.internet.process import Process, ProcessReader
from twisted.internet.tcp import Connector, Port, Server
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.model import AccessWatch
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.admin.vault_command import VaultCommand
from parachute_hub.app.adapters import InstalledResources, ModuleTokens, ProxyGuard, ProxyVisitors
from parachute_hub.app.installed import ModuleStatusViews
from parachute_hub.app.wizard_installs import WizardInstalls
from parachute_hub.jobs.runner import Work
from parachute_hub.modules.packages.bun import Bun
from parachute_hub.modules.state.disk_space import Disk
from parachute_hub.oauth.clients.connections import Connections
from parachute_hub.oauth.clients.metadata_fetch import DocumentFetcher
from parachute_hub.oauth.tokens.bearer_auth import BearerRecogniser
from parachute_hub.supervise.process.processes import Processes
from parachute_hub.supervise.supervisor import Supervisor
from tests.admin.test_modules_api import Proofs, Tokens
from tests.admin.test_overview_api import FakeDisk
from tests.admin.test_vaults_api import Shelf
from tests.modules.operations.test_health_gate import Lines
from tests.modules.packages.test_updates import Registry as AnsweringRegistry
from tests.proxy.test_access_rules import Guard as RulesGuard
from tests.proxy.test_audience import People
from tests.proxy.test_connection import FakePort
from tests.proxy.test_plan import Guard as PlanGuard
from tests.support.front_door import FakeInstalls, RecordedWatch
from tests.support.oauth import FakeAccounts, FakeResources, NoDocuments
from tests.support.operators import KnownBearers
from tests.support.processes import FakeConnector, FakePipe, FakeProcess, FakeSystem
from tests.support.sockets import FakeModules, FakeSocket
from tests.support.supervising import FakeSupervisor

# (fake, what it stands for, methods that only the test calls)
PAIRS: tuple[tuple[type, type, frozenset[str]], ...] = (
    (FakeSupervisor, Supervisor, frozenset({"say"})),
    (FakeInstalls, WizardInstalls, frozenset({"finish"})),
    (FakeDisk, Disk, frozenset()),
    (FakeResources, InstalledResources, frozenset()),
    (NoDocuments, DocumentFetcher, frozenset()),
    (FakeSystem, Processes, frozenset()),
    (FakeModules, ModuleStatusViews, frozenset({"connectTCP", "accept", "newest"})),
    (FakePort, Port, frozenset()),
    (RecordedWatch, Connections, frozenset()),
    (RecordedWatch, AccessWatch, frozenset()),
    (KnownBearers, BearerRecogniser, frozenset()),
    (FakeAccounts, SessionRecogniser, frozenset({"verify", "prove", "grant", "visitor", "is_plain"})),
    (FakeAccounts, ProofsOfPresence, frozenset({"signed_in", "recognise", "visitor", "is_plain"})),
    (FakeAccounts, Browser, frozenset({"signed_in", "recognise", "verify", "prove", "grant"})),
    (Proofs, ProofsOfPresence, frozenset()),
    (Tokens, ModuleTokens, frozenset()),
    (AnsweringRegistry, Bun, frozenset()),
    (Shelf, VaultCommand, frozenset({"known", "sizes"})),
    (PlanGuard, ProxyGuard, frozenset()),
    (RulesGuard, ProxyGuard, frozenset()),
    (People, ProxyVisitors, frozenset()),
    (Lines, Work, frozenset()),
    (FakeSocket, Server, frozenset({"deliver", "hang_up", "reset", "send_no_more", "take", "take_turn"})),
    (FakeConnector, Connector, frozenset()),
    (FakePipe, ProcessReader, frozenset({"close"})),
    (FakeProcess, Process, frozenset({"say", "exit", "heard"})),
)


def methods(kind: type) -> dict[str, Callable[..., object]]:
    """A class's public functions by name."""
    return {
        name: value
        for name, value in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }  # fmt: skip


class SignatureTests(SynchronousTestCase):
    def test_fakes_have_the_methods_and_parameters_of_what_they_stand_for(self) -> None:
        for fake, real, own in PAIRS:
            for name, method in methods(fake).items():
                if name in own:
                    continue
                with self.subTest(f"{fake.__name__}.{name}"):
                    self.assertIn(name, methods(real), f"{real.__name__} has no {name}")
                    ours = real.__module__.startswith("parachute_hub")
                    self.assertEqual(parameters(method, ours), parameters(methods(real)[name], ours))


def parameters(method: Callable[..., object], named: bool) -> list[tuple[str, object]]:
    """Kinds of parameters, and names where `named`: Twisted calls by position. Defaults may differ."""
    return [(one.name if named else "", one.kind) for one in inspect.signature(method).parameters.values()]
