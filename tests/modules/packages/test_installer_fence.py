"""What bun may reach during an installation."""

from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.confinement.rules import Rules
from parachute_hub.modules.packages import bun
from parachute_hub.modules.packages.installer_fence import InstallerFence


@define
class Recorder:
    """Starts what it is given and records the rules."""

    rules: list[Rules] = field(factory=list)

    def start(self, rules: Rules, spawn: Callable[[], int], release: Callable[[], object] | None = None) -> int:
        self.rules.append(rules)
        return spawn()


class InstallerFenceTests(SynchronousTestCase):
    def test_the_rules(self) -> None:
        """The incoming folder, cache, scratch, tarball and certificates; nothing else of the home."""
        top = Path(self.mktemp()).absolute()
        (top / "user").mkdir(parents=True)
        for name in ("toy.tgz", "ca.pem"):
            (top / name).write_text("x")
        home, confiner = top / "home", Recorder()
        fence = InstallerFence(confiner=confiner, modules=home / "modules", scratch=home / "tmp", settings=top / "user")
        incoming = home / "modules" / "store" / "toy" / ".incoming-1"
        spawned: list[int] = []

        def spawn() -> int:
            spawned.append(1)
            return 4711

        environment = {"SSL_CERT_FILE": str(top / "ca.pem"), "HOME": str(top / "user"), "A": "/not/there"}
        fence.start(incoming, Path("/opt/bun/bin/bun"), ["add", "--", str(top / "toy.tgz")], environment, spawn)
        [rules] = confiner.rules
        self.assertEqual(spawned, [1])
        self.assertEqual(
            set(rules.writes), {str(incoming), str(home / "modules" / "install" / "cache"), str(home / "tmp")}
        )
        own = {path for path in rules.reads if path.startswith(str(top))}
        files = {"toy.tgz", "ca.pem", "user/.npmrc", "user/.bunfig.toml"}
        self.assertEqual(own, {str(top / name) for name in files})
        # bun lists the folder of a script that it runs.
        self.assertIn(str(Path(bun.__file__).parent), rules.reads)
        self.assertTrue(rules.change_modes)
        self.assertEqual((rules.bind, rules.connect), ((), None))
