"""Vault and scribe find each other, and scribe always requires a token."""

import json

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.launch.environment import parse_dotenv
from parachute_hub.modules.launch.vault_scribe import Wiring
from parachute_hub.supervise.model import CannotLaunch
from tests.modules.homes import Home, write
from tests.support.at_once import at_once
from tests.support.supervising import FakeSupervisor


class Wires(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp())
        self.secrets: list[str] = []
        self.wiring = Wiring(home=self.home.path, directory=self.home.directory, know_secret=self.secrets.append)
        self.supervisor = FakeSupervisor()
        for short in ("vault", "scribe"):
            self.successResultOf(Deferred.fromCoroutine(self.supervisor.start(short)))

    def connect(self) -> list[str]:
        self.supervisor.calls.clear()
        self.successResultOf(Deferred.fromCoroutine(self.wiring.connect(self.supervisor)))
        return [short for word, short in self.supervisor.calls if word == "restart"]

    def env(self, short: str) -> dict[str, str]:
        return parse_dotenv((self.home.path / short / ".env").read_text())

    def both(self) -> None:
        self.home.register("parachute-vault", 1940, paths=["/vault/default"])
        self.home.register("parachute-scribe", 1955, paths=["/scribe"])

    def test_one_token_in_all_files(self) -> None:
        write(self.home.path / "vault", {".env": "MINE=1\n"})
        write(self.home.path / "scribe", {"config.json": '{"provider": "x", "auth": {"other": 1}}'})
        self.both()
        self.assertEqual(self.connect(), ["scribe", "vault"])
        token = self.env("scribe")["SCRIBE_AUTH_TOKEN"]
        self.assertEqual(len(token), 64)
        self.assertEqual(
            self.env("vault"), {"MINE": "1", "SCRIBE_AUTH_TOKEN": token, "SCRIBE_URL": "http://127.0.0.1:1955"}
        )
        config = json.loads((self.home.path / "scribe" / "config.json").read_text())
        self.assertEqual(config, {"provider": "x", "auth": {"other": 1, "required_token": token}})
        self.assertIn(token, self.secrets)
        self.assertEqual(self.connect(), [])

    def test_the_vaults_token_counts(self) -> None:
        write(self.home.path / "vault", {".env": "SCRIBE_AUTH_TOKEN=chosen-by-hand\n"})
        self.both()
        self.connect()
        self.assertEqual(self.env("scribe")["SCRIBE_AUTH_TOKEN"], "chosen-by-hand")

    def test_who_is_launched_after_the_change_is_not_restarted(self) -> None:
        self.both()
        at_once(self.wiring.before_launch("scribe"))
        self.assertEqual(self.connect(), ["vault"])

    def test_undone_when_scribe_goes(self) -> None:
        self.both()
        self.connect()
        self.home.services.update(lambda registry: registry.without("parachute-scribe"))
        self.assertEqual(self.connect(), ["vault"])
        self.assertEqual(self.env("vault"), {})

    def test_a_scribe_elsewhere_is_the_owners_choice(self) -> None:
        write(self.home.path / "vault", {".env": "SCRIBE_URL=https://scribe.test\nSCRIBE_AUTH_TOKEN=x\n"})
        self.home.register("parachute-vault", 1940, paths=["/vault/default"])
        self.assertEqual(self.connect(), [])
        self.assertEqual(self.env("vault")["SCRIBE_URL"], "https://scribe.test")

    def test_scribe_does_not_start_without_a_token(self) -> None:
        self.home.register("parachute-scribe", 1955, paths=["/scribe"])
        write(self.home.path / "scribe", {"config.json": "[]"})
        with self.assertRaises(CannotLaunch) as caught:
            at_once(self.wiring.before_launch("scribe"))
        self.assertEqual(caught.exception.error_type, "unprotected")
        at_once(self.wiring.before_launch("vault"))
