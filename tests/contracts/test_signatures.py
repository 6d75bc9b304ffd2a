"""Each fake offers nothing that the real thing lacks, and takes the same arguments."""

import inspect
from collections.abc import Callable

from twisted.internet.tcp import Port
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.model import AccessWatch
from parachute_hub.app.adapters import InstalledResources, WizardInstalls
from parachute_hub.app.installed import States
from parachute_hub.modules.state.disk_space import Disk
from parachute_hub.oauth.clients.connections import Connections
from parachute_hub.oauth.clients.metadata_fetch import DocumentFetcher
from parachute_hub.supervise.process.processes import Processes
from parachute_hub.supervise.supervisor import Supervisor
from tests.admin.test_overview_api import FakeDisk
from tests.proxy.test_connection import FakePort
from tests.support.front_door import FakeInstalls, RecordedWatch
from tests.support.oauth import FakeResources, NoDocuments
from tests.support.processes import FakeSystem
from tests.support.sockets import FakeModules
from tests.support.supervising import FakeSupervisor

# (fake, what it stands for, methods that only the test calls)
PAIRS: tuple[tuple[type, type, frozenset[str]], ...] = (
    (FakeSupervisor, Supervisor, frozenset({"say"})),
    (FakeInstalls, WizardInstalls, frozenset({"finish"})),
    (FakeDisk, Disk, frozenset()),
    (FakeResources, InstalledResources, frozenset()),
    (NoDocuments, DocumentFetcher, frozenset()),
    (FakeSystem, Processes, frozenset()),
    (FakeModules, States, frozenset({"connectTCP", "accept", "newest"})),
    (FakePort, Port, frozenset()),
    (RecordedWatch, Connections, frozenset()),
    (RecordedWatch, AccessWatch, frozenset()),
)


def methods(kind: type) -> dict[str, Callable[..., object]]:
    """The public functions of a class by name."""
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
                    self.assertEqual(parameters(method), parameters(methods(real)[name]))


def parameters(method: Callable[..., object]) -> list[tuple[str, object]]:
    """Names and kinds of the parameters; a default may differ."""
    return [(one.name, one.kind) for one in inspect.signature(method).parameters.values()]
