"""One disk, one container after another: what is installed and written comes back."""

from pathlib import Path

from tests.live.container.box import Box
from tests.live.container.case import ContainerTestCase
from tests.live.container.journey import OWNER, install, processes, read_note, wait_ready, write_note
from tests.live.harness import PACKS, packed_examples

_TEXT = "written in one container, read in another"


class RedeployTests(ContainerTestCase):
    """The reference vault, installed from a registry in the container's network."""

    def setUp(self) -> None:
        super().setUp()
        packed_examples()
        self.home = self.disk()
        self.net = self.network()
        self.variables = {**OWNER, **self.registry(self.net, PACKS)}

    def first(self, **more: str) -> tuple[Box, str]:
        """A container with a vault and a note."""
        box = self.box(self.home, self.net, variables={**self.variables, **more})
        box.wait_phase("up")
        install(box, "vault")
        return box, write_note(box, self.home, _TEXT)

    def test_a_redeploy_brings_everything_back(self) -> None:
        """SIGTERM, a new container, no registry: nothing is installed again."""
        box, note = self.first()
        install(box, "scribe")
        code, _ = box.stop()
        self.assertEqual((code, box.group.members()), (0, []), box.log())
        again = self.box(self.home, variables={"PARACHUTE_ENV_SCRIBE_PROVIDER_KEY": "from the dashboard"})
        wait_ready(again, "vault", "scribe")
        self.assertEqual(read_note(again, self.home, note), _TEXT)
        (scribe,) = processes(again, "@openparachute/scribe/")
        environment = Path(f"/proc/{scribe}/environ").read_text().split("\0")
        self.assertIn("PROVIDER_KEY=from the dashboard", environment)
        self.assertFalse([line for line in environment if line.startswith("PARACHUTE_INITIAL_")])
        self.assertEqual(self.home.owners(), {(1000, 1000)})

    def test_a_lost_machine_loses_no_note(self) -> None:
        box, note = self.first()
        box.kill()
        again = self.box(self.home)
        wait_ready(again, "vault")
        self.assertEqual(read_note(again, self.home, note), _TEXT)

    def test_a_second_container_waits_for_the_first_and_takes_over(self) -> None:
        box, note = self.first()
        second = self.box(self.home)
        second.wait_phase("waiting")
        self.assertEqual(read_note(box, self.home, note), _TEXT)
        box.stop()
        wait_ready(second, "vault")
        self.assertEqual(read_note(second, self.home, note), _TEXT)

    def test_a_second_container_that_is_called_off_leaves_the_first_alone(self) -> None:
        box = self.box(self.home, variables=OWNER)
        box.wait_phase("up")
        second = self.box(self.home)
        second.wait_phase("waiting")
        self.assertEqual(second.stop()[0], 0, second.log())
        status = box.run("parachute", "status", user=1000)
        self.assertEqual((status.returncode, status.stderr), (0, ""))

    def test_a_second_container_that_waits_in_vain_leaves_with_one_line(self) -> None:
        box = self.box(self.home, variables=OWNER)
        box.wait_phase("up")
        second = self.box(self.home, variables={"PARACHUTE_LOCK_WAIT": "0.5"})
        self.assertEqual(second.ended(), 1, second.log())
        said = [line for line in second.log().splitlines() if "Another hub already uses" in line]
        self.assertEqual(len(said), 1, second.log())
        self.assertNotIn("Traceback", second.log())
        status = box.run("parachute", "status", user=1000)
        self.assertEqual((status.returncode, status.stderr), (0, ""))
