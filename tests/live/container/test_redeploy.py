"""One volume, successive containers: installed modules and notes come back."""

from pathlib import Path

from tests.live.container.case import ContainerTestCase
from tests.live.container.journey import install, read_note, wait_ready, write_note
from tests.live.engine import Container
from tests.live.harness import OWNER, PACKS, packed_examples

_TEXT = "written in one container, read in another"


class RedeployTests(ContainerTestCase):
    """The reference vault, installed from a registry in the container's network."""

    def setUp(self) -> None:
        super().setUp()
        packed_examples()
        self.first_machine = self.machine()
        self.home = self.first_machine.volume()
        self.variables = {**OWNER, **self.registry(self.first_machine, PACKS)}

    def first(self, **more: str) -> tuple[Container, str]:
        """A container with a vault and a note."""
        hub = self.container(self.home, self.first_machine, variables={**self.variables, **more})
        hub.wait_phase("up")
        install(hub, "vault")
        return hub, write_note(hub, _TEXT)

    def test_a_redeploy_brings_everything_back(self) -> None:
        """SIGTERM, a new container, no registry: nothing is installed again."""
        hub, note = self.first()
        install(hub, "scribe")
        code, _ = hub.stop()
        self.assertEqual((code, hub.group.members()), (0, []), hub.log())
        again = self.container(self.home, variables={"PARACHUTE_ENV_SCRIBE_PROVIDER_KEY": "from the dashboard"})
        wait_ready(again, "vault", "scribe")
        self.assertEqual(read_note(again, note), _TEXT)
        (scribe,) = again.processes("@openparachute/scribe/")
        environment = Path(f"/proc/{scribe}/environ").read_text().split("\0")
        self.assertIn("PROVIDER_KEY=from the dashboard", environment)
        self.assertFalse([line for line in environment if line.startswith("PARACHUTE_INITIAL_")])
        owners = again.run("find", "/parachute", "-printf", "%U:%G ").stdout.split()
        self.assertEqual(set(owners), {"1000:1000"})

    def test_a_lost_machine_loses_no_note(self) -> None:
        hub, note = self.first()
        hub.kill()
        again = self.container(self.home)
        wait_ready(again, "vault")
        self.assertEqual(read_note(again, note), _TEXT)

    def test_a_second_container_waits_for_the_first_and_takes_over(self) -> None:
        hub, note = self.first()
        second = self.container(self.home)
        second.wait_phase("waiting")
        self.assertEqual(read_note(hub, note), _TEXT)
        hub.stop()
        wait_ready(second, "vault")
        self.assertEqual(read_note(second, note), _TEXT)

    def test_a_second_container_that_is_called_off_leaves_the_first_alone(self) -> None:
        hub = self.container(self.home, variables=OWNER)
        hub.wait_phase("up")
        second = self.container(self.home)
        second.wait_phase("waiting")
        self.assertEqual(second.stop()[0], 0, second.log())
        status = hub.run("parachute", "status", user=1000)
        self.assertEqual((status.returncode, status.stderr), (0, ""))

    def test_a_second_container_that_waits_in_vain_leaves_with_one_line(self) -> None:
        hub = self.container(self.home, variables=OWNER)
        hub.wait_phase("up")
        second = self.container(self.home, variables={"PARACHUTE_LOCK_WAIT": "0.5"})
        self.assertEqual(second.ended(), 1, second.log())
        said = [line for line in second.log().splitlines() if "Another hub already uses" in line]
        self.assertEqual(len(said), 1, second.log())
        self.assertNotIn("Traceback", second.log())
        status = hub.run("parachute", "status", user=1000)
        self.assertEqual((status.returncode, status.stderr), (0, ""))
