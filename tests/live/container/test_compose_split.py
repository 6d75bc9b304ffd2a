"""deploy/compose/split.yaml unchanged, with the built image: a hub, and its vault beside it."""

import re

from tests.live import engine
from tests.live.container.case import ContainerTestCase
from tests.live.engine import ENGINE, ROOT
from tests.requirements import program, requires

FILE = ROOT / "deploy" / "compose" / "split.yaml"
# The hub's way to the module host; who it is, the pairing says.
GREET = """
import socket, ssl
context = ssl._create_unverified_context()
print(context.wrap_socket(socket.create_connection(("vault", 1940), 10)).version())
"""


@requires(*ENGINE, program("podman-compose"))
class SplitTests(ContainerTestCase):
    def test_the_hub_reaches_its_vault_and_nobody_else_does(self) -> None:
        machine, project = self.machine(), engine.new_name()
        words = ("podman-compose", f"--project-name={project}", f"--file={FILE}")
        for service in ("hub", "vault"):
            machine.podman.run("tag", engine.image(), f"localhost/{project}_{service}")
            self.addCleanup(machine.podman.run, "untag", engine.image(), f"localhost/{project}_{service}")
        for network in ("outside", "link"):
            self.addCleanup(machine.podman.try_run, "network", "rm", f"{project}_{network}")
        self.addCleanup(machine.podman.command, *words, "down", "--volumes")
        machine.podman.command(*words, "up", "--detach", "--no-build")
        hub = machine.adopt(f"{project}_hub_1", port=1939)
        hub.wait_phase("up")
        vault = machine.adopt(f"{project}_vault_1", port=1940)
        self.wait_until(lambda: "Ready: " in vault.log(), 60)
        self.assertEqual(hub.run("python3", "-c", GREET).stdout.strip(), "TLSv1.3")
        told = vault.run("parachute", "module", "host", "--pair", user=1000).stdout
        self.assertIn("https://vault:1940", told)
        self.assertRegex(told, r"Code: +([0-9A-Z]{3}-){7}[0-9A-Z]{3}")
        published = machine.podman.run("port", "--all")
        self.assertEqual({*re.findall(r"-> (\S+)", published)}, {"127.0.0.1:1939"})
