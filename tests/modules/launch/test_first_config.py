"""The settings with which a module of the catalog can start."""

import json

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.catalog import BUILT_IN
from parachute_hub.modules.launch.first_config import FirstConfig
from tests.modules.homes import TOY, Home
from tests.support.at_once import at_once

RUNNER = next(entry for entry in BUILT_IN if entry.short == "runner")


class FirstConfigTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp())
        self.config = FirstConfig(home=self.home.path, hub="http://127.0.0.1:2139", directory=self.home.directory)
        self.path = self.home.path / "runner" / "config.json"

    def test_it_names_this_hub_and_its_first_vault(self) -> None:
        self.assertTrue(at_once(self.config.write(RUNNER)))
        told = json.loads(self.path.read_bytes())
        expected = {"vault_url": "http://127.0.0.1:2139", "vault_name": "default", "disabled": True}
        self.assertEqual({name: told[name] for name in expected}, expected)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_settings_of_an_earlier_installation_are_kept(self) -> None:
        self.path.parent.mkdir()
        self.path.write_text("mine")
        self.assertFalse(at_once(self.config.write(RUNNER)))
        self.assertEqual(self.path.read_text(), "mine")

    def test_other_modules_get_none(self) -> None:
        self.assertFalse(at_once(self.config.write(TOY)))
        self.assertTrue(at_once(self.config.write(evolve(TOY, first_config={"on": True}))))
