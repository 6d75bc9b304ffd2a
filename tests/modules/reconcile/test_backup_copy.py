"""services.json damaged by another program while the hub was not running."""

import json

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.reconcile.backup_copy import ServicesBackup
from parachute_hub.modules.state.services_file import ServicesFile
from tests.modules.homes import Home
from tests.support.at_once import at_once


class LastGoodTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp())
        self.home.register("parachute-vault", 1940, paths=["/vault/default"], mine={"kept": 1})
        self.home.register("toys-toy", 2711)
        self.told: list[str] = []
        self.copy = self.home.path / "hub" / "services.last.json"
        self.good = self.start()
        at_once(self.good.look())

    def start(self) -> ServicesBackup:
        """As a restarted hub."""
        return ServicesBackup(services=self.home.services, path=self.copy, notice=self.told.append)

    def tear(self, length: int) -> None:
        content = self.home.services.path.read_bytes()
        self.home.services.path.write_bytes(content[:length])

    def names(self) -> set[str]:
        return {row.name for row in self.home.services.read().rows}

    def test_rows_that_a_power_cut_took_come_back(self) -> None:
        """From an empty file and from half of one, with everything that modules wrote."""
        for length in (0, len(self.home.services.path.read_bytes()) // 2):
            self.tear(length)
            at_once(self.start().mend())
            self.assertEqual(self.names(), {"parachute-vault", "toys-toy"}, length)
            vault = self.home.services.read().row("parachute-vault")
            assert vault is not None
            self.assertEqual((vault.raw["mine"], vault.port), ({"kept": 1}, 1940))
        self.assertIn("restored from the hub's backup", self.told[0])

    def test_a_file_that_is_whole_is_left_alone(self) -> None:
        """Removing a row is intentional, and so is removing the file while the hub is off."""
        document = json.loads(self.home.services.path.read_bytes())
        document["services"] = document["services"][:1]
        self.home.services.path.write_text(json.dumps(document))
        at_once(self.start().mend())
        self.assertEqual(self.names(), {"parachute-vault"})
        self.home.services.path.unlink()
        fresh = ServicesFile(self.home.services.path)
        at_once(ServicesBackup(services=fresh, path=self.copy, notice=self.told.append).mend())
        self.assertEqual((fresh.read().rows, self.told), ((), []))

    def test_the_copy_follows_what_is_whole_and_nothing_else(self) -> None:
        before = self.copy.read_bytes()
        self.tear(20)
        at_once(self.good.look())
        self.assertEqual(self.copy.read_bytes(), before)
        at_once(self.start().mend())
        self.home.services.update(lambda registry: registry.without("toys-toy"))
        at_once(self.good.look())
        self.assertNotIn(b"toys-toy", self.copy.read_bytes())

    def test_without_a_copy_there_is_what_can_be_read(self) -> None:
        """Also when the copy is damaged."""
        for content in (None, b"", b"\x00" * 100, b"[]"):
            self.copy.unlink(missing_ok=True)
            if content is not None:
                self.copy.write_bytes(content)
            self.tear(0)
            at_once(self.start().mend())
            self.assertEqual((self.names(), self.told), (set(), []))

    def test_a_disk_that_takes_nothing_is_no_trouble(self) -> None:
        """The copy is written as soon as there is space."""
        self.copy.unlink()
        self.copy.mkdir()
        self.home.services.update(lambda registry: registry.without("toys-toy"))
        at_once(self.good.look())
        self.copy.rmdir()
        at_once(self.good.look())
        self.assertNotIn(b"toys-toy", self.copy.read_bytes())
